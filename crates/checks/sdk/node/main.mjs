// The official Node SDK against a gateway: what has to work, and how each error arrives.
// Needs the pinned `openai` package and MAINSTAY_BASE_URL, MAINSTAY_KEY, SIM_URL; see ../README.md.

import * as calls from "./calls.mjs";
import * as errors from "./errors.mjs";
import * as keys from "./keys.mjs";
import * as limits from "./limits.mjs";
import * as money from "./money.mjs";
import * as retries from "./retries.mjs";
import { VERSION, finish, holds, same, test } from "./harness.mjs";

const PINNED = "7.55.0";

await test("node: the SDK is the pinned one", () => {
  same("version", VERSION, PINNED);
  holds(`Node ${process.version} is 22 or newer`, Number(process.versions.node.split(".")[0]) >= 22);
});
await calls.run();
await errors.run();
await keys.run();
await limits.run();
await money.run();
await retries.run();
process.exit(finish());
