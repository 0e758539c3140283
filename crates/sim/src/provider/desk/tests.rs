use super::*;
use crate::provider::conclude::conclude;
use crate::provider::look::look;
use std::fmt::Write as _;

const CHAT: &[u8] =
    br#"{"model":"m","user":"u","messages":[{"role":"user","content":"hello"}],"max_tokens":10}"#;

fn chat() -> Incoming<'static> {
    Incoming {
        method: "POST",
        path: "/v1/chat/completions",
        key: Some("sk-x"),
        body: CHAT,
        ..Incoming::default()
    }
}

fn ask(desk: &mut Desk, incoming: &Incoming<'_>, now: Duration) -> (Verdict, Arc<Scenario>, Asked) {
    let scenario = Arc::clone(desk.scenario());
    let asked = look(incoming, &scenario);
    (desk.rule(incoming, &asked, now), scenario, asked)
}

/// Everything 200 requests get, ten a second, as text.
fn trace(scenario: &str) -> String {
    let mut desk = Desk::new(Scenario::from_toml(scenario).unwrap());
    let mut trace = String::new();
    for turn in 0..200 {
        let (verdict, scenario, asked) = ask(&mut desk, &chat(), Duration::from_millis(turn * 100));
        let course = conclude(&chat(), &scenario, asked, verdict);
        writeln!(trace, "{course:?}").unwrap();
    }
    trace
}

#[test]
fn the_same_seed_gives_the_same_answers_to_the_byte() {
    let scenario = |seed: u32| {
        format!(
            "seed = {seed}\nlatency = {{ headers = [\"1ms\", \"9ms\"] }}\nlimits = {{ rpm = 300, burst = 2 }}\n[[fault]]\nfault = \"cut_fin\"\nshare = 0.2\n[[fault]]\nkind = \"overloaded\"\nshare = 0.1"
        )
    };
    assert_eq!(trace(&scenario(1)), trace(&scenario(1)));
    assert_ne!(trace(&scenario(1)), trace(&scenario(2)));
}

#[test]
fn a_share_is_kept_over_many_requests() {
    let mut desk = Desk::new(Scenario::from_toml("[[fault]]\nstatus = 500\nshare = 0.05").unwrap());
    for _ in 0..10_000 {
        ask(&mut desk, &chat(), Duration::ZERO);
    }
    let hit = serde_json::json!(desk.stats)["faults"]["status_500"].as_u64().unwrap();
    assert!((420..=580).contains(&hit), "{hit} of 10,000 at a share of 0.05");
}

#[test]
fn tokens_are_charged_for_prompt_and_allowed_output() {
    let mut desk = Desk::new(Scenario::default());
    ask(&mut desk, &chat(), Duration::ZERO);
    // "hello" is 2 tokens by the rule of four bytes; 10 may be answered.
    assert_eq!(desk.stats.tokens, 12);
}

#[test]
fn faults_before_the_limits_cost_nothing_there() {
    let text = |before| {
        format!(
            "limits = {{ rpm = 1, burst = 60 }}\n[[fault]]\nstatus = 500\nfirst = 5\nbefore_limits = {before}"
        )
    };
    let granted = |text: &str| {
        let mut desk = Desk::new(Scenario::from_toml(text).unwrap());
        for _ in 0..6 {
            ask(&mut desk, &chat(), Duration::ZERO);
        }
        (desk.stats.granted, serde_json::json!(desk.stats)["faults"]["status_500"].as_u64())
    };
    assert_eq!(granted(&text(true)), (1, Some(5)));
    assert_eq!(granted(&text(false)), (1, Some(1)));
}

#[test]
fn a_place_is_given_back_to_the_model_it_was_taken_from() {
    let mut desk = Desk::new(Scenario::from_toml("limits = { concurrency = 1 }").unwrap());
    let ticket = ask(&mut desk, &chat(), Duration::ZERO).0.ticket.unwrap();
    assert!(ask(&mut desk, &chat(), Duration::ZERO).0.ticket.is_none());
    assert_eq!(desk.stats.in_flight, 1);
    desk.close(&ticket, true, Duration::ZERO);
    assert_eq!((desk.stats.in_flight, desk.stats.completed), (0, 1));
    assert!(ask(&mut desk, &chat(), Duration::ZERO).0.ticket.is_some());
}

#[test]
fn failures_on_demand_take_no_room_in_the_limits() {
    let mut desk = Desk::new(Scenario::from_toml("limits = { rpm = 1, burst = 60 }").unwrap());
    let by_header = Incoming { error: Some("overloaded"), key: None, ..chat() };
    let body = br#"{"model":"sim-overloaded","messages":[{"role":"user","content":"x"}]}"#;
    let by_model = Incoming { body, ..chat() };
    for _ in 0..3 {
        for incoming in [&by_header, &by_model] {
            let (verdict, ..) = ask(&mut desk, incoming, Duration::ZERO);
            assert!(matches!(verdict.outcome, Outcome::Trouble(What::Kind("overloaded"), None)));
        }
    }
    assert!(ask(&mut desk, &chat(), Duration::ZERO).0.ticket.is_some());
}
