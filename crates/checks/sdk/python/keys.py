"""Keys that do not work, and places they do not work from: the class that the official SDK raises."""

import functools
import json
import os
import subprocess
import time

import openai

from calls import CHAT, MESSAGES
from errors import raised
from harness import BASE_URL, FRONT, case, holds, same, sends

# Longest wait until a running gateway has noticed a change.
NOTICED = 5


def tool(*arguments):
    """What `mainstay --json` prints, on the store of the gateway under test."""
    command = [os.environ["MAINSTAY_BIN"], *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    return json.loads(done.stdout or b"null")


def new_key(*arguments):
    """A key that works."""
    made = tool("key", "create", "--name", "k", *arguments)
    deadline = time.monotonic() + NOTICED
    while time.monotonic() < deadline:
        try:
            client(made["key"]).models.list()
            return made
        except openai.AuthenticationError:
            time.sleep(0.05)
    raise AssertionError("a new key is not noticed")


def known():
    """Waits until the gateway knows all that is in the store by now.

    In one turn it looks for keys, then for limits and budgets: the second key is seen in a later one than the first.
    """
    for _ in range(2):
        new_key()


def client(key, **headers):
    """The SDK with a key and more headers, as patient as by default."""
    return openai.OpenAI(base_url=BASE_URL, api_key=key, timeout=10, max_retries=2, default_headers=headers)


def chat(key, model=CHAT, **headers):
    """A chat call, to be made."""
    return functools.partial(client(key, **headers).chat.completions.create, model=model, messages=MESSAGES)


def check(call, class_, status, kind, code):
    """The error of a call that must not reach the provider, once the gateway knows why."""
    deadline = time.monotonic() + NOTICED
    while True:
        try:
            call()
        except openai.OpenAIError as error:
            if not isinstance(error, openai.APIStatusError) or time.monotonic() > deadline:
                raise
            if error.response.headers.get("x-mainstay-kind") == kind:
                break
        if time.monotonic() > deadline:
            raise AssertionError(f"it is not refused as {kind}")
        time.sleep(0.05)
    before = sends(CHAT)
    error = raised(call)
    same("class", type(error).__name__, class_)
    same("status", error.status_code, status)
    same("code", error.code, code)
    same("x-mainstay-kind", error.response.headers.get("x-mainstay-kind"), kind)
    same("x-should-retry", error.response.headers.get("x-should-retry"), "false")
    same("tries of the SDK", error.response.request.headers.get("x-stainless-retry-count"), "0")
    same("sends", sends(CHAT) - before, 0)
    return error


def unauthorized(call, kind, code):
    return check(call, "AuthenticationError", 401, kind, code)


def a_mistyped_key():
    key = new_key()["key"]
    last = "a" if key[-1] != "a" else "b"
    error = unauthorized(chat(key[:-1] + last), "incorrect_api_key", "invalid_api_key")
    holds("the secret is not in it", key[20:-1] not in str(error))


def an_expired_key():
    unauthorized(chat(new_key("--expires", "1s")["key"]), "expired_api_key", "expired_api_key")


def a_revoked_key():
    made = new_key()
    tool("key", "revoke", made["id"])
    unauthorized(chat(made["key"]), "revoked_api_key", "revoked_api_key")


def a_rotated_key_after_its_grace():
    made = new_key()
    tool("key", "rotate", made["id"], "--grace", "0s")
    unauthorized(chat(made["key"]), "revoked_api_key", "revoked_api_key")


def a_member_who_was_removed():
    tool("user", "create", "python-leaver")
    tool("org", "member", "add", "default", "python-leaver")
    made = new_key("--user", "python-leaver")
    tool("org", "member", "remove", "default", "python-leaver")
    unauthorized(chat(made["key"]), "not_organization_member", "invalid_organization")


def a_key_without_the_scope():
    made = new_key("--scopes", "models,embeddings")
    check(chat(made["key"]), "PermissionDeniedError", 403, "permission_denied", "permission_denied")


def a_key_that_may_only_read():
    made = new_key("--scopes", "models,chat,read_only")
    check(chat(made["key"]), "PermissionDeniedError", 403, "permission_denied", "permission_denied")


def a_model_the_key_may_not_use():
    made = new_key("--models", "gpt-4o*")
    check(chat(made["key"], model="o9"), "BadRequestError", 400, "model_access_denied", "model_not_supported")


def places():
    """Two projects that may not be used from everywhere; the file is read again when it changes."""
    for name in ("python-abroad", "python-elsewhere"):
        tool("project", "create", name, "--org", "default")
    keys = [new_key("--project", name)["key"] for name in ("python-abroad", "python-elsewhere")]
    with open("mainstay.toml", "a", encoding="utf-8") as file:
        file.write(
            '\n[[access]]\nproject = "python-abroad"\ncountries_deny = ["KP"]\n'
            '\n[[access]]\nproject = "python-elsewhere"\ncidr_allow = ["192.0.2.0/24"]\n'
        )
    return keys


def a_country_and_an_address_that_may_not_call():
    abroad, elsewhere = places()
    far = {"x-forwarded-for": "198.51.100.7", "x-country": "KP"}
    check(chat(abroad, **far), "PermissionDeniedError", 403, "unsupported_region",
          "unsupported_country_region_territory")
    unauthorized(chat(elsewhere, **far), "ip_not_authorized", "ip_not_authorized")
    chat(abroad, **(far | {"x-country": "FR"}))()
    chat(elsewhere, **(far | {"x-forwarded-for": "192.0.2.9"}))()


def what_another_project_has_made():
    tool("project", "create", "python-maker", "--org", "default")
    maker = client(new_key("--project", "python-maker")["key"])
    file = maker.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    stranger = client(new_key()["key"])
    for call in (stranger.files.retrieve, stranger.files.delete, stranger.files.content):
        check(functools.partial(call, file.id), "NotFoundError", 404, "not_found", "not_found")
    same("its list", [one.id for one in stranger.files.list()], [])
    same("its maker's", maker.files.retrieve(file.id).id, file.id)


def what_reaches_all_projects():
    call = functools.partial(client(new_key()["key"]).get, "/organization/users", cast_to=object)
    check(call, "PermissionDeniedError", 403, "permission_denied", "permission_denied")


def run():
    """Where the gateway knows its callers by keys of ours."""
    if FRONT != "gateway":
        return
    for work in [a_mistyped_key, an_expired_key, a_revoked_key, a_rotated_key_after_its_grace,
                 a_member_who_was_removed, a_key_without_the_scope, a_key_that_may_only_read,
                 a_model_the_key_may_not_use, a_country_and_an_address_that_may_not_call,
                 what_another_project_has_made, what_reaches_all_projects]:
        case(f"python: {work.__name__}", work)
