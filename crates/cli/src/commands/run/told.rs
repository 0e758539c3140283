//! A run in words: the line that moves, and what is told at the end.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use mainstay_core::catalogue;
use mainstay_core::failure::Kind;
use mainstay_gateway::config::duration_text;
use serde_json::{Value, json};

use crate::run::{Forecast, Progress, Stop, Summary, stop_kind};

/// How a run stands, on one line.
pub(super) fn progress(at: &Progress) -> String {
    let share = at.done as f64 * 100.0 / at.total.max(1) as f64;
    let mut line = format!("{}/{} done ({share:.1} %)", at.done, at.total);
    if at.failed > 0 {
        let _ = write!(line, ", {} failed", at.failed);
    }
    let _ = write!(line, ", {} in flight", at.under_way);
    if at.put_off > 0 {
        let _ = write!(line, ", {} waiting for the provider", at.put_off);
    }
    let _ = write!(line, " | {}/s", rate(at.lines_rate));
    if let Some(limit) = at.learnt.requests {
        let _ = write!(line, " of {}/s", rate(limit));
    }
    let _ = write!(line, ", {} tokens/s", rate(at.tokens_rate));
    if let Some(limit) = at.learnt.tokens {
        let _ = write!(line, " of {}", rate(limit));
    }
    if let Some(cost) = at.cost {
        let _ = write!(line, " | ${cost}");
    }
    if let Some(left) = at.left {
        let _ = write!(line, " | {} left", time(left));
    }
    line
}

fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn time(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600.. => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// How a run ended, with what to do.
pub(super) fn summary(end: &Summary, errors: &Path) -> String {
    let failures = end.failures();
    let mut text = format!(
        "{} lines: {} answered, {failures} failed, {} left; {:.1} s, {} attempts, {} tokens",
        end.total,
        end.answered,
        end.unfinished(),
        end.took.as_secs_f64(),
        end.attempts,
        end.used.total(),
    );
    if let Some(cost) = end.cost {
        let _ = write!(text, ", ${cost}");
    }
    if end.earlier > 0 {
        let _ = write!(text, "\n{} of them were done by earlier runs", end.earlier);
    }
    if end.mended > 0 {
        let _ = write!(text, "\nthe torn end of an earlier run ({} bytes) was cut off", end.mended);
    }
    for (kind, count) in &end.failed {
        let entry = catalogue::entry(*kind);
        let _ = write!(text, "\n  {count:>7}  {:<26} {}", kind.name(), entry.cause);
        if let Some(step) = entry.steps.first() {
            let _ = write!(text, "\n{:37}fix: {step}", "");
        }
    }
    if failures > 0 {
        let _ = write!(text, "\nfailed lines stand alone in {}", errors.display());
    }
    if let Some(stop) = end.stop {
        let _ = write!(text, "\n{}", stopped(stop));
    }
    text
}

fn stopped(stop: Stop) -> String {
    let again = "the same command goes on";
    match stop {
        Stop::Interrupted => format!("interrupted; {again}"),
        Stop::Deadline => format!("the deadline has passed; {again}, with more time"),
        Stop::Money => {
            format!("the next request could cost more than `--max-cost`; raise it and {again}")
        }
        Stop::ForAll(_) => {
            let why = stop_kind(stop).map_or("", |kind| catalogue::entry(kind).cause);
            let name = stop_kind(stop).map_or("", Kind::name);
            let fix = stop_kind(stop).and_then(|kind| catalogue::entry(kind).steps.first());
            let fix = fix.copied().unwrap_or_default();
            format!(
                "stopped: every line fails with {name}, so those lines were left and no more were sent\n  \
                 why: {why}\n  fix: {fix}; then {again}"
            )
        }
    }
}

/// What a dry run tells, in words.
pub(super) fn forecast(told: &Forecast) -> String {
    let many = if told.lines == 1 { "line" } else { "lines" };
    let mut text = format!("{} {many}; nothing was sent", told.lines);
    for (model, sums) in told.estimate.models() {
        let how = if sums.exact() { "" } else { "about " };
        let _ = write!(
            text,
            "\n  {:>7}  {model}: {how}{} prompt tokens, up to {} of output",
            sums.lines,
            sums.input(),
            sums.asked
        );
        if sums.unasked > 0 {
            let _ = write!(text, " and what {} lines without a bound take", sums.unasked);
        }
    }
    match told.cost {
        Some(cost) => {
            let _ = write!(text, "\ncost: up to ${cost}");
        }
        None => text += "\ncost: not known; add a [[price]] for each model to the configuration",
    }
    match told.time {
        Some(time) => {
            let _ = write!(
                text,
                "\ntime: {} at these limits",
                duration_text(Duration::from_secs(time.as_secs().max(1)))
            );
        }
        None => text += "\ntime: not known without --rpm or --tpm; a run learns the limits",
    }
    text
}

/// The same for programs.
pub(super) fn forecast_object(told: &Forecast) -> Value {
    let models: Vec<Value> = told
        .estimate
        .models()
        .map(|(model, sums)| {
            json!({
                "model": model,
                "lines": sums.lines,
                "prompt_tokens": sums.input(),
                "exact": sums.exact(),
                "output_tokens_max": sums.asked,
                "lines_without_bound": sums.unasked,
            })
        })
        .collect();
    json!({
        "lines": told.lines,
        "models": models,
        "cost_usd_max": told.cost.map(|cost| cost.to_string()),
        "time_s": told.time.map(|time| time.as_secs_f64()),
    })
}
