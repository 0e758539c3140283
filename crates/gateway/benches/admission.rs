//! What a call pays before it is sent and after it is over: its key, its limits, its budgets, the ledger's
//! hold and settlement. Gateway and ledger together, time and allocations.

use std::sync::Arc;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use http::header;
use mainstay::Fields;
use mainstay_core::money::Usd;
use mainstay_core::money::budget::Every;
use mainstay_core::store::{
    BudgetOf, BudgetStore, Change, Durability, LimitPatch, LimitStore, NewBudget, NewKey, Scopes,
    Store, Subject, UnixMillis,
};
use mainstay_gateway::config::{Environment, parse};
use mainstay_gateway::engine_spec;
use mainstay_gateway::rehearsal::Rehearsal;
use mainstay_gateway::settings::Settings;
use mainstay_store::{LedgerSettings, Sqlite, SqliteLedger, digest, mint};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A gateway's part with a key, three limits and three budgets, and its ground.
struct World {
    rehearsal: Arc<Rehearsal>,
    headers: Fields,
    _folder: TempDir,
}

const CONFIG: &str = "
[[provider]]
name = \"up\"
base_url = \"http://127.0.0.1:9/v1\"
api_key = \"sk-x\"
";

fn world(durability: Durability) -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.db");
    let store = Sqlite::open(&path).expect("a store");
    let text = mint().expect("random bytes");
    let new = NewKey {
        public: text.public(),
        digest: digest(text.secret().as_bytes()),
        name: "k".to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    };
    let key = store.create_key(new, UnixMillis(0)).expect("a key");
    let subjects = [
        Subject::Organization("default".into()),
        Subject::Project("default".into()),
        Subject::Key(key.public),
    ];
    let many = LimitPatch {
        rpm: Change::To(1_000_000_000),
        tpm: Change::To(1_000_000_000_000),
        concurrency: Change::To(1_000_000),
        ..LimitPatch::default()
    };
    for subject in &subjects {
        store.set_limit(subject, None, &many, UnixMillis(0)).expect("a limit");
    }
    let owners = [
        BudgetOf::Organization("default".to_owned()),
        BudgetOf::Project("default".to_owned()),
        BudgetOf::Key(key.id()),
    ];
    for of in owners {
        let amount = Usd::parse("1000000000").expect("an amount");
        let (every, zone) = (Every::Month, "UTC".to_owned());
        let new = NewBudget { of, amount, every, zone, hard: true, alerts: vec![80, 100] };
        store.set_budget(new, UnixMillis(0)).expect("a budget");
    }
    let config = parse("b.toml", CONFIG, &Environment::default()).expect("sound");
    let settings = LedgerSettings { durability, ..LedgerSettings::default() };
    let ledger = Arc::new(SqliteLedger::open(&path, settings).expect("a ledger"));
    let engine = engine_spec(&config, None);
    let rehearsal = Rehearsal::new(Settings::of(&config), engine, &store, ledger).expect("a store");
    let mut headers = Fields::default();
    let bearer = format!("Bearer {}", text.expose()).parse().expect("a header");
    headers.insert(header::AUTHORIZATION, bearer);
    let made = World { rehearsal: Arc::new(rehearsal), headers, _folder: folder };
    // Budgets refuse until their past is known.
    while runtime().block_on(made.rehearsal.call(&made.headers, body())).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    made
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn body() -> Bytes {
    Bytes::from_static(br#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hello there"}]}"#)
}

/// The key alone.
#[divan::bench]
fn key(bencher: Bencher<'_, '_>) {
    let world = world(Durability::Batched);
    bencher.bench_local(|| world.rehearsal.authenticate(black_box(&world.headers)));
}

/// Everything, one call after the other: each waits for its own hold.
#[divan::bench(args = ["batched", "process"])]
fn one_call(bencher: Bencher<'_, '_>, mode: &str) {
    let world = world(durability(mode));
    let runtime = runtime();
    bencher
        .bench_local(|| runtime.block_on(world.rehearsal.call(black_box(&world.headers), body())));
}

/// Everything, 64 calls at once on one core: their holds are written together.
#[divan::bench(args = ["batched", "process"])]
fn sixty_four_calls(bencher: Bencher<'_, '_>, mode: &str) {
    const CALLS: usize = 64;
    let world = world(durability(mode));
    let runtime = runtime();
    bencher.counter(ItemsCount::new(CALLS)).bench_local(|| {
        let here = tokio::task::LocalSet::new();
        here.block_on(&runtime, async {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..CALLS {
                let (rehearsal, headers) = (Arc::clone(&world.rehearsal), world.headers.clone());
                calls.spawn_local(async move { rehearsal.call(&headers, body()).await });
            }
            while let Some(done) = calls.join_next().await {
                assert!(done.is_ok_and(|done| done.is_ok()), "it is admitted");
            }
        });
    });
}

fn durability(mode: &str) -> Durability {
    if mode == "process" { Durability::Process } else { Durability::Batched }
}
