use http::HeaderName;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn secrets() -> Secrets {
    Secrets(vec!["our-upstream-key".to_owned()])
}

#[test]
fn a_shape_keeps_parameters_and_no_text() {
    let body = json!({
        "model": "gpt-4o", "temperature": 0.5, "max_tokens": 9, "stream": true, "user": "ann@x.org",
        "messages": [{"role": "user", "content": "the SECRET plan"}],
        "metadata": {"CODENAME": "swan", "n": 4711},
        "logit_bias": {"50256": -100},
    });
    let shape = shape(body.to_string().as_bytes()).unwrap();
    for kept in [
        r#""model":"gpt-4o""#,
        r#""temperature":0.5"#,
        r#""max_tokens":9"#,
        r#""stream":true"#,
        r#""role":"user""#,
        r#""content":"…(15)""#,
    ] {
        assert!(shape.contains(kept), "{kept} in {shape}");
    }
    for gone in ["SECRET", "plan", "CODENAME", "swan", "ann", "50256", "-100"] {
        assert!(!shape.contains(gone), "{gone} in {shape}");
    }
    assert!(serde_json::from_str::<Value>(&shape).is_ok());
}

#[test]
fn what_is_no_json_or_very_large_is_told_by_its_size() {
    assert_eq!(shape(b""), None);
    assert_eq!(shape(b"--boundary SECRET").as_deref(), Some(r#"{"…":"(17 bytes)"}"#));
    let large = json!({"input": "x".repeat(BODY_MAX)}).to_string();
    assert!(shape(large.as_bytes()).unwrap().len() < 40);
    let many = json!({"messages": vec![json!({"role": "user", "content": "x"}); 10_000]});
    assert!(shape(many.to_string().as_bytes()).unwrap().len() <= FailureNote::SHAPE_MAX);
}

#[test]
fn a_word_that_begins_like_a_key_is_no_word() {
    let body = json!({"model": "sk-proj-abcdefghijkl", "voice": "sk-ms-0123456789ab"});
    let shape = shape(body.to_string().as_bytes()).unwrap();
    assert!(!shape.contains("abcdefgh") && !shape.contains("01234567"), "{shape}");
}

#[test]
fn a_message_loses_what_it_echoes_and_keeps_the_rest() {
    let body = json!({
        "model": "gpt-4o-2024-08-06",
        "messages": [{"role": "user", "content": "my launch code is 00-77-21-alpha"}],
        "metadata": {"codename-x": "y"},
    });
    let body = body.to_string();
    let told = |text: &str| message(text, body.as_bytes(), &secrets());
    assert_eq!(
        told("The model `gpt-4o-2024-08-06` refuses: 'launch code is 00-77-21-alpha' is bad."),
        "The model `gpt-4o-2024-08-06` refuses: '…' is bad."
    );
    assert_eq!(told("no such field codename-x"), "no such field …");
    assert_eq!(
        told("Rate limit reached, try again in 20s"),
        "Rate limit reached, try again in 20s"
    );
    assert_eq!(told("key our-upstream-key is bad"), "key *** is bad");
    assert!(told(&"é".repeat(999)).len() <= FailureNote::MESSAGE_MAX);
}

#[test]
fn our_own_words_lose_what_they_quote_and_keep_parameters() {
    let told = |text: &str, param| own_message(text, param, &secrets());
    assert_eq!(
        told("Invalid value for 'messages[0].role': it is 'sEcret', but must be 'x'.", None),
        "Invalid value for 'messages[0].role': it is '…', but must be '…'."
    );
    assert_eq!(told("'odd_one' is not known.", Some("odd_one")), "'odd_one' is not known.");
    assert_eq!(told("The caller's limit is used up.", None), "The caller's limit is used up.");
}

#[test]
fn headers_stay_by_a_list() {
    let mut all = Fields::default();
    for (name, value) in [
        ("authorization", "Bearer sk-ms-abc"),
        ("x-secret", "s"),
        ("user-agent", "OpenAI/Python 2.1"),
        ("cookie", "c=1"),
        ("idempotency-key", "k"),
    ] {
        all.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let kept = headers(&all);
    assert_eq!(kept, [("user-agent".into(), "OpenAI/Python 2.1".into())]);
}

proptest! {
    #[test]
    fn no_text_of_any_request_is_in_its_shape(text in "[a-z]{3}[A-Z][a-z]{8,40}", at in 0..5usize) {
        let body = match at {
            0 => json!({"model": {"x": text}}),
            1 => json!({"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}),
            2 => json!({&text: 1}),
            3 => json!({"tools": [{"function": {"name": text, "description": text}}]}),
            _ => json!([text]),
        };
        let shape = shape(body.to_string().as_bytes()).unwrap();
        prop_assert!(!shape.contains(&text), "{}", shape);
    }

    #[test]
    fn any_bytes_are_redacted_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        drop(shape(&body));
        drop(content(&body, &secrets()));
        drop(message(&text, &body, &secrets()));
        drop(own_message(&text, None, &secrets()));
    }
}
