// The matrix: every documented error, its class, status, code, param and id, and how often it was
// sent. The table is shared with Python; Node's names differ where the table says so.

import { readFileSync } from "node:fs";
import { CHAT, MESSAGES, client } from "./calls.mjs";
import { FRONT, holds, same, sdk, sends, test } from "./harness.mjs";

function rows() {
  const table = JSON.parse(readFileSync(new URL("../errors.json", import.meta.url), "utf8"));
  return table.kinds.map((row) => {
    const read = { ...row, class: row.node_class ?? row.class };
    if (FRONT !== "provider") Object.assign(read, row.gateway);
    if (!row.credential || FRONT !== "gateway") return read;
    // The caller's key is good; it is ours that the provider refuses.
    const seen = { status: 502, class: "InternalServerError", code: "service_unavailable", seen_kind: "bad_gateway" };
    return { ...read, ...seen };
  });
}

async function rejects(work) {
  const fulfilled = await work().then(() => true, () => false);
  holds("a broken answer was taken for a good one", !fulfilled);
}

async function raised(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof sdk.OpenAIError) return error;
    throw error;
  }
  throw new Error("no exception was raised");
}

function checkStatus(row, error) {
  same("class", error.constructor.name, row.class);
  same("status", error.status, row.status);
  const ours = FRONT !== "provider";
  // A page of a proxy becomes an error that an SDK can read.
  if (ours && row.page) same("code", error.code, "service_unavailable");
  else if ("code" in row) same("code", error.code, row.code);
  same("param", error.param, row.param);
  if (row.type) same("type", error.type, row.type);
  holds("a request id came", error.requestID);
  if (!ours) return;
  holds(`the id ${error.requestID} is ours`, error.requestID.startsWith("req_"));
  for (const key of ["message", "type", "param", "code"]) {
    holds(`the error has no ${key}`, error.error && key in error.error);
  }
  same("x-mainstay-kind", error.headers.get("x-mainstay-kind"), row.seen_kind ?? row.kind);
  same("x-should-retry", error.headers.get("x-should-retry"), "false");
}

async function kind(row) {
  const model = `sim-${row.kind}`;
  const before = await sends(model);
  const one = client(FRONT === "provider" ? { timeout: 2_000 } : {});
  const call = () => one.chat.completions.create({ model, messages: MESSAGES });
  if (FRONT === "provider" && row.wire) {
    // What the SDK makes of a broken answer is its own business; that it is no success is not.
    await rejects(call);
    return;
  }
  const error = await raised(call);
  if (FRONT === "provider" && row.page) {
    same("class", error.constructor.name, row.class);
    return;
  }
  checkStatus(row, error);
  const count = (await sends(model)) - before;
  if (FRONT === "provider") same("sends", count, 1);
  else if (row.sends === "some") holds(`sends is ${count}, wanted 1 to 3`, count >= 1 && count <= 3);
  else same("sends", count, row.sends);
}

async function wrongKey() {
  const wrong = client({ apiKey: "sk-wrong" });
  const error = await raised(() => wrong.chat.completions.create({ model: CHAT, messages: MESSAGES }));
  same("class", error.constructor.name, "AuthenticationError");
  same("code", error.code, "invalid_api_key");
}

async function aForeignOrganizationOrProject() {
  for (const place of [{ organization: "org-nobody" }, { project: "proj_nobody" }]) {
    const before = await sends(CHAT);
    const call = { model: CHAT, messages: MESSAGES };
    const error = await raised(() => client(place).chat.completions.create(call));
    same("class", error.constructor.name, "AuthenticationError");
    same("code", error.code, "invalid_organization");
    same("x-mainstay-kind", error.headers.get("x-mainstay-kind"), "not_organization_member");
    same("sends", (await sends(CHAT)) - before, 0);
  }
}

async function nobodyListens() {
  const error = await raised(() => client({ baseURL: "http://127.0.0.1:9/v1" }).models.list());
  same("class", error.constructor.name, "APIConnectionError");
}

async function tooSlowForTheCaller() {
  const slow = client({ timeout: 200 });
  const call = { model: "sim-request_timeout", messages: MESSAGES };
  // Nobody but the SDK knows how long it waits.
  const untold = { headers: { "X-Stainless-Timeout": null } };
  let error = await raised(() => slow.chat.completions.create(call, untold));
  same("class", error.constructor.name, "APIConnectionTimeoutError");
  // A gateway that is told gives no attempt longer; to an SDK that is late its last word may come first.
  error = await raised(() => slow.chat.completions.create(call));
  if (error.constructor.name !== "APIConnectionTimeoutError") {
    same("class", error.constructor.name, "InternalServerError");
    same("status", error.status, 504);
  }
}

// The SDK's own default would send three; the gateway has the last word.
async function finalFailuresAreNotRepeatedByTheSdk() {
  const model = "sim-insufficient_quota";
  const before = await sends(model);
  const patient = client({ maxRetries: 2 });
  const error = await raised(() => patient.chat.completions.create({ model, messages: MESSAGES }));
  same("class", error.constructor.name, "RateLimitError");
  if (FRONT !== "provider") same("sends", (await sends(model)) - before, 1);
}

async function streamsFailBeforeTheyBegin() {
  for (const [name, wanted] of [["internal_error", "InternalServerError"], ["model_not_found", "NotFoundError"]]) {
    const call = { model: `sim-${name}`, messages: MESSAGES, stream: true };
    const error = await raised(() => client().chat.completions.create(call));
    same(name, error.constructor.name, wanted);
  }
}

async function aCutStreamIsNeverASuccess() {
  const call = { model: "sim-stream_interrupted", messages: MESSAGES, stream: true };
  let end = null;
  try {
    const stream = await client().chat.completions.create(call);
    for await (const chunk of stream) end = chunk.choices[0]?.finish_reason ?? end;
  } catch (error) {
    // A typed error from a gateway; the bare one of the transport from a provider.
    if (FRONT !== "provider") holds(`${error} is an APIError`, error instanceof sdk.APIError);
    return;
  }
  throw new Error(`a broken stream ended without an error, finish_reason ${end}`);
}

export async function run() {
  for (const row of rows()) await test(`node: error ${row.kind}`, kind, row);
  const all = [
    wrongKey, aForeignOrganizationOrProject, nobodyListens, tooSlowForTheCaller, finalFailuresAreNotRepeatedByTheSdk,
    streamsFailBeforeTheyBegin, aCutStreamIsNeverASuccess,
  ];
  for (const work of all) {
    // Keys and organizations are the provider's business where there is no gateway of ours with keys.
    if (FRONT !== "gateway" && [wrongKey, aForeignOrganizationOrProject].includes(work)) continue;
    await test(`node: ${work.name}`, work);
  }
}
