// The official Node SDK through a whole piece of work, with something going wrong at each step. The SDK
// repeats nothing itself, so what succeeds was made to by the gateway. See ../python/surface.py.

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BASE_URL, KEY, OpenAI, SIM_URL, finish, holds, same, sdk, test } from "./harness.mjs";

const PID = process.env.MAINSTAY_PID;
const LARGE = 512 * 1024 * 1024;
// What the gateway may have had in memory at any time, KiB.
const MEMORY_MAX = 64 * 1024;
const STEP = '[objects]\nstep = "10ms"\n';
const OVERLOADED = 'kind = "overloaded"';
const TOOL = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

const api = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0, timeout: 120_000 });

async function play(scenario) {
  const answer = await fetch(`${SIM_URL}/sim/scenario`, { method: "PUT", body: scenario });
  holds(`the simulator takes the scenario: ${answer.status}`, answer.ok);
}

function trouble(endpoints, what = OVERLOADED) {
  return STEP + endpoints.map((name) => `[[fault]]\n${what}\nendpoints = ["${name}"]\nfirst = 1\n`).join("");
}

async function faults(...names) {
  const stats = await (await fetch(`${SIM_URL}/sim/stats`)).json();
  const counted = { ...stats.faults, ...stats.kinds };
  return names.reduce((sum, name) => sum + Number(counted[name] ?? 0), 0);
}

function peak() {
  return Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${PID}/status`, "latin1"))[1]);
}

async function begin(model, text) {
  const assistant = await api.beta.assistants.create({ model, tools: [TOOL] });
  const thread = await api.beta.threads.create({ messages: [{ role: "user", content: text }] });
  return [assistant.id, thread.id];
}

async function runInAStream(what) {
  await play(trouble(["assistants", "threads", "runs"], what));
  const [assistant, thread] = await begin("m", "call the tool");
  if (what.includes("reset")) {
    // The provider may have begun it, and two runs would answer twice: the caller is told so.
    const raised = await api.beta.threads.runs.create(thread, { assistant_id: assistant }).catch((error) => error);
    same("the status", raised?.status, 502);
    const made = await api.beta.threads.runs.list(thread);
    same("it was begun and failed", made.data.map((run) => run.status), ["failed"]);
  }
  const first = api.beta.threads.runs.stream(thread, { assistant_id: assistant });
  const waiting = await first.finalRun();
  same("the run waits", waiting.status, "requires_action");
  const call = waiting.required_action.submit_tool_outputs.tool_calls[0];
  same("the arguments", JSON.parse(call.function.arguments), { city: "simulated" });
  const outputs = { thread_id: thread, tool_outputs: [{ tool_call_id: call.id, output: "sunny" }] };
  const second = api.beta.threads.runs.submitToolOutputsStream(waiting.id, outputs);
  let text = "";
  second.on("textDelta", (delta) => { text += delta.value ?? ""; });
  const run = await second.finalRun();
  same("the run has ended", run.status, "completed");
  holds(`the text is about the output: ${text}`, text.startsWith("Heard 5 bytes: w4"));
  const messages = await api.beta.threads.messages.list(thread);
  same("the thread has it", messages.data[0].content[0].text.value, text);
  same("each step failed once before", await faults("overloaded", "reset_before_headers"), 3);
}

async function runThatFails(end, status, code) {
  await play(STEP);
  const [assistant, thread] = await begin(`sim-run-${end}`, "hello");
  const run = await api.beta.threads.runs.createAndPoll(thread, { assistant_id: assistant }, { pollIntervalMs: 10 });
  same("the state", run.status, status);
  same("the code", run.last_error?.code ?? null, code);
  const names = [];
  let raised = null;
  try {
    for await (const event of api.beta.threads.runs.stream(thread, { assistant_id: assistant })) names.push(event.event);
  } catch (error) {
    raised = error;
  }
  holds(`the stream tells it: ${names.slice(-3)} ${raised}`, names.includes(`thread.run.${status}`) || raised !== null);
  holds("and is no success", !names.includes("thread.run.completed"));
}

async function batch() {
  await play(trouble(["files", "batches"]));
  const line = (id, model) => JSON.stringify({
    custom_id: id, method: "POST", url: "/v1/chat/completions",
    body: { model, messages: [{ role: "user", content: "in 4 words" }] },
  });
  const lines = [line("a", "m"), line("b", "sim-overloaded"), line("c", "m")].join("\n");
  const file = await api.files.create({ file: await sdk.toFile(Buffer.from(lines), "lines.jsonl"), purpose: "batch" });
  let job = await api.batches.create({
    input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h",
  });
  for (let turn = 0; turn < 500 && !["completed", "failed"].includes(job.status); turn += 1) {
    await sleep(20);
    job = await api.batches.retrieve(job.id);
  }
  same("the batch", [job.status, job.request_counts.completed, job.request_counts.failed], ["completed", 2, 1]);
  const output = await (await api.files.content(job.output_file_id)).text();
  same("each good line answered", output.trim().split("\n").map((one) => JSON.parse(one).custom_id), ["a", "c"]);
  same("each step failed once before", await faults("overloaded"), 2);
}

async function uploadOf512Mb() {
  await play(trouble(["files"]));
  fs.closeSync(fs.openSync("large.bin", "w"));
  fs.truncateSync("large.bin", LARGE);
  try {
    // Backed by the file: nothing of it is in the memory of this process either.
    const file = new File([await fs.openAsBlob("large.bin")], "large.bin");
    let raised = null;
    try {
      await api.files.create({ file, purpose: "user_data" });
    } catch (error) {
      raised = error;
    }
    // Too large to be sent again by the gateway: the caller is told, and may.
    same("the status", raised?.status, 503);
    const stored = await api.files.create({ file, purpose: "user_data" });
    same("the size", stored.bytes, LARGE);
  } finally {
    fs.unlinkSync("large.bin");
  }
  holds(`the gateway had ${peak()} KiB at most, and may have ${MEMORY_MAX}`, peak() < MEMORY_MAX);
  console.log(`     the gateway's memory peaked at ${(peak() / 1024).toFixed(1)} MiB`);
}

async function transcription(what) {
  await play(trouble(["transcriptions"], what));
  const file = () => sdk.toFile(Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(96)]), "a.wav");
  const heard = await api.audio.transcriptions.create({ model: "whisper-1", file: await file() });
  holds(`the text: ${heard.text}`, heard.text.startsWith("Heard 100 bytes: w4"));
  same("it failed once before", await faults("overloaded", "reset_before_headers", "cut_fin"), 1);
  let deltas = "";
  const stream = await api.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await file(), stream: true });
  for await (const event of stream) if (event.type === "transcript.text.delta") deltas += event.delta;
  same("the stream tells the same", deltas, heard.text);
}

for (const what of [OVERLOADED, 'fault = "reset_before_headers"']) {
  await test(`node: a run with tools, streamed, ${what}`, runInAStream, what);
}
for (const [end, status, code] of [
  ["server_error", "failed", "server_error"], ["rate_limit_exceeded", "failed", "rate_limit_exceeded"],
  ["expired", "expired", null],
]) {
  await test(`node: a run that ends ${end}`, runThatFails, end, status, code);
}
await test("node: a batch", batch);
await test("node: an upload of 512 MB", uploadOf512Mb);
for (const what of [OVERLOADED, 'fault = "reset_before_headers"', 'fault = "cut_fin"']) {
  await test(`node: a transcription, ${what}`, transcription, what);
}
process.exit(finish());
