"""The official Python SDK on streams that break: each is the whole answer or an exception of the
SDK's, never a half that looks whole.

Behind the gateway are two simulators. Models named `both…` go to the first and, when it fails, to
the second; models named `lone…` only to the first, which is told before each call what goes wrong.
"""

import sys
import urllib.request

import openai

from harness import BASE_URL, KEY, SIM_URL, case, finish, holds, same

ASKED = "tell me something in 12 words"
WHOLE = f"Heard {len(ASKED)} bytes:" + "".join(f" w{n}" for n in range(4, 13))
MESSAGES = [{"role": "user", "content": ASKED}]
PLACES = (0, 1, 5, 11)
# What goes wrong, and whether the answer is whole all the same with one provider only.
FAULTS = {
    "cut_fin": False,
    "cut_rst": False,
    "stall": False,
    "error_mid_stream": False,
    "error_first_event": False,
    "finish_error": False,
    "no_finish": False,
    "malformed_event": True,
    "no_done": True,
    "crlf_events": True,
    "one_byte_chunks": True,
}


def client():
    """It repeats nothing, so that what is seen is what was answered."""
    return openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, timeout=30)


def play(scenario):
    """Tells the first simulator what goes wrong from now on."""
    request = urllib.request.Request(
        SIM_URL + "/sim/scenario", data=scenario.encode(), method="PUT",
        headers={"content-type": "application/toml"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def chat(model):
    text, ended = "", False
    for chunk in client().chat.completions.create(model=model, messages=MESSAGES, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            ended |= choice.finish_reason == "stop"
    return text, ended


def chat_helper(model):
    with client().chat.completions.stream(model=model, messages=MESSAGES) as stream:
        final = stream.get_final_completion().choices[0]
    return final.message.content, final.finish_reason == "stop"


def completions(model):
    text, ended = "", False
    stream = client().completions.create(model=model, prompt=ASKED, max_tokens=50, stream=True)
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.text
            ended |= choice.finish_reason == "stop"
    return text, ended


def responses(model):
    text, ended = "", False
    for event in client().responses.create(model=model, input=ASKED, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            ended = event.response.output_text == text
    return text, ended


def run(model):
    """A run of an assistant in a new thread."""
    beta = client().beta
    assistant = beta.assistants.create(model=model)
    thread = beta.threads.create(messages=MESSAGES)
    text, ended = "", False
    stream = beta.threads.runs.create(
        thread_id=thread.id, assistant_id=assistant.id, stream=True
    )
    for event in stream:
        if event.event == "thread.message.delta":
            text += "".join(part.text.value for part in event.data.delta.content)
        ended |= event.event == "thread.run.completed"
    return text, ended


def run_helper(model):
    """The same through the SDK's own event handler, which follows the run's state."""
    beta = client().beta
    assistant = beta.assistants.create(model=model)
    thread = beta.threads.create(messages=MESSAGES)
    with beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        stream.until_done()
        message = stream.get_final_messages()[0]
        ended = stream.current_run.status == "completed"
    return message.content[0].text.value, ended


APIS = (chat, chat_helper, completions, responses, run, run_helper)
# A run is made once: what broke is not told again.
ONCE = (run, run_helper)


def outcome(api, model):
    """`whole`, or the name of the typed exception. Everything else is a lie."""
    try:
        text, ended = api(model)
    except openai.APIConnectionError as error:
        raise AssertionError(f"the stream was cut without a word: {error!r}") from error
    except openai.APIError as error:
        holds("the error says what happened", error.message)
        return type(error).__name__
    same("text of an answer that raised nothing", text, WHOLE)
    holds("the end of the answer was told", ended)
    return "whole"


def broken(api, fault):
    """One fault at several places, with a second provider and without."""
    only = "endpoints = [\"runs\"]\n" if api in ONCE else ""
    for after in PLACES:
        scenario = (
            f"[latency]\ntoken = \"1ms\"\n[[fault]]\nfault = \"{fault}\"\nafter = {after}\n"
            f"for = \"3s\"\n{only}"
        )
        play(scenario)
        alone = outcome(api, "lone-model")
        # The last event of a response is its end: without it the answer is not whole.
        if FAULTS[fault] and (api, fault) != (responses, "no_done"):
            same(f"alone, {fault} after {after}", alone, "whole")
        if api not in ONCE:
            play(scenario)
            same(f"{fault} after {after}", outcome(api, "both-model"), "whole")


def main():
    """Every way of calling on every fault; the exit code."""
    for api in APIS:
        for fault in FAULTS:
            case(f"python: {api.__name__} on {fault}", broken, api, fault)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
