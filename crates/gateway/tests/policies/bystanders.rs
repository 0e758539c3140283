//! Invariant 8 over real sockets: what goes wrong for one target or one caller is nobody else's.

use std::time::{Duration, Instant};

use crate::script::{Cast, Say, chat, gateway, sound};

fn body(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#)
}

#[test]
fn a_target_that_hangs_slows_nobody_elsewhere() {
    let cast = Cast::new(&[&[Say::Slow(30_000); 60], &[]]);
    let front = gateway(&sound(&cast.sections("")));
    let mut stuck: Vec<_> = (0..60).map(|_| front.connect()).collect();
    for caller in &mut stuck {
        caller.send(&front.post_bytes("/v1/chat/completions", "", &body("a/m")));
    }
    crate::support::until("some to be with the target", || cast.told().len() >= 4);
    let began = Instant::now();
    for _ in 0..20 {
        let reply = front.post("/v1/chat/completions", &body("b/m"));
        assert_eq!((reply.status, reply.header("x-mainstay-attempts")), (200, Some("1")));
    }
    // Half of what the other one takes for one.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?} for twenty calls", began.elapsed());
}

#[test]
fn a_circuit_that_one_model_opened_is_closed_for_another() {
    let cast = Cast::new(&[&[Say::Away(None); 5]]);
    let policy = "[policy.retry]\npatience = \"0s\"\n[policy.breaker]\nopen = \"60s\"\n";
    let front = gateway(&sound(&format!("{policy}{}", cast.sections(""))));
    assert_eq!(front.post("/v1/chat/completions", &body("m")).status, 503);
    assert_eq!(front.post("/v1/chat/completions", &body("m")).status, 503);
    assert_eq!(cast.order(), "aaaaa", "its circuit is open");
    assert_eq!(front.post("/v1/chat/completions", &body("n")).status, 200);
}

#[test]
fn one_callers_bad_requests_cost_another_nothing() {
    let cast = Cast::new(&[&[Say::Faulted; 30]]);
    let front = gateway(&cast.config("", ""));
    for _ in 0..30 {
        assert_eq!(chat(&front, false).status, 400);
    }
    let reply = chat(&front, false);
    assert_eq!((reply.status, reply.header("x-mainstay-attempts")), (200, Some("1")));
    assert_eq!(cast.told().len(), 31, "each is sent once");
}
