// The official Node SDK through whole pieces of work, with something going wrong at each step. The SDK
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
// The provider has done nothing yet, and says so.
const REFUSALS = [OVERLOADED, 'kind = "service_unavailable"'];
const LOST = 'fault = "reset_before_headers"';
const CUT = 'fault = "cut_fin"';
// What makes half a stream of one.
const BROKEN = ["no_done", "cut_fin", "cut_rst", "error_first_event", "error_mid_stream"];
const TOOL = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

// What goes wrong, in one line.
const named = (what) => what.split("\n")[0];

const api = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0, timeout: 120_000 });

async function play(scenario) {
  const answer = await fetch(`${SIM_URL}/sim/scenario`, { method: "PUT", body: scenario });
  holds(`the simulator takes the scenario: ${answer.status}`, answer.ok);
}

// A scenario in which the first request of every call fails, and the one after it does not.
function eachStep(endpoints, what) {
  const turns = Array.from({ length: 60 }, (_, turn) => 2 * turn + 1);
  const once = (name) => turns.map((nth) => `[[fault]]\n${what}\nendpoints = ["${name}"]\nnth = ${nth}\n`).join("");
  return STEP + endpoints.map(once).join("");
}

// Of every two requests that the provider got one failed, but for what was given up, and there were so many steps.
async function eachStepFailedOnce(least, givenUp = 0) {
  const stats = await (await fetch(`${SIM_URL}/sim/stats`)).json();
  const failed = Object.values({ ...stats.faults, ...stats.kinds }).reduce((sum, count) => sum + Number(count), 0);
  same("requests", Number(stats.attempts), 2 * failed - givenUp);
  holds(`there were ${failed} steps, not ${least}`, failed >= least);
}

// What must not be sent again unasked is refused with this status; asked again, it is done.
async function insisted(work, status) {
  const error = await work().then(() => null, (raised) => raised);
  same("the status", error?.status, status);
  holds("the request has an id", error.requestID);
  return work();
}

function peak() {
  return Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${PID}/status`, "latin1"))[1]);
}

async function begin(model, text) {
  const assistant = await api.beta.assistants.create({ model, tools: [TOOL] });
  const thread = await api.beta.threads.create({ messages: [{ role: "user", content: text }] });
  return [assistant.id, thread.id];
}

// What the one call that a run waits for is told.
function toolOutputs(run) {
  same("the run waits", run.status, "requires_action");
  const call = run.required_action.submit_tool_outputs.tool_calls[0];
  same("the arguments", JSON.parse(call.function.arguments), { city: "simulated" });
  return [{ tool_call_id: call.id, output: "sunny" }];
}

async function runInAStream(what) {
  await play(eachStep(["assistants", "threads", "runs"], what));
  const [assistant, thread] = await begin("m", "call the tool");
  const waiting = await api.beta.threads.runs.stream(thread, { assistant_id: assistant }).finalRun();
  const outputs = { thread_id: thread, tool_outputs: toolOutputs(waiting) };
  const second = api.beta.threads.runs.submitToolOutputsStream(waiting.id, outputs);
  let text = "";
  second.on("textDelta", (delta) => { text += delta.value ?? ""; });
  const run = await second.finalRun();
  same("the run has ended", run.status, "completed");
  holds(`the text is about the output: ${text}`, text.startsWith("Heard 5 bytes: w4"));
  const messages = await api.beta.threads.messages.list(thread);
  same("the thread has it", messages.data[0].content[0].text.value, text);
  const steps = await api.beta.threads.runs.steps.list(run.id, { thread_id: thread, order: "asc" });
  same("the steps", steps.data.map((step) => step.type), ["tool_calls", "message_creation"]);
  // Assistant, thread, run, outputs, messages, steps.
  await eachStepFailedOnce(6);
}

// The provider may have begun it, and two runs would answer twice: the caller is told so.
async function runWhoseAnswersAreLost() {
  await play(eachStep(["assistants", "threads", "runs"], LOST));
  const [assistant, thread] = await begin("m", "call the tool");
  const lost = await api.beta.threads.runs.create(thread, { assistant_id: assistant }).catch((error) => error);
  same("the status", lost?.status, 502);
  holds(`it says what to do: ${lost.message}`, lost.message.includes("runs of the thread"));
  const made = await api.beta.threads.runs.list(thread);
  same("it was begun and failed", made.data.map((run) => run.status), ["failed"]);
  const waiting = await api.beta.threads.runs.stream(thread, { assistant_id: assistant }).finalRun();
  const outputs = { thread_id: thread, tool_outputs: toolOutputs(waiting) };
  const gone = await api.beta.threads.runs.submitToolOutputs(waiting.id, outputs).catch((error) => error);
  same("the status", gone?.status, 502);
  // The outputs did arrive: a look at the run tells what came of them.
  const run = await api.beta.threads.runs.retrieve(waiting.id, { thread_id: thread });
  holds(`it went on without us: ${run.status}`, run.status !== "requires_action");
  // Assistant, thread, run, the list, outputs, a look at the run.
  await eachStepFailedOnce(6, 1);
}

async function runByPolling() {
  await play(eachStep(["assistants", "threads", "runs"], OVERLOADED));
  const [assistant, thread] = await begin("m", "call the tool");
  const often = { pollIntervalMs: 10 };
  const waiting = await api.beta.threads.runs.createAndPoll(thread, { assistant_id: assistant }, often);
  const outputs = { thread_id: thread, tool_outputs: toolOutputs(waiting) };
  const run = await api.beta.threads.runs.submitToolOutputsAndPoll(waiting.id, outputs, often);
  same("the run has ended", run.status, "completed");
  // Assistant, thread, run and a look at it, outputs and a look at it.
  await eachStepFailedOnce(6);
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

// What is in a file. Of a download that breaks in its middle half has left, and is no whole one.
async function content(file, what) {
  const text = async () => (await api.files.content(file)).text();
  return text().catch((error) => {
    holds(`only what was cut is asked for again: ${error}`, what === CUT);
    return text();
  });
}

async function batch(what) {
  await play(eachStep(["files", "batches"], what));
  const line = (id, model) => JSON.stringify({
    custom_id: id, method: "POST", url: "/v1/chat/completions",
    body: { model, messages: [{ role: "user", content: "in 4 words" }] },
  });
  const lines = [line("a", "m"), line("b", "sim-overloaded"), line("c", "m")].join("\n");
  const file = await api.files.create({ file: await sdk.toFile(Buffer.from(lines), "lines.jsonl"), purpose: "batch" });
  const begun = () => api.batches.create({
    input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h",
  });
  // Where its answer is lost it may have begun, and two would cost twice: the caller is told, and may ask again.
  let job = await (REFUSALS.includes(what) ? begun() : insisted(begun, 502));
  for (let turn = 0; turn < 500 && !["completed", "failed"].includes(job.status); turn += 1) {
    await sleep(20);
    job = await api.batches.retrieve(job.id);
  }
  same("the batch", [job.status, job.request_counts.completed, job.request_counts.failed], ["completed", 2, 1]);
  const output = await content(job.output_file_id, what);
  same("each good line answered", output.trim().split("\n").map((one) => JSON.parse(one).custom_id), ["a", "c"]);
  const errors = JSON.parse(await content(job.error_file_id, what));
  same("the bad one told", errors.response.status_code, 503);
  // File, batch, a look at it, both files of results.
  await eachStepFailedOnce(5);
}

async function uploadOf512Mb(what, status) {
  await play(eachStep(["files"], what));
  fs.closeSync(fs.openSync("large.bin", "w"));
  fs.truncateSync("large.bin", LARGE);
  let stored;
  try {
    // Backed by the file: nothing of it is in the memory of this process either.
    const file = new File([await fs.openAsBlob("large.bin")], "large.bin");
    // Too large to be sent again by the gateway: the caller is told, and may.
    stored = await insisted(() => api.files.create({ file, purpose: "user_data" }), status);
  } finally {
    fs.unlinkSync("large.bin");
  }
  same("the size", stored.bytes, LARGE);
  same("it is there", (await api.files.retrieve(stored.id)).bytes, LARGE);
  const gone = await api.files.delete(stored.id).catch((error) => error);
  // It was deleted, the answer was lost, and there was nothing to delete again.
  holds(`it is deleted: ${gone}`, gone.deleted || (status === 502 && gone instanceof sdk.NotFoundError));
  await eachStepFailedOnce(3);
  holds(`the gateway had ${peak()} KiB at most, and may have ${MEMORY_MAX}`, peak() < MEMORY_MAX);
  console.log(`     the gateway's memory peaked at ${(peak() / 1024).toFixed(1)} MiB`);
}

async function uploadOfParts() {
  await play(eachStep(["uploads"], OVERLOADED));
  const upload = await api.uploads.create({
    filename: "a.txt", bytes: 2_000_000, mime_type: "text/plain", purpose: "user_data",
  });
  const parts = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const data = await sdk.toFile(Buffer.alloc(1_000_000, "x"), "part");
    parts.push((await api.uploads.parts.create(upload.id, { data })).id);
  }
  const done = await api.uploads.complete(upload.id, { part_ids: parts });
  same("the upload", [done.status, done.file.bytes], ["completed", 2_000_000]);
  await eachStepFailedOnce(4);
}

async function transcription(what) {
  await play(eachStep(["transcriptions"], what));
  const file = () => sdk.toFile(Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(96)]), "a.wav");
  const heard = await api.audio.transcriptions.create({ model: "whisper-1", file: await file() });
  holds(`the text: ${heard.text}`, heard.text.startsWith("Heard 100 bytes: w4"));
  const streamed = async () => {
    let [deltas, done] = ["", null];
    const stream = await api.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await file(), stream: true });
    for await (const event of stream) {
      if (event.type === "transcript.text.delta") deltas += event.delta;
      if (event.type === "transcript.text.done") done = event.text;
    }
    return [deltas, done];
  };
  // What was begun and broke is an error of the SDK's, never a half that looks whole.
  const told = await streamed().catch((error) => {
    holds(`only a stream that breaks in its middle is given up: ${error}`, what === CUT && error instanceof sdk.APIError);
    return streamed();
  });
  same("the stream tells the same", told, [heard.text, heard.text]);
  await eachStepFailedOnce(2);
}

// The events of a speech. The SDK hands them over as bytes.
async function* spoken() {
  const answer = await api.audio.speech.create({
    model: "gpt-4o-mini-tts", voice: "alloy", input: "one two three", stream_format: "sse",
  });
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of answer.body) {
    const events = (rest + decoder.decode(piece, { stream: true })).split("\n\n");
    rest = events.pop();
    for (const data of events.flatMap((event) => event.split("\n")).filter((line) => line.startsWith("data: "))) {
      const event = JSON.parse(data.slice("data: ".length));
      if (event.error) throw new sdk.APIError(undefined, event.error, event.error.message, answer.headers);
      yield event;
    }
  }
}

async function brokenMediaStream(endpoint, fault) {
  await play(`${STEP}[[fault]]\nfault = "${fault}"\nafter = 1\nendpoints = ["${endpoint}"]\n`);
  let last = null;
  try {
    const streams = {
      images: () => api.images.generate({ model: "gpt-image-1", prompt: "x", stream: true, partial_images: 2 }),
      speech: () => spoken(),
      transcriptions: async () => api.audio.transcriptions.create({
        model: "gpt-4o-transcribe", file: await sdk.toFile(Buffer.from("RIFF"), "a.wav"), stream: true,
      }),
    };
    for await (const event of await streams[endpoint]()) last = event.type;
  } catch (error) {
    holds(`it is the SDK's error: ${error}`, error instanceof sdk.APIError);
    return;
  }
  throw new Error(`a stream without its end looks whole; the last event is ${last}`);
}

async function picturesAndSpeech() {
  await play(eachStep(["images", "speech"], OVERLOADED));
  const pictures = await api.images.generate({ model: "gpt-image-1", prompt: "a fish", n: 2 });
  same("two pictures", pictures.data.length, 2);
  const speech = await api.audio.speech.create({ model: "tts-1", voice: "alloy", input: "one two three" });
  same("a sound", Buffer.from(await speech.arrayBuffer()).subarray(0, 4).toString(), "RIFF");
  const events = [];
  for await (const event of spoken()) events.push(event.type);
  same("the end of the stream", events.at(-1), "speech.audio.done");
  holds(`it has sounds: ${events}`, events.includes("speech.audio.delta"));
  await eachStepFailedOnce(3);
}

async function responseInTheBackground() {
  await play(eachStep(["responses", "kept_responses"], OVERLOADED));
  let response = await api.responses.create({ model: "m", input: "in 4 words", background: true });
  for (let turn = 0; turn < 500 && ["queued", "in_progress"].includes(response.status); turn += 1) {
    await sleep(20);
    response = await api.responses.retrieve(response.id);
  }
  same("the answer", [response.status, response.output_text], ["completed", "Heard 10 bytes: w4"]);
  const following = await api.responses.create({ model: "m", input: "more", previous_response_id: response.id });
  same("it is followed", following.previous_response_id, response.id);
  await eachStepFailedOnce(3);
}

async function vectorStore() {
  await play(eachStep(["vector_stores", "files"], OVERLOADED));
  const file = await api.files.create({
    file: await sdk.toFile(Buffer.from("all about fish"), "fish.txt"), purpose: "assistants",
  });
  const store = await api.vectorStores.create({ name: "animals" });
  const added = await api.vectorStores.files.createAndPoll(store.id, { file_id: file.id }, { pollIntervalMs: 10 });
  same("it is indexed", added.status, "completed");
  const found = await api.vectorStores.search(store.id, { query: "fish" });
  same("it is found", found.data.map((one) => one.file_id), [file.id]);
  await eachStepFailedOnce(5);
}

for (const what of REFUSALS) await test(`node: a run with tools, streamed, ${named(what)}`, runInAStream, what);
await test("node: a run whose answers are lost", runWhoseAnswersAreLost);
await test("node: a run with tools, polled", runByPolling);
for (const [end, status, code] of [
  ["server_error", "failed", "server_error"], ["rate_limit_exceeded", "failed", "rate_limit_exceeded"],
  ["invalid_prompt", "failed", "invalid_prompt"], ["expired", "expired", null],
]) {
  await test(`node: a run that ends ${end}`, runThatFails, end, status, code);
}
for (const what of [...REFUSALS, LOST, CUT]) await test(`node: a batch, ${named(what)}`, batch, what);
for (const [what, status] of [[OVERLOADED, 503], [LOST, 502]]) {
  await test(`node: an upload of 512 MB, ${named(what)}`, uploadOf512Mb, what, status);
}
await test("node: an upload of parts", uploadOfParts);
for (const what of [...REFUSALS, LOST, CUT]) await test(`node: a transcription, ${named(what)}`, transcription, what);
for (const endpoint of ["images", "speech", "transcriptions"]) {
  for (const fault of BROKEN) await test(`node: a stream of ${endpoint}, ${fault}`, brokenMediaStream, endpoint, fault);
}
await test("node: pictures and speech", picturesAndSpeech);
await test("node: a response in the background", responseInTheBackground);
await test("node: a vector store", vectorStore);
process.exit(finish());
