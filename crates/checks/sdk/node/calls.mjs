// What a program does all day: each call of the SDK that has to work.

import { BASE_URL, FRONT, KEY, OpenAI, holds, same, test } from "./harness.mjs";

export const CHAT = "gpt-4o-mini";
export const MESSAGES = [{ role: "user", content: "Say hello." }];
const EMBED = "text-embedding-3-small";

// It repeats nothing, so that what is seen is what was answered.
export function client(settings = {}) {
  return new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0, timeout: 30_000, ...settings });
}

async function chat() {
  const answer = await client().chat.completions.create({ model: CHAT, messages: MESSAGES });
  holds("the answer has text", answer.choices[0].message.content);
  same("finish_reason", answer.choices[0].finish_reason, "stop");
  same("total_tokens", answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  holds("a request id came", answer._request_id);
}

async function chatStream() {
  const options = { model: CHAT, messages: MESSAGES, stream: true, stream_options: { include_usage: true } };
  const stream = await client().chat.completions.create(options);
  let text = "";
  let usages = 0;
  const ends = [];
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason);
    if (chunk.usage) usages += 1;
  }
  holds("the stream has text", text);
  same("finish reasons", ends, ["stop"]);
  same("chunks with usage", usages, 1);
}

// The helper is stricter than the iterator: a role first, a finish reason for each choice.
async function chatStreamHelper() {
  const stream = client().chat.completions.stream({ model: CHAT, messages: MESSAGES });
  const final = await stream.finalChatCompletion();
  holds("the final message has text", final.choices[0].message.content);
}

async function chatStreamLeftEarly() {
  const stream = await client().chat.completions.create({ model: CHAT, messages: MESSAGES, stream: true });
  for await (const chunk of stream) {
    holds("a chunk came", chunk.id);
    break;
  }
  await chat();
}

async function responses() {
  const answer = await client().responses.create({ model: CHAT, input: "Say hello." });
  same("status", answer.status, "completed");
  holds("the answer has text", answer.output_text);
}

async function responsesStream() {
  const stream = await client().responses.create({ model: CHAT, input: "Say hello.", stream: true });
  const events = [];
  for await (const event of stream) events.push(event);
  same("first event", events[0].type, "response.created");
  same("last event", events.at(-1).type, "response.completed");
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  const message = events.at(-1).response.output.find((item) => item.type === "message");
  same("text of the deltas", deltas.map((event) => event.delta).join(""), message.content[0].text);
}

async function responsesStreamHelper() {
  const stream = client().responses.stream({ model: CHAT, input: "Say hello." });
  holds("the final answer has text", (await stream.finalResponse()).output_text);
}

async function completions() {
  const answer = await client().completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "Once" });
  holds("the answer has text", answer.choices[0].text);
}

async function embeddings() {
  // Without an encoding the SDK asks for base64 and decodes it.
  const answer = await client().embeddings.create({ model: EMBED, input: ["one", "two"] });
  same("vectors", answer.data.length, 2);
  const plain = await client().embeddings.create({ model: EMBED, input: "one", encoding_format: "float" });
  same("dimensions", plain.data[0].embedding.length, answer.data[0].embedding.length);
  const near = plain.data[0].embedding.every((x, i) => Math.abs(x - answer.data[0].embedding[i]) < 1e-6);
  holds("both encodings say the same", near);
}

async function models() {
  const listed = [];
  for await (const model of client().models.list()) listed.push(model.id);
  holds("the model in use is listed", listed.includes(CHAT));
  same("id", (await client().models.retrieve(CHAT)).id, CHAT);
}

async function rawHeaders() {
  const call = client().chat.completions.create({ model: CHAT, messages: MESSAGES });
  const { response } = await call.withResponse();
  holds("x-request-id", response.headers.get("x-request-id"));
  if (FRONT !== "provider") {
    holds("x-request-id is ours", response.headers.get("x-request-id").startsWith("req_"));
    same("x-mainstay-attempts", response.headers.get("x-mainstay-attempts"), "1");
  }
}

async function manyAtOnce() {
  const one = client();
  const calls = Array.from({ length: 20 }, () => one.chat.completions.create({ model: CHAT, messages: MESSAGES }));
  const answers = await Promise.all(calls);
  same("answers", answers.filter((answer) => answer.choices[0].message.content).length, 20);
}

export async function run() {
  const all = [
    chat, chatStream, chatStreamHelper, chatStreamLeftEarly, responses, responsesStream,
    responsesStreamHelper, completions, embeddings, models, rawHeaders, manyAtOnce,
  ];
  for (const work of all) await test(`node: ${work.name}`, work);
}
