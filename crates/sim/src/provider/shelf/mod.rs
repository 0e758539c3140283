//! What a provider stores: assistants, threads, files, batches, vector stores, conversations, answers,
//! fine-tuning jobs. In memory, bounded: the oldest goes when there is no more room.
//!
//! What takes time at a provider (a run, a batch, a job) moves on with the time of the scenario, looked
//! at when somebody asks: `objects.step` in each state.
//!
//! Source: OpenAI API description of 2026-08.

mod assistants;
mod batches;
mod conversations;
mod files;
mod kept;
mod runs;
mod table;
mod threads;
mod tuning;
mod vectors;
mod voices;

use crate::provider::answer::Answer;
use crate::provider::form::Form;
use crate::provider::look::{Asked, wrong_method};
use crate::provider::refusal::Refusal;
use crate::provider::request::Family;
use crate::provider::speech::Manner;
use serde_json::Value;
use std::time::Duration;

pub(crate) use runs::{Ending, Place, WANTED, wanted};
pub(crate) use table::{Query, deleted};
pub(crate) use threads::thread_object;

/// The most objects of one family.
pub(crate) const OBJECTS_MAX: usize = 1_000;

/// How a scenario wants what is stored to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ways {
    /// How long each state of a run, a batch, a job or an indexed file lasts.
    pub(crate) step: Duration,
    /// An id that was never made is made up instead of refused, and states are not insisted on.
    pub(crate) invents: bool,
}

impl Default for Ways {
    fn default() -> Ways {
        Ways { step: Duration::from_millis(20), invents: false }
    }
}

/// Everything that is stored.
#[derive(Debug)]
pub(crate) struct Shelf {
    step: Duration,
    invents: bool,
    made: u64,
    manner: Manner,
    assistants: table::Table,
    threads: threads::Threads,
    files: files::Files,
    batches: batches::Batches,
    vectors: vectors::Vectors,
    conversations: conversations::Conversations,
    kept: kept::Kept,
    tuning: tuning::Tuning,
    voices: voices::Voices,
}

/// One request about what is stored.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Query<'a>,
    pub(crate) body: Value,
    pub(crate) form: Option<&'a Form>,
    pub(crate) range: Option<&'a str>,
    pub(crate) now: Duration,
}

impl Visit<'_> {
    /// No operation has this method and path.
    fn unknown(&self) -> Refusal {
        let Visit { method, path, .. } = self;
        if matches!(*method, "GET" | "POST" | "DELETE") {
            return Refusal::new(404, format!("Invalid URL ({method} {path})"));
        }
        let Answer { status, .. } = wrong_method(method, path);
        Refusal::new(status, format!("Not allowed to {method} on {path}."))
    }
}

impl Shelf {
    /// An empty shelf.
    pub(crate) fn new(ways: Ways, manner: Manner) -> Shelf {
        Shelf {
            step: ways.step,
            invents: ways.invents,
            made: 0,
            manner,
            assistants: table::Table::new(OBJECTS_MAX),
            threads: threads::Threads::default(),
            files: files::Files::new(),
            batches: batches::Batches::default(),
            vectors: vectors::Vectors::default(),
            conversations: conversations::Conversations::default(),
            kept: kept::Kept::default(),
            tuning: tuning::Tuning::new(),
            voices: voices::Voices::new(),
        }
    }

    /// Answers a request about what is stored, or makes a call of a model of it.
    pub(crate) fn answer(&mut self, family: Family, visit: &Visit<'_>) -> Asked {
        let path = visit.path.trim_start_matches("/v1/");
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').skip(family.skipped()).collect();
        if family == Family::Threads {
            return self.threads_at(visit, &parts);
        }
        settled(self.plain(family, visit, &parts))
    }

    /// The requests that run no model.
    fn plain(
        &mut self,
        family: Family,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Answer, Refusal> {
        match family {
            Family::Assistants => self.assistants_at(visit, parts).map(Answer::told),
            Family::Files => self.files_at(visit, parts),
            Family::Uploads => self.uploads_at(visit, parts).map(Answer::told),
            Family::Batches => self.batches_at(visit, parts).map(Answer::told),
            Family::VectorStores => self.vectors_at(visit, parts).map(Answer::told),
            Family::Conversations => self.conversations_at(visit, parts).map(Answer::told),
            Family::KeptChats => self.kept_chats_at(visit, parts).map(Answer::told),
            Family::KeptResponses => self.kept_responses_at(visit, parts),
            Family::FineTuning => self.tuning_at(visit, parts).map(Answer::told),
            Family::Voices => self.voices_at(visit, parts).map(Answer::told),
            Family::Threads => Err(visit.unknown()),
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}sim{:08}", self.made)
    }
}

fn settled(answer: Result<Answer, Refusal>) -> Asked {
    Asked::Settled(Box::new(answer.unwrap_or_else(|refusal| refusal.answer())))
}

/// The metadata that a body brings; an empty object without any.
fn metadata_of(body: &Value) -> Value {
    body.get("metadata").filter(|value| value.is_object()).cloned().unwrap_or_else(empty)
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Copies fields that a body brings over those of an object.
fn overlay(object: &mut Value, body: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = body.get(*name).filter(|value| !value.is_null()) {
            object[*name] = value.clone();
        }
    }
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

/// What a caller asks to become of a thing that names no model: `metadata.sim` or `attributes.sim`.
fn wished<'v>(body: &'v Value, at: &str) -> Option<&'v str> {
    body.get(at)?.get("sim")?.as_str()
}
