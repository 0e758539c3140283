"""The gateway's own limits and idempotency keys, as the official SDK meets them."""

import functools
import os
import subprocess
import threading
import time
import uuid

import openai

from calls import MESSAGES, client
from errors import raised
from harness import FRONT, case, holds, same, sends
from keys import known


def limit(model, *words):
    """Sets a limit of the default organization for one model, and lets the gateway hear of it."""
    command = [os.environ["MAINSTAY_BIN"], "limit", "set", "--org", "default", "--model", model]
    subprocess.run(command + list(words), check=True, capture_output=True, timeout=20)
    known()


def chat(model, one=None, **more):
    """A chat call."""
    return (one or client()).chat.completions.create(model=model, messages=MESSAGES, **more)


def refused(work, code, kind):
    """The SDK's RateLimitError of a limit of ours."""
    try:
        work()
    except openai.RateLimitError as error:
        same("status", error.status_code, 429)
        same("code", error.code, code)
        headers = error.response.headers
        same("x-mainstay-kind", headers.get("x-mainstay-kind"), kind)
        same("x-mainstay-origin", headers.get("x-mainstay-origin"), "mainstay")
        holds("it says whose limit it is", headers.get("x-mainstay-limit", "").startswith("organization org-"))
        return error
    raise AssertionError("no RateLimitError was raised")


def requests_per_minute():
    limit("limited-rpm", "--rpm", "1")
    answer = client().chat.completions.with_raw_response.create(model="limited-rpm", messages=MESSAGES)
    same("limit", answer.headers.get("x-ratelimit-limit-requests"), "1")
    same("remaining", answer.headers.get("x-ratelimit-remaining-requests"), "0")
    same("reset", answer.headers.get("x-ratelimit-reset-requests"), "1m0s")
    error = refused(lambda: chat("limited-rpm"), "rate_limit_exceeded", "rate_limit_requests")
    same("type", error.type, "requests")
    wait = int(error.response.headers["retry-after"])
    holds(f"retry-after {wait} is a minute at most", 1 <= wait <= 60)
    holds("the message has the numbers", "Limit 1, Used 1, Requested 1" in error.message)
    same("sends", sends("limited-rpm"), 1)


def requests_per_day():
    limit("limited-rpd", "--rpd", "1")
    chat("limited-rpd")
    error = refused(lambda: chat("limited-rpd", client(max_retries=2)), "rate_limit_exceeded", "rate_limit_requests")
    wait = int(error.response.headers["retry-after"])
    holds(f"retry-after {wait} is a day at most", 86_000 < wait <= 86_400)
    same("x-should-retry", error.response.headers.get("x-should-retry"), "false")
    same("sends", sends("limited-rpd"), 1)


def tokens_per_minute():
    limit("limited-tpm", "--tpm", "100")

    def many():
        for _ in range(30):
            chat("limited-tpm")

    error = refused(many, "rate_limit_exceeded", "rate_limit_tokens")
    same("type", error.type, "tokens")
    same("limit", error.response.headers.get("x-ratelimit-limit-tokens"), "100")


def a_request_too_large_for_the_minute():
    limit("limited-large", "--tpm", "100")
    patient = client(max_retries=2)
    call = functools.partial(chat, "limited-large", patient, max_tokens=500)
    error = refused(call, "request_too_large", "request_too_large")
    same("x-should-retry", error.response.headers.get("x-should-retry"), "false")
    same("sends", sends("limited-large"), 0)


def calls_at_once():
    limit("sim-slow", "--concurrency", "1")

    def long():
        try:
            chat("sim-slow")
        except openai.APIError:
            pass  # its answer takes longer than this gateway waits; it holds its place until then

    before = sends("sim-slow")
    worker = threading.Thread(target=long)
    worker.start()
    deadline = time.monotonic() + 5
    while sends("sim-slow") == before and time.monotonic() < deadline:
        time.sleep(0.01)
    refused(lambda: chat("sim-slow"), "concurrent_limit_exceeded", "concurrent_limit")
    worker.join(20)


def the_sdk_waits_as_long_as_it_is_told():
    limit("limited-burst", "--rpm", "120", "--burst", "500ms")
    patient = client(max_retries=2)
    for _ in range(3):
        chat("limited-burst", patient)
    same("sends", sends("limited-burst"), 3)


def an_idempotency_key_is_carried_out_once():
    key = {"Idempotency-Key": str(uuid.uuid4())}
    create = client().chat.completions.with_raw_response.create
    first = create(model="once", messages=MESSAGES, extra_headers=key)
    again = create(model="once", messages=MESSAGES, extra_headers=key)
    same("id", again.parse().id, first.parse().id)
    same("replay", again.headers.get("x-mainstay-idempotent-replay"), "true")
    same("replay of the first", first.headers.get("x-mainstay-idempotent-replay"), None)
    same("sends", sends("once"), 1)


def a_reused_idempotency_key_is_a_conflict():
    key = {"Idempotency-Key": str(uuid.uuid4())}
    chat("reused", extra_headers=key)
    try:
        chat("reused", extra_headers=key, temperature=0.5)
    except openai.ConflictError as error:
        same("status", error.status_code, 409)
        same("code", error.code, "conflict")
        same("x-should-retry", error.response.headers.get("x-should-retry"), "false")
    else:
        raise AssertionError("no ConflictError was raised")
    same("sends", sends("reused"), 1)


def a_body_larger_than_any_may_be():
    large = [{"role": "user", "content": "x" * (64 << 20)}]
    error = raised(lambda: client(max_retries=2).chat.completions.create(model="large", messages=large))
    same("class", type(error).__name__, "APIStatusError")
    same("status", error.status_code, 413)
    same("x-mainstay-kind", error.response.headers.get("x-mainstay-kind"), "request_too_large")
    same("tries of the SDK", error.response.request.headers.get("x-stainless-retry-count"), "0")


def run():
    """Where the gateway knows its callers by keys of ours."""
    if FRONT != "gateway":
        return
    for work in [requests_per_minute, requests_per_day, tokens_per_minute, a_request_too_large_for_the_minute,
                 calls_at_once, the_sdk_waits_as_long_as_it_is_told,
                 an_idempotency_key_is_carried_out_once, a_reused_idempotency_key_is_a_conflict,
                 a_body_larger_than_any_may_be]:
        case(f"python: {work.__name__}", work)
