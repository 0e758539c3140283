//! Validation as a whole: sound bodies pass, bodies made unsound by rule are refused at the right place.

mod bodies;
mod forms;
mod mutate;
mod sdk;

use std::collections::BTreeMap;

use mainstay_core::validate::check::rows;
use mainstay_core::validate::{Level, validate};
use mainstay_core::wire::endpoint::Endpoint;
use proptest::prelude::*;
use serde_json::{Value, json};

fn faults(endpoint: Endpoint, level: Level, body: &str) -> Vec<String> {
    let report = validate(endpoint, level, body.as_bytes());
    report.faults.into_iter().map(|fault| fault.param.unwrap_or_default()).collect()
}

#[test]
fn sound_bodies_pass_at_every_level() {
    let sound = bodies::all();
    assert!(sound.len() >= 200, "{}", sound.len());
    for case in sound {
        let body = case.body.to_string();
        for level in [Level::Lenient, Level::Strict] {
            assert_eq!(
                faults(case.endpoint, level, &body),
                [""; 0],
                "{level:?} {:?} {body}",
                case.endpoint
            );
        }
    }
}

#[test]
fn bodies_made_unsound_by_rule_are_refused_with_the_right_parameter() {
    let (mut tried, mut told) = (0_usize, 0_usize);
    let mut missed: BTreeMap<(&str, String), String> = BTreeMap::new();
    for (index, case) in bodies::all().into_iter().enumerate() {
        // Every third, another third for each body: enough of each rule, and a quick test.
        for unsound in mutate::unsound(&case).into_iter().skip(index % 3).step_by(3) {
            let body = unsound.body.to_string();
            let found = faults(case.endpoint, Level::Strict, &body);
            let named = |place: &String| {
                found.iter().any(|param| {
                    param
                        .strip_prefix(place.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                })
            };
            tried += 1;
            if unsound.places.iter().any(named) {
                told += 1;
            } else {
                missed.entry((unsound.rule, unsound.places[0].clone())).or_insert(body);
            }
        }
    }
    assert!(tried >= 5_000, "only {tried} bodies were made");
    let kinds: Vec<_> = missed.keys().collect();
    assert!(told * 100 >= tried * 99, "{told} of {tried} told; not: {kinds:#?}");
}

#[test]
fn changes_that_the_rules_allow_are_never_refused() {
    for case in bodies::all() {
        for (what, body) in allowed(case.endpoint, &case.body) {
            for level in [Level::Lenient, Level::Strict] {
                assert_eq!(
                    faults(case.endpoint, level, &body),
                    [""; 0],
                    "{what} {level:?}: {body}"
                );
            }
        }
    }
}

/// The same body written differently, and with what may be added.
fn allowed(endpoint: Endpoint, body: &Value) -> Vec<(&'static str, String)> {
    let compact = body.to_string();
    let backwards: Vec<String> = body
        .as_object()
        .expect("a body is an object")
        .iter()
        .rev()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
        .collect();
    let mut made = vec![
        ("spread over lines", serde_json::to_string_pretty(body).expect("JSON")),
        ("keys backwards", format!("{{{}}}", backwards.join(" ,\t"))),
        (
            "keys with escapes",
            compact.replace("\"model\"", "\"mod\\u0065l\"").replace("\"type\"", "\"\\u0074ype\""),
        ),
        (
            "whole numbers as decimals",
            compact.replace("\"n\":1,", "\"n\":1.0,").replace("\"n\":2,", "\"n\":2e0,"),
        ),
    ];
    let null: &[&str] = match endpoint {
        Endpoint::Chat => {
            &["temperature", "top_p", "n", "stop", "max_tokens", "metadata", "stream", "seed"]
        }
        Endpoint::Responses => {
            &["temperature", "metadata", "store", "instructions", "max_output_tokens"]
        }
        Endpoint::Completions => &["temperature", "n", "suffix", "logprobs"],
        Endpoint::Assistants | Endpoint::Runs | Endpoint::ThreadAndRun => {
            &["temperature", "top_p", "metadata"]
        }
        Endpoint::Threads | Endpoint::ThreadMessages => &["metadata"],
        Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::AssistantUpdate
        | Endpoint::ThreadUpdate
        | Endpoint::ToolOutputs
        | Endpoint::Files
        | Endpoint::Batches
        | Endpoint::Models
        | Endpoint::Other => &[],
    };
    for name in null {
        let mut with_null = body.clone();
        with_null[*name] = Value::Null;
        made.push(("null for absent", with_null.to_string()));
    }
    if let (Endpoint::Chat, Some(messages)) =
        (endpoint, body.get("messages").and_then(Value::as_array))
    {
        let mut longer = messages.clone();
        longer
            .push(json!({"role": "user", "content": [{"type": "text", "text": "and \u{1f600}?"}]}));
        let mut with_more = body.clone();
        with_more["messages"] = Value::Array(longer);
        made.push(("one more message", with_more.to_string()));
    }
    made
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (endpoint, ..) in bodies::FULL {
            validate(*endpoint, Level::Strict, &bytes);
        }
        rows(&bytes, None, Level::Strict);
    }

    /// A sound body with a piece cut out or doubled: every offset told lies in the body, and what is
    /// not JSON to another parser is refused.
    #[test]
    fn a_damaged_body_is_refused_and_never_a_panic(
        which in 0..bodies::FULL.len(), from in 0_usize..3000, len in 0_usize..60, double in any::<bool>(),
    ) {
        let (endpoint, _, text) = bodies::FULL[which];
        let from = from.min(text.len());
        let to = (from + len).min(text.len());
        let (start, end) = if double { (to, from) } else { (from, to) };
        let body = format!("{}{}", &text[..start], &text[end..]);
        let report = validate(endpoint, Level::Strict, body.as_bytes());
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert!(is_json || !report.is_sound(), "{}", body);
        prop_assert!(report.faults.iter().all(|fault| fault.offset <= body.len()));
        prop_assert!(report.faults.iter().all(|fault| !fault.message.contains('\n')));
    }
}
