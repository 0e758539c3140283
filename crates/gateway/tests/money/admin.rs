//! Limits, budgets and usage over the administration API: what is set there holds for calls, within
//! a second and with a record of who set it.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Caller, Reply, TOKEN, until};
use super::{Bank, CHAT, simulator, text};

const HI: &str =
    r#"{"model":"gpt-4o","max_tokens":40,"messages":[{"role":"user","content":"hi"}]}"#;

fn ask(bank: &Bank, method: &str, path: &str, body: &Value) -> Reply {
    let gateway = bank.gateway.as_ref().expect("it runs");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut caller = Caller::to(gateway.admin_addr());
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {length}\r\n\r\n"
    );
    caller.send((head + &body).as_bytes());
    caller.answer()
}

#[track_caller]
fn done(bank: &Bank, method: &str, path: &str, body: &Value) -> Value {
    let reply = ask(bank, method, path, body);
    assert_eq!(reply.status, 200, "{method} {path}: {}", text(&reply));
    reply.json()
}

#[track_caller]
fn refused(bank: &Bank, method: &str, path: &str, body: &Value, status: u16, param: &str) {
    let reply = ask(bank, method, path, body);
    assert_eq!(reply.status, status, "{method} {path} {body}: {}", text(&reply));
    let found = reply.json()["error"]["param"].as_str().unwrap_or("").to_owned();
    assert_eq!(found, param, "{method} {path} {body}: {}", text(&reply));
}

fn verbs(bank: &Bank) -> Vec<String> {
    let changes = done(bank, "GET", "/mainstay/audit?limit=1000", &Value::Null);
    let all = changes["data"].as_array().expect("a list").iter();
    let by_token = all.filter(|change| change["who"] == "token");
    by_token.map(|change| change["verb"].as_str().expect("a verb").to_owned()).collect()
}

#[test]
fn a_budget_set_over_the_api_holds_is_raised_and_is_taken_away() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let new = json!({"key": bank.key_id, "amount_usd": "0.0001", "period": "day", "zone": "Europe/Berlin", "alerts": [50]});
    let budget = done(&bank, "POST", "/mainstay/budgets", &new);
    let path = format!("/mainstay/budgets/{}", budget["id"]);
    assert_eq!((&budget["hard"], &budget["alerts"]), (&json!(true), &json!([50])));
    assert!(budget["resets_at"].is_string(), "{budget}");
    until("the budget refuses", || bank.post(CHAT, HI).status == 429);
    let raised = done(&bank, "POST", &format!("{path}/raise"), &json!({"amount_usd": "1"}));
    assert_eq!((&raised["credits_usd"], &raised["limit_usd"]), (&json!("1.00"), &json!("1.0001")));
    until("the raise takes effect", || bank.post(CHAT, HI).status == 200);
    until("what was spent is told", || {
        done(&bank, "GET", &path, &Value::Null)["spent_usd"] != "0.00"
    });
    let mine = format!("/mainstay/budgets?key={}", bank.key_id);
    let listed = done(&bank, "GET", &mine, &Value::Null);
    assert_eq!((&listed["data"][0]["id"], &listed["data"][1]), (&budget["id"], &Value::Null));
    let others = done(&bank, "GET", "/mainstay/budgets?org=default", &Value::Null);
    assert_eq!(others["data"], json!([]), "a key's budget is not the organization's own");
    done(&bank, "DELETE", &path, &Value::Null);
    refused(&bank, "GET", &path, &Value::Null, 404, "");
    let want = ["budget.remove", "budget.raise", "budget.set"];
    assert_eq!(verbs(&bank), want);
    let last = &done(&bank, "GET", "/mainstay/audit?limit=1", &Value::Null)["data"][0];
    assert_eq!((&last["subject"], &last["after"]), (&json!(bank.key_id), &Value::Null));
    assert_eq!(last["before"]["credits_usd"], "1.00");
    bank.close();
}

#[test]
fn a_limit_set_over_the_api_holds_changes_part_by_part_and_is_removed() {
    let (_runtime, sim) = simulator();
    let tier = "[[tier]]\nname = \"small\"\nrpm = 3\n[[tier]]\nname = \"free\"\nmodel = \"gpt-*\"\nrpm = 7\n[limits]\ndefault_tier = \"free\"\n";
    let bank = Bank::open(sim.addr(), tier);
    let new = json!({"project": "default", "rpm": 1, "tpm": 100_000, "burst": "10s"});
    let limit = done(&bank, "POST", "/mainstay/limits", &new);
    assert_eq!((&limit["rpm"], &limit["burst"]), (&json!(1), &json!("10s")));
    until("the limit refuses", || bank.post(CHAT, HI).status == 429);
    let changed =
        done(&bank, "POST", "/mainstay/limits", &json!({"project": "default", "rpm": null}));
    let parts = (&changed["id"], &changed["rpm"], &changed["tpm"]);
    assert_eq!(parts, (&limit["id"], &Value::Null, &json!(100_000)));
    until("it does not refuse", || bank.post(CHAT, HI).status == 200);
    let listed = done(&bank, "GET", "/mainstay/limits?project=default", &Value::Null);
    assert_eq!(listed["data"][0]["state"][0]["measure"], "tpm", "{listed}");
    done(&bank, "DELETE", &format!("/mainstay/limits/{}", limit["id"]), &Value::Null);
    assert_eq!(done(&bank, "GET", "/mainstay/limits", &Value::Null)["data"], json!([]));

    let tiers = done(&bank, "GET", "/mainstay/tiers", &Value::Null);
    assert_eq!(tiers["data"][0]["limits"][0]["rpm"], 3, "{tiers}");
    let given = done(&bank, "POST", "/mainstay/tiers/small/give", &json!({"key": bank.key_id}));
    assert_eq!((&given["data"][0]["tier"], &given["data"][0]["rpm"]), (&json!("small"), &json!(3)));
    let made = ask(&bank, "POST", "/mainstay/orgs", &json!({"name": "acme"}));
    assert_eq!(made.status, 201);
    let hers = done(&bank, "GET", "/mainstay/limits?org=acme", &Value::Null);
    assert_eq!(hers["data"][0]["tier"], "free", "a new organization gets the default tier");
    let want = ["limit.set", "org.create", "limit.set", "limit.remove", "limit.set", "limit.set"];
    assert_eq!(verbs(&bank), want);
    bank.close();
}

#[test]
fn usage_is_told_by_key_model_and_day_for_all_or_one() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    for _ in 0..2 {
        assert_eq!(bank.post(CHAT, HI).status, 200);
    }
    let line = |query: &str| done(&bank, "GET", &format!("/mainstay/usage{query}"), &Value::Null);
    until("both are settled", || line("")["data"][0]["requests"] == 2);
    for (by, id) in [("key", &*bank.key_id), ("project", "proj_default"), ("model", "gpt-4o")] {
        let lines = line(&format!("?by={by}&since=24h&key={}", bank.key_id));
        let (first, more) = (&lines["data"][0], &lines["data"][1]);
        assert_eq!((&first["id"], more), (&json!(id), &Value::Null), "{lines}");
        assert!(first["input_tokens"].as_u64() > Some(0), "{first}");
    }
    let day = line("?by=day")["data"][0]["id"].as_str().expect("a day").to_owned();
    assert_eq!(day.len(), 10, "{day}");
    let cost = line("?by=day")["data"][0]["cost_usd"].as_str().expect("a cost").to_owned();
    assert_eq!(bank.close().to_string(), cost, "the sum of a day is what was settled");
}

#[test]
fn what_cannot_be_set_says_which_field_and_why() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let budgets = [
        (json!({"amount_usd": "1"}), 400, "org"),
        (json!({"amount_usd": "1", "org": "default", "key": "k"}), 400, "org"),
        (json!({"amount_usd": "1.5e3", "org": "default"}), 400, "amount_usd"),
        (json!({"amount_usd": "1", "org": "default", "period": "year"}), 400, "period"),
        (json!({"amount_usd": "1", "org": "default", "zone": "No/Where"}), 400, "zone"),
        (json!({"amount_usd": "1", "org": "nobody"}), 404, ""),
        (json!({"amount_usd": "1", "org": "default", "alerts": [0]}), 400, ""),
        (json!({"org": "default"}), 400, ""),
    ];
    for (body, status, param) in budgets {
        refused(&bank, "POST", "/mainstay/budgets", &body, status, param);
    }
    let limits = [
        (json!({"rpm": 1}), 400, "org"),
        (json!({"org": "default"}), 400, "rpm"),
        (json!({"org": "default", "rpm": 1, "burst": "soon"}), 400, "burst"),
        (json!({"org": "default", "rpm": 0}), 400, ""),
        (json!({"key": "nobody", "rpm": 1}), 404, ""),
    ];
    for (body, status, param) in limits {
        refused(&bank, "POST", "/mainstay/limits", &body, status, param);
    }
    refused(&bank, "GET", "/mainstay/usage?by=moon", &Value::Null, 400, "by");
    refused(&bank, "GET", "/mainstay/usage?since=soon", &Value::Null, 400, "since");
    refused(&bank, "POST", "/mainstay/budgets/7/raise", &json!({"amount_usd": "1"}), 404, "");
    refused(&bank, "DELETE", "/mainstay/limits/x", &Value::Null, 404, "");
    let whose = json!({"org": "default"});
    refused(&bank, "POST", "/mainstay/tiers/none/give", &whose, 404, "tier");
    assert_eq!(verbs(&bank), [""; 0], "nothing of this was done");
    bank.close();
}

#[test]
fn a_budgets_alert_is_told_once_also_across_restarts() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let new =
        json!({"project": "default", "amount_usd": "0.0004", "hard": false, "alerts": [50, 100]});
    done(&bank, "POST", "/mainstay/budgets", &new);
    let alerts = |bank: &Bank| done(bank, "GET", "/mainstay/budget-alerts", &Value::Null);
    let percents = |bank: &Bank| -> Vec<u64> {
        let list = alerts(bank);
        let all = list["data"].as_array().expect("a list").iter();
        all.map(|alert| alert["percent"].as_u64().expect("a number")).collect()
    };
    bank.known();
    // Each call costs about 0.00016 USD.
    for _ in 0..2 {
        assert_eq!(bank.post(CHAT, HI).status, 200);
    }
    until("half of it is told", || percents(&bank) == [50]);
    let first = alerts(&bank)["data"][0].clone();
    assert_eq!(
        (&first["project"], &first["limit_usd"]),
        (&json!("proj_default"), &json!("0.0004"))
    );
    let bank = Bank::open_in(bank.leave(), sim.addr(), "");
    for _ in 0..4 {
        assert_eq!(bank.post(CHAT, HI).status, 200, "a soft budget refuses nothing");
    }
    until("all of it is told", || percents(&bank) == [50, 100]);
    let bank = Bank::open_in(bank.leave(), sim.addr(), "");
    assert_eq!(bank.post(CHAT, HI).status, 200);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(percents(&bank), [50, 100], "nothing is told again");
    let after = format!("/mainstay/budget-alerts?after={}", first["id"]);
    let rest = done(&bank, "GET", &after, &Value::Null);
    assert_eq!(rest["data"][0]["percent"], 100);
    bank.close();
}

#[test]
fn a_day_of_requests_is_not_given_anew_by_a_restart() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    done(&bank, "POST", "/mainstay/limits", &json!({"org": "default", "rpd": 3}));
    until("the limit is known", || {
        bank.post(CHAT, HI).header("x-ratelimit-limit-requests") == Some("3")
    });
    let first = bank.post(CHAT, HI);
    let left = first.header("x-ratelimit-remaining-requests").map(str::to_owned);
    let bank = Bank::open_in(bank.leave(), sim.addr(), "");
    let next = bank.post(CHAT, HI);
    let now = next.header("x-ratelimit-remaining-requests").map(str::to_owned);
    assert_eq!((left.as_deref(), now.as_deref(), next.status), (Some("1"), Some("0"), 200));
    let over = bank.post(CHAT, HI);
    assert_eq!(over.header("x-mainstay-kind"), Some("rate_limit_requests"), "{}", text(&over));
    bank.close();
}
