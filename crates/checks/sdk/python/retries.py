"""The SDK with its own default retries before the gateway: what reaches the provider for each call.

Two owners of retries multiply: three attempts of one for each of three of the other are nine. The
gateway makes the attempts, and tells the SDK to make none of its own.
"""

import json
import urllib.request

import openai

from calls import CHAT, MESSAGES
from harness import BASE_URL, FRONT, KEY, SIM_URL, case, holds, same, sends, sim_stats

# What the gateway of these suites makes of one call at most: `attempts_per_call_max`.
ATTEMPTS_MAX = 3
CALLS = 2


def patient():
    """The client as it comes: two retries of its own."""
    client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, timeout=30)
    same("default retries", client.max_retries, 2)
    return client


def failing(kind, most):
    """Calls that never succeed."""
    model = f"sim-{kind}"
    before = sends(model)
    for _ in range(CALLS):
        try:
            patient().chat.completions.create(model=model, messages=MESSAGES)
        except openai.OpenAIError:
            continue
        raise AssertionError("a call that fails was answered")
    each = (sends(model) - before) / CALLS
    print(f"     {FRONT}: {kind}: {each:.1f} attempts a call", flush=True)
    if FRONT != "provider":
        holds(f"{each} attempts a call, at most {most}", each <= most)


def scenario(text):
    """The simulator plays another scenario from here on."""
    request = urllib.request.Request(SIM_URL + "/sim/scenario", data=text.encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def brown_out():
    """One answer in five fails, and no call does."""
    calls = 40
    scenario('seed = 3\n[[fault]]\nkind = "internal_error"\nshare = 0.2\n')
    try:
        client = patient()
        for _ in range(calls):
            client.chat.completions.create(model=CHAT, messages=MESSAGES)
        each = sim_stats()["attempts"] / calls
    finally:
        scenario("")
    print(f"     {FRONT}: one answer in five fails: {each:.2f} attempts a call", flush=True)
    # What is failed has to be sent again, once: 1 / 0.8, and as much again for chance.
    holds(f"{each} attempts a call", each <= 1.5)


def run():
    """Final failures once, transient ones as often as the gateway says, limits as the SDK waits."""
    rows = [("invalid_request", 1), ("insufficient_quota", 1), ("model_not_found", 1),
            ("internal_error", ATTEMPTS_MAX), ("overloaded", ATTEMPTS_MAX),
            ("service_unavailable", ATTEMPTS_MAX), ("bad_gateway", ATTEMPTS_MAX),
            ("rate_limit_requests", ATTEMPTS_MAX)]
    for kind, most in rows:
        case(f"python: default retries, {kind}", failing, kind, most)
    case("python: default retries in a brown-out", brown_out)
