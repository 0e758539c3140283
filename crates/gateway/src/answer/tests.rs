use serde_json::Value;

use super::*;

fn waited(retry_after: Option<Duration>, again: bool) -> (String, Option<String>, Option<String>) {
    let mut headers = HeaderMap::new();
    wait(&mut headers, retry_after, again);
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    (text("x-should-retry").unwrap(), text("retry-after"), text("retry-after-ms"))
}

#[test]
fn a_wait_is_never_zero_and_never_left_to_sdks_when_it_is_long() {
    let s = |text: &str| Some(text.to_owned());
    assert_eq!(waited(None, false), ("false".into(), None, None));
    assert_eq!(waited(Some(Duration::ZERO), true), ("true".into(), s("1"), s("1")));
    assert_eq!(waited(Some(Duration::from_micros(1)), true), ("true".into(), s("1"), s("1")));
    assert_eq!(
        waited(Some(Duration::from_millis(1001)), false),
        ("false".into(), s("2"), s("1001"))
    );
    assert_eq!(waited(Some(Duration::from_secs(60)), true).0, "true");
    assert_eq!(waited(Some(Duration::from_millis(60_001)), true).0, "false");
}

#[test]
fn an_error_object_has_all_four_keys_for_every_kind_and_code_set() {
    for kind in Kind::ALL {
        for codes in [CodeSet::Unified, CodeSet::OpenAi] {
            let body = envelope(kind, codes, None, None, "quote \" and\nline");
            let value: Value = serde_json::from_slice(&body).unwrap();
            let error = value["error"].as_object().unwrap();
            for key in ["message", "type", "param", "code"] {
                assert!(error.contains_key(key), "{} misses {key}", kind.name());
            }
            assert_eq!(error["message"], "quote \" and\nline");
            assert!(error["type"].is_string());
            assert!((400..600).contains(&status_of(kind).as_u16()));
        }
    }
}

#[test]
fn the_vendors_exact_code_is_given_to_those_who_asked_for_the_vendors_codes() {
    let code = |codes| {
        let body =
            envelope(Kind::InvalidValue, codes, Some("integer_above_max_value"), Some("n"), "x");
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"]["param"], "n");
        value["error"]["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(code(CodeSet::OpenAi), "integer_above_max_value");
    assert_ne!(code(CodeSet::Unified), "integer_above_max_value");
}
