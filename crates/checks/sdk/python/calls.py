"""What a program does all day: each call of the SDK that has to work, strictly validated."""

import base64
import json
import struct

import openai

from harness import BASE_URL, FRONT, KEY, case, holds, same

CHAT = "gpt-4o-mini"
EMBED = "text-embedding-3-small"
MESSAGES = [{"role": "user", "content": "Say hello."}]


def client(strict=True, **settings):
    """The official client; it repeats nothing, so that what is seen is what was answered."""
    settings = {"base_url": BASE_URL, "api_key": KEY, "max_retries": 0, "timeout": 30} | settings
    return openai.OpenAI(_strict_response_validation=strict, **settings)


def chat():
    answer = client().chat.completions.create(model=CHAT, messages=MESSAGES)
    holds("the answer has text", answer.choices[0].message.content)
    same("finish_reason", answer.choices[0].finish_reason, "stop")
    same("object", answer.object, "chat.completion")
    usage = answer.usage
    same("total_tokens", usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    holds("a request id came", answer._request_id)


def chat_stream():
    stream = client().chat.completions.create(
        model=CHAT, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    holds("the stream has text", text)
    same("finish reasons", ends, ["stop"])
    same("chunks with usage", sum(1 for c in chunks if c.usage), 1)
    same("ids", len({c.id for c in chunks}), 1)


def chat_stream_helper():
    with client().chat.completions.stream(model=CHAT, messages=MESSAGES) as stream:
        final = stream.get_final_completion()
    holds("the final message has text", final.choices[0].message.content)


def chat_stream_left_early():
    stream = client().chat.completions.create(model=CHAT, messages=MESSAGES, stream=True)
    next(iter(stream))
    stream.close()
    chat()  # the connection that was given up does no harm to the next call


def responses():
    answer = client().responses.create(model=CHAT, input="Say hello.")
    same("status", answer.status, "completed")
    holds("the answer has text", answer.output_text)
    same("total", answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)


def responses_stream():
    events = list(client().responses.create(model=CHAT, input="Say hello.", stream=True))
    same("first event", events[0].type, "response.created")
    same("last event", events[-1].type, "response.completed")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    same("text of the deltas", text, events[-1].response.output_text)
    numbers = [e.sequence_number for e in events]
    same("sequence numbers", numbers, sorted(set(numbers)))


def responses_stream_helper():
    with client().responses.stream(model=CHAT, input="Say hello.") as stream:
        holds("the final answer has text", stream.get_final_response().output_text)


def completions():
    answer = client().completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon a time")
    holds("the answer has text", answer.choices[0].text)


def embeddings():
    # Without an encoding the SDK asks for base64 and decodes it, after validation: its strict
    # schema knows numbers only.
    answer = client(strict=False).embeddings.create(model=EMBED, input=["one", "two"])
    same("vectors", len(answer.data), 2)
    holds("numbers come out", all(isinstance(x, float) for x in answer.data[0].embedding))
    plain = client().embeddings.create(model=EMBED, input="one", encoding_format="float")
    same("dimensions", len(plain.data[0].embedding), len(answer.data[0].embedding))
    # Asked for by name, base64 is not decoded.
    packed = client(strict=False).embeddings.with_raw_response.create(
        model=EMBED, input="one", encoding_format="base64"
    )
    raw = base64.b64decode(json.loads(packed.text)["data"][0]["embedding"])
    numbers = struct.unpack(f"<{len(raw) // 4}f", raw)
    near = all(abs(a - b) < 1e-6 for a, b in zip(numbers, plain.data[0].embedding))
    holds("both encodings say the same", near and len(numbers) == len(plain.data[0].embedding))


def models():
    listed = [model.id for model in client().models.list()]
    holds("the model in use is listed", CHAT in listed)
    same("id", client().models.retrieve(CHAT).id, CHAT)


def unicode_survives():
    text = "Grüße, 世界, 🙂 \u2028 \"quoted\" \\ back"
    messages = [{"role": "user", "content": text}]
    answer = client().chat.completions.create(model=CHAT, messages=messages)
    holds("an answer came", answer.choices[0].message.content)


def raw_headers():
    raw = client().chat.completions.with_raw_response.create(model=CHAT, messages=MESSAGES)
    holds("x-request-id", raw.headers.get("x-request-id"))
    if FRONT != "provider":
        holds("x-request-id is ours", raw.headers["x-request-id"].startswith("req_"))
        same("x-mainstay-attempts", raw.headers.get("x-mainstay-attempts"), "1")
        holds("x-mainstay-provider", raw.headers.get("x-mainstay-provider"))
        holds("no cookies of a provider", "set-cookie" not in raw.headers)


async def _together():
    import asyncio

    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as aclient:
        calls = [aclient.chat.completions.create(model=CHAT, messages=MESSAGES) for _ in range(20)]
        return await asyncio.gather(*calls)


def many_at_once():
    import asyncio

    answers = asyncio.run(_together())
    same("answers", sum(1 for a in answers if a.choices[0].message.content), 20)


def run():
    """Every call, each a case."""
    for work in (
        chat, chat_stream, chat_stream_helper, chat_stream_left_early, responses, responses_stream,
        responses_stream_helper, completions, embeddings, models, unicode_survives, raw_headers,
        many_at_once,
    ):
        case(f"python: {work.__name__}", work)
