//! Limits of callers, through real sockets: what is admitted, what is said, what is given back.

#[path = "limits/crowd.rs"]
mod crowd;
mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use mainstay_core::store::Change::{Clear, To};
use mainstay_core::store::{
    DEFAULT_ORG, DEFAULT_PROJECT, LimitPatch, LimitStore, Subject, UnixMillis, public_of_id,
};
use support::provider::{self, Provider, completion, json};
use support::{CHAT, Caller, Front, Reply, STREAM, front, soon, until};

const CHATS: &str = "/v1/chat/completions";

fn organization() -> Subject {
    Subject::Organization(DEFAULT_ORG.into())
}

fn key_of(front: &Front) -> Subject {
    Subject::Key(public_of_id(&front.key[6..18]).expect("a key of ours has a public part"))
}

impl Front {
    /// Sets a limit and waits until the gateway has heard of it.
    fn limit(&self, subject: &Subject, model: Option<&str>, patch: &LimitPatch) {
        self.heard_after(subject, model, patch);
    }

    /// The same; how long it took.
    fn heard_after(&self, subject: &Subject, model: Option<&str>, patch: &LimitPatch) -> Duration {
        self.store.set_limit(subject, model, patch, UnixMillis(0)).expect("a sound limit");
        until("the gateway hears of it", || {
            self.store.limits_since(0).expect("memory").0 == self.gateway.limits_epoch()
        })
    }

    /// The status of an answer to a call that a limit lets through or refuses.
    fn chat(&self) -> Reply {
        self.post(CHATS, CHAT)
    }
}

fn rpm(rpm: u64) -> LimitPatch {
    LimitPatch { rpm: To(rpm), ..LimitPatch::default() }
}

/// An answer of the administration plane.
fn admin(front: &Front, path: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    let token = support::TOKEN;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    caller.send(head.as_bytes());
    caller.answer()
}

/// A provider whose answers wait until the test opens the gate.
fn gated() -> (Provider, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let gate = Arc::clone(&open);
    let provider = Provider::new(move |_, stream| {
        while gate.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        stream.write_all(completion().as_bytes()).is_ok()
    });
    (provider, open)
}

#[test]
fn of_sixty_four_callers_at_once_exactly_the_burst_is_admitted() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    // One a minute would be given back in 60 s: the time the test takes adds nothing.
    let burst = LimitPatch { burst: To(Duration::from_secs(30)), ..rpm(20) };
    front.limit(&organization(), None, &burst);
    let barrier = Barrier::new(64);
    let admitted = AtomicUsize::new(0);
    let began = tokio::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                barrier.wait();
                let reply = front.chat();
                match reply.status {
                    200 => drop(admitted.fetch_add(1, Ordering::SeqCst)),
                    _ => drop(reply.refused(429, "rate_limit_requests")),
                }
            });
        }
    });
    // A request is given back every three seconds.
    let given_back = usize::try_from(began.elapsed().as_secs() / 3).expect("a short test");
    let admitted = admitted.load(Ordering::SeqCst);
    assert!((10..=10 + given_back).contains(&admitted), "{admitted} admitted");
    assert_eq!(provider.seen().len(), admitted, "what is refused is not sent");
    assert_eq!(front.gateway.admitted(), 0);
}

#[test]
fn a_refusal_says_whose_limit_how_much_and_when() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front.limit(&organization(), None, &rpm(2));
    let first = front.chat();
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-reset-requests"), Some("30s"));
    assert_eq!(front.chat().header("x-ratelimit-remaining-requests"), Some("0"));
    let refused = front.chat();
    let message = refused.refused(429, "rate_limit_requests");
    for part in ["organization `org-default`", "Limit 2", "Used 2", "Requested 1", "try again in"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(refused.json()["error"]["type"], "requests");
    let after = |name: &str| refused.header(name).and_then(|text| text.parse::<u64>().ok());
    assert!(after("retry-after").is_some_and(|wait| (28..=30).contains(&wait)));
    assert!(after("retry-after-ms").is_some_and(|wait| (28_000..=30_000).contains(&wait)));
    assert_eq!(refused.header("x-should-retry"), Some("true"));
    assert_eq!(refused.header("x-mainstay-origin"), Some("mainstay"));
    assert_eq!(refused.header("x-mainstay-scope"), Some("key"));
    assert_eq!(refused.header("x-mainstay-limit"), Some("organization org-default rpm"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    // Refused for another reason, before any limit is looked at, they are shown all the same.
    let unsound = front.post(CHATS, r#"{"messages":[]}"#);
    assert_eq!(unsound.status, 400);
    assert_eq!(unsound.header("x-ratelimit-limit-requests"), Some("2"));
}

#[test]
fn the_limits_of_key_project_and_organization_hold_together_or_not_at_all() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front.limit(&organization(), None, &rpm(100));
    front.limit(&Subject::Project(DEFAULT_PROJECT.into()), None, &rpm(3));
    front.limit(&key_of(&front), None, &rpm(50));
    front.limit(&key_of(&front), Some("gpt-4o*"), &rpm(40));
    let began = tokio::time::Instant::now();
    let refused = (0..10).map(|_| front.chat()).find(|reply| reply.status == 429);
    let refused = refused.expect("the project's limit refuses");
    assert_eq!(refused.header("x-mainstay-limit"), Some("project proj_default rpm"));
    for _ in 0..5 {
        assert_eq!(front.chat().status, 429);
    }
    // Nothing of the others was taken by what was refused.
    front
        .store
        .remove_limit(&Subject::Project(DEFAULT_PROJECT.into()), None, UnixMillis(0))
        .expect("it is there");
    until("the removal is heard of", || front.chat().status == 200);
    let last = front.chat();
    let left = last.header("x-ratelimit-remaining-requests").and_then(|text| text.parse().ok());
    // One is given back in a second and a half.
    let most = 35 + began.elapsed().as_millis() / 1_500;
    let left: u128 = left.expect("a number");
    assert!((35..=most).contains(&left), "40, three before and two after: {left} of {most}");
}

#[test]
fn tokens_are_reserved_and_then_settled_by_usage() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let patch = LimitPatch { tpm: To(1000), ..LimitPatch::default() };
    front.limit(&key_of(&front), None, &patch);
    let asking = |tokens: u64| {
        let body = CHAT.replacen('{', &format!("{{\"max_tokens\":{tokens},"), 1);
        front.post(CHATS, &body)
    };
    let reply = asking(900);
    assert_eq!(reply.status, 200);
    let left = |reply: &Reply| {
        let text = reply.header("x-ratelimit-remaining-tokens").expect("tokens are limited");
        text.parse::<u64>().expect("a number")
    };
    assert!(left(&reply) < 100, "{}", reply.head);
    // The answer used two tokens; the rest is back before the next call.
    until("the rest is given back", || left(&front.post(CHATS, r#"{"messages":[]}"#)) >= 998);
    let too_large = asking(1001);
    let message = too_large.refused(429, "request_too_large");
    assert!(message.contains("Limit 1000") && message.contains("Requested 10"), "{message}");
    assert_eq!(too_large.header("x-should-retry"), Some("false"));
    assert_eq!(too_large.header("retry-after"), None);
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn a_call_that_fails_costs_a_request_and_no_tokens() {
    let provider = Provider::fixed(json("400 Bad Request", "", r#"{"error":{"message":"no"}}"#));
    let front = front(provider.addr, "");
    let patch = LimitPatch { tpm: To(1000), ..rpm(2) };
    front.limit(&organization(), None, &patch);
    let body = CHAT.replacen('{', "{\"max_tokens\":900,", 1);
    assert_eq!(front.post(CHATS, &body).status, 400);
    let second = front.post(CHATS, &body);
    assert_eq!(second.status, 400, "the tokens are there again");
    assert_eq!(second.header("x-ratelimit-remaining-requests"), Some("0"));
    front.post(CHATS, &body).refused(429, "rate_limit_requests");
}

#[test]
fn calls_at_once_are_limited_and_places_come_back() {
    let (provider, open) = gated();
    let front = front(provider.addr, "");
    let patch = LimitPatch { concurrency: To(2), ..LimitPatch::default() };
    front.limit(&organization(), None, &patch);
    let mut two = [front.connect(), front.connect()];
    for caller in &mut two {
        caller.send(&front.post_bytes(CHATS, "", CHAT));
    }
    until("both are under way", || provider.seen().len() == 2);
    let refused = front.chat();
    let message = refused.refused(429, "concurrent_limit");
    assert!(message.contains("Limit 2") && message.contains("2 under way"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["error"]["code"], "concurrent_limit_exceeded");
    // One leaves: his place is free though the provider has not answered.
    let [leaving, mut staying] = two;
    drop(leaving);
    until("his place is free", || front.gateway.admitted() == 1);
    open.store(1, Ordering::SeqCst);
    assert_eq!(staying.answer().status, 200);
    assert_eq!(front.chat().status, 200);
    assert_eq!(front.gateway.admitted(), 0);
}

#[test]
fn a_stream_holds_its_place_until_its_end() {
    let provider = Provider::new(|_, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(format!("{head}{event}").as_bytes());
        std::thread::sleep(Duration::from_secs(5));
        false
    });
    let front = front(provider.addr, "");
    let patch = LimitPatch { concurrency: To(1), ..LimitPatch::default() };
    front.limit(&organization(), None, &patch);
    let mut caller = front.connect();
    caller.send(&front.post_bytes(CHATS, "", STREAM));
    assert_eq!(caller.head().0, 200);
    front.chat().refused(429, "concurrent_limit");
    drop(caller);
    until("the place is free", || front.gateway.admitted() == 0);
}

#[test]
fn a_shadow_refuses_nothing_and_is_counted() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let patch = LimitPatch { shadow: Some(true), ..rpm(1) };
    front.limit(&organization(), None, &patch);
    for _ in 0..3 {
        let reply = front.chat();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), None);
    }
    let text = String::from_utf8(admin(&front, "/metrics").body).expect("text");
    assert!(text.contains("\nmainstay_over_shadow_total 2\n"), "{text}");
    let limit = &admin(&front, "/mainstay/limits").json()["data"][0];
    assert_eq!((&limit["subject"], &limit["in_the_way"]), (&"org-default".into(), &2.into()));
    assert_eq!(limit["state"][0]["used"], 1);
}

#[test]
fn a_changed_limit_holds_within_a_second_and_forgets_nothing() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    front.limit(&organization(), None, &rpm(4));
    for _ in 0..4 {
        assert_eq!(front.chat().status, 200);
    }
    front.chat().refused(429, "rate_limit_requests");
    front.limit(&organization(), None, &rpm(6));
    let reply = front.chat();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("1"), "four count on");
    let off = LimitPatch { rpm: Clear, ..LimitPatch::default() };
    front.limit(&organization(), None, &off);
    assert_eq!(front.chat().header("x-ratelimit-limit-requests"), None);
    let mut more = 6;
    soon(Duration::from_secs(1), 3, || {
        more += 1;
        front.heard_after(&organization(), None, &rpm(more))
    });
}

#[test]
fn refused_requests_count_where_the_file_says_so() {
    for (text, left) in [("", "2"), ("[limits]\ncount_refused = true\n", "0")] {
        let provider = Provider::fixed(completion());
        let front = front(provider.addr, text);
        let tokens = LimitPatch { tpm: To(40), ..LimitPatch::default() };
        front.limit(&organization(), Some("gpt-4o"), &tokens);
        front.limit(&organization(), None, &rpm(2));
        let large = CHAT.replacen('{', "{\"max_tokens\":900,", 1);
        for _ in 0..3 {
            front.post(CHATS, &large).refused(429, "request_too_large");
        }
        let reply = front.post(CHATS, r#"{"messages":[]}"#);
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left), "{text}");
    }
}

#[test]
fn without_keys_the_limits_of_the_default_project_hold_for_everybody() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "[server]\nauth = \"open\"\n");
    front.limit(&Subject::Project(DEFAULT_PROJECT.into()), None, &rpm(1));
    assert_eq!(front.chat().status, 200);
    front.chat().refused(429, "rate_limit_requests");
}

fn tpm(tpm: u64) -> LimitPatch {
    LimitPatch { tpm: To(tpm), burst: To(Duration::from_secs(60)), ..LimitPatch::default() }
}

/// A chat call with this prompt, without a word on output.
fn asking(prompt: &str) -> String {
    format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{prompt}"}}]}}"#)
}

#[test]
fn what_prompts_of_a_model_use_is_learnt_from_what_providers_tell() {
    let usage = r#""prompt_tokens":3000,"completion_tokens":1,"total_tokens":3001"#;
    let told = r#""prompt_tokens":1,"completion_tokens":1,"total_tokens":2"#;
    let answer = json("200 OK", "", &provider::COMPLETION.replace(told, usage));
    let provider = Provider::fixed(answer);
    let front = front(provider.addr, "");
    // 1 token a millisecond comes back.
    front.limit(&organization(), None, &tpm(60_000));
    let body = asking(&"x".repeat(4_000 - asking("").len()));
    let remaining = || {
        let reply = front.post(CHATS, &body);
        let text = reply.header("x-ratelimit-remaining-tokens").expect("tokens are limited");
        text.parse::<u64>().expect("a number")
    };
    let began = tokio::time::Instant::now();
    let first = remaining();
    assert!((59_000..59_500).contains(&first), "a quarter of the bytes: {first}");
    let second = remaining();
    let most = 54_100 + u64::try_from(began.elapsed().as_millis()).expect("a short test");
    assert!((53_900..most).contains(&second), "as much as the first one was: {second} of {most}");
}

#[test]
fn near_a_limit_on_tokens_a_prompt_is_counted_before_anything_is_decided() {
    let provider = Provider::fixed(completion());
    // Long words: an eighth of the bytes. Single letters and digits: a half. The estimate of both is a
    // quarter.
    let words = |bytes: usize| " understanding".repeat(bytes / 14);
    let letters = |bytes: usize| " q7".repeat(bytes / 3);
    for (prompt, admitted) in [
        (words(4_000), true),
        (words(4_300), true),
        // So far beyond the limit that no count is made.
        (words(5_000), false),
        (letters(4_300), false),
        // It would fit by the estimate, and does not.
        (letters(3_450), false),
        // So far below the limit that no count is made: settled by what the answer tells.
        (letters(3_200), true),
    ] {
        let front = front(provider.addr, "");
        front.limit(&organization(), None, &tpm(1_000));
        let reply = front.post(CHATS, &asking(&prompt));
        assert_eq!(reply.status == 200, admitted, "{} bytes: {}", prompt.len(), reply.head);
        if !admitted {
            // Even a whole window does not hold it.
            let told = reply.refused(429, "request_too_large");
            assert!(told.contains("tokens per min"), "{told}");
        }
    }
}
