//! `mainstay explain`: what became of a request; what an error is, why it happens, what to do.

use mainstay_core::catalogue::{Entry, Found, find};
use mainstay_core::store::RequestId;
use serde_json::{Value, json};

use crate::args::At;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

mod request;

pub(super) use request::no_record;

pub(super) fn run(query: &str, at: &At, show: &mut Show) -> Result<Exit, Trouble> {
    if let Some(id) = RequestId::parse(query.trim()) {
        return request::run(id, at, show);
    }
    let found = find(query);
    if let Found::Nothing(suggestions) = &found {
        let fix = if suggestions.is_empty() {
            "give a kind, a code, an HTTP status, an SDK class or the words of a message; \
             docs/errors.md has them all"
                .to_owned()
        } else {
            format!("did you mean {}?", suggestions.join(", "))
        };
        let shown: String = query.chars().take(80).collect();
        let what = format!("nothing is known as `{shown}`");
        let why = "it is no kind, code, status or SDK class, and no message like it is known";
        return Err(Trouble::new(Exit::Failed, what, why, fix));
    }
    let entries = found.entries();
    if show.json() {
        let all: Vec<Value> = entries.iter().map(|entry| object(entry)).collect();
        show.line(
            &json!({"query": query, "matched": matched(&found), "entries": all}).to_string(),
        )?;
        return Ok(Exit::Worked);
    }
    if entries.len() > 1 {
        show.line(&format!("{query} may be {} kinds, the likeliest first\n", entries.len()))?;
    }
    for (index, entry) in entries.iter().enumerate() {
        show.line(&text(entry, index > 0))?;
    }
    Ok(Exit::Worked)
}

fn matched(found: &Found) -> &'static str {
    match found {
        Found::Kind(_) => "kind",
        Found::Code(_) => "code",
        Found::Status(..) => "status",
        Found::Class(..) => "class",
        Found::Message(_) => "message",
        Found::Nothing(_) => "nothing",
    }
}

fn object(entry: &Entry) -> Value {
    json!({
        "kind": entry.kind.name(),
        "class": entry.class.name(),
        "status": entry.status,
        "retryable": entry.retryable,
        "cause": entry.cause,
        "steps": entry.steps,
        "retry_advice": entry.retry_advice,
        "guide": entry.guide,
        "code": entry.unified.code,
        "type": entry.unified.r#type,
        "other_target_helps": entry.other_target_helps,
    })
}

fn text(entry: &Entry, again: bool) -> String {
    let retryable = if entry.retryable { "may be sent again" } else { "not to be sent again" };
    let (kind, status, class) = (entry.kind, entry.status, entry.class.name());
    let steps: String = (1..)
        .zip(entry.steps)
        .map(|(number, step)| line(format_args!("  {number}. {step}")))
        .collect();
    let before = if again { "\n" } else { "" };
    format!(
        "{before}{kind}  (HTTP {status}, {class}, {retryable})\n\n  {}\n\nWhat to do\n{steps}\n\
         Sending it again\n  {}",
        entry.cause, entry.retry_advice
    )
}

fn line(text: std::fmt::Arguments<'_>) -> String {
    let mut line = text.to_string();
    line.push('\n');
    line
}
