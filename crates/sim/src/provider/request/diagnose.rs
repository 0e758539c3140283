//! Finds out why a body does not fit its types, and says so as the provider does.

use crate::provider::kinds::NOT_JSON;
use crate::provider::refusal::Refusal;
use crate::provider::request::Api;
use serde_json::Value;

/// A field, the test it must pass, and how the provider calls what it expects.
type Expected = (&'static str, fn(&Value) -> bool, &'static str);

#[rustfmt::skip]
const COMMON: &[Expected] = &[
    ("model", Value::is_string, "a string"),
    ("stream", Value::is_boolean, "a boolean"),
    ("user", Value::is_string, "a string"),
    ("safety_identifier", Value::is_string, "a string"),
    ("n", Value::is_i64, "an integer"),
    ("temperature", Value::is_number, "a decimal"),
    ("top_p", Value::is_number, "a decimal"),
    ("max_tokens", Value::is_i64, "an integer"),
    ("max_completion_tokens", Value::is_i64, "an integer"),
    ("max_output_tokens", Value::is_i64, "an integer"),
    ("dimensions", Value::is_i64, "an integer"),
    ("encoding_format", Value::is_string, "a string"),
    ("prompt", |value| value.is_string() || value.is_array(), "a string"),
    ("stream_options", Value::is_object, "an object"),
    ("tools", Value::is_array, "an array of objects"),
];

/// What the provider says of a body that could not be read.
pub(super) fn explain(api: Api, body: &[u8]) -> Refusal {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Refusal::new(400, NOT_JSON);
    };
    let Some(fields) = value.as_object() else {
        return Refusal::new(400, NOT_JSON);
    };
    for (name, fits, expected) in COMMON {
        match fields.get(*name) {
            None | Some(Value::Null) => {}
            Some(value) if fits(value) => {}
            Some(value) => return Refusal::wrong_type(name, expected, noun(value)),
        }
    }
    match api {
        Api::Chat => list(fields.get("messages"), "messages"),
        Api::Responses => list(fields.get("input"), "input"),
        Api::Completions
        | Api::Embeddings
        | Api::Moderations
        | Api::Images
        | Api::ImageEdits
        | Api::ImageVariations
        | Api::Speech
        | Api::Transcriptions
        | Api::Translations
        | Api::Runs
        | Api::Stored(_) => {
            Refusal::new(400, "The request body does not fit the schema of this endpoint.")
        }
    }
}

fn list(value: Option<&Value>, param: &str) -> Refusal {
    let Some(Value::Array(items)) = value else {
        let got = value.map_or("null", noun);
        return Refusal::wrong_type(param, "an array of objects", got);
    };
    let wrong = items.iter().enumerate().find(|(_, item)| !item.is_object());
    if let Some((place, item)) = wrong {
        return Refusal::wrong_type(&format!("{param}[{place}]"), "an object", noun(item));
    }
    for (place, item) in items.iter().enumerate() {
        if let Some(role) = item.get("role").filter(|role| !role.is_string()) {
            return Refusal::wrong_type(&format!("{param}[{place}].role"), "a string", noun(role));
        }
        if let Some(content) = item.get("content").filter(|c| c.is_number() || c.is_boolean()) {
            let expected = "one of a string or array of objects";
            return Refusal::wrong_type(
                &format!("{param}[{place}].content"),
                expected,
                noun(content),
            );
        }
    }
    Refusal::new(
        400,
        format!("Invalid '{param}': the list does not fit the schema of this endpoint."),
    )
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
