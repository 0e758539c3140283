//! Money over HTTP: what a call costs is held before it is sent and settled once, whatever ends it,
//! and a hard budget holds under any number of callers.

#[path = "money/admin.rs"]
mod admin;
#[path = "money/provider.rs"]
mod billing;
#[path = "money/families.rs"]
mod families;
#[path = "money/owners.rs"]
mod owners;
#[path = "money/seen.rs"]
mod seen;
#[path = "money/simulated.rs"]
mod simulated;
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use billing::Billing;
use mainstay_core::dice::Dice;
use mainstay_core::money::budget::Every;
use mainstay_core::money::{Price, Quantity, Usd};
use mainstay_core::store::Change::To;
use mainstay_core::store::{
    BudgetOf, BudgetStore, DEFAULT_ORG, LimitPatch, LimitStore, NewBudget, Scope, Scopes, Subject,
    UnixMillis,
};
use mainstay_gateway::config::{Environment, parse};
use mainstay_gateway::first_run::first_run;
use mainstay_gateway::settings::Settings;
use mainstay_gateway::{AdminSettings, Gateway, Ground, Plan, engine_spec};
use mainstay_sim::{Sim, SimConfig};
use mainstay_store::{LedgerFile, LedgerSettings, Sqlite, SqliteLedger, Verified};
use serde_json::Value;
use support::{Caller, TOKEN, add_key, soon, until};
use tempfile::TempDir;

/// Two models with prices that leave no doubt about what was multiplied with what.
const PRICES: &str = "
[[price]]
model = \"sim-model\"
input_per_1m = \"2.50\"
cached_input_per_1m = \"1.25\"
output_per_1m = \"10.00\"
[policy.timeouts]
total = \"20s\"
";

struct Bank {
    gateway: Option<Gateway>,
    store: Arc<Sqlite>,
    folder: TempDir,
    key: String,
    key_id: String,
    addr: SocketAddr,
}

impl Bank {
    /// A gateway with a ledger before `upstream`.
    fn open(upstream: SocketAddr, more: &str) -> Bank {
        Bank::open_in(tempfile::tempdir().expect("a folder"), upstream, more)
    }

    /// The same over a store that may have been used before; with a new key.
    fn open_in(folder: TempDir, upstream: SocketAddr, more: &str) -> Bank {
        let path = folder.path().join("m.db");
        let store = Arc::new(Sqlite::open(&path).expect("a store"));
        let key = add_key(&*store, Scopes::default().with(Scope::Passthrough), None);
        let keys = mainstay_core::store::Store::keys(&*store).expect("keys");
        let key_id = keys.last().expect("one was made").id();
        let text = format!(
            "{more}\n{PRICES}\n[[provider]]\nname = \"up\"\nbase_url = \"http://{upstream}/v1\"\napi_key = \"sk-x\"\n"
        );
        let config = parse("t.toml", &text, &Environment::default()).expect("sound");
        let mut settings = Settings::read(&config).expect("files that can be used");
        (settings.listen, settings.workers) = ("127.0.0.1:0".parse().expect("an address"), 2);
        let token = format!("[admin]\ntoken = \"{TOKEN}\"");
        let admin = parse("t", &token, &Environment::default()).expect("sound");
        let first = first_run(&*store, &admin, false, UnixMillis(0)).expect("a store works");
        let admin = AdminSettings { auth: first.admin, metrics_open: false };
        let ground =
            Ground::take(&settings, "127.0.0.1:0".parse().expect("an address")).expect("ports");
        let ledger = SqliteLedger::open(&path, LedgerSettings::default()).expect("a ledger");
        let plan = Plan {
            settings,
            admin,
            engine: engine_spec(&config, None),
            store: Some(Arc::clone(&store) as Arc<_>),
            ledger: Some(Arc::new(ledger)),
            tail: mainstay_gateway::LogTail::default(),
        };
        let gateway = Gateway::start(ground, plan).expect("the gateway starts");
        let addr = gateway.addr();
        Bank { gateway: Some(gateway), store, folder, key, key_id, addr }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("m.db")
    }

    /// Sets a hard budget of the key and waits until the gateway knows it.
    fn budget(&self, amount: &str) {
        self.set(amount, true);
        self.known();
    }

    /// Waits until the gateway knows all budgets. It looks for them behind the limits, in one turn: when
    /// it has seen a change in the turn after the one of a change, it has looked for both.
    fn known(&self) {
        let gateway = self.gateway.as_ref().expect("it runs");
        for _ in 0..2 {
            add_key(&*self.store, Scopes::default(), None);
            let epoch = mainstay_core::store::Store::epoch(&*self.store).expect("a store works");
            until("the gateway looks", || gateway.limits_epoch() >= epoch);
        }
    }

    fn set(&self, amount: &str, hard: bool) {
        let new = NewBudget {
            of: BudgetOf::Key(self.key_id.clone()),
            amount: Usd::parse(amount).expect("an amount"),
            every: Every::Total,
            zone: "UTC".to_owned(),
            hard,
            alerts: vec![80, 100],
        };
        self.store.set_budget(new, now()).expect("a budget");
    }

    fn request(&self, path: &str, body: &str) -> Vec<u8> {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
        .into_bytes()
    }

    fn post(&self, path: &str, body: &str) -> support::Reply {
        let mut caller = Caller::to(self.addr);
        caller.send(&self.request(path, body));
        caller.answer()
    }

    /// Stops it in good order and gives its ground.
    fn leave(mut self) -> TempDir {
        self.gateway.take().expect("it runs").stop();
        self.folder
    }

    /// Stops it in good order and gives the sum of what was settled.
    fn close(self) -> Usd {
        self.audited().settled
    }

    /// Stops it in good order and gives what its ledger says.
    fn audited(mut self) -> Verified {
        self.gateway.take().expect("it runs").stop();
        let mut file = LedgerFile::open(&self.path()).expect("a ledger");
        let found = file.verify().expect("a sound file");
        assert!(found.is_sound(), "{found:?}");
        assert_eq!(found.open, 0, "every reservation has its end");
        found
    }
}

fn now() -> UnixMillis {
    let millis = jiff::Timestamp::now().as_millisecond();
    UnixMillis(u64::try_from(millis).expect("after 1970"))
}

fn simulator() -> (tokio::runtime::Runtime, Sim) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    let listen = "127.0.0.1:0".parse().expect("an address");
    let sim = runtime.block_on(Sim::start(SimConfig { listen, ..SimConfig::default() }));
    (runtime, sim.expect("the simulator starts"))
}

fn cost(usage: &Value) -> Usd {
    let number = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    let (input, output) = (number("prompt_tokens"), number("completion_tokens"));
    let quantity = Quantity { input, cached, output, requests: 1, ..Quantity::default() };
    Price::tokens(2_500_000, 1_250_000, 10_000_000).cost(&quantity).expect("a small cost")
}

fn text(reply: &support::Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn an_answer_costs_price_times_usage_streamed_or_not() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let whole = bank.post(CHAT, r#"{"model":"gpt-4o","max_tokens":40,"messages":[{"role":"user","content":"hello there"}]}"#);
    assert_eq!(whole.status, 200, "{}", text(&whole));
    let body: Value = serde_json::from_str(&text(&whole)).expect("JSON");
    let one = cost(&body["usage"]);
    assert!(one > Usd::ZERO);
    let streamed = bank.post(CHAT, r#"{"model":"gpt-4o","stream":true,"max_tokens":40,"messages":[{"role":"user","content":"hello there"}]}"#);
    assert_eq!(streamed.status, 200);
    assert!(
        !text(&streamed).contains("\"usage\":{"),
        "usage was asked for on our behalf and is taken out: {}",
        text(&streamed)
    );
    let settled = bank.close();
    assert_eq!(settled, one.plus(one).expect("a sum"), "the same words cost the same");
}

#[test]
fn a_request_that_is_refused_before_it_is_sent_uses_no_quota_and_no_money() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "[limits]\ncount_refused = true\n");
    // What is used does not come back within the test.
    let burst = To(Duration::from_secs(60));
    let patch = LimitPatch { rpm: To(2), tpm: To(10_000), burst, ..LimitPatch::default() };
    let organization = Subject::Organization(DEFAULT_ORG.into());
    bank.store.set_limit(&organization, None, &patch, now()).expect("a limit");
    bank.budget("0.001");
    let long = format!(
        r#"{{"model":"gpt-4","max_tokens":1,"messages":[{{"role":"user","content":"{}"}}]}}"#,
        " the".repeat(9_000)
    );
    for _ in 0..10 {
        let unsound = bank.post(CHAT, r#"{"model":"gpt-4o","max_tokens":"9","messages":[]}"#);
        assert_eq!(unsound.status, 400, "{}", text(&unsound));
        let long = bank.post(CHAT, &long);
        let kind = long.header("x-mainstay-kind");
        assert_eq!(kind, Some("context_length_exceeded"), "{}", text(&long));
        assert_eq!(long.header("x-ratelimit-remaining-requests"), Some("2"));
        assert_eq!(long.header("x-ratelimit-remaining-tokens"), Some("10000"));
    }
    let sound = r#"{"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;
    let first = bank.post(CHAT, sound);
    assert_eq!(first.status, 200, "{}", text(&first));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    let usage: Value = serde_json::from_str(&text(&first)).expect("JSON");
    let ledger = bank.audited();
    assert_eq!(ledger.settled, cost(&usage["usage"]), "one call, and nothing beside it");
    assert_eq!(ledger.ended, 1, "nothing was ever held for the others");
}

#[test]
fn over_budget_is_a_429_that_says_who_can_raise_it() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    bank.budget("0.001");
    let reply = bank.post(
        CHAT,
        r#"{"model":"gpt-4o","max_tokens":4000,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.header("x-mainstay-kind"), Some("insufficient_quota"));
    let error: Value = serde_json::from_str(&text(&reply)).expect("JSON");
    assert_eq!(error["error"]["code"], "insufficient_quota");
    let message = error["error"]["message"].as_str().expect("a message");
    for words in [
        "0.001 USD",
        "are spent",
        "are held",
        "may cost up to",
        "mainstay budget raise --key",
        "It does not reset",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let cheap = bank.post(
        CHAT,
        r#"{"model":"gpt-4o","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#,
    );
    assert_eq!(cheap.status, 200, "{}", text(&cheap));
    let (of, one) = (BudgetOf::Key(bank.key_id.clone()), Usd::parse("1").expect("an amount"));
    let dear =
        r#"{"model":"gpt-4o","max_tokens":4000,"messages":[{"role":"user","content":"hi"}]}"#;
    soon(Duration::from_secs(1), 3, || {
        bank.set("0.001", true);
        until("it is over budget", || bank.post(CHAT, dear).status == 429);
        bank.store.raise_budget(&of, None, one, now()).expect("a budget");
        until("the raise takes effect", || bank.post(CHAT, dear).status == 200)
    });
    bank.close();
}

#[test]
fn what_cannot_be_metered_is_refused_under_a_hard_budget_only() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let cases = [
        (
            "/v1/batches",
            r#"{"input_file_id":"f","endpoint":"/v1/responses","completion_window":"24h"}"#,
            "billed when it is done",
        ),
        ("/v1/fine_tuning/jobs", "{}", "does not know how it is billed"),
        ("/v1/threads/t/runs", r#"{"assistant_id":"a"}"#, "max_completion_tokens"),
        (
            CHAT,
            r#"{"model":"sim-other","messages":[{"role":"user","content":"hi"}]}"#,
            "has no price",
        ),
    ];
    for (path, body, _) in cases {
        assert_ne!(bank.post(path, body).status, 429, "{path} without a budget");
    }
    bank.set("5", false);
    bank.known();
    assert_ne!(bank.post(cases[0].0, cases[0].1).status, 429, "a soft budget refuses nothing");
    bank.budget("5");
    for (path, body, words) in cases {
        let reply = bank.post(path, body);
        assert_eq!(reply.status, 429, "{path}: {}", text(&reply));
        assert!(text(&reply).contains(words), "{path}: {}", text(&reply));
    }
    let free = bank.post("/v1/moderations", r#"{"input":"hi"}"#);
    assert_ne!(free.status, 429, "moderations are free");
    bank.close();
}

#[test]
fn sixty_four_callers_never_overspend_a_hard_budget() {
    const CALLERS: u64 = 64;
    const ROUNDS: u64 = 100;
    let provider = Billing::start();
    let more = "[policy.retry]\nattempts_max = 3\nattempts_per_call_max = 3\n";
    let bank = Arc::new(Bank::open(provider.addr, more));
    let limit = Usd::parse("0.9").expect("an amount");
    bank.budget("0.9");
    let refused = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (bank, refused) = (Arc::clone(&bank), Arc::clone(&refused));
            std::thread::spawn(move || {
                let mut dice = Dice::new(number);
                for round in 0..ROUNDS {
                    let id = number * ROUNDS + round;
                    refused.fetch_add(u64::from(one_call(&bank, &mut dice, id)), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a caller");
    }
    let settled = Arc::into_inner(bank).expect("callers are done").close();
    let bill = provider.bill();
    let quantity = Quantity { input: bill.input, output: bill.output, ..Quantity::default() };
    let billed = Price::tokens(2_500_000, 1_250_000, 10_000_000).cost(&quantity).expect("a cost");
    assert_eq!(settled, billed, "ledger and provider agree to the pico-USD: {bill:?}");
    assert!(settled <= limit, "{settled} of {limit}");
    let refused = refused.load(Ordering::Relaxed);
    assert!(
        refused > 100 && bill.broken > 50,
        "the budget was felt, and streams broke: {refused} {bill:?}"
    );
    assert!(billed > limit.percent(90).expect("a share"), "most of the budget was used: {billed}");
}

/// One call of a random size, form and fate; `true` when the budget refused it.
fn one_call(bank: &Bank, dice: &mut Dice, id: u64) -> bool {
    let stream = dice.below(2) == 0;
    let words = "word ".repeat(usize::try_from(1 + dice.below(60)).expect("small"));
    let most = 2 + dice.below(120);
    let trouble = match (dice.below(12), stream) {
        (0, true) => format!("cut:{}", 1 + dice.below(40)),
        (1, true) => format!("stall:{}", 1 + dice.below(40)),
        (2, _) => "fail".to_owned(),
        (3, _) => "drop".to_owned(),
        (4, _) => "hang".to_owned(),
        (_, _) => String::new(),
    };
    let body = format!(
        r#"{{"model":"sim-model","stream":{stream},"max_tokens":{most},"user":"{trouble}/{id}","messages":[{{"role":"user","content":"{words}"}}]}}"#
    );
    let mut caller = Caller::to(bank.addr);
    caller.send(&bank.request(CHAT, &body));
    if trouble == "hang" {
        // Leaves while he waits for an answer that does not come.
        std::thread::sleep(Duration::from_millis(20));
        return false;
    }
    if !trouble.starts_with("stall") {
        return caller.answer().status == 429;
    }
    let (status, _) = caller.head();
    let mut seen = Vec::new();
    // Leaves in the middle, when all that was told has come.
    while status == 200 && !seen.windows(7).any(|seven| seven == b"STALLED") {
        let piece = caller.piece();
        assert!(!piece.is_empty(), "the stream ends: {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece);
    }
    status == 429
}
