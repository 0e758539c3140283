// Cases, their results, and the simulator's count of what it was sent. A case is a function; it
// fails by throwing. Each prints a line; the last line of a run is `N passed, N failed`.

import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const BASE_URL = process.env.MAINSTAY_BASE_URL;
export const KEY = process.env.MAINSTAY_KEY;
export const SIM_URL = process.env.SIM_URL;
// "gateway", "pass" or "provider": see harness.py.
export const FRONT = process.env.MAINSTAY_FRONT ?? "gateway";

// npm put the SDK into the build directory, not beside this file.
const modules = process.env.MAINSTAY_NODE_MODULES ?? path.join(process.cwd(), "node_modules");
const require = createRequire(path.join(modules, "x.js"));
const entry = require.resolve("openai", { paths: [path.dirname(modules)] });
export const sdk = await import(pathToFileURL(entry).href);
export const OpenAI = sdk.OpenAI ?? sdk.default;
export const VERSION = require(path.join(modules, "openai", "package.json")).version;

let passed = 0;
let failed = 0;

export async function test(name, work, ...args) {
  try {
    await work(...args);
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    const where = (error?.stack ?? "").split("\n").find((line) => line.includes(".mjs")) ?? "";
    console.log(`FAIL ${name}: ${error?.name}: ${error?.message} ${where.trim()}`);
  }
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

export function same(what, got, want) {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
  if (g !== w) throw new Error(`${what} is ${g}, wanted ${w}`);
}

export function holds(what, condition) {
  if (!condition) throw new Error(what);
}

export async function sends(model) {
  const answer = await fetch(`${SIM_URL}/sim/stats`);
  const stats = await answer.json();
  return Number(stats.models?.[model] ?? 0);
}
