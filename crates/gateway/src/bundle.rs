//! The support bundle: what a provider's support asks for, in one file that may be sent.
//!
//! It is put together from a list of what may be in it: nothing is copied and then cleaned. What was
//! left out, and why, stands in its manifest.

use mainstay_core::mask;
use mainstay_core::store::{RequestRecord, UnixMillis};
use serde_json::{Value, json};

use crate::explained::{detail, what_happened};
use crate::help::Help;
use crate::shapes::time_millis;

mod zip;

/// What a bundle is made from.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The request.
    pub record: &'a RequestRecord,
    /// Where to turn with it.
    pub help: Option<&'a Help>,
    /// What holds, as `config show` tells it; only what is listed here is taken from it.
    pub config: Option<&'a Value>,
    /// What is known of targets at this moment; `None` without a running gateway.
    pub limits: Option<Value>,
    /// The last log lines; `None` without a running gateway.
    pub log: Option<Vec<String>>,
    /// Whether contents shall be in it.
    pub with_content: bool,
    /// When it is made.
    pub now: UnixMillis,
    /// Strings that must never appear: the providers' credentials.
    pub secrets: &'a [String],
}

/// What may be in it of the configuration: section, and keys of it; no keys: all of them.
const CONFIG: [(&str, &[&str]); 5] = [
    ("server", &["auth", "body_max", "expose", "workers"]),
    ("provider", &["name", "kind", "base_url", "models", "limits", "supports", "api_version"]),
    ("route", &["model", "targets", "strategy", "policy"]),
    ("policy", &[]),
    ("store", &["ledger"]),
];

/// Makes the file.
pub fn make(sources: &Sources<'_>) -> Vec<u8> {
    let mut files: Vec<(&str, &str, String)> = Vec::new();
    let mut left_out: Vec<Value> = vec![
        json!({"what": "API keys of callers, credentials of providers, tokens", "why": "never in a bundle"}),
        json!({"what": "the answer", "why": "answers are not kept"}),
        json!({"what": "headers of the request beyond those of the program and its SDK", "why": "they may name people"}),
        json!({"what": "the configuration beyond providers, routes and policies", "why": "it is not needed, and may hold secrets"}),
    ];
    files.push(("report.txt", "For a person: what happened, when, and to whom.", report(sources)));
    let request = pretty(&detail(sources.record, sources.help));
    files.push((
        "request.json",
        "The record: attempts, waits, state of limits and circuits.",
        request,
    ));
    let mut absent = |what: &str| {
        left_out.push(json!({"what": what, "why": "this bundle was made without a running gateway; ask GET /mainstay/requests/{id}/report"}));
    };
    match sources.config {
        Some(config) => {
            files.push(("config.json", "Providers, routes and policies.", pretty(&chosen(config))));
        }
        None => absent("the configuration"),
    }
    match &sources.limits {
        Some(limits) => files.push((
            "limits.json",
            "Limits, queues and circuits when the bundle was made.",
            pretty(limits),
        )),
        None => absent("limits at present"),
    }
    match &sources.log {
        Some(lines) => {
            files.push((
                "log.txt",
                "Log lines of this request and of the gateway.",
                log(sources, lines),
            ));
        }
        None => absent("log lines"),
    }
    match (sources.with_content, content(sources.record)) {
        (true, Some(body)) => {
            files.push(("content.json", "The request's body, keys masked.", body.to_owned()));
        }
        (true, None) => left_out.push(json!({"what": "the request's body", "why": "it was not kept: `records.bodies` is not \"content\", or the call did not fail"})),
        (false, _) => left_out.push(json!({"what": "the request's body; its shape is in request.json", "why": "--with-content was not given"})),
    }
    let files = files.into_iter().map(|(name, what, text)| (name, what, masked(text, sources)));
    let files: Vec<(&str, &str, String)> = files.collect();
    let named: Vec<Value> =
        files.iter().map(|(name, what, _)| json!({"name": name, "what": what})).collect();
    let manifest = pretty(&json!({
        "request": sources.record.id.to_string(),
        "made_at": time_millis(sources.now),
        "mainstay": env!("CARGO_PKG_VERSION"),
        "files": named,
        "left_out": left_out,
    }));
    let mut archive = zip::Archive::default();
    archive.add("manifest.json", manifest.as_bytes());
    for (name, _, text) in &files {
        archive.add(name, text.as_bytes());
    }
    archive.finish()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A second net below the list: known credentials and whatever is shaped like one.
fn masked(text: String, sources: &Sources<'_>) -> String {
    match mask::masked(text.as_bytes(), sources.secrets) {
        Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
        None => text,
    }
}

fn content(record: &RequestRecord) -> Option<&str> {
    record.failed.as_ref()?.content.as_deref()
}

/// The parts of the configuration that are on the list.
fn chosen(config: &Value) -> Value {
    let pick = |part: &Value, keys: &[&str]| -> Value {
        if keys.is_empty() {
            return part.clone();
        }
        keys.iter().map(|key| ((*key).to_owned(), part[*key].clone())).collect()
    };
    let section = |(name, keys): &(&str, &[&str])| {
        let part = match config[*name].as_array() {
            Some(all) => all.iter().map(|one| pick(one, keys)).collect(),
            None => pick(&config[*name], keys),
        };
        ((*name).to_owned(), part)
    };
    CONFIG.iter().map(section).collect()
}

/// Lines of this request, and those that are of no request: the state of the gateway.
fn log(sources: &Sources<'_>, lines: &[String]) -> String {
    let id = sources.record.id.to_string();
    let ours = |line: &&String| line.contains(&id) || !line.contains("req_");
    lines.iter().filter(ours).flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// What a provider's support asks for, in words.
fn report(sources: &Sources<'_>) -> String {
    let record = sources.record;
    let failed = record.failed.as_ref();
    let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let mut out = String::new();
    let mut line = |name: &str, value: &str| out.extend([name, ": ", value, "\n"]);
    line("Request id (Mainstay)", &record.id.to_string());
    line("Request id (provider)", &text(failed.and_then(|note| note.upstream_id.as_deref())));
    line("Time (UTC)", &time_millis(record.at));
    line("Provider", &text(record.provider.as_deref()));
    line("Model asked for", &text(record.model.as_deref()));
    line("Model sent to the provider", &text(record.served.as_deref()));
    line("Endpoint", record.endpoint.name());
    line("Streamed", if record.stream { "yes" } else { "no" });
    line("Status", &record.status.to_string());
    line("Error kind", failed.map_or("-", |note| note.kind.name()));
    line("Error code", &text(failed.and_then(|note| note.code.as_deref())));
    line("Error parameter", &text(failed.and_then(|note| note.param.as_deref())));
    line("Error message", &text(failed.and_then(|note| note.message.as_deref())));
    line("What happened", &what_happened(record));
    for (number, one) in (1..).zip(&record.attempts) {
        let came = one.kind.map_or_else(
            || one.status.map_or_else(|| "cancelled".to_owned(), |status| status.to_string()),
            |kind| kind.name().to_owned(),
        );
        line(
            &format!("Attempt {number}"),
            &format!(
                "{}/{} {} ms after arrival (waited {} ms), {came} after {} ms",
                one.provider,
                one.model.as_deref().unwrap_or("-"),
                one.start.as_millis(),
                one.waited.as_millis(),
                one.lasted.as_millis()
            ),
        );
    }
    if let Some(help) = sources.help {
        line("Status page", help.status_page);
        line("Support", help.support.unwrap_or("-"));
    }
    line("Sent through", concat!("Mainstay ", env!("CARGO_PKG_VERSION")));
    out
}

#[cfg(test)]
mod tests;
