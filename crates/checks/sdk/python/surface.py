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
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def client():
    """It repeats nothing, so that what is seen is what was answered."""
    return openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=120)


def play(scenario):
    """Begins a scenario in the simulator; what is stored is forgotten."""
    request = urllib.request.Request(SIM_URL + "/sim/scenario", data=scenario.encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def trouble(*endpoints, what='kind = "overloaded"'):
    """A scenario in which the first request to each endpoint fails."""
    return STEP + "".join(f'[[fault]]\n{what}\nendpoints = ["{name}"]\nfirst = 1\n' for name in endpoints)


def faults(*names):
    """How often the simulator did what it was told to."""
    with urllib.request.urlopen(SIM_URL + "/sim/stats", timeout=10) as answer:
        stats = json.load(answer)
    counted = stats["faults"] | stats["kinds"]
    return sum(int(counted.get(name, 0)) for name in names)


def peak():
    """The most memory that the gateway has had, KiB."""
    with open(f"/proc/{PID}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def begin(api, model, text):
    """An assistant with a tool, and a thread with one message."""
    assistant = api.beta.assistants.create(model=model, tools=[TOOL])
    thread = api.beta.threads.create(messages=[{"role": "user", "content": text}])
    return assistant.id, thread.id


def run_in_a_stream(what):
    play(trouble("assistants", "threads", "runs", what=what))
    api = client()
    assistant, thread = begin(api, "m", "call the tool")
    if "reset" in what:
        # The provider may have begun it, and two runs would answer twice: the caller is told so.
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
    same("the run waits", run.status, "requires_action")
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    same("the arguments", json.loads(call.function.arguments), {"city": "simulated"})
    outputs = [{"tool_call_id": call.id, "output": "sunny"}]
    with api.beta.threads.runs.submit_tool_outputs_stream(run_id=run.id, thread_id=thread, tool_outputs=outputs) as stream:
        text = "".join(stream.text_deltas)
        run = stream.get_final_run()
    same("the run has ended", run.status, "completed")
    holds(f"the text is about the output: {text!r}", text.startswith("Heard 5 bytes: w4"))
    messages = api.beta.threads.messages.list(thread).data
    same("the thread has it", messages[0].content[0].text.value, text)
    steps = api.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc").data
    same("the steps", [step.type for step in steps], ["tool_calls", "message_creation"])
    same("each step failed once before", faults("overloaded", "reset_before_headers"), 3)


def run_by_polling():
    play(trouble("assistants", "threads", "runs"))
    api = client()
    assistant, thread = begin(api, "m", "call the tool")
    run = api.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant, poll_interval_ms=10)
    same("the run waits", run.status, "requires_action")
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    outputs = [{"tool_call_id": call.id, "output": "sunny"}]
    run = api.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread, tool_outputs=outputs, poll_interval_ms=10)
    same("the run has ended", run.status, "completed")


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


def batch():
    play(trouble("files", "batches"))
    api = client()
    lines = [
        {"custom_id": f"line-{n}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": model, "messages": [{"role": "user", "content": "in 4 words"}]}}
        for n, model in enumerate(["m", "sim-overloaded", "m"])
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    file = api.files.create(file=("lines.jsonl", data), purpose="batch")
    job = api.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    end = time.monotonic() + 20
    while job.status not in ("completed", "failed") and time.monotonic() < end:
        time.sleep(0.02)
        job = api.batches.retrieve(job.id)
    same("the batch", (job.status, job.request_counts.completed, job.request_counts.failed), ("completed", 2, 1))
    output = api.files.content(job.output_file_id).text.splitlines()
    same("each good line answered", [json.loads(line)["custom_id"] for line in output], ["line-0", "line-2"])
    errors = json.loads(api.files.content(job.error_file_id).text)
    same("the bad one told", errors["response"]["status_code"], 503)
    same("each step failed once before", faults("overloaded"), 2)


def upload_of_512_mb():
    play(trouble("files"))
    api = client()
    path = "large.bin"
    with open(path, "wb") as file:
        file.truncate(LARGE)
    try:
        with open(path, "rb") as file:
            try:
                api.files.create(file=file, purpose="user_data")
            except openai.InternalServerError as error:
                # Too large to be sent again by the gateway: the caller is told, and may.
                same("the status", error.status_code, 503)
                holds("the request has an id", error.request_id)
            else:
                raise AssertionError("the fault did not strike")
        with open(path, "rb") as file:
            stored = api.files.create(file=file, purpose="user_data")
    finally:
        os.unlink(path)
    same("the size", stored.bytes, LARGE)
    holds(f"the gateway had {peak()} KiB at most, and may have {MEMORY_MAX}", peak() < MEMORY_MAX)
    print(f"     the gateway's memory peaked at {peak() / 1024:.1f} MiB", flush=True)


def upload_of_parts():
    play(trouble("uploads"))
    api = client()
    upload = api.uploads.upload_file_chunked(
        file=b"x" * 3_000_000, filename="a.txt", bytes=3_000_000, mime_type="text/plain",
        purpose="user_data", part_size=1_000_000)
    same("the upload", (upload.status, upload.file.bytes), ("completed", 3_000_000))


def transcription(what):
    play(trouble("transcriptions", what=what))
    api = client()
    sound = b"RIFF" + bytes(96)
    heard = api.audio.transcriptions.create(model="whisper-1", file=("a.wav", io.BytesIO(sound)))
    holds(f"the text: {heard.text!r}", heard.text.startswith("Heard 100 bytes: w4"))
    same("it failed once before", faults("overloaded", "reset_before_headers", "cut_fin"), 1)
    deltas, done = "", None
    for event in api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", sound), stream=True):
        if event.type == "transcript.text.delta":
            deltas += event.delta
        elif event.type == "transcript.text.done":
            done = event.text
    same("the stream tells the same", (deltas, done), (heard.text, heard.text))


def cut_media_stream(endpoint):
    play(STEP + f'[[fault]]\nfault = "no_done"\nendpoints = ["{endpoint}"]\n')
    api = client()
    last = None
    try:
        if endpoint == "images":
            stream = api.images.generate(model="gpt-image-1", prompt="x", stream=True, partial_images=2)
        else:
            stream = api.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"), stream=True)
        for event in stream:
            last = event.type
    except openai.APIError:
        return
    raise AssertionError(f"a stream without its end looks whole; the last event is {last}")


def pictures_and_speech():
    play(trouble("images", "speech"))
    api = client()
    pictures = api.images.generate(model="gpt-image-1", prompt="a fish", n=2)
    same("two pictures", len(pictures.data), 2)
    speech = api.audio.speech.create(model="tts-1", voice="alloy", input="one two three")
    same("a sound", speech.content[:4], b"RIFF")
    same("each failed once before", faults("overloaded"), 2)


def response_in_the_background():
    play(trouble("responses", "kept_responses"))
    api = client()
    response = api.responses.create(model="m", input="in 4 words", background=True)
    end = time.monotonic() + 20
    while response.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.02)
        response = api.responses.retrieve(response.id)
    same("the answer", (response.status, response.output_text), ("completed", "Heard 10 bytes: w4"))
    following = api.responses.create(model="m", input="more", previous_response_id=response.id)
    same("it is followed", following.previous_response_id, response.id)


def vector_store():
    play(trouble("vector_stores", "files"))
    api = client()
    file = api.files.create(file=("fish.txt", b"all about fish"), purpose="assistants")
    store = api.vector_stores.create(name="animals")
    added = api.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=10)
    same("it is indexed", added.status, "completed")
    found = api.vector_stores.search(store.id, query="fish").data
    same("it is found", [one.file_id for one in found], [file.id])


def main():
    """Every case; the exit code."""
    for what in ('kind = "overloaded"', 'fault = "reset_before_headers"'):
        case(f"python: a run with tools, streamed, {what}", run_in_a_stream, what)
    case("python: a run with tools, polled", run_by_polling)
    for end, status, code in (
        ("server_error", "failed", "server_error"), ("rate_limit_exceeded", "failed", "rate_limit_exceeded"),
        ("invalid_prompt", "failed", "invalid_prompt"), ("expired", "expired", None),
    ):
        case(f"python: a run that ends {end}", run_that_fails, end, status, code)
    case("python: a batch", batch)
    case("python: an upload of 512 MB", upload_of_512_mb)
    case("python: an upload of parts", upload_of_parts)
    for what in ('kind = "overloaded"', 'fault = "reset_before_headers"', 'fault = "cut_fin"'):
        case(f"python: a transcription, {what}", transcription, what)
    for endpoint in ("images", "transcriptions"):
        case(f"python: a stream of {endpoint} without its end", cut_media_stream, endpoint)
    case("python: pictures and speech", pictures_and_speech)
    case("python: a response in the background", response_in_the_background)
    case("python: a vector store", vector_store)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
