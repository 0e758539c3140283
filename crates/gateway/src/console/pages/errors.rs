//! The catalogue of errors: what each kind means and what to do, from `mainstay-core`.

use askama::Template;
use mainstay_core::catalogue::{Entry, Found, entry, find};
use mainstay_core::failure::Kind;

use crate::admin::{Problem, Question};

use super::super::format::prose;
use super::super::frame::Frame;
use super::super::read::{count, items, text};
use super::super::visit::{Page, Visit};
use super::super::words;

/// Longest question taken, characters; messages of providers are shorter.
const QUESTION_MAX: usize = 2_000;

struct Line {
    entry: &'static Entry,
    /// As HTML.
    cause: String,
    /// How often it came in the last hour.
    seen: u64,
}

#[derive(Template)]
#[template(path = "errors.html")]
struct Errors {
    frame: Frame,
    question: String,
    /// What the question was taken for.
    found: Option<String>,
    lines: Vec<Line>,
}

fn seen(visit: &Visit<'_>) -> Vec<(String, u64)> {
    let traffic = visit.ask(Question::get(&["traffic"])).unwrap_or_default();
    items(&traffic, "kinds").iter().map(|one| (text(one, "kind"), count(one, "count"))).collect()
}

/// All kinds, or those that a question may mean.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let question: String = visit.query.text("q").chars().take(QUESTION_MAX).collect();
    let seen = seen(visit);
    let line = |entry: &'static Entry| {
        let here = seen.iter().find(|(kind, _)| kind == entry.kind.name());
        Line { entry, cause: prose(entry.cause), seen: here.map_or(0, |(_, count)| *count) }
    };
    let (entries, found) = if question.is_empty() {
        (Kind::ALL.iter().map(|kind| entry(*kind)).collect(), None)
    } else {
        let found = find(&question);
        (found.entries(), Some(taken_for(&found)))
    };
    let lines = entries.into_iter().map(line).collect();
    Page::html(&Errors {
        frame: Frame::new(visit, "Error catalogue", "errors"),
        question,
        found,
        lines,
    })
}

fn taken_for(found: &Found) -> String {
    match found {
        Found::Kind(_) => "That is a kind of failure.".to_owned(),
        Found::Code(_) => "That is an error code; it stands for:".to_owned(),
        Found::Status(..) => "That is a status; it may be, the likeliest first:".to_owned(),
        Found::Class(..) => {
            "That is an exception of the SDKs; it may be, the likeliest first:".to_owned()
        }
        Found::Message(_) => "A message like that belongs to, the likeliest first:".to_owned(),
        Found::Nothing(near) if near.is_empty() => {
            "Nothing like that is known. Try the code, the status, or a part of the message."
                .to_owned()
        }
        Found::Nothing(near) => {
            format!("Nothing is known by that name. Did you mean {}?", near.join(", "))
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct One {
    frame: Frame,
    entry: &'static Entry,
    /// As HTML, like the next two.
    cause: String,
    steps: Vec<String>,
    advice: String,
    seen: u64,
}

/// One kind.
pub(super) fn one(visit: &Visit<'_>) -> Result<Page, Problem> {
    let name = visit.segment(0);
    let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
    let entry = entry(*kind.ok_or_else(|| words::no_page(false))?);
    let seen = seen(visit).into_iter().find(|(kind, _)| kind == name).map_or(0, |(_, count)| count);
    Page::html(&One {
        frame: Frame::new(visit, name, "errors"),
        cause: prose(entry.cause),
        steps: entry.steps.iter().map(|step| prose(step)).collect(),
        advice: prose(entry.retry_advice),
        entry,
        seen,
    })
}
