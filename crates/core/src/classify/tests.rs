//! The ways of the table that are easiest to get wrong.

use super::*;
use crate::headers::NoHeaders;

fn of(status: u16, body: &str) -> Verdict {
    let answer =
        Answer { status: Some(status), headers: &NoHeaders, body: body.as_bytes(), stream: false };
    classify(&answer).expect("an error")
}

#[test]
fn a_sound_answer_is_no_failure() {
    for body in [
        r#"{"id":"c","object":"chat.completion","choices":[{"finish_reason":"stop"}]}"#,
        r#"{"object":"response","status":"completed","error":null,"output":[]}"#,
        r#"{"object":"list","data":[]}"#,
        r#"{"id":"r","object":"thread.run","status":"failed","error":{"code":"server_error"}}"#,
        r#"{"id":"f","object":"fine_tuning.job","status":"failed","error":{"message":"bad file"}}"#,
        r#"{"id":"b","object":"batch","status":"failed","errors":{"data":[]}}"#,
        "1\n00:00:00,000 --> 00:00:01,000\nsubtitles as text",
    ] {
        let answer =
            Answer { status: Some(200), headers: &NoHeaders, body: body.as_bytes(), stream: false };
        assert_eq!(classify(&answer), None, "{body}");
    }
}

#[test]
fn the_servers_own_word_on_retries_counts_but_never_revives_a_dead_key() {
    let with = |status, headers: [(&str, &str); 1], body: &str| {
        let answer = Answer {
            status: Some(status),
            headers: &headers,
            body: body.as_bytes(),
            stream: false,
        };
        classify(&answer).expect("an error").retryable
    };
    let overloaded = r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert!(with(529, [("x-should-retry", "true")], overloaded));
    assert!(!with(529, [("x-should-retry", "false")], overloaded));
    let quota = r#"{"error":{"code":"insufficient_quota","message":"no credit"}}"#;
    assert!(!with(429, [("x-should-retry", "true")], quota));
    let conflict = r#"{"error":{"message":"Changed meanwhile"}}"#;
    assert!(!with(409, [("x-other", "1")], conflict));
    assert!(with(409, [("x-should-retry", "true")], conflict));
}

#[test]
fn digits_inside_a_delay_never_look_like_a_status() {
    let verdict = of(429, r#"{"error":{"message":"Rate limited. Please retry in 18.403s."}}"#);
    assert_eq!(verdict.failure.kind, Kind::RateLimitOther);
    assert!(verdict.retryable);
    assert_eq!(verdict.wait, Some(Duration::from_millis(18_403)));
}
