// A hard budget that is spent: the class, the code, and that the SDK leaves it at one try.

import { execFileSync } from "node:child_process";
import { MESSAGES, client } from "./calls.mjs";
import { FRONT, holds, same, sdk, sends, test } from "./harness.mjs";
import { known } from "./keys.mjs";

const MODEL = "gpt-4o";

// What `mainstay` prints, on the store of the gateway under test.
function tool(...args) {
  return execFileSync(process.env.MAINSTAY_BIN, args, { encoding: "utf8" });
}

// A key with a budget below the price of any answer.
async function overBudget() {
  const made = JSON.parse(tool("key", "create", "--name", "poor", "--json"));
  tool("budget", "set", "--key", made.id, "--amount", "0.000001", "--period", "month");
  await known();
  let tries = 0;
  const counted = (...args) => {
    tries += 1;
    return fetch(...args);
  };
  const before = await sends(MODEL);
  const one = client({ apiKey: made.key, maxRetries: 2, fetch: counted });
  const error = await one.chat.completions.create({ model: MODEL, messages: MESSAGES }).catch((e) => e);
  holds(`${error} is a RateLimitError`, error instanceof sdk.RateLimitError);
  same("status", error.status, 429);
  same("code", error.code, "insufficient_quota");
  same("x-should-retry", error.headers.get("x-should-retry"), "false");
  same("tries of the SDK", tries, 1);
  for (const words of ["mainstay budget raise", "0.000001 USD a month", "It resets at"]) {
    holds(`${words} is in ${error.message}`, error.message.includes(words));
  }
  same("calls that reached the provider", (await sends(MODEL)) - before, 0);
}

// Calls whose cost cannot be told, under a hard budget.
async function whatCannotBePricedOrMetered() {
  const made = JSON.parse(tool("key", "create", "--name", "rich", "--json"));
  tool("budget", "set", "--key", made.id, "--amount", "5", "--period", "total");
  await known();
  const one = client({ apiKey: made.key, maxRetries: 2 });
  const thread = await one.beta.threads.create();
  const assistant = await one.beta.assistants.create({ model: MODEL });
  const calls = [
    ["has no price", () => one.chat.completions.create({ model: "node-never-priced", messages: MESSAGES })],
    ["max_completion_tokens", () => one.beta.threads.runs.create(thread.id, { assistant_id: assistant.id })],
  ];
  for (const [words, call] of calls) {
    const error = await call().catch((e) => e);
    holds(`${error} is a RateLimitError`, error instanceof sdk.RateLimitError);
    same("code", error.code, "insufficient_quota");
    same("x-should-retry", error.headers.get("x-should-retry"), "false");
    holds(`${words} is in ${error.message}`, error.message.includes(words));
  }
  same("calls that reached the provider", await sends("node-never-priced"), 0);
}

export async function run() {
  if (FRONT !== "gateway") return;
  await test("node: a spent budget", overBudget);
  await test("node: what cannot be priced or metered", whatCannotBePricedOrMetered);
}
