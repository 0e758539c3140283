//! Money and the store on the page of metrics: what calls cost, what budgets refuse, and a store that
//! fails under a running gateway.

use std::process::Command;

use serde_json::Value;

use super::support::{Caller, TOKEN, until};
use super::{Bank, CHAT, simulator, text};

const HI: &str =
    r#"{"model":"gpt-4o","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;

fn admin(bank: &Bank, path: &str) -> String {
    let gateway = bank.gateway.as_ref().expect("it runs");
    let mut caller = Caller::to(gateway.admin_addr());
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    caller.send(head.as_bytes());
    text(&caller.answer())
}

/// The value of a metric, once what is over is counted.
#[track_caller]
fn metric(bank: &Bank, name: &str) -> String {
    admin(bank, "/mainstay/requests");
    let page = admin(bank, "/metrics");
    let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} is not in\n{page}")).to_owned()
}

/// Speaks to the store's file as somebody else.
fn sql(bank: &Bank, script: &str) {
    let program = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    let path = bank.path();
    let done = Command::new("python3").args(["-c", program]).arg(path).arg(script).output();
    let done = done.expect("Python is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn costs_refusals_and_the_ledger_are_on_the_page() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let reply = bank.post(CHAT, HI);
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let id = reply.header("x-request-id").expect("an id");
    let record: Value =
        serde_json::from_str(&admin(&bank, &format!("/mainstay/requests/{id}"))).expect("JSON");
    let cost: f64 = record["cost_usd"].as_str().expect("a cost").parse().expect("an amount");
    let told = metric(&bank, r#"mainstay_cost_usd_total{provider="up"}"#);
    let told: f64 = told.parse().expect("a number");
    assert!(cost > 0.0 && (told - cost).abs() < 1e-12, "{told} is not {cost}");
    bank.budget("0.000001");
    assert_eq!(bank.post(CHAT, HI).status, 429);
    assert_eq!(metric(&bank, "mainstay_budget_refusals_total"), "1");
    until("the ledger is written", || metric(&bank, "mainstay_ledger_waiting") == "0");
    for name in ["mainstay_ledger_open", "mainstay_ledger_failing", "mainstay_store_failing"] {
        assert_eq!(metric(&bank, name), "0", "{name}");
    }
}

#[test]
fn a_store_that_fails_is_on_the_page_and_raises_an_alert_that_ends() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "[alerts]\nstore_after = \"0s\"\ncalm = \"0s\"\n");
    let raised = || admin(&bank, "/mainstay/alerts").contains("\"rule\":\"store_degraded\"");
    let active = || {
        let all: Value = serde_json::from_str(&admin(&bank, "/mainstay/alerts")).expect("JSON");
        all["active"].as_array().expect("a list").len()
    };
    assert_eq!(metric(&bank, "mainstay_records_failing"), "0");
    assert!(!raised());
    let away = |table: &str| format!("ALTER TABLE {table} RENAME TO {table}_away;");
    sql(&bank, &(away("epoch") + &away("request_batch")));
    assert_eq!(bank.post(CHAT, HI).status, 200, "calls go on");
    until("the page tells", || {
        ["mainstay_store_failing", "mainstay_records_failing"]
            .iter()
            .all(|name| metric(&bank, name) == "1")
    });
    assert_ne!(metric(&bank, "mainstay_records_waiting"), "0", "records wait for the store");
    until("somebody is told", || active() > 0 && raised());
    let back = |table: &str| format!("ALTER TABLE {table}_away RENAME TO {table};");
    sql(&bank, &(back("epoch") + &back("request_batch")));
    until("it is over", || {
        ["mainstay_store_failing", "mainstay_records_failing", "mainstay_records_waiting"]
            .iter()
            .all(|name| metric(&bank, name) == "0")
            && active() == 0
    });
}
