"""Every documented error on every family: the SDK raises what it has to, whatever it was used for.

The scenario decides what goes wrong, because what is stored has no model. A limit that is told once
holds for the calls after it, too: kinds that are limits (429) are asked of what runs a model only, each
of a model of its own, with a wait that nobody would wait.
"""

import io
import sys
import urllib.request
import warnings

from calls import client
from errors import check_status, raised, rows
from harness import FRONT, SIM_URL, case, finish, holds

warnings.simplefilter("ignore", DeprecationWarning)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(32)


def play(scenario):
    """Begins a scenario; what was stored is forgotten by the simulator, not by the gateway."""
    request = urllib.request.Request(SIM_URL + "/sim/scenario", data=scenario.encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def with_model(api, model):
    """One call of each endpoint that runs a model."""
    sound, picture = ("a.wav", io.BytesIO(b"RIFF" + bytes(32))), ("a.png", io.BytesIO(PICTURE))
    said = [{"role": "user", "content": "hi"}]
    return {
        "chat": lambda: api.chat.completions.create(model=model, messages=said),
        "a stream of chat": lambda: list(api.chat.completions.create(model=model, messages=said, stream=True)),
        "responses": lambda: api.responses.create(model=model, input="hi"),
        "a stream of responses": lambda: list(api.responses.create(model=model, input="hi", stream=True)),
        "completions": lambda: api.completions.create(model=model, prompt="hi"),
        "embeddings": lambda: api.embeddings.create(model=model, input="hi"),
        "moderations": lambda: api.moderations.create(model=model, input="hi"),
        "images": lambda: api.images.generate(model=model, prompt="x"),
        "image edits": lambda: api.images.edit(model=model, image=picture, prompt="x"),
        "image variations": lambda: api.images.create_variation(model=model, image=picture),
        "speech": lambda: api.audio.speech.create(model=model, voice="alloy", input="x"),
        "transcriptions": lambda: api.audio.transcriptions.create(model=model, file=sound),
        "translations": lambda: api.audio.translations.create(model=model, file=sound),
    }


def stored(api, ids):
    """One call of each family of what is stored."""
    threads = api.beta.threads
    return {
        "assistants": lambda: api.beta.assistants.retrieve(ids["assistant"]),
        "threads": lambda: threads.messages.create(ids["thread"], role="user", content="x"),
        "files": lambda: api.files.retrieve(ids["file"]),
        "an upload of a file": lambda: api.files.create(file=("a.txt", b"x"), purpose="user_data"),
        "uploads": lambda: api.uploads.cancel(ids["upload"]),
        "batches": lambda: api.batches.retrieve(ids["batch"]),
        "vector stores": lambda: api.vector_stores.search(ids["store"], query="x"),
        "conversations": lambda: api.conversations.items.list(ids["conversation"]),
        "kept responses": lambda: api.responses.retrieve(ids["response"]),
        "kept chats": lambda: api.chat.completions.retrieve(ids["chat"]),
        "fine-tuning": lambda: api.fine_tuning.jobs.retrieve(ids["job"]),
    }


def make(api):
    """One object of each family, so that the gateway knows whose they are."""
    play("")
    text = api.files.create(file=("a.jsonl", b"{}"), purpose="batch").id
    return {
        "assistant": api.beta.assistants.create(model="m").id,
        "thread": api.beta.threads.create().id,
        "file": text,
        "upload": api.uploads.create(filename="a", bytes=1, mime_type="text/plain", purpose="user_data").id,
        "batch": api.batches.create(
            input_file_id=text, endpoint="/v1/chat/completions", completion_window="24h").id,
        "store": api.vector_stores.create().id,
        "conversation": api.conversations.create().id,
        "response": api.responses.create(model="m", input="hi").id,
        "chat": api.chat.completions.create(
            model="m", store=True, messages=[{"role": "user", "content": "hi"}]).id,
        "job": api.fine_tuning.jobs.create(model="m", training_file=text).id,
    }


ENDPOINTS = (
    "chat", "responses", "completions", "embeddings", "moderations", "images", "image_edits", "image_variations", "speech",
    "transcriptions", "translations", "assistants", "threads", "files", "uploads", "batches", "vector_stores",
    "conversations", "kept_chats", "kept_responses", "fine_tuning",
)


def on_every_family(row, api, ids):
    names = ", ".join(f'"{name}"' for name in ENDPOINTS)
    wait = 'retry_after = "200s"\n' if row.get("retry_after") else ""
    play(f'[[fault]]\nkind = "{row["kind"]}"\n{wait}endpoints = [{names}]\n')
    calls = {}
    for name, call in with_model(api, "x").items():
        # A model of its own: what is learnt of one is not held against another.
        calls[name] = lambda name=name: with_model(api, f"{row['kind']} {name}".replace(" ", "-"))[name]()
    if row["status"] != 429:
        calls |= stored(api, ids)
    told = []
    for name, call in calls.items():
        try:
            check_status(row, raised(call))
        except AssertionError as error:
            told.append(f"{name}: {error}")
    holds("; ".join(told), not told)


def on_runs(row, api):
    play("")
    assistant = api.beta.assistants.create(model=f"sim-{row['kind']}")
    thread = api.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    check_status(row, raised(lambda: api.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)))


def main():
    """Each kind that is an answer of HTTP: of what breaks on the wire see `errors` and `streams`."""
    api = client()
    ids = make(api)
    for row in rows():
        if row.get("wire") or row["sends"] == "some" or (FRONT == "provider" and row.get("page")):
            continue
        case(f"python: {row['kind']} on every family", on_every_family, row, api, ids)
        if row["status"] != 429:
            case(f"python: {row['kind']} on runs", on_runs, row, api)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
