//! Requests that are over: a list with filters, and one with its timeline and what it means.

use askama::Template;
use mainstay_core::failure::Kind;
use serde_json::Value;

use crate::admin::{Problem, Question, encode};

use super::super::format::{self, When, count, millis, prose, when};
use super::super::frame::Frame;
use super::super::read::{self, items, maybe, text, texts, yes};
use super::super::svg::{Lane, Mark, lane};
use super::super::visit::{Page, Visit};
use super::super::words::{self, Badge};
use super::names::{Choice, Names, choices};

/// Requests of one page.
const PAGE: &str = "50";
/// Filters that go to the desk as they are.
const FILTERS: [&str; 7] = ["key", "project", "provider", "model", "kind", "status", "since"];

#[derive(Template)]
#[template(path = "requests.html")]
struct Requests {
    frame: Frame,
    lines: Vec<Line>,
    statuses: Vec<Choice>,
    kinds: Vec<Choice>,
    keys: Vec<Choice>,
    projects: Vec<Choice>,
    providers: Vec<Choice>,
    sinces: Vec<Choice>,
    model: String,
    filtered: bool,
    next: Option<String>,
}

/// A request in a list.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) at: When,
    pub(super) status: Badge,
    pub(super) kind: Option<String>,
    pub(super) who: String,
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) attempts: u64,
    pub(super) took: String,
    pub(super) cost: String,
}

/// A request in a list.
pub(super) fn line(value: &Value, visit: &Visit<'_>) -> Line {
    Line {
        id: text(value, "id"),
        at: when(&text(value, "at"), visit.now),
        status: words::status(read::count(value, "status")),
        kind: maybe(value, "kind"),
        who: maybe(value, "key_name").unwrap_or_else(|| "no key".to_owned()),
        model: maybe(value, "model").unwrap_or_else(|| text(value, "endpoint")),
        provider: text(value, "provider"),
        attempts: read::count(value, "attempts"),
        took: millis(read::count(value, "took_ms")),
        cost: maybe(value, "cost_usd").map_or(String::new(), |cost| format::usd(&cost)),
    }
}

/// The list.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    if let Some(id) = visit.query.get("id") {
        return Ok(Page::Moved(format!("/requests/{}", encode(id))));
    }
    let mut question = Question::get(&["requests"]).with("limit", PAGE);
    for name in FILTERS {
        if let Some(value) = visit.query.get(name) {
            question = question.with(name, value);
        }
    }
    if let Some(after) = visit.query.get("after") {
        question = question.with("after", after);
    }
    let found = visit.ask(question)?;
    let names = Names::ask(visit)?;
    let next = yes(&found, "has_more").then(|| next(visit, &text(&found, "last_id")));
    let providers = visit.ask(Question::get(&["providers"]))?;
    let chosen = |name: &str| visit.query.text(name);
    let plain = |name: &str, values: &[(&str, &str)]| -> Vec<Choice> {
        let chosen = chosen(name);
        let choice = |(value, label): &(&str, &str)| Choice {
            value: (*value).to_owned(),
            label: (*label).to_owned(),
            chosen: *value == chosen,
        };
        values.iter().map(choice).collect()
    };
    let kinds: Vec<(&str, &str)> =
        Kind::ALL.iter().map(|kind| (kind.name(), kind.name())).collect();
    let provider_names: Vec<String> =
        items(&providers, "data").iter().map(|one| text(one, "name")).collect();
    let provider_names: Vec<(&str, &str)> =
        provider_names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    Page::html(&Requests {
        frame: Frame::new(visit, "Requests", "requests"),
        lines: items(&found, "data").iter().map(|one| line(one, visit)).collect(),
        statuses: plain("status", &words::STATUSES),
        kinds: plain("kind", &kinds),
        keys: choices(&names.keys, &chosen("key"), |one| text(one, "name")),
        projects: choices(&names.projects, &chosen("project"), |one| text(one, "name")),
        providers: plain("provider", &provider_names),
        sinces: plain("since", &words::SINCES),
        model: chosen("model"),
        filtered: FILTERS.iter().any(|name| visit.query.get(name).is_some()),
        next,
    })
}

fn next(visit: &Visit<'_>, last: &str) -> String {
    let filters = FILTERS
        .iter()
        .filter_map(|name| visit.query.get(name).map(|value| format!("{name}={}&", encode(value))));
    format!("/requests?{}after={}", filters.collect::<String>(), encode(last))
}

#[derive(Template)]
#[template(path = "request.html")]
struct One {
    frame: Frame,
    id: String,
    status: Badge,
    said: String,
    at: When,
    took: String,
    facts: Vec<(&'static str, String)>,
    failure: Option<Failure>,
    lanes: Vec<Drawn>,
    scale: Vec<String>,
    key: Option<(String, String)>,
    /// Whether the request's body was kept, and can go into the bundle.
    content: bool,
}

struct Drawn {
    title: String,
    note: String,
    svg: String,
    took: String,
    /// Status, kind, and what was known of the target.
    details: Vec<String>,
}

struct Failure {
    kind: String,
    /// As HTML, like steps, advice and message.
    cause: String,
    steps: Vec<String>,
    advice: String,
    origin: String,
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
    upstream: Option<String>,
    status_page: Option<String>,
    support: Option<String>,
}

/// One request.
pub(super) fn one(visit: &Visit<'_>) -> Result<Page, Problem> {
    let found = visit.ask(Question::get(&["requests", visit.segment(0)]))?;
    let all = read::count(&found, "took_ms").max(1);
    let lanes = items(&found, "timeline").iter().map(|one| drawn(one, all)).collect();
    let id = text(&found, "id");
    Page::html(&One {
        frame: Frame::new(visit, "Request", "requests"),
        status: words::status(read::count(&found, "status")),
        said: sentence(&text(&found, "what_happened")),
        at: when(&text(&found, "at"), visit.now),
        took: millis(all),
        facts: facts(&found),
        failure: failure(&found),
        lanes,
        scale: (0..=4).map(|part| millis(all * part / 4)).collect(),
        key: maybe(&found, "key").map(|key| (key, text(&found, "key_name"))),
        content: yes(&found["failure"]["request"], "content_kept"),
        id,
    })
}

/// The support bundle of one request.
pub(super) fn report(visit: &Visit<'_>) -> Result<Page, Problem> {
    let id = visit.segment(0);
    let mut question = Question::get(&["requests", id, "report"]);
    if visit.query.get("content").is_some() {
        question = question.with("with_content", "true");
    }
    let bytes = visit.desk.fetch(question)?;
    Ok(Page::File { name: format!("{id}.zip"), kind: "application/zip", bytes })
}

/// The sentence with a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

fn facts(found: &Value) -> Vec<(&'static str, String)> {
    let some = |name: &str| maybe(found, name);
    let ms = |name: &str| found[name].as_u64().map(millis);
    let tokens = found["input_tokens"].as_u64().map(|input| {
        let output = read::count(found, "output_tokens");
        let here = if yes(found, "tokens_counted_here") { ", counted here" } else { "" };
        format!("{} in, {} out{here}", count(input), count(output))
    });
    let overhead = found["overhead_us"].as_u64().map(|us| format!("{us} µs"));
    let facts = [
        ("Endpoint", some("endpoint")),
        ("Model asked for", some("model")),
        ("Model served", some("served")),
        ("Provider asked last", some("provider")),
        ("Stream", Some(if yes(found, "stream") { "yes" } else { "no" }.to_owned())),
        ("Attempts", some("attempts")),
        ("First content after", ms("first_content_ms")),
        ("Waited", ms("waited_ms")),
        ("Time spent in Mainstay", overhead),
        ("Tokens", tokens),
        ("Cost", some("cost_usd").map(|cost| format!("{} ({cost} USD)", format::usd(&cost)))),
        (
            "The SDK had sent it before",
            some("sdk_retry").filter(|n| n != "0").map(|n| format!("{n} times")),
        ),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn failure(found: &Value) -> Option<Failure> {
    let failure = &found["failure"];
    let kind = maybe(failure, "kind")?;
    Some(Failure {
        kind,
        cause: prose(&text(failure, "cause")),
        steps: texts(failure, "steps").iter().map(|step| prose(step)).collect(),
        advice: prose(&text(failure, "retry_advice")),
        origin: words::origin(&text(failure, "origin")).to_owned(),
        message: maybe(failure, "message").map(|message| prose(&message)),
        code: maybe(failure, "code"),
        param: maybe(failure, "param"),
        upstream: maybe(failure, "upstream_request_id"),
        status_page: maybe(&found["help"], "status_page"),
        support: maybe(&found["help"], "support"),
    })
}

fn drawn(value: &Value, all: u64) -> Drawn {
    let ms = |name: &str| read::count(value, name);
    let (start, waited, lasted) = (ms("start_ms"), ms("waited_ms"), ms("lasted_ms"));
    let took = ms("took_ms").min(lasted);
    let kind = maybe(value, "kind");
    let target = [maybe(value, "provider"), maybe(value, "model")].into_iter().flatten();
    let title = format!("{}. {}", text(value, "number"), target.collect::<Vec<_>>().join(" / "));
    let mut marks = Vec::new();
    let cause = words::wait_cause(&text(value, "wait_cause")).to_owned();
    if waited > 0 {
        let words = format!("{cause}: {}", millis(waited));
        marks.push(Mark { class: "wait", from: start.saturating_sub(waited), to: start, words });
    }
    if let Some(kind) = &kind {
        let words = format!("{kind} after {}", millis(lasted));
        marks.push(Mark { class: "failed", from: start, to: start + lasted, words });
    } else {
        let words = format!("first content after {}", millis(took));
        marks.push(Mark { class: "second", from: start, to: start + took, words });
        if lasted > took {
            let words = format!("the answer, for {}", millis(lasted - took));
            marks.push(Mark { class: "ok", from: start + took, to: start + lasted, words });
        }
    }
    let note = if waited > 0 { format!("{cause}: {}", millis(waited)) } else { String::new() };
    let ended = kind.clone().unwrap_or_else(|| "answered".to_owned());
    let spoken =
        format!("{title}: {ended}, started after {}, lasted {}", millis(start), millis(lasted));
    Drawn {
        svg: lane(&Lane { title: spoken, marks }, all),
        title,
        note,
        took: millis(lasted),
        details: details(value, kind),
    }
}

fn details(value: &Value, kind: Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(status) = maybe(value, "status") {
        all.push(format!("status {status}"));
    }
    all.extend(kind);
    let state = &value["state"];
    if let Some(circuit) = maybe(state, "circuit") {
        all.push(format!("circuit {circuit}"));
        all.push(format!("{} in flight there", text(state, "in_flight")));
        if read::count(state, "queued") > 0 {
            all.push(format!("{} waiting", text(state, "queued")));
        }
        for limit in items(state, "limits") {
            let level = limit["level"].as_f64().unwrap_or(0.0);
            all.push(format!(
                "{} {} at hand",
                format::short(level.max(0.0)),
                words::limit_name(&text(limit, "name"))
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attempt_shows_its_wait_its_first_content_and_its_answer() {
        let value = json!({
            "number": 2, "provider": "openai", "model": "gpt-4o", "start_ms": 400, "waited_ms": 300,
            "wait_cause": "backoff", "took_ms": 100, "lasted_ms": 600, "status": 200,
        });
        let drawn = drawn(&value, 1_000);
        assert_eq!(drawn.title, "2. openai / gpt-4o");
        assert_eq!(drawn.note, "backoff before a retry: 300 ms");
        for part in
            ["class=\"wait\" x=\"100\"", "class=\"second\" x=\"400\"", "class=\"ok\" x=\"500\""]
        {
            assert!(drawn.svg.contains(part), "{part}: {}", drawn.svg);
        }
        assert!(!drawn.svg.contains("failed"));
    }

    #[test]
    fn a_failed_attempt_is_red_as_a_whole() {
        let value = json!({"number": 1, "provider": "p", "start_ms": 0, "lasted_ms": 50, "kind": "overloaded"});
        let drawn = drawn(&value, 100);
        assert!(drawn.svg.contains("class=\"failed\"") && !drawn.svg.contains("class=\"ok\""));
        assert_eq!(drawn.details, ["overloaded"]);
    }
}
