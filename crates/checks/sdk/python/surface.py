"""The official Python SDK through a whole piece of work, with something going wrong at each step.

The SDK repeats nothing itself, so what succeeds was made to by the gateway. What a run or an upload
cannot be made to do ends in an exception of the SDK's or in the error that the vendor documents.
"""

import io
import json
import os
import re
import sys
import time
import types
import urllib.request
import warnings

import openai

from harness import BASE_URL, KEY, SIM_URL, case, finish, holds, same

warnings.simplefilter("ignore", DeprecationWarning)
PID = os.environ["MAINSTAY_PID"]
LARGE = 512 << 20
# What the gateway may have had in memory at any time, KiB.
MEMORY_MAX = 64 << 10
STEP = '[objects]\nstep = "10ms"\n'
# The provider has done nothing yet, and says so. No limit is among them: one that is told is kept to afterwards.
REFUSALS = ('kind = "overloaded"', 'kind = "service_unavailable"')
# What makes half a stream of one.
BROKEN = ("no_done", "cut_fin", "cut_rst", "error_first_event", "error_mid_stream")
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def named(what):
    """What goes wrong, in one line."""
    return what.partition("\n")[0]


def client():
    """It repeats nothing, so that what is seen is what was answered."""
    return openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=120)


def play(scenario):
    """Begins a scenario in the simulator; what is stored is forgotten."""
    request = urllib.request.Request(SIM_URL + "/sim/scenario", data=scenario.encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def each_step(*endpoints, what):
    """A scenario in which the first request of every call fails, and the one after it does not."""
    once = "".join(
        f'[[fault]]\n{what}\nendpoints = ["{name}"]\nnth = {nth}\n' for name in endpoints for nth in range(1, 120, 2))
    return STEP + once


def counted():
    """The simulator's counters."""
    with urllib.request.urlopen(SIM_URL + "/sim/stats", timeout=10) as answer:
        return json.load(answer)


def each_step_failed_once(least, given_up=0):
    """Of every two requests that the provider got one failed, but for what was given up, and there were so many steps."""
    stats = counted()
    failed = sum(int(count) for count in (stats["faults"] | stats["kinds"]).values())
    same("requests", int(stats["attempts"]), 2 * failed - given_up)
    holds(f"there were {failed} steps, not {least}", failed >= least)


def insisted(work, status):
    """What must not be sent again unasked is refused with this status; asked again, it is done."""
    try:
        work()
    except openai.APIStatusError as error:
        same("the status", error.status_code, status)
        holds("the request has an id", error.request_id)
        return work()
    raise AssertionError("the fault did not strike")


def peak():
    """The most memory that the gateway has had, KiB."""
    with open(f"/proc/{PID}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def begin(api, model, text):
    """An assistant with a tool, and a thread with one message."""
    assistant = api.beta.assistants.create(model=model, tools=[TOOL])
    thread = api.beta.threads.create(messages=[{"role": "user", "content": text}])
    return assistant.id, thread.id


def tool_call(run):
    """The one call that a run waits for, and what it is told."""
    same("the run waits", run.status, "requires_action")
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    same("the arguments", json.loads(call.function.arguments), {"city": "simulated"})
    return [{"tool_call_id": call.id, "output": "sunny"}]


def check_thread(api, thread, run, text):
    """The thread has the text, and the run its steps."""
    holds(f"the text is about the output: {text!r}", text.startswith("Heard 5 bytes: w4"))
    messages = api.beta.threads.messages.list(thread).data
    same("the thread has it", messages[0].content[0].text.value, text)
    steps = api.beta.threads.runs.steps.list(run, thread_id=thread, order="asc").data
    same("the steps", [step.type for step in steps], ["tool_calls", "message_creation"])


def run_in_a_stream(what):
    play(each_step("assistants", "threads", "runs", what=what))
    api = client()
    assistant, thread = begin(api, "m", "call the tool")
    with api.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant) as stream:
        stream.until_done()
        run = stream.current_run
    outputs = tool_call(run)
    with api.beta.threads.runs.submit_tool_outputs_stream(run_id=run.id, thread_id=thread, tool_outputs=outputs) as stream:
        text = "".join(stream.text_deltas)
        run = stream.get_final_run()
    same("the run has ended", run.status, "completed")
    check_thread(api, thread, run.id, text)
    # Assistant, thread, run, outputs, messages, steps.
    each_step_failed_once(6)


def run_whose_answers_are_lost():
    # The provider may have begun it, and two runs would answer twice: the caller is told so.
    play(each_step("assistants", "threads", "runs", what='fault = "reset_before_headers"'))
    api = client()
    assistant, thread = begin(api, "m", "call the tool")
    try:
        api.beta.threads.runs.create(thread_id=thread, assistant_id=assistant)
    except openai.InternalServerError as error:
        same("the status", error.status_code, 502)
        holds(f"it says what to do: {error}", "runs of the thread" in str(error))
    made = api.beta.threads.runs.list(thread).data
    same("it was begun and failed", [run.status for run in made], ["failed"])
    with api.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant) as stream:
        stream.until_done()
        run = stream.current_run
    outputs = tool_call(run)
    try:
        api.beta.threads.runs.submit_tool_outputs(run_id=run.id, thread_id=thread, tool_outputs=outputs)
    except openai.InternalServerError as error:
        same("the status", error.status_code, 502)
    # The outputs did arrive: a look at the run tells what came of them.
    run = api.beta.threads.runs.retrieve(run.id, thread_id=thread)
    holds(f"it went on without us: {run.status}", run.status != "requires_action")
    # Assistant, thread, run, the list, outputs, a look at the run.
    each_step_failed_once(6, given_up=1)


def run_by_polling():
    play(each_step("assistants", "threads", "runs", what='kind = "overloaded"'))
    api = client()
    assistant, thread = begin(api, "m", "call the tool")
    run = api.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=10)
    outputs = tool_call(run)
    run = api.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread, tool_outputs=outputs, poll_interval_ms=10)
    same("the run has ended", run.status, "completed")
    # Assistant, thread, run and a look at it, outputs and a look at it.
    each_step_failed_once(6)


def run_that_fails(end, status, code):
    play(STEP)
    api = client()
    assistant, thread = begin(api, f"sim-run-{end}", "hello")
    run = api.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=10)
    same("the state", run.status, status)
    same("the code", run.last_error.code if run.last_error else None, code)
    names, error = [], None
    try:
        with api.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant) as stream:
            names = [event.event for event in stream]
    except openai.APIError as raised:
        error = raised
    told = f"thread.run.{status}" in names
    holds(f"the stream tells it: {names[-3:]} {error!r}", told or error is not None)
    holds("and is no success", "thread.run.completed" not in names)


def content(api, file, what):
    """What is in a file. Of a download that breaks in its middle half has left, and is no whole one."""
    try:
        return api.files.content(file).text
    except openai.APIConnectionError:
        holds("only what was cut is asked for again", "cut" in what)
        return api.files.content(file).text


def batch(what):
    play(each_step("files", "batches", what=what))
    api = client()
    lines = [
        {"custom_id": f"line-{n}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": model, "messages": [{"role": "user", "content": "in 4 words"}]}}
        for n, model in enumerate(["m", "sim-overloaded", "m"])
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    file = api.files.create(file=("lines.jsonl", data), purpose="batch")

    def begun():
        return api.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    # Where its answer is lost it may have begun, and two would cost twice: the caller is told, and may ask again.
    job = begun() if what in REFUSALS else insisted(begun, 502)
    end = time.monotonic() + 20
    while job.status not in ("completed", "failed") and time.monotonic() < end:
        time.sleep(0.02)
        job = api.batches.retrieve(job.id)
    same("the batch", (job.status, job.request_counts.completed, job.request_counts.failed), ("completed", 2, 1))
    output = content(api, job.output_file_id, what).splitlines()
    same("each good line answered", [json.loads(line)["custom_id"] for line in output], ["line-0", "line-2"])
    errors = json.loads(content(api, job.error_file_id, what))
    same("the bad one told", errors["response"]["status_code"], 503)
    # File, batch, a look at it, both files of results.
    each_step_failed_once(5)


def upload_of_512_mb(what, status):
    play(each_step("files", what=what))
    api = client()
    path = "large.bin"
    with open(path, "wb") as file:
        file.truncate(LARGE)

    def sent():
        with open(path, "rb") as file:
            return api.files.create(file=file, purpose="user_data")

    try:
        # Too large to be sent again by the gateway: the caller is told, and may.
        stored = insisted(sent, status)
    finally:
        os.unlink(path)
    same("the size", stored.bytes, LARGE)
    same("it is there", api.files.retrieve(stored.id).bytes, LARGE)
    try:
        holds("it is deleted", api.files.delete(stored.id).deleted)
    except openai.NotFoundError:
        holds("it was deleted, the answer was lost, and there was nothing to delete again", status == 502)
    each_step_failed_once(3)
    holds(f"the gateway had {peak()} KiB at most, and may have {MEMORY_MAX}", peak() < MEMORY_MAX)
    print(f"     the gateway's memory peaked at {peak() / 1024:.1f} MiB", flush=True)


def upload_of_parts():
    play(each_step("uploads", what='kind = "overloaded"'))
    api = client()
    upload = api.uploads.upload_file_chunked(
        file=b"x" * 3_000_000, filename="a.txt", bytes=3_000_000, mime_type="text/plain",
        purpose="user_data", part_size=1_000_000)
    same("the upload", (upload.status, upload.file.bytes), ("completed", 3_000_000))
    # The upload, three parts, its end.
    each_step_failed_once(5)


def transcription(what):
    play(each_step("transcriptions", what=what))
    api = client()
    sound = b"RIFF" + bytes(96)
    heard = api.audio.transcriptions.create(model="whisper-1", file=("a.wav", io.BytesIO(sound)))
    holds(f"the text: {heard.text!r}", heard.text.startswith("Heard 100 bytes: w4"))

    def streamed():
        deltas, done = "", None
        for event in api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", sound), stream=True):
            if event.type == "transcript.text.delta":
                deltas += event.delta
            elif event.type == "transcript.text.done":
                done = event.text
        return deltas, done

    try:
        told = streamed()
    except openai.APIError as error:
        # What was begun and broke is an error of the SDK's, never a half that looks whole.
        holds(f"only a stream that breaks in its middle is given up: {error!r}", "cut" in what)
        told = streamed()
    same("the stream tells the same", told, (heard.text, heard.text))
    each_step_failed_once(2)


def broken_media_stream(endpoint, fault):
    play(STEP + f'[[fault]]\nfault = "{fault}"\nafter = 1\nendpoints = ["{endpoint}"]\n')
    api = client()
    last = None
    try:
        if endpoint == "images":
            stream = api.images.generate(model="gpt-image-1", prompt="x", stream=True, partial_images=2)
        elif endpoint == "speech":
            stream = spoken(api)
        else:
            stream = api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"), stream=True)
        for event in stream:
            last = event.type
    except openai.APIError:
        return
    raise AssertionError(f"a stream without its end looks whole; the last event is {last}")


def spoken(api):
    """The events of a speech. The SDK reads them as bytes; its own reader of events takes them apart."""
    speech = api.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="one two three", stream_format="sse")
    with speech as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[len("data: "):])
                if event.get("error"):
                    raise openai.APIError(event["error"]["message"], answer.http_request, body=event["error"])
                yield types.SimpleNamespace(**event)


def pictures_and_speech():
    play(each_step("images", "speech", what='kind = "overloaded"'))
    api = client()
    pictures = api.images.generate(model="gpt-image-1", prompt="a fish", n=2)
    same("two pictures", len(pictures.data), 2)
    speech = api.audio.speech.create(model="tts-1", voice="alloy", input="one two three")
    same("a sound", speech.content[:4], b"RIFF")
    events = [event.type for event in spoken(api)]
    same("the end of the stream", events[-1], "speech.audio.done")
    holds(f"it has sounds: {events}", events.count("speech.audio.delta") > 0)
    each_step_failed_once(3)


def response_in_the_background():
    play(each_step("responses", "kept_responses", what='kind = "overloaded"'))
    api = client()
    response = api.responses.create(model="m", input="in 4 words", background=True)
    end = time.monotonic() + 20
    while response.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.02)
        response = api.responses.retrieve(response.id)
    same("the answer", (response.status, response.output_text), ("completed", "Heard 10 bytes: w4"))
    following = api.responses.create(model="m", input="more", previous_response_id=response.id)
    same("it is followed", following.previous_response_id, response.id)
    each_step_failed_once(3)


def vector_store():
    play(each_step("vector_stores", "files", what='kind = "overloaded"'))
    api = client()
    file = api.files.create(file=("fish.txt", b"all about fish"), purpose="assistants")
    store = api.vector_stores.create(name="animals")
    added = api.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=10)
    same("it is indexed", added.status, "completed")
    found = api.vector_stores.search(store.id, query="fish").data
    same("it is found", [one.file_id for one in found], [file.id])
    # The file, the store, the file in it and a look at it, the search.
    each_step_failed_once(5)


def main():
    """Every case; the exit code."""
    for what in REFUSALS:
        case(f"python: a run with tools, streamed, {named(what)}", run_in_a_stream, what)
    case("python: a run whose answers are lost", run_whose_answers_are_lost)
    case("python: a run with tools, polled", run_by_polling)
    for end, status, code in (
        ("server_error", "failed", "server_error"), ("rate_limit_exceeded", "failed", "rate_limit_exceeded"),
        ("invalid_prompt", "failed", "invalid_prompt"), ("expired", "expired", None),
    ):
        case(f"python: a run that ends {end}", run_that_fails, end, status, code)
    for what in (*REFUSALS, 'fault = "reset_before_headers"', 'fault = "cut_fin"'):
        case(f"python: a batch, {named(what)}", batch, what)
    for what, status in (('kind = "overloaded"', 503), ('fault = "reset_before_headers"', 502)):
        case(f"python: an upload of 512 MB, {named(what)}", upload_of_512_mb, what, status)
    case("python: an upload of parts", upload_of_parts)
    for what in (*REFUSALS, 'fault = "reset_before_headers"', 'fault = "cut_fin"'):
        case(f"python: a transcription, {named(what)}", transcription, what)
    for endpoint in ("images", "speech", "transcriptions"):
        for fault in BROKEN:
            case(f"python: a stream of {endpoint}, {fault}", broken_media_stream, endpoint, fault)
    case("python: pictures and speech", pictures_and_speech)
    case("python: a response in the background", response_in_the_background)
    case("python: a vector store", vector_store)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
