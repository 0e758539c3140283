//! Conversations and their items.

use super::table::{Table, page};
use super::{OBJECTS_MAX, Shelf, Visit, metadata_of};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most items of one conversation.
const ITEMS_MAX: usize = 1_000;
/// The most items that one request adds. Source: OpenAI API description of 2026-08.
const ADDED_MAX: usize = 20;

/// All conversations, and the items of each.
#[derive(Debug)]
pub(crate) struct Conversations {
    table: Table,
    items: BTreeMap<String, Table>,
}

impl Default for Conversations {
    fn default() -> Conversations {
        Conversations { table: Table::new(OBJECTS_MAX), items: BTreeMap::new() }
    }
}

fn conversation_object(id: &str, body: &Value) -> Value {
    json!({
        "id": id, "object": "conversation", "created_at": CREATED, "metadata": metadata_of(body),
    })
}

impl Shelf {
    /// Answers a request below `/conversations`.
    pub(super) fn conversations_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => {
                let id = self.id("conv_");
                let conversation = conversation_object(&id, &visit.body);
                self.conversations.table.push(conversation.clone());
                self.add_items(&id, visit.body["items"].as_array().map_or(&[], Vec::as_slice));
                Ok(conversation)
            }
            ("GET", [id]) => self.conversation(id).cloned(),
            ("POST", [id]) => {
                let conversation = self.conversation(id)?;
                conversation["metadata"] = metadata_of(&visit.body);
                Ok(conversation.clone())
            }
            ("DELETE", [id]) => {
                self.conversation(id)?;
                self.conversations.items.remove(*id);
                self.conversations.table.delete(id, "conversation", "conversation.deleted")
            }
            ("POST", [id, "items"]) => {
                self.conversation(id)?;
                let items = visit.body["items"].as_array();
                let items = items.ok_or_else(|| Refusal::missing("items"))?;
                if items.len() > ADDED_MAX {
                    let got = items.len() as f64;
                    return Err(Refusal::out_of_range("items", got, 1.0, ADDED_MAX as f64, true));
                }
                let added = self.add_items(id, items);
                Ok(page(added.iter().collect(), super::Query("limit=100"), false))
            }
            ("GET", [id, "items"]) => {
                self.conversation(id)?;
                let items = self.items_of(id).iter().collect();
                Ok(page(items, visit.query, true))
            }
            ("GET", [id, "items", item]) => self.item(id, item).cloned(),
            ("DELETE", [id, "items", item]) => {
                self.item(id, item)?;
                self.items_of(id).remove(item);
                self.conversation(id).cloned()
            }
            _ => Err(visit.unknown()),
        }
    }

    fn conversation(&mut self, id: &str) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| conversation_object(id, &Value::Null));
        self.conversations.table.open(id, "conversation", made_up)
    }

    fn items_of(&mut self, id: &str) -> &mut Table {
        let items = &mut self.conversations.items;
        if items.len() >= OBJECTS_MAX && !items.contains_key(id) {
            items.pop_first();
        }
        items.entry(id.to_owned()).or_insert_with(|| Table::new(ITEMS_MAX))
    }

    fn item(&mut self, id: &str, item: &str) -> Result<&mut Value, Refusal> {
        self.conversation(id)?;
        let made_up = self.invents.then(|| message_item(item, "user", &json!("made up")));
        self.items_of(id).open(item, "item", made_up)
    }

    /// Whether a conversation is there to go on with.
    pub(super) fn has_conversation(&mut self, id: &str) -> bool {
        self.conversation(id).is_ok()
    }

    /// Adds items as a caller writes them; as they are told.
    pub(super) fn add_items(&mut self, id: &str, items: &[Value]) -> Vec<Value> {
        let mut told = Vec::with_capacity(items.len());
        for item in items {
            let item = self.item_told(item);
            self.items_of(id).push(item.clone());
            told.push(item);
        }
        told
    }

    /// An item of an input as it is told: with an id, and a message with its parts.
    pub(super) fn item_told(&mut self, item: &Value) -> Value {
        let given = item.get("id").and_then(Value::as_str).map(str::to_owned);
        if let Some(role) = item.get("role").and_then(Value::as_str) {
            let id = given.unwrap_or_else(|| self.id("msg_"));
            return message_item(&id, role, &item["content"]);
        }
        let mut item = item.clone();
        if given.is_none() && item.is_object() {
            item["id"] = self.id("item_").into();
        }
        item
    }
}

/// A message as an item.
pub(super) fn message_item(id: &str, role: &str, content: &Value) -> Value {
    let parts = match content {
        Value::String(text) if role == "assistant" => {
            json!([{ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }])
        }
        Value::String(text) => json!([{ "type": "input_text", "text": text }]),
        Value::Array(_) => content.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => json!([]),
    };
    json!({ "id": id, "type": "message", "status": "completed", "role": role, "content": parts })
}
