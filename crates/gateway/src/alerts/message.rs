//! What a receiver is sent: the body in its shape, and the signature over it.

use hmac::{Hmac, KeyInit, Mac};
use mainstay_core::alerts::Notice;
use mainstay_core::store::UnixMillis;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::config::MessageShape;
use crate::shapes;

/// The header that the signature stands in.
pub(super) const SIGNATURE: &str = "x-mainstay-signature";
/// The header that tells a message from one that is sent again.
pub(super) const DELIVERY: &str = "x-mainstay-delivery";

/// All fields of a notice. `source` tells gateways and their runs apart.
pub(super) fn object(notice: &Notice, source: &str) -> Value {
    let Notice { id, at, rule, subject, change, since, what } = notice;
    json!({
        "id": format!("{source}-{id}"),
        "at": shapes::time(*at),
        "rule": rule.name(),
        "severity": rule.severity().name(),
        "change": change.name(),
        "subject": subject,
        "since": shapes::time(*since),
        "what": what,
        "fix": rule.fix(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The body of a message.
pub(super) fn body(notice: &Notice, source: &str, shape: MessageShape) -> String {
    match shape {
        MessageShape::Json => object(notice, source).to_string(),
        MessageShape::Slack => {
            let (rule, severity) = (notice.rule.name(), notice.rule.severity().name());
            let head = format!("[{severity}] {rule} {}", notice.change.name());
            let what = escaped(&notice.what);
            let fix = escaped(notice.rule.fix());
            json!({"text": format!("*{head}*: {what}\nwhat to do: {fix}")}).to_string()
        }
    }
}

/// Source: Slack, "Formatting text for app surfaces", section on escaping, read 2026-11.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" in hex>`.
pub(super) fn signature(secret: &str, now: UnixMillis, body: &str) -> String {
    let seconds = now.0 / 1_000;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={}", hex.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::alerts::{Change, Rule};

    fn notice() -> Notice {
        Notice {
            id: 7,
            at: UnixMillis(1_795_860_000_000),
            rule: Rule::CircuitOpen,
            subject: "a/<m>".to_owned(),
            change: Change::Raised,
            since: UnixMillis(1_795_859_970_000),
            what: "the circuit of `a/<m>` has not been closed for 30 s".to_owned(),
        }
    }

    #[test]
    fn a_signature_is_what_the_documentation_says() {
        // By `printf '1795860000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
        let want =
            "t=1795860000,v1=d35dffd4791725680aea71a52b5b3ee9f32512d89c237c3b240d1dcb4e0b6f94";
        let made = signature("0123456789abcdef", UnixMillis(1_795_860_000_999), "{\"a\":1}");
        assert_eq!(made, want);
    }

    #[test]
    fn shapes_hold_what_was_noticed() {
        let json: Value =
            serde_json::from_str(&body(&notice(), "run", MessageShape::Json)).unwrap();
        assert_eq!(json["id"], "run-7");
        assert_eq!(json["since"], "2026-11-28T09:59:30Z");
        assert_eq!((&json["rule"], &json["change"]), (&"circuit_open".into(), &"raised".into()));
        let slack: Value =
            serde_json::from_str(&body(&notice(), "run", MessageShape::Slack)).unwrap();
        let text = slack["text"].as_str().unwrap();
        assert!(text.starts_with("*[warning] circuit_open raised*: the circuit of `a/&lt;m&gt;`"));
    }
}
