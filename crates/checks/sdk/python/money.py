"""A hard budget that is spent: the class, the code, and that the SDK leaves it at one try."""

import functools
import json
import os
import subprocess

import openai

from calls import MESSAGES
from errors import raised
from harness import BASE_URL, FRONT, case, holds, same, sends
from keys import known

MODEL = "gpt-4o"


def tool(*arguments):
    """What `mainstay` prints, on the store of the gateway under test."""
    done = subprocess.run([os.environ["MAINSTAY_BIN"], *arguments], capture_output=True, check=True)
    return done.stdout


def over_budget():
    """A key with a budget below the price of any answer."""
    made = json.loads(tool("key", "create", "--name", "poor", "--json"))
    tool("budget", "set", "--key", made["id"], "--amount", "0.000001", "--period", "month")
    known()
    client = openai.OpenAI(base_url=BASE_URL, api_key=made["key"], max_retries=2, timeout=10)
    before = sends(MODEL)
    call = functools.partial(client.chat.completions.create, model=MODEL, messages=MESSAGES)
    error = raised(call)
    same("class", type(error).__name__, "RateLimitError")
    same("status", error.status_code, 429)
    same("code", error.code, "insufficient_quota")
    same("x-should-retry", error.response.headers.get("x-should-retry"), "false")
    same("tries of the SDK", error.response.request.headers.get("x-stainless-retry-count"), "0")
    for words in ("mainstay budget raise", "0.000001 USD a month", "It resets at"):
        holds(f"{words!r} is in {error.message!r}", words in error.message)
    same("calls that reached the provider", sends(MODEL) - before, 0)


def what_cannot_be_priced_or_metered():
    """Calls whose cost cannot be told, under a hard budget."""
    made = json.loads(tool("key", "create", "--name", "rich", "--json"))
    tool("budget", "set", "--key", made["id"], "--amount", "5", "--period", "total")
    known()
    client = openai.OpenAI(base_url=BASE_URL, api_key=made["key"], max_retries=2, timeout=10)
    thread, assistant = client.beta.threads.create(), client.beta.assistants.create(model=MODEL)
    run = functools.partial(client.beta.threads.runs.create, thread.id, assistant_id=assistant.id)
    unpriced = functools.partial(client.chat.completions.create, model="never-priced", messages=MESSAGES)
    for call, words in ((unpriced, "has no price"), (run, "max_completion_tokens")):
        error = raised(call)
        same("class", type(error).__name__, "RateLimitError")
        same("code", error.code, "insufficient_quota")
        holds(f"{words!r} is in {error.message!r}", words in error.message)
        same("tries of the SDK", error.response.request.headers.get("x-stainless-retry-count"), "0")
    same("calls that reached the provider", sends("never-priced"), 0)


def run():
    """The cases that need keys of ours."""
    if FRONT == "gateway":
        case("python: a spent budget", over_budget)
        case("python: what cannot be priced or metered", what_cannot_be_priced_or_metered)
