//! Makes unsound bodies of sound ones, by rule, with the place where the fault must be told.

use mainstay_core::wire::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::bodies::Sound;

/// An unsound body and the places one of which must be named.
pub(crate) struct Unsound {
    pub(crate) rule: &'static str,
    pub(crate) body: Value,
    pub(crate) places: Vec<String>,
}

/// Below these keys a caller may write what he likes.
const FREE: [&str; 6] = ["parameters", "schema", "annotations", "container", "variables", "tools"];
/// Their keys are the caller's own.
const MAPS: [&str; 2] = ["metadata", "logit_bias"];

/// Values out of bounds: endpoint, path, value.
fn beyond() -> Vec<(Endpoint, &'static str, Value)> {
    let long = |n: usize| Value::String("x".repeat(n));
    let many = |n: usize, item: Value| Value::Array(vec![item; n]);
    let pairs: serde_json::Map<String, Value> =
        (0..17).map(|i| (format!("k{i}"), json!("v"))).collect();
    let function = json!({"type":"function","function":{"name":"f"}});
    let mut rows = vec![
        (Endpoint::Chat, "top_logprobs", json!(21)),
        (Endpoint::Chat, "n", json!(129)),
        (Endpoint::Chat, "n", json!(0)),
        (Endpoint::Chat, "messages", json!([])),
        (Endpoint::Chat, "stop", many(5, json!("a"))),
        (Endpoint::Chat, "tools", many(129, function)),
        (Endpoint::Chat, "tools", json!([])),
        (Endpoint::Chat, "safety_identifier", long(65)),
        (Endpoint::Chat, "reasoning_effort", json!("utmost")),
        (Endpoint::Chat, "verbosity", json!("loud")),
        (Endpoint::Chat, "service_tier", json!("gold")),
        (Endpoint::Chat, "modalities", json!(["smell"])),
        (Endpoint::Chat, "max_tokens", json!(1.5)),
        (Endpoint::Responses, "max_output_tokens", json!(15)),
        (Endpoint::Responses, "top_logprobs", json!(-1)),
        (Endpoint::Responses, "truncation", json!("manual")),
        (Endpoint::Completions, "logprobs", json!(6)),
        (Endpoint::Completions, "best_of", json!(21)),
        (Endpoint::Completions, "prompt", json!([])),
        (Endpoint::Embeddings, "dimensions", json!(0)),
        (Endpoint::Embeddings, "input", json!([])),
        (Endpoint::Embeddings, "input", json!("")),
        (Endpoint::Embeddings, "input", many(2049, json!("a"))),
        (Endpoint::Embeddings, "encoding_format", json!("hex")),
        (Endpoint::Images, "n", json!(11)),
        (Endpoint::Images, "partial_images", json!(4)),
        (Endpoint::Images, "output_compression", json!(101)),
        (Endpoint::Images, "quality", json!("best")),
        (Endpoint::AssistantUpdate, "name", long(257)),
        (Endpoint::AssistantUpdate, "temperature", json!(2.1)),
        (Endpoint::ThreadUpdate, "metadata", Value::Object(pairs.clone())),
        (Endpoint::Speech, "speed", json!(4.1)),
        (Endpoint::Speech, "input", long(4097)),
        (Endpoint::Speech, "response_format", json!("midi")),
        (Endpoint::Assistants, "name", long(257)),
        (Endpoint::Assistants, "description", long(513)),
        (Endpoint::Assistants, "tools", many(129, json!({"type":"code_interpreter"}))),
        (Endpoint::Runs, "tools", many(21, json!({"type":"code_interpreter"}))),
        (Endpoint::Runs, "max_prompt_tokens", json!(255)),
        (Endpoint::ThreadMessages, "role", json!("system")),
        (Endpoint::ThreadMessages, "content", json!([])),
    ];
    for endpoint in [
        Endpoint::Chat,
        Endpoint::Responses,
        Endpoint::Completions,
        Endpoint::Assistants,
        Endpoint::Runs,
    ] {
        rows.push((endpoint, "temperature", json!(2.1)));
        rows.push((endpoint, "temperature", json!(-1)));
        rows.push((endpoint, "top_p", json!(1.01)));
        if endpoint != Endpoint::Completions {
            rows.push((endpoint, "metadata", Value::Object(pairs.clone())));
            rows.push((endpoint, "metadata", json!({"a": "v".repeat(513)})));
            rows.push((endpoint, "metadata", json!({"k".repeat(65): "v"})));
        }
    }
    rows
}

/// Every unsound body that the rules make of a sound one.
pub(crate) fn unsound(sound: &Sound) -> Vec<Unsound> {
    let mut found = Vec::new();
    for name in sound.required {
        let mut body = sound.body.clone();
        body.as_object_mut().expect("an object").remove(*name);
        found.push(Unsound { rule: "drop", body, places: vec![(*name).to_string()] });
    }
    for (endpoint, name, value) in beyond() {
        if endpoint == sound.endpoint && sound.body.get(name).is_some() {
            let mut body = sound.body.clone();
            body[name] = value;
            found.push(Unsound { rule: "exceed", body, places: vec![name.to_string()] });
        }
    }
    let mut pointers = Vec::new();
    collect(&sound.body, String::new(), String::new(), &mut pointers);
    for (pointer, place) in pointers {
        let value = sound.body.pointer(&pointer).expect("a pointer of this body");
        let wrong = match value {
            Value::Null | Value::Array(_) | Value::Object(_) | Value::Bool(_) => json!(5),
            Value::String(_) => json!(false),
            Value::Number(_) => json!("many"),
        };
        for (rule, wrong) in [("retype", wrong), ("nest", json!({"value": value.clone()}))] {
            let mut body = sound.body.clone();
            *body.pointer_mut(&pointer).expect("a pointer of this body") = wrong;
            found.push(Unsound { rule, body, places: vec![place.clone()] });
        }
        if let Some(renamed) = rename(&sound.body, &pointer) {
            found.push(Unsound {
                rule: "rename",
                body: renamed,
                places: vec![format!("{place}_x"), place],
            });
        }
    }
    found
}

/// Every value that has rules, as JSON pointer and as place.
fn collect(value: &Value, pointer: String, place: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let inner_place =
                    if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                let inner_pointer = format!("{pointer}/{key}");
                found.push((inner_pointer.clone(), inner_place.clone()));
                let free = FREE.contains(&key.as_str()) && !(key == "tools" && place.is_empty());
                if !free && !MAPS.contains(&key.as_str()) {
                    collect(inner, inner_pointer, inner_place, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                let (inner_pointer, inner_place) =
                    (format!("{pointer}/{index}"), format!("{place}[{index}]"));
                found.push((inner_pointer.clone(), inner_place.clone()));
                collect(inner, inner_pointer, inner_place, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The body with the last key of `pointer` spelt differently; `None` for an item of an array.
fn rename(body: &Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let mut body = body.clone();
    let map = body.pointer_mut(parent)?.as_object_mut()?;
    let value = map.remove(key)?;
    map.insert(format!("{key}_x"), value);
    Some(body)
}
