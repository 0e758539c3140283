// The gateway's own limits and idempotency keys, as the official SDK meets them.

import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { MESSAGES, client } from "./calls.mjs";
import { FRONT, holds, same, sdk, sends, test } from "./harness.mjs";
import { known } from "./keys.mjs";

// Sets a limit of the default organization for one model, and lets the gateway hear of it.
async function limit(model, ...words) {
  const command = ["limit", "set", "--org", "default", "--model", model, ...words];
  execFileSync(process.env.MAINSTAY_BIN, command, { stdio: "pipe", timeout: 20_000 });
  await known();
}

function chat(model, { one = client(), headers, ...more } = {}) {
  return one.chat.completions.create({ model, messages: MESSAGES, ...more }, { headers });
}

async function refused(work, code, kind) {
  try {
    await work();
  } catch (error) {
    holds(`${error} is a RateLimitError`, error instanceof sdk.RateLimitError);
    same("code", error.code, code);
    same("x-mainstay-kind", error.headers.get("x-mainstay-kind"), kind);
    same("x-mainstay-origin", error.headers.get("x-mainstay-origin"), "mainstay");
    return error;
  }
  throw new Error("no RateLimitError was raised");
}

async function requestsPerMinute() {
  await limit("node-rpm", "--rpm", "1");
  const { response } = await chat("node-rpm").withResponse();
  same("limit", response.headers.get("x-ratelimit-limit-requests"), "1");
  same("remaining", response.headers.get("x-ratelimit-remaining-requests"), "0");
  const error = await refused(() => chat("node-rpm"), "rate_limit_exceeded", "rate_limit_requests");
  const wait = Number(error.headers.get("retry-after"));
  holds(`retry-after ${wait} is a minute at most`, wait >= 1 && wait <= 60);
  same("sends", await sends("node-rpm"), 1);
}

async function requestsPerDay() {
  await limit("node-rpd", "--rpd", "1");
  await chat("node-rpd");
  const one = client({ maxRetries: 2 });
  const error = await refused(() => chat("node-rpd", { one }), "rate_limit_exceeded", "rate_limit_requests");
  const wait = Number(error.headers.get("retry-after"));
  holds(`retry-after ${wait} is a day at most`, wait > 86_000 && wait <= 86_400);
  same("x-should-retry", error.headers.get("x-should-retry"), "false");
  same("sends", await sends("node-rpd"), 1);
}

async function tokensPerMinute() {
  await limit("node-tpm", "--tpm", "100");
  const many = async () => {
    for (let count = 0; count < 30; count += 1) await chat("node-tpm");
  };
  const error = await refused(many, "rate_limit_exceeded", "rate_limit_tokens");
  same("limit", error.headers.get("x-ratelimit-limit-tokens"), "100");
  const large = () => chat("node-tpm", { one: client({ maxRetries: 2 }), max_tokens: 500 });
  const tooLarge = await refused(large, "request_too_large", "request_too_large");
  same("x-should-retry", tooLarge.headers.get("x-should-retry"), "false");
}

async function callsAtOnce() {
  await limit("sim-slow", "--concurrency", "1");
  const before = await sends("sim-slow");
  // Its answer takes longer than this gateway waits; it holds its place until then.
  const first = chat("sim-slow").catch(() => {});
  for (let turn = 0; turn < 500 && (await sends("sim-slow")) === before; turn += 1) await sleep(10);
  await refused(() => chat("sim-slow"), "concurrent_limit_exceeded", "concurrent_limit");
  await first;
}

async function theSdkWaitsAsLongAsItIsTold() {
  await limit("node-burst", "--rpm", "120", "--burst", "500ms");
  const one = client({ maxRetries: 2 });
  for (let count = 0; count < 3; count += 1) await chat("node-burst", { one });
  same("sends", await sends("node-burst"), 3);
}

async function anIdempotencyKeyIsCarriedOutOnce() {
  const headers = { "Idempotency-Key": randomUUID() };
  const first = await chat("node-once", { headers });
  const { data, response } = await chat("node-once", { headers }).withResponse();
  same("id", data.id, first.id);
  same("replay", response.headers.get("x-mainstay-idempotent-replay"), "true");
  same("sends", await sends("node-once"), 1);
}

async function aReusedIdempotencyKeyIsAConflict() {
  const headers = { "Idempotency-Key": randomUUID() };
  await chat("node-reused", { headers });
  try {
    await chat("node-reused", { headers, temperature: 0.5 });
  } catch (error) {
    holds(`${error} is a ConflictError`, error instanceof sdk.ConflictError);
    same("code", error.code, "conflict");
    same("sends", await sends("node-reused"), 1);
    return;
  }
  throw new Error("no ConflictError was raised");
}

async function aBodyLargerThanAnyMayBe() {
  const large = [{ role: "user", content: "x".repeat(64 << 20) }];
  const error = await client({ maxRetries: 2 }).chat.completions
    .create({ model: "large", messages: large }).catch((raised) => raised);
  same("class", error.constructor.name, "APIError");
  same("status", error.status, 413);
  same("x-mainstay-kind", error.headers.get("x-mainstay-kind"), "request_too_large");
}

// Where the gateway knows its callers by keys of ours.
export async function run() {
  if (FRONT !== "gateway") return;
  const all = [
    requestsPerMinute, requestsPerDay, tokensPerMinute, callsAtOnce, theSdkWaitsAsLongAsItIsTold,
    anIdempotencyKeyIsCarriedOutOnce, aReusedIdempotencyKeyIsAConflict, aBodyLargerThanAnyMayBe,
  ];
  for (const work of all) await test(`node: ${work.name}`, work);
}
