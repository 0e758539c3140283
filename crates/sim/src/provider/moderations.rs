//! `POST /v1/moderations`: a text that contains the word "violence" is flagged.
//!
//! Source: OpenAI API description of 2026-08, moderations.

use crate::provider::answer::Answer;
use crate::provider::request::{Call, Special};
use serde_json::{Map, Value, json};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// One judgement for each input.
pub(crate) fn answer(call: &Call, number: u64) -> Answer {
    let Special::Judged(inputs) = &call.special else { return Answer::json(200, "{}".into()) };
    let results: Vec<Value> = inputs.iter().map(|input| judged(input)).collect();
    Answer::told(
        json!({ "id": format!("modr-sim{number:08}"), "model": call.model, "results": results }),
    )
}

fn judged(input: &str) -> Value {
    let flagged = input.to_lowercase().contains("violence");
    let (mut categories, mut scores, mut types) = (Map::new(), Map::new(), Map::new());
    for name in CATEGORIES {
        let hit = flagged && name == "violence";
        categories.insert(name.to_owned(), hit.into());
        scores.insert(name.to_owned(), if hit { 0.9 } else { 0.0001 }.into());
        types.insert(name.to_owned(), json!(["text"]));
    }
    json!({
        "flagged": flagged, "categories": categories, "category_scores": scores,
        "category_applied_input_types": types,
    })
}
