//! One request, explained: its timeline drawn, what happened, why, and what to do.

use std::fmt::Write as _;
use std::time::Duration;

use mainstay_core::catalogue;
use mainstay_core::store::{AttemptNote, RequestId, RequestRecord, StateNote};
use mainstay_gateway::explained::{detail, what_happened};
use mainstay_gateway::help::Help;
use mainstay_gateway::settings::helps;
use mainstay_gateway::shapes::time_millis;

use crate::args::At;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

/// Width of the drawing, in characters.
const WIDTH: u32 = 40;

pub(super) fn run(id: RequestId, at: &At, show: &mut Show) -> Result<Exit, Trouble> {
    let (config, store) = super::super::configured_store(at)?;
    let record = store.request(id)?.ok_or_else(|| no_record(id))?;
    let helps = helps(&config);
    let help = record.provider.as_deref().and_then(|name| helps.get(name)).copied();
    show.either(&detail(&record, help), text(&record, help).trim_end())?;
    Ok(Exit::Worked)
}

/// There is no record of it.
pub(in crate::commands) fn no_record(id: RequestId) -> Trouble {
    Trouble::new(
        Exit::Failed,
        format!("there is no record of {id} in this store"),
        "it is under way or ended within the last second, is older than `records.keep`, or went through a gateway \
         with another store",
        "try again in a second; name the gateway's configuration with `--config FILE`",
    )
}

fn text(record: &RequestRecord, help: Option<&Help>) -> String {
    let mut out = String::new();
    let model = record.model.as_deref().unwrap_or("no model");
    let stream = if record.stream { ", streamed" } else { "" };
    let who = match record.key.as_deref() {
        Some(id) => format!("key {} ({id}), {}, {}", record.key_name, record.project, record.org),
        None if record.org.is_empty() => "a caller who was not let in".to_owned(),
        None => format!("no key, {}, {}", record.project, record.org),
    };
    let _ = writeln!(out, "{}  {}", record.id, time_millis(record.at));
    let _ = writeln!(out, "{} {model}{stream}, by {who}\n", record.endpoint.name());
    let _ = writeln!(out, "{}\n", what_happened(record));
    timeline(&mut out, record);
    used(&mut out, record);
    why(&mut out, record, help);
    out
}

/// Each attempt as a bar on the call's time.
fn timeline(out: &mut String, record: &RequestRecord) {
    if record.attempts.is_empty() {
        return;
    }
    let width = |note: &AttemptNote| target(note).len();
    let names = record.attempts.iter().map(width).max().unwrap_or(0);
    let all = record.took.max(Duration::from_micros(1));
    let ruler = format!("{} ms", all.as_millis());
    let _ = writeln!(out, "     {:names$}  0 ms{ruler:>36}", "");
    for (number, note) in (1..).zip(&record.attempts) {
        let name = target(note);
        let _ = writeln!(out, "{number:>3}  {name:names$}  {}  {}", bar(note, all), came(note));
        if !note.waited.is_zero() {
            let cause = if note.cause.is_empty() { "other" } else { &*note.cause };
            let wait = note.waited.as_millis();
            let _ = writeln!(out, "     {:names$}  waited {wait} ms before it: {cause}", "");
        }
        if let Some(state) = note.state.as_ref().filter(|state| state.exact) {
            let _ = writeln!(out, "     {:names$}  {}", "", state_line(state));
        }
    }
    out.push_str("     . waiting   # until the first content   = until the end\n\n");
}

fn target(note: &AttemptNote) -> String {
    format!("{}/{}", note.provider, note.model.as_deref().unwrap_or("-"))
}

fn bar(note: &AttemptNote, all: Duration) -> String {
    let place = |time: Duration| {
        let part = time.as_micros() * u128::from(WIDTH) / all.as_micros().max(1);
        u32::try_from(part).unwrap_or(WIDTH).min(WIDTH)
    };
    let wait = place(note.start.saturating_sub(note.waited));
    let start = place(note.start).min(WIDTH - 1);
    let first = place(note.start + note.took).max(start + 1);
    let end = place(note.start + note.lasted).max(first);
    let mark = |at: u32| match at {
        at if at >= end => ' ',
        at if at >= first => '=',
        at if at >= start => '#',
        at if at >= wait && !note.waited.is_zero() => '.',
        _ => ' ',
    };
    (0..WIDTH).map(mark).collect()
}

fn came(note: &AttemptNote) -> String {
    let status = note.status.map_or_else(String::new, |status| format!("{status} "));
    let what = match (note.kind, note.status) {
        (Some(kind), _) => kind.name(),
        (None, Some(_)) => "answered",
        (None, None) => "cancelled",
    };
    format!("{status}{what}, {} ms", note.lasted.as_millis())
}

fn state_line(state: &StateNote) -> String {
    let mut line = format!(
        "circuit {}, {} under way, {} queued, retry budget {}",
        state.circuit, state.in_flight, state.queued, state.retry_budget
    );
    for limit in &state.limits {
        let told = if limit.told { "" } else { " (found by trying)" };
        let _ = write!(
            line,
            ", {} {:.0}/min of which {:.0} left{told}",
            limit.name, limit.per_minute, limit.level
        );
    }
    line
}

fn used(out: &mut String, record: &RequestRecord) {
    let waited = record.waited.as_millis();
    let _ = write!(out, "waited {waited} ms in all, {} us spent here", record.overhead.as_micros());
    if let Some(first) = record.first_content {
        let _ = write!(out, ", first content after {} ms", first.as_millis());
    }
    if let Some(usage) = record.usage {
        let counted = if record.counted { " (counted here)" } else { "" };
        let _ = write!(out, ", {} tokens in, {} out{counted}", usage.input, usage.output);
    }
    if let Some(cost) = record.cost {
        let _ = write!(out, ", cost {cost} USD");
    }
    out.push('\n');
}

fn why(out: &mut String, record: &RequestRecord, help: Option<&Help>) {
    let Some(note) = &record.failed else { return };
    let entry = catalogue::entry(note.kind);
    let _ = writeln!(out, "\nWhy\n  {}", entry.cause);
    if let Some(message) = note.message.as_deref() {
        let _ = writeln!(out, "  told: {}", message.escape_debug());
    }
    for (name, value) in [("code", &note.code), ("parameter", &note.param)] {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name}: {}", value.escape_debug());
        }
    }
    out.push_str("\nWhat to do\n");
    for (number, step) in (1..).zip(entry.steps) {
        let _ = writeln!(out, "  {number}. {step}");
    }
    if let Some(wait) = note.retry_after {
        let _ = writeln!(out, "  It is worth trying again after {} ms.", wait.as_millis());
    }
    let theirs = detail(record, help)["help"].is_object();
    if let Some(help) = help.filter(|_| theirs) {
        let _ = writeln!(out, "\nThe provider's state: {}", help.status_page);
        if let Some(support) = help.support {
            let _ = writeln!(out, "Its support: {support}");
        }
        let id = record.id;
        let _ = writeln!(out, "A bundle for it: mainstay report {id} -o report.zip");
    }
}
