//! What a provider stores for assistants: assistants, threads, messages and runs. In memory, bounded:
//! the oldest goes when there is no more room.
//!
//! Source: OpenAI API description of 2026-08, assistants, threads, messages, runs.

use crate::provider::answer::Answer;
use crate::provider::chat::CREATED;
use crate::provider::look::{Asked, wrong_method};
use crate::provider::refusal::Refusal;
use crate::provider::request::{Api, Ask, Call, Special, Task};
use crate::provider::runs::{message_object, run_object};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The most assistants, and the most threads.
const OBJECTS_MAX: usize = 1_000;
/// The most messages, and the most runs, of one thread.
const IN_THREAD_MAX: usize = 1_000;
/// The most bytes of text in one thread.
const TEXT_MAX: usize = 1 << 20;

/// Where a run stands, and the ids of what it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) thread: String,
    pub(crate) assistant: String,
    pub(crate) run: String,
    pub(crate) step: String,
    pub(crate) message: String,
    pub(crate) model: String,
    /// The thread was made by the same request.
    pub(crate) new_thread: bool,
}

#[derive(Debug)]
struct Thread {
    id: String,
    messages: VecDeque<Value>,
    runs: VecDeque<Value>,
    text: usize,
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    assistants: VecDeque<Value>,
    threads: VecDeque<Thread>,
    made: u64,
}

/// Whether a path is about what is stored.
pub(crate) fn is_stored(path: &str) -> bool {
    let first = path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next());
    matches!(first, Some("assistants" | "threads"))
}

/// A thread as it is told.
pub(crate) fn thread_object(id: &str) -> Value {
    json!({
        "id": id, "object": "thread", "created_at": CREATED, "metadata": {}, "tool_resources": null,
    })
}

impl Shelf {
    /// Answers a request about what is stored, or makes a call of a model of it.
    pub(crate) fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> Asked {
        let body = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
        let Ok(body @ Value::Object(_)) = body else {
            let refusal = Refusal::new(400, "We could not parse the JSON body of your request.");
            return settled(Err(refusal));
        };
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, parts.as_slice()) {
            ("POST", ["threads", "runs"]) => self.make_thread_and_run(&body),
            ("POST", ["threads", thread, "runs"]) => match self.run(thread, &body, false) {
                Ok(call) => Asked::Call(Api::Runs, Box::new(call)),
                Err(refusal) => settled(Err(refusal)),
            },
            (_, parts) => settled(self.plain(method, path, parts, &body)),
        }
    }

    /// The requests that run no model.
    fn plain(
        &mut self,
        method: &str,
        path: &str,
        parts: &[&str],
        body: &Value,
    ) -> Result<Value, Refusal> {
        match (method, parts) {
            ("POST", ["assistants"]) => self.make_assistant(body),
            ("POST", ["threads"]) => self.make_thread(body).map(|id| thread_object(&id)),
            ("GET", ["assistants", id]) => self.assistant(id).cloned(),
            ("GET", ["threads", id]) => self.thread(id).map(|thread| thread_object(&thread.id)),
            ("DELETE", [kind @ ("assistants" | "threads"), id]) => self.delete(kind, id),
            ("POST", ["threads", id, "messages"]) => self.add_message(id, body),
            ("GET", ["threads", id, "messages"]) => Ok(list(&self.thread(id)?.messages)),
            ("GET", ["threads", id, "runs"]) => Ok(list(&self.thread(id)?.runs)),
            ("GET", ["threads", id, "runs", run]) => {
                let found = self.thread(id)?.runs.iter().find(|known| known["id"] == *run);
                found.cloned().ok_or_else(|| absent("run", run))
            }
            (_, ["assistants" | "threads", ..]) if matches!(method, "GET" | "POST" | "DELETE") => {
                Err(Refusal::new(404, format!("Invalid URL ({method} {path})")))
            }
            _ => {
                let Answer { status, .. } = wrong_method(method, path);
                Err(Refusal::new(status, format!("Not allowed to {method} on {path}.")))
            }
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_sim{:08}", self.made)
    }

    fn assistant(&self, id: &str) -> Result<&Value, Refusal> {
        let found = self.assistants.iter().find(|assistant| assistant["id"] == id);
        found.ok_or_else(|| absent("assistant", id))
    }

    fn thread(&mut self, id: &str) -> Result<&mut Thread, Refusal> {
        let found = self.threads.iter_mut().find(|thread| thread.id == id);
        found.ok_or_else(|| absent("thread", id))
    }

    fn make_assistant(&mut self, body: &Value) -> Result<Value, Refusal> {
        let model = body["model"].as_str().ok_or_else(|| Refusal::missing("model"))?;
        let assistant = json!({
            "id": self.id("asst"), "object": "assistant", "created_at": CREATED, "model": model,
            "name": body["name"], "description": null, "instructions": body["instructions"],
            "tools": [], "tool_resources": null, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
            "response_format": "auto",
        });
        push(&mut self.assistants, assistant.clone(), OBJECTS_MAX);
        Ok(assistant)
    }

    fn make_thread(&mut self, body: &Value) -> Result<String, Refusal> {
        let id = self.id("thread");
        let (messages, runs) = (VecDeque::new(), VecDeque::new());
        push(&mut self.threads, Thread { id: id.clone(), messages, runs, text: 0 }, OBJECTS_MAX);
        for message in body["messages"].as_array().into_iter().flatten() {
            self.add_message(&id, message)?;
        }
        Ok(id)
    }

    fn delete(&mut self, kind: &str, id: &str) -> Result<Value, Refusal> {
        let (before, object) = if kind == "threads" {
            self.thread(id)?;
            self.threads.retain(|thread| thread.id != id);
            (id, "thread.deleted")
        } else {
            self.assistant(id)?;
            self.assistants.retain(|assistant| assistant["id"] != id);
            (id, "assistant.deleted")
        };
        Ok(json!({ "id": before, "object": object, "deleted": true }))
    }

    fn add_message(&mut self, thread: &str, body: &Value) -> Result<Value, Refusal> {
        let role = body["role"].as_str().ok_or_else(|| Refusal::missing("role"))?;
        let text = text_of(&body["content"]).ok_or_else(|| Refusal::missing("content"))?;
        let message = json!({
            "id": self.id("msg"), "object": "thread.message", "created_at": CREATED,
            "thread_id": thread, "assistant_id": null, "run_id": null, "status": "completed",
            "incomplete_details": null, "incomplete_at": null, "completed_at": CREATED,
            "role": role, "attachments": [], "metadata": {},
            "content": [{ "type": "text", "text": { "value": text, "annotations": [] } }],
        });
        let thread = self.thread(thread)?;
        if thread.text + text.len() > TEXT_MAX {
            return Err(Refusal::new(400, "The thread has too much text: at most 1 MiB is kept."));
        }
        thread.text += text.len();
        push(&mut thread.messages, message.clone(), IN_THREAD_MAX);
        Ok(message)
    }

    fn make_thread_and_run(&mut self, body: &Value) -> Asked {
        // Looked for first, so that a wrong assistant leaves no thread behind.
        let assistant = body["assistant_id"].as_str().unwrap_or_default();
        let call = self
            .assistant(assistant)
            .map(|_| ())
            .and_then(|()| self.make_thread(&body["thread"]))
            .and_then(|thread| self.run(&thread, body, true));
        match call {
            Ok(call) => Asked::Call(Api::Runs, Box::new(call)),
            Err(refusal) => settled(Err(refusal)),
        }
    }

    /// The call of a model that a run is.
    fn run(&mut self, thread: &str, body: &Value, new_thread: bool) -> Result<Call, Refusal> {
        let id = body["assistant_id"].as_str().ok_or_else(|| Refusal::missing("assistant_id"))?;
        let assistant = self.assistant(id)?;
        let model =
            body["model"].as_str().or_else(|| assistant["model"].as_str()).unwrap_or_default();
        let (model, assistant) = (model.to_owned(), id.to_owned());
        let found = self.thread(thread)?;
        let user = found.messages.iter().rev().find(|message| message["role"] == "user");
        let text = user.and_then(|message| text_of(&message["content"])).unwrap_or_default();
        let prompt_tokens = found.text.div_ceil(4).max(1) as u64;
        let place = Place {
            thread: thread.to_owned(),
            assistant,
            run: self.id("run"),
            step: self.id("step"),
            message: self.id("msg"),
            model: model.clone(),
            new_thread,
        };
        Ok(Call {
            model,
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: true,
            n: 1,
            max_tokens: body["max_completion_tokens"]
                .as_u64()
                .and_then(|max| u32::try_from(max).ok()),
            user: None,
            prompt_tokens,
            ask: Ask { heard: text.len(), text },
            task: Task::Text,
            special: Special::Run(Box::new(place)),
        })
    }

    /// Notes a run that was made, and what the assistant said in it. A run is made even when nobody
    /// hears of it.
    pub(crate) fn ran(&mut self, place: &Place, text: &str, sound: bool) {
        let Ok(thread) = self.thread(&place.thread) else { return };
        let status = if sound { "completed" } else { "failed" };
        push(&mut thread.runs, run_object(place, &place.model, status, None), IN_THREAD_MAX);
        if sound && thread.text + text.len() <= TEXT_MAX {
            thread.text += text.len();
            push(&mut thread.messages, message_object(place, Some(text)), IN_THREAD_MAX);
        }
    }
}

fn settled(answer: Result<Value, Refusal>) -> Asked {
    Asked::Settled(Box::new(match answer {
        Ok(value) => Answer::json(200, value.to_string()),
        Err(refusal) => refusal.answer(),
    }))
}

fn push<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() >= max {
        list.pop_front();
    }
    list.push_back(item);
}

fn absent(what: &str, id: &str) -> Refusal {
    Refusal::new(404, format!("No {what} found with id '{id}'."))
}

/// A text, or the parts of one.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let text = |part: &Value| {
                let value = part.pointer("/text/value").or_else(|| part.get("text"));
                value.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            Some(parts.iter().map(text).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The newest first, as lists are told.
fn list(items: &VecDeque<Value>) -> Value {
    let data: Vec<&Value> = items.iter().rev().collect();
    let id = |item: Option<&&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    json!({
        "object": "list", "first_id": id(data.first()), "last_id": id(data.last()), "has_more": false,
        "data": data,
    })
}
