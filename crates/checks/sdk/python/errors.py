"""The matrix: every documented error, its class, status, code, param and id, and how often it was sent."""

import functools
import json
import os

import openai

from calls import CHAT, MESSAGES, client
from harness import FRONT, case, holds, same, sends

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "errors.json")


def rows():
    """The table with what differs for this front put in."""
    with open(TABLE, encoding="utf-8") as file:
        kinds = json.load(file)["kinds"]
    for row in kinds:
        if FRONT != "provider":
            row |= row.get("gateway", {})
        if row.get("credential") and FRONT in ("gateway", "surface"):
            # The caller's key is good; it is ours that the provider refuses.
            row |= {"status": 502, "class": "InternalServerError", "code": "service_unavailable",
                    "seen_kind": "bad_gateway"}
    return kinds


def raised(work):
    """The SDK's exception."""
    try:
        work()
    except openai.OpenAIError as error:
        return error
    raise AssertionError("no exception was raised")


def fails(work):
    """Any exception will do."""
    try:
        work()
    except Exception:
        return
    raise AssertionError("a broken answer was taken for a good one")


def check_status(row, error):
    """Class, status and the four keys of an error that came as an HTTP answer."""
    same("class", type(error).__name__, row["class"])
    same("status", error.status_code, row["status"])
    ours = FRONT != "provider"
    if ours and row.get("page"):
        # A page of a proxy becomes an error that an SDK can read.
        same("code", error.code, "service_unavailable")
    elif "code" in row:
        same("code", error.code, row["code"])
    same("param", error.param, row["param"])
    if "type" in row:
        same("type", error.type, row["type"])
    holds("a request id came", error.request_id)
    if ours:
        holds(f"the id {error.request_id!r} is ours", error.request_id.startswith("req_"))
        body = error.body if isinstance(error.body, dict) else {}
        missing = {"message", "type", "param", "code"} - set(body)
        holds(f"keys missing in the error: {missing}", not missing)
        headers = error.response.headers
        same("x-mainstay-kind", headers.get("x-mainstay-kind"), row.get("seen_kind", row["kind"]))
        same("x-should-retry", headers.get("x-should-retry"), "false")


def kind(row):
    """One kind, through a chat call."""
    model = f"sim-{row['kind']}"
    before = sends(model)
    one = client(timeout=2) if FRONT == "provider" else client()
    call = functools.partial(one.chat.completions.create, model=model, messages=MESSAGES)
    if FRONT == "provider" and row.get("wire"):
        # What the SDK makes of a broken answer is its own business; that it is no success is not.
        fails(call)
        return
    error = raised(call)
    if FRONT == "provider" and row.get("page"):
        same("class", type(error).__name__, row["class"])
        return
    check_status(row, error)
    check_sends(row, sends(model) - before)


def check_sends(row, count):
    """How often the provider was asked for one call."""
    if FRONT == "provider":
        same("sends", count, 1)
    elif row["sends"] == "some":
        holds(f"sends is {count}, wanted 1 to 3", 1 <= count <= 3)
    else:
        same("sends", count, row["sends"])


def wrong_key():
    error = raised(lambda: client(api_key="sk-wrong").chat.completions.create(model=CHAT, messages=MESSAGES))
    same("class", type(error).__name__, "AuthenticationError")
    same("code", error.code, "invalid_api_key")
    holds("the key is not quoted whole", "sk-wrong-secret" not in str(error))


def key_with_spaces():
    error = raised(lambda: client(api_key="My API Key").models.list())
    same("class", type(error).__name__, "AuthenticationError")


def a_foreign_organization_or_project():
    for place in ({"organization": "org-nobody"}, {"project": "proj_nobody"}):
        before = sends(CHAT)
        error = raised(lambda place=place: client(**place).chat.completions.create(model=CHAT, messages=MESSAGES))
        same("class", type(error).__name__, "AuthenticationError")
        same("code", error.code, "invalid_organization")
        same("x-mainstay-kind", error.response.headers.get("x-mainstay-kind"), "not_organization_member")
        same("sends", sends(CHAT) - before, 0)


def nobody_listens():
    error = raised(lambda: client(base_url="http://127.0.0.1:9/v1").models.list())
    same("class", type(error).__name__, "APIConnectionError")


def too_slow_for_the_caller():
    slow = client(timeout=0.2)

    def call(**more):
        return raised(lambda: slow.chat.completions.create(model="sim-request_timeout", messages=MESSAGES, **more))

    # Nobody but the SDK knows how long it waits.
    error = call(extra_headers={"x-stainless-read-timeout": openai.Omit()})
    same("class", type(error).__name__, "APITimeoutError")
    # A gateway that is told gives no attempt longer; to an SDK that is late its last word may come first.
    error = call()
    if not isinstance(error, openai.APITimeoutError):
        same("class", type(error).__name__, "InternalServerError")
        same("status", error.status_code, 504)


def final_failures_are_not_repeated_by_the_sdk():
    # The SDK's own default would send three; the gateway has the last word.
    model = "sim-insufficient_quota"
    before = sends(model)
    patient = client(max_retries=2)
    error = raised(lambda: patient.chat.completions.create(model=model, messages=MESSAGES))
    same("class", type(error).__name__, "RateLimitError")
    if FRONT != "provider":
        same("sends", sends(model) - before, 1)


def streams_fail_before_they_begin():
    for name, wanted in (("internal_error", "InternalServerError"), ("model_not_found", "NotFoundError")):
        def call(name=name):
            return client().chat.completions.create(model=f"sim-{name}", messages=MESSAGES, stream=True)

        same(name, type(raised(call)).__name__, wanted)


def a_cut_stream_is_never_a_success():
    def read():
        stream = client().chat.completions.create(
            model="sim-stream_interrupted", messages=MESSAGES, stream=True
        )
        ends = [c.choices[0].finish_reason for c in stream if c.choices]
        if ends and ends[-1] is not None:
            raise AssertionError("a broken stream ended like a whole one")

    error = raised(read)
    holds(f"{error!r} is an APIError", isinstance(error, openai.APIError))


def run():
    """The matrix, then the errors that are not a provider's."""
    for row in rows():
        case(f"python: error {row['kind']}", kind, row)
    cases = [wrong_key, key_with_spaces, a_foreign_organization_or_project, nobody_listens, too_slow_for_the_caller,
             final_failures_are_not_repeated_by_the_sdk, streams_fail_before_they_begin,
             a_cut_stream_is_never_a_success]
    for work in cases:
        if FRONT != "gateway" and work in (wrong_key, key_with_spaces, a_foreign_organization_or_project):
            continue  # the caller's key is the provider's business there
        case(f"python: {work.__name__}", work)
