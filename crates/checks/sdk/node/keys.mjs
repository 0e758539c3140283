// Keys that do not work, and places they do not work from: the class that the official SDK raises.

import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { CHAT, MESSAGES, client } from "./calls.mjs";
import { FRONT, holds, same, sdk, sends, test } from "./harness.mjs";

// Longest wait until a running gateway has noticed a change, in milliseconds.
const NOTICED = 5_000;

// What `mainstay --json` prints, on the store of the gateway under test.
function tool(...args) {
  const command = [...args, "--json"];
  const out = execFileSync(process.env.MAINSTAY_BIN, command, { encoding: "utf8", stdio: "pipe", timeout: 20_000 });
  return JSON.parse(out || "null");
}

// A key that works.
async function newKey(...args) {
  const made = tool("key", "create", "--name", "k", ...args);
  for (const deadline = Date.now() + NOTICED; Date.now() < deadline; await sleep(50)) {
    const works = await client({ apiKey: made.key }).models.list().then(() => true, () => false);
    if (works) return made;
  }
  throw new Error("a new key is not noticed");
}

// Waits until the gateway knows all that is in the store by now. In one turn it looks for keys, then for limits and
// budgets: the second key is seen in a later one than the first.
export async function known() {
  for (let count = 0; count < 2; count += 1) await newKey();
}

// A call, to be made with an SDK as patient as by default; it counts its tries.
function counted(key, work, headers = {}) {
  const call = async () => {
    call.tries = 0;
    const counting = (...args) => {
      call.tries += 1;
      return fetch(...args);
    };
    return work(client({ apiKey: key, maxRetries: 2, fetch: counting, defaultHeaders: headers }));
  };
  return call;
}

function chat(key, { model = CHAT, ...headers } = {}) {
  return counted(key, (one) => one.chat.completions.create({ model, messages: MESSAGES }), headers);
}

// The error of a call that must not reach the provider, once the gateway knows why.
async function check(call, type, status, kind, code) {
  const deadline = Date.now() + NOTICED;
  const seen = async () => (await call().catch((error) => error)).headers?.get("x-mainstay-kind");
  while ((await seen()) !== kind) {
    if (Date.now() > deadline) throw new Error(`it is not refused as ${kind}`);
    await sleep(50);
  }
  const before = await sends(CHAT);
  const error = await call().catch((raised) => raised);
  holds(`${error} is a ${type.name}`, error instanceof type);
  same("status", error.status, status);
  same("code", error.code, code);
  same("x-should-retry", error.headers.get("x-should-retry"), "false");
  same("tries of the SDK", call.tries, 1);
  same("sends", (await sends(CHAT)) - before, 0);
}

const unauthorized = (call, kind, code) => check(call, sdk.AuthenticationError, 401, kind, code);
const denied = (call, kind, code) => check(call, sdk.PermissionDeniedError, 403, kind, code);

async function aMistypedKey() {
  const { key } = await newKey();
  const last = key.endsWith("a") ? "b" : "a";
  await unauthorized(chat(key.slice(0, -1) + last), "incorrect_api_key", "invalid_api_key");
}

async function anExpiredKey() {
  const { key } = await newKey("--expires", "1s");
  await unauthorized(chat(key), "expired_api_key", "expired_api_key");
}

async function aRevokedKey() {
  const { id, key } = await newKey();
  tool("key", "revoke", id);
  await unauthorized(chat(key), "revoked_api_key", "revoked_api_key");
}

async function aRotatedKeyAfterItsGrace() {
  const { id, key } = await newKey();
  tool("key", "rotate", id, "--grace", "0s");
  await unauthorized(chat(key), "revoked_api_key", "revoked_api_key");
}

async function aMemberWhoWasRemoved() {
  tool("user", "create", "node-leaver");
  tool("org", "member", "add", "default", "node-leaver");
  const { key } = await newKey("--user", "node-leaver");
  tool("org", "member", "remove", "default", "node-leaver");
  await unauthorized(chat(key), "not_organization_member", "invalid_organization");
}

async function aKeyWithoutTheScope() {
  for (const scopes of ["models,embeddings", "models,chat,read_only"]) {
    const { key } = await newKey("--scopes", scopes);
    await denied(chat(key), "permission_denied", "permission_denied");
  }
}

async function aModelTheKeyMayNotUse() {
  const { key } = await newKey("--models", "gpt-4o*");
  const call = chat(key, { model: "o9" });
  await check(call, sdk.BadRequestError, 400, "model_access_denied", "model_not_supported");
}

// Two projects that may not be used from everywhere; the file is read again when it changes.
async function aCountryAndAnAddressThatMayNotCall() {
  const keys = [];
  for (const name of ["node-abroad", "node-elsewhere"]) {
    tool("project", "create", name, "--org", "default");
    keys.push((await newKey("--project", name)).key);
  }
  const rules = [
    '\n[[access]]\nproject = "node-abroad"\ncountries_deny = ["KP"]\n',
    '\n[[access]]\nproject = "node-elsewhere"\ncidr_allow = ["192.0.2.0/24"]\n',
  ];
  appendFileSync("mainstay.toml", rules.join(""));
  const [abroad, elsewhere] = keys;
  const far = { "x-forwarded-for": "198.51.100.7", "x-country": "KP" };
  await denied(chat(abroad, far), "unsupported_region", "unsupported_country_region_territory");
  await unauthorized(chat(elsewhere, far), "ip_not_authorized", "ip_not_authorized");
  await chat(abroad, { ...far, "x-country": "FR" })();
  await chat(elsewhere, { ...far, "x-forwarded-for": "192.0.2.9" })();
}

async function whatAnotherProjectHasMade() {
  tool("project", "create", "node-maker", "--org", "default");
  const maker = client({ apiKey: (await newKey("--project", "node-maker")).key });
  const file = await maker.files.create({ file: new File(["{}"], "a.jsonl"), purpose: "batch" });
  const strangers = (await newKey()).key;
  for (const name of ["retrieve", "delete", "content"]) {
    const call = counted(strangers, (one) => one.files[name](file.id));
    await check(call, sdk.NotFoundError, 404, "not_found", "not_found");
  }
  const listed = await client({ apiKey: strangers }).files.list();
  same("its list", listed.data.length, 0);
  same("its maker's", (await maker.files.retrieve(file.id)).id, file.id);
}

async function whatReachesAllProjects() {
  const { key } = await newKey();
  await denied(counted(key, (one) => one.get("/organization/users")), "permission_denied", "permission_denied");
}

// Where the gateway knows its callers by keys of ours.
export async function run() {
  if (FRONT !== "gateway") return;
  const all = [
    aMistypedKey, anExpiredKey, aRevokedKey, aRotatedKeyAfterItsGrace, aMemberWhoWasRemoved, aKeyWithoutTheScope,
    aModelTheKeyMayNotUse, aCountryAndAnAddressThatMayNotCall, whatAnotherProjectHasMade, whatReachesAllProjects,
  ];
  for (const work of all) await test(`node: ${work.name}`, work);
}
