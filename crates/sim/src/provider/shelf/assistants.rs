//! Assistants.

use super::table::page;
use super::{Shelf, Visit, metadata_of, overlay};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};

const FIELDS: [&str; 9] = [
    "model",
    "name",
    "description",
    "instructions",
    "tools",
    "temperature",
    "top_p",
    "response_format",
    "metadata",
];

impl Shelf {
    /// Answers a request below `/assistants`.
    pub(super) fn assistants_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => {
                visit.body["model"].as_str().ok_or_else(|| Refusal::missing("model"))?;
                let assistant = assistant_object(&self.id("asst_"), &visit.body);
                self.assistants.push(assistant.clone());
                Ok(assistant)
            }
            ("GET", []) => Ok(page(self.assistants.iter().collect(), visit.query, true)),
            ("GET", [id]) => self.assistant(id).cloned(),
            ("POST", [id]) => {
                let resources = tool_resources(&visit.body);
                let assistant = self.assistant(id)?;
                overlay(assistant, &visit.body, &FIELDS);
                if !resources.is_null() {
                    assistant["tool_resources"] = resources;
                }
                Ok(assistant.clone())
            }
            ("DELETE", [id]) => {
                self.assistant(id)?;
                self.assistants.delete(id, "assistant", "assistant.deleted")
            }
            _ => Err(visit.unknown()),
        }
    }

    pub(super) fn assistant(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| assistant_object(id, &json!({ "model": "gpt-4o" })));
        self.assistants.open(id, "assistant", made_up)
    }
}

fn assistant_object(id: &str, body: &Value) -> Value {
    let mut assistant = json!({
        "id": id, "object": "assistant", "created_at": CREATED, "model": null, "name": null,
        "description": null, "instructions": null, "tools": [],
        "tool_resources": tool_resources(body), "metadata": metadata_of(body), "temperature": 1.0,
        "top_p": 1.0, "response_format": "auto",
    });
    overlay(&mut assistant, body, &FIELDS);
    assistant
}

/// The files and vector stores of tools; what a request asks to be made (`vector_stores`) is not told.
pub(super) fn tool_resources(body: &Value) -> Value {
    let mut resources = body["tool_resources"].clone();
    if let Some(search) = resources.get_mut("file_search").and_then(Value::as_object_mut) {
        search.remove("vector_stores");
    }
    resources
}
