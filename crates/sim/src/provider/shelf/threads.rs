//! Threads, and the messages in them.

use super::assistants::tool_resources;
use super::runs::Run;
use super::table::{Table, absent, deleted, page, push};
use super::{OBJECTS_MAX, Shelf, Visit, metadata_of, overlay, settled, text_of};
use crate::provider::answer::Answer;
use crate::provider::chat::CREATED;
use crate::provider::look::Asked;
use crate::provider::refusal::Refusal;
use crate::provider::request::Api;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The most messages, and the most runs, of one thread.
pub(super) const IN_THREAD_MAX: usize = 1_000;
/// The most bytes of text in one thread.
const TEXT_MAX: usize = 1 << 20;

/// A thread and what is in it.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) value: Value,
    pub(super) messages: Table,
    pub(super) runs: VecDeque<Run>,
    pub(super) text: usize,
}

/// All threads.
#[derive(Debug, Default)]
pub(crate) struct Threads(VecDeque<Thread>);

/// A thread as it is told.
pub(crate) fn thread_object(id: &str) -> Value {
    json!({
        "id": id, "object": "thread", "created_at": CREATED, "metadata": {}, "tool_resources": null,
    })
}

impl Thread {
    fn new(value: Value) -> Thread {
        let messages = Table::new(IN_THREAD_MAX);
        Thread { value, messages, runs: VecDeque::new(), text: 0 }
    }

    /// Adds a message, if its text fits.
    pub(super) fn add(&mut self, message: Value, text: usize) -> Result<(), Refusal> {
        if self.text + text > TEXT_MAX {
            return Err(Refusal::new(400, "The thread has too much text: at most 1 MiB is kept."));
        }
        self.text += text;
        self.messages.push(message);
        Ok(())
    }
}

impl Shelf {
    /// Answers a request below `/threads`.
    pub(super) fn threads_at(&mut self, visit: &Visit<'_>, parts: &[&str]) -> Asked {
        let call = match (visit.method, parts) {
            ("POST", ["runs"]) => self.make_thread_and_run(visit),
            ("POST", [thread, "runs"]) => self.begin_run(visit, thread, false),
            ("POST", [thread, "runs", run, "submit_tool_outputs"]) => {
                self.take_outputs(visit, thread, run)
            }
            (_, parts) => return settled(self.thread_plain(visit, parts).map(Answer::told)),
        };
        match call {
            Ok(call) => Asked::Call(Api::Runs, Box::new(call)),
            Err(refusal) => settled(Err(refusal)),
        }
    }

    fn thread_plain(&mut self, visit: &Visit<'_>, parts: &[&str]) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => {
                let id = self.make_thread(&visit.body)?;
                self.thread(&id, visit.now).map(|thread| thread.value.clone())
            }
            ("GET", [id]) => Ok(self.thread(id, visit.now)?.value.clone()),
            ("POST", [id]) => {
                let thread = &mut self.thread(id, visit.now)?.value;
                overlay(thread, &visit.body, &["metadata", "tool_resources"]);
                Ok(thread.clone())
            }
            ("DELETE", [id]) => {
                self.thread(id, visit.now)?;
                self.threads.0.retain(|thread| thread.value["id"] != *id);
                Ok(deleted(id, "thread.deleted"))
            }
            (_, [id, "messages", rest @ ..]) => self.messages_at(visit, id, rest),
            (_, [id, "runs", rest @ ..]) => self.runs_at(visit, id, rest),
            _ => Err(visit.unknown()),
        }
    }

    /// A thread, with its runs where they are now.
    pub(super) fn thread(
        &mut self,
        id: &str,
        now: std::time::Duration,
    ) -> Result<&mut Thread, Refusal> {
        let step = self.step;
        let found = self.threads.0.iter().rposition(|thread| thread.value["id"] == id);
        let at = match found {
            Some(at) => at,
            None if self.invents => {
                push(&mut self.threads.0, Thread::new(thread_object(id)), OBJECTS_MAX);
                self.threads.0.len() - 1
            }
            None => return Err(absent("thread", id)),
        };
        let thread = self.threads.0.get_mut(at).ok_or_else(|| absent("thread", id))?;
        thread.go_on(step, now);
        Ok(thread)
    }

    pub(super) fn make_thread(&mut self, body: &Value) -> Result<String, Refusal> {
        let id = self.id("thread_");
        let mut value = thread_object(&id);
        value["metadata"] = metadata_of(body);
        value["tool_resources"] = tool_resources(body);
        push(&mut self.threads.0, Thread::new(value), OBJECTS_MAX);
        for message in body["messages"].as_array().into_iter().flatten() {
            self.add_message(&id, message, std::time::Duration::ZERO)?;
        }
        Ok(id)
    }

    fn messages_at(
        &mut self,
        visit: &Visit<'_>,
        id: &str,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => {
                self.refuse_if_busy(id, visit.now, true)?;
                self.add_message(id, &visit.body, visit.now)
            }
            ("GET", []) => {
                let run = visit.query.get("run_id");
                let invents = self.invents;
                let fits = |m: &&Value| invents || run.is_none_or(|run| m["run_id"] == run);
                let thread = self.thread(id, visit.now)?;
                Ok(page(thread.messages.iter().filter(fits).collect(), visit.query, true))
            }
            ("GET", [message]) => self.message(visit, id, message).cloned(),
            ("POST", [message]) => {
                let message = self.message(visit, id, message)?;
                overlay(message, &visit.body, &["metadata"]);
                Ok(message.clone())
            }
            ("DELETE", [message]) => {
                self.message(visit, id, message)?;
                let messages = &mut self.thread(id, visit.now)?.messages;
                messages.delete(message, "message", "thread.message.deleted")
            }
            _ => Err(visit.unknown()),
        }
    }

    fn message(
        &mut self,
        visit: &Visit<'_>,
        id: &str,
        message: &str,
    ) -> Result<&mut Value, Refusal> {
        let made_up = self.invents.then(|| his_message(message, id, "user", json!([]), &json!({})));
        self.thread(id, visit.now)?.messages.open(message, "message", made_up)
    }

    pub(super) fn add_message(
        &mut self,
        thread: &str,
        body: &Value,
        now: std::time::Duration,
    ) -> Result<Value, Refusal> {
        let role = body["role"].as_str().ok_or_else(|| Refusal::missing("role"))?;
        if !matches!(role, "user" | "assistant") {
            return Err(Refusal::no_choice("role", role, &["user", "assistant"]));
        }
        let text = text_of(&body["content"]).ok_or_else(|| Refusal::missing("content"))?;
        let message = his_message(&self.id("msg_"), thread, role, parts_of(&body["content"]), body);
        self.thread(thread, now)?.add(message.clone(), text.len())?;
        Ok(message)
    }
}

/// The parts of a message as they are told.
fn parts_of(content: &Value) -> Value {
    let text =
        |text: &Value| json!({ "type": "text", "text": { "value": text, "annotations": [] } });
    match content {
        Value::Array(parts) => {
            let told = parts.iter().map(|part| match part["type"].as_str() {
                Some("text") => text(part.pointer("/text/value").unwrap_or_else(|| &part["text"])),
                Some(_) | None => part.clone(),
            });
            told.collect()
        }
        Value::String(_) => json!([text(content)]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => json!([]),
    }
}

/// A message that a caller wrote.
fn his_message(id: &str, thread: &str, role: &str, content: Value, body: &Value) -> Value {
    let attachments = body.get("attachments").filter(|list| list.is_array());
    json!({
        "id": id, "object": "thread.message", "created_at": CREATED, "thread_id": thread,
        "assistant_id": null, "run_id": null, "status": "completed", "incomplete_details": null,
        "incomplete_at": null, "completed_at": CREATED, "role": role, "content": content,
        "attachments": attachments.cloned().unwrap_or_else(|| json!([])),
        "metadata": metadata_of(body),
    })
}
