//! Answers that are kept: responses (unless `store` is false) and chat completions (if it is true).
//! What is kept is the call; its answer follows from it whenever it is asked for.

use super::conversations::message_item;
use super::table::{absent, deleted, page, push};
use super::{OBJECTS_MAX, Shelf, Visit, metadata_of};
use crate::provider::answer::{Answer, Content};
use crate::provider::refusal::Refusal;
use crate::provider::request::{Api, Call, read};
use crate::provider::responses::{self, State};
use crate::provider::speech::speak;
use crate::provider::{chat, encode};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// The largest request that is kept with its answer, in bytes; of larger ones the input is forgotten.
const BODY_MAX: usize = 64 << 10;

/// One answer.
#[derive(Debug)]
pub(crate) struct Said {
    id: String,
    number: u64,
    call: Call,
    body: Vec<u8>,
    metadata: Option<Value>,
    made: Duration,
    background: bool,
    cancelled: bool,
}

/// All answers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    responses: VecDeque<Said>,
    chats: VecDeque<Said>,
}

impl Said {
    fn new(id: String, number: u64, call: &Call, body: &[u8], made: Duration) -> Said {
        let body = if body.len() > BODY_MAX { b"{}" } else { body };
        let background = call.is_background();
        let (call, body) = (call.clone(), body.to_vec());
        Said { id, number, call, body, metadata: None, made, background, cancelled: false }
    }

    fn asked(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Shelf {
    /// Keeps an answer that was given, if it is to be kept.
    pub(crate) fn answered(
        &mut self,
        api: Api,
        call: &Call,
        body: &[u8],
        number: u64,
        now: Duration,
    ) {
        if api == Api::Responses {
            self.note_conversation(call, body, number);
        }
        if !call.keep {
            return;
        }
        // Nothing else asks to be kept.
        let (list, id) = if api == Api::Responses {
            (&mut self.kept.responses, responses::id(number))
        } else {
            (&mut self.kept.chats, chat::id(number))
        };
        push(list, Said::new(id, number, call, body, now), OBJECTS_MAX);
    }

    /// What a response goes on from must be there.
    pub(crate) fn refuse_unknown_past(&mut self, call: &Call) -> Option<Refusal> {
        if self.invents {
            return None;
        }
        if let Some(id) = call.repeats("previous_response_id").and_then(Value::as_str)
            && !self.kept.responses.iter().any(|said| said.id == id)
        {
            let message = format!("Previous response with id '{id}' not found.");
            let refusal = Refusal::new(400, message);
            return Some(Refusal {
                code: Some("previous_response_not_found"),
                param: Some("previous_response_id".into()),
                ..refusal
            });
        }
        let id = call.repeats("conversation").and_then(|c| c["id"].as_str())?.to_owned();
        (!self.has_conversation(&id)).then(|| absent("conversation", &id))
    }

    /// A response in a conversation leaves its input and its output there.
    fn note_conversation(&mut self, call: &Call, body: &[u8], number: u64) {
        let id = call.repeats("conversation").and_then(|c| c["id"].as_str());
        let Some(id) = id.map(str::to_owned) else { return };
        let asked: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let speech = speak(call, &self.manner);
        let mut items = input_of(&asked);
        items.push(responses::item(call, &speech.text, number, "completed"));
        self.add_items(&id, &items);
    }

    /// Answers a request below `/responses`.
    pub(super) fn kept_responses_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Answer, Refusal> {
        match (visit.method, parts) {
            ("POST", ["input_tokens"]) => {
                let tokens = (visit.body.to_string().len() / 4).max(1);
                Ok(Answer::told(
                    json!({ "object": "response.input_tokens", "input_tokens": tokens }),
                ))
            }
            ("POST", ["compact"]) => self.compact(&visit.body).map(Answer::told),
            ("GET", [id]) if visit.query.get("stream") == Some("true") => self.replay(visit, id),
            ("GET", [id]) => self.response(visit, id).map(Answer::told),
            ("DELETE", [id]) => {
                self.response(visit, id)?;
                self.kept.responses.retain(|said| said.id != *id);
                Ok(Answer::told(deleted(id, "response")))
            }
            ("POST", [id, "cancel"]) => self.cancel_response(visit, id).map(Answer::told),
            ("GET", [id, "input_items"]) => self.input_items(visit, id).map(Answer::told),
            _ => Err(visit.unknown()),
        }
    }

    fn said(&mut self, id: &str) -> Result<&mut Said, Refusal> {
        let known = self.kept.responses.iter().any(|said| said.id == id);
        if !known && self.invents {
            let body = br#"{"model":"gpt-4o","input":"made up","background":true}"#;
            let call = read(Api::Responses, body, None)?;
            let said = Said::new(id.to_owned(), 0, &call, body, Duration::ZERO);
            push(&mut self.kept.responses, said, OBJECTS_MAX);
        }
        let found = self.kept.responses.iter_mut().find(|said| said.id == id);
        found.ok_or_else(|| absent("response", id))
    }

    fn response(&mut self, visit: &Visit<'_>, id: &str) -> Result<Value, Refusal> {
        let (step, manner) = (self.step, self.manner.clone());
        let said = self.said(id)?;
        let speech = speak(&said.call, &manner);
        let state = state_of(said, step, visit.now);
        let mut response = responses::told(&said.call, &speech, said.number, &state);
        response["id"] = said.id.clone().into();
        Ok(response)
    }

    fn replay(&mut self, visit: &Visit<'_>, id: &str) -> Result<Answer, Refusal> {
        let manner = self.manner.clone();
        let said = self.said(id)?;
        let answer = responses::stream(&said.call, &speak(&said.call, &manner), said.number);
        let after = visit.query.get("starting_after").and_then(|after| after.parse::<usize>().ok());
        let Content::Events(events) = answer.content else { return Ok(answer) };
        // The events are numbered from 0.
        let from = after.map_or(0, |after| after.saturating_add(1)).min(events.len());
        Ok(Answer { content: Content::Events(events[from..].to_vec()), ..answer })
    }

    fn cancel_response(&mut self, visit: &Visit<'_>, id: &str) -> Result<Value, Refusal> {
        let said = self.said(id)?;
        if !said.background {
            let message = "Only responses created with background=true can be cancelled.";
            return Err(Refusal::new(400, message));
        }
        let step = self.step;
        let said = self.said(id)?;
        // One that is over stays what it is.
        if matches!(state_of(said, step, visit.now), State::Queued | State::InProgress) {
            said.cancelled = true;
        }
        self.response(visit, id)
    }

    fn input_items(&mut self, visit: &Visit<'_>, id: &str) -> Result<Value, Refusal> {
        let said = self.said(id)?;
        let number = said.number;
        let told = |(at, item): (usize, Value)| {
            let id = item["id"]
                .as_str()
                .map_or_else(|| format!("msg_sim{number:08}in{at}"), str::to_owned);
            if let Some(role) = item["role"].as_str() {
                return message_item(&id, role, &item["content"]);
            }
            let mut item = item;
            item["id"] = id.into();
            item
        };
        let items: Vec<Value> = input_of(&said.asked()).into_iter().enumerate().map(told).collect();
        Ok(page(items.iter().collect(), visit.query, true))
    }

    fn compact(&mut self, body: &Value) -> Result<Value, Refusal> {
        let model = body["model"].as_str().ok_or_else(|| Refusal::missing("model"))?;
        let number = self.id("");
        let squeezed = encode::base64(model.as_bytes());
        let output = [json!({
            "id": format!("cmp_{number}"), "type": "compaction", "encrypted_content": squeezed,
        })];
        let input = (body.to_string().len() / 4).max(1);
        Ok(json!({
            "id": format!("resp_{number}"), "object": "response.compaction",
            "created_at": chat::CREATED, "output": output,
            "usage": {
                "input_tokens": input, "output_tokens": 1, "total_tokens": input + 1,
                "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
                "output_tokens_details": { "reasoning_tokens": 0 },
            },
        }))
    }

    /// Answers a request below `/chat/completions`.
    pub(super) fn kept_chats_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("GET", []) => {
                let model = visit.query.get("model");
                let fits = |said: &&Said| model.is_none_or(|model| said.call.model == model);
                let chats: Vec<Value> =
                    self.kept.chats.iter().filter(fits).map(|said| self.chat_told(said)).collect();
                Ok(page(chats.iter().collect(), visit.query, false))
            }
            ("GET", [id]) => {
                self.chat(id)?;
                self.chat_value(id)
            }
            ("POST", [id]) => {
                self.chat(id)?.metadata = Some(metadata_of(&visit.body));
                self.chat_value(id)
            }
            ("DELETE", [id]) => {
                self.chat(id)?;
                self.kept.chats.retain(|said| said.id != *id);
                Ok(deleted(id, "chat.completion.deleted"))
            }
            ("GET", [id, "messages"]) => {
                let said = self.chat(id)?;
                let asked = said.asked();
                let messages = asked["messages"].as_array().cloned().unwrap_or_default();
                let told = messages.iter().enumerate().map(|(at, message)| {
                    let mut told = json!({
                        "id": format!("{id}-{at}"), "role": message["role"],
                        "content": message["content"],
                    });
                    if let Some(name) = message.get("name") {
                        told["name"] = name.clone();
                    }
                    told
                });
                let told: Vec<Value> = told.collect();
                Ok(page(told.iter().collect(), visit.query, false))
            }
            _ => Err(visit.unknown()),
        }
    }

    fn chat(&mut self, id: &str) -> Result<&mut Said, Refusal> {
        let known = self.kept.chats.iter().any(|said| said.id == id);
        if !known && self.invents {
            let body = br#"{"model":"gpt-4o","messages":[{"role":"assistant","content":"hi"}],"store":true}"#;
            let call = read(Api::Chat, body, None)?;
            let said = Said::new(id.to_owned(), 0, &call, body, Duration::ZERO);
            push(&mut self.kept.chats, said, OBJECTS_MAX);
        }
        let found = self.kept.chats.iter_mut().find(|said| said.id == id);
        found.ok_or_else(|| absent("chat completion", id))
    }

    fn chat_value(&self, id: &str) -> Result<Value, Refusal> {
        let said = self.kept.chats.iter().find(|said| said.id == id);
        said.map(|said| self.chat_told(said)).ok_or_else(|| absent("chat completion", id))
    }

    fn chat_told(&self, said: &Said) -> Value {
        let speech = speak(&said.call, &self.manner);
        let answer = chat::whole(&said.call, &speech, said.number);
        let Content::Whole(bytes) = answer.content else { return Value::Null };
        let mut value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        value["id"] = said.id.clone().into();
        let own = || metadata_of(&said.asked());
        value["metadata"] = said.metadata.clone().unwrap_or_else(own);
        value
    }
}

/// Where a response is now.
fn state_of(said: &Said, step: Duration, now: Duration) -> State {
    if said.cancelled {
        return State::Cancelled;
    }
    let gone = now.saturating_sub(said.made);
    if said.background && gone < step {
        return State::Queued;
    }
    if said.background && gone < step * 2 {
        return State::InProgress;
    }
    State::ending(&said.call.model)
}

/// The items of an input; a text is a message of the user's.
fn input_of(asked: &Value) -> Vec<Value> {
    match asked.get("input") {
        Some(Value::String(text)) => vec![json!({ "role": "user", "content": text })],
        Some(Value::Array(items)) => items.clone(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_list_of_items() {
        assert_eq!(input_of(&json!({ "input": "a" })).len(), 1);
        assert_eq!(input_of(&json!({ "input": [{ "role": "user" }, { "type": "x" }] })).len(), 2);
        assert!(input_of(&json!({})).is_empty());
    }
}
