// The official Node SDK on streams that break: each is the whole answer or an error of the SDK's,
// never a half that looks whole. Models named `both…` go to two simulators, `lone…` to the first only;
// see ../python/streams.py.

import { BASE_URL, KEY, OpenAI, SIM_URL, finish, holds, same, sdk, test } from "./harness.mjs";

const ASKED = "tell me something in 12 words";
const WHOLE = `Heard ${ASKED.length} bytes:${Array.from({ length: 9 }, (_, n) => ` w${n + 4}`).join("")}`;
const MESSAGES = [{ role: "user", content: ASKED }];
const PLACES = [0, 1, 5, 11];
// What goes wrong, and whether the answer is whole all the same with one provider only.
const FAULTS = {
  cut_fin: false,
  cut_rst: false,
  stall: false,
  error_mid_stream: false,
  error_first_event: false,
  finish_error: false,
  no_finish: false,
  malformed_event: true,
  no_done: true,
  crlf_events: true,
  one_byte_chunks: true,
};

const client = () => new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0, timeout: 30_000 });

// Tells the first simulator what goes wrong from now on.
async function play(scenario) {
  const answer = await fetch(`${SIM_URL}/sim/scenario`, { method: "PUT", body: scenario });
  holds(`the scenario is taken: ${answer.status}`, answer.ok);
}

async function chat(model) {
  let [text, ended] = ["", false];
  const stream = await client().chat.completions.create({ model, messages: MESSAGES, stream: true });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    ended ||= chunk.choices[0]?.finish_reason === "stop";
  }
  return [text, ended];
}

async function chatHelper(model) {
  const final = await client().chat.completions.stream({ model, messages: MESSAGES }).finalChatCompletion();
  return [final.choices[0].message.content, final.choices[0].finish_reason === "stop"];
}

async function completions(model) {
  let [text, ended] = ["", false];
  const stream = await client().completions.create({ model, prompt: ASKED, max_tokens: 50, stream: true });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.text ?? "";
    ended ||= chunk.choices[0]?.finish_reason === "stop";
  }
  return [text, ended];
}

async function responses(model) {
  let [text, ended] = ["", false];
  for await (const event of await client().responses.create({ model, input: ASKED, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed") ended = true;
  }
  return [text, ended];
}

async function run(model) {
  const { beta } = client();
  const assistant = await beta.assistants.create({ model });
  const thread = await beta.threads.create({ messages: MESSAGES });
  let [text, ended] = ["", false];
  const stream = await beta.threads.runs.create(thread.id, { assistant_id: assistant.id, stream: true });
  for await (const event of stream) {
    if (event.event === "thread.message.delta") {
      text += event.data.delta.content.map((part) => part.text.value).join("");
    }
    ended ||= event.event === "thread.run.completed";
  }
  return [text, ended];
}

const APIS = [chat, chatHelper, completions, responses, run];
// A run is made once: what broke is not told again.
const ONCE = [run];

// `whole`, or the name of the typed error. Everything else is a lie.
async function outcome(api, model) {
  let text, ended;
  try {
    [text, ended] = await api(model);
  } catch (error) {
    const typed = error instanceof sdk.APIError && !(error instanceof sdk.APIConnectionError);
    // The helper wraps what the stream raised.
    const wrapped = error instanceof sdk.OpenAIError && error.cause instanceof sdk.APIError;
    if (!typed && !wrapped) throw new Error(`no typed error: ${error?.name}: ${error?.message}`);
    holds("the error says what happened", error.message);
    return error.constructor.name;
  }
  same("text of an answer that raised nothing", text, WHOLE);
  holds("the end of the answer was told", ended);
  return "whole";
}

async function broken(api, fault) {
  const only = ONCE.includes(api) ? 'endpoints = ["runs"]\n' : "";
  for (const after of PLACES) {
    const scenario =
      `[latency]\ntoken = "1ms"\n[[fault]]\nfault = "${fault}"\nafter = ${after}\nfor = "3s"\n${only}`;
    await play(scenario);
    const alone = await outcome(api, "lone-model");
    // The last event of a response is its end: without it the answer is not whole.
    const endless = api === responses && fault === "no_done";
    if (FAULTS[fault] && !endless) same(`alone, ${fault} after ${after}`, alone, "whole");
    if (!ONCE.includes(api)) {
      await play(scenario);
      same(`${fault} after ${after}`, await outcome(api, "both-model"), "whole");
    }
  }
}

for (const api of APIS) {
  for (const fault of Object.keys(FAULTS)) await test(`node: ${api.name} on ${fault}`, broken, api, fault);
}
process.exit(finish());
