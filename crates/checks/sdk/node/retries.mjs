// The SDK with its own default retries before the gateway: what reaches the provider for each call.
// Two owners of retries multiply; the gateway makes the attempts, and tells the SDK to make none.

import { CHAT, MESSAGES } from "./calls.mjs";
import { BASE_URL, FRONT, KEY, OpenAI, SIM_URL, holds, same, sends, test } from "./harness.mjs";

// What the gateway of these suites makes of one call at most: `attempts_per_call_max`.
const ATTEMPTS_MAX = 3;
const CALLS = 2;

// The client as it comes: two retries of its own.
function patient() {
  const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, timeout: 30_000 });
  same("default retries", client.maxRetries, 2);
  return client;
}

async function failing(kind, most) {
  const model = `sim-${kind}`;
  const before = await sends(model);
  for (let n = 0; n < CALLS; n += 1) {
    let failed = false;
    await patient().chat.completions.create({ model, messages: MESSAGES }).catch(() => { failed = true; });
    holds("a call that fails was answered", failed);
  }
  const each = ((await sends(model)) - before) / CALLS;
  console.log(`     ${FRONT}: ${kind}: ${each.toFixed(1)} attempts a call`);
  if (FRONT !== "provider") holds(`${each} attempts a call, at most ${most}`, each <= most);
}

async function scenario(text) {
  const answer = await fetch(`${SIM_URL}/sim/scenario`, { method: "PUT", body: text });
  holds(`the scenario is taken: ${answer.status}`, answer.ok);
}

// One answer in five fails, and no call does.
async function brownOut() {
  const calls = 40;
  let attempts = 0;
  await scenario('seed = 3\n[[fault]]\nkind = "internal_error"\nshare = 0.2\n');
  try {
    const client = patient();
    for (let n = 0; n < calls; n += 1) {
      await client.chat.completions.create({ model: CHAT, messages: MESSAGES });
    }
    attempts = (await (await fetch(`${SIM_URL}/sim/stats`)).json()).attempts;
  } finally {
    await scenario("");
  }
  const each = attempts / calls;
  console.log(`     ${FRONT}: one answer in five fails: ${each.toFixed(2)} attempts a call`);
  // What is failed has to be sent again, once: 1 / 0.8, and as much again for chance.
  holds(`${each} attempts a call`, each <= 1.5);
}

export async function run() {
  const rows = [
    ["invalid_request", 1], ["insufficient_quota", 1], ["model_not_found", 1],
    ["internal_error", ATTEMPTS_MAX], ["overloaded", ATTEMPTS_MAX], ["service_unavailable", ATTEMPTS_MAX],
    ["bad_gateway", ATTEMPTS_MAX], ["rate_limit_requests", ATTEMPTS_MAX],
  ];
  for (const [kind, most] of rows) await test(`node: default retries, ${kind}`, failing, kind, most);
  await test("node: default retries in a brown-out", brownOut);
}
