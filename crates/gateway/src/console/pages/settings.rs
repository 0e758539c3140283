//! What holds: the configuration in use, and who changed what.

use askama::Template;
use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::format::{When, span, when};
use super::super::frame::Frame;
use super::super::read::{count, text};
use super::super::visit::{Page, Visit};

/// Changes shown.
const CHANGES: &str = "50";

struct Group {
    name: String,
    lines: Vec<(String, String)>,
}

struct Change {
    at: When,
    who: String,
    verb: String,
    subject: String,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    version: String,
    uptime: String,
    workers: u64,
    file: String,
    groups: Vec<Group>,
    changes: Vec<Change>,
}

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let status = visit.ask(Question::get(&["status"]))?;
    let config = visit.ask(Question::get(&["config"]))?;
    let audit = visit.ask(Question::get(&["audit"]).with("limit", CHANGES))?;
    let changes = super::super::read::items(&audit, "data").iter().map(|one| Change {
        at: when(&text(one, "at"), visit.now),
        who: text(one, "who"),
        verb: text(one, "verb"),
        subject: text(one, "subject"),
    });
    Page::html(&Settings {
        frame: Frame::new(visit, "Settings", "settings"),
        version: text(&status, "version"),
        uptime: span(count(&status, "uptime_s")),
        workers: count(&status, "workers"),
        file: text(&config, "file"),
        groups: groups(&config),
        changes: changes.collect(),
    })
}

/// The configuration by its sections, each setting a line.
fn groups(config: &Value) -> Vec<Group> {
    let Value::Object(sections) = config else { return Vec::new() };
    let mut general = Group { name: "general".to_owned(), lines: Vec::new() };
    let mut all = Vec::new();
    for (name, value) in sections.iter().filter(|(name, _)| *name != "file") {
        match value {
            Value::Object(_) if name == "policy" => {
                for (part, value) in value.as_object().into_iter().flatten() {
                    all.push(group(format!("policy.{part}"), value));
                }
            }
            Value::Object(_) => all.push(group(name.clone(), value)),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (place, item) in items.iter().enumerate() {
                    let own =
                        ["name", "model"].iter().map(|n| text(item, n)).find(|n| !n.is_empty());
                    let own = own.unwrap_or_else(|| (place + 1).to_string());
                    all.push(group(format!("{name} {own}"), item));
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                flat(name, value, &mut general.lines);
            }
        }
    }
    all.insert(0, general);
    all.retain(|group| !group.lines.is_empty());
    all
}

fn group(name: String, value: &Value) -> Group {
    let mut lines = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        flat(name, value, &mut lines);
    }
    Group { name, lines }
}

fn flat(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if map.is_empty() => {}
        Value::Object(map) => {
            for (inner, value) in map {
                flat(&format!("{name}.{inner}"), value, lines);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (place, item) in items.iter().enumerate() {
                flat(&format!("{name}[{}]", place + 1), item, lines);
            }
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(plain).collect();
            let shown = if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
            lines.push((name.to_owned(), shown));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push((name.to_owned(), plain(value)));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_setting_is_a_line_of_its_section() {
        let config = json!({
            "file": "mainstay.toml", "errors": "unified", "server": {"cors": [], "tls": null},
            "policy": {"retry": {"attempts_max": 3}},
            "provider": [{"name": "openai", "limits": {"rpm": 5}}],
        });
        let found = groups(&config);
        let text: Vec<String> = found
            .iter()
            .flat_map(|group| {
                group.lines.iter().map(move |(a, b)| format!("{}/{a}={b}", group.name))
            })
            .collect();
        assert_eq!(
            text,
            [
                "general/errors=unified",
                "policy.retry/attempts_max=3",
                "provider openai/limits.rpm=5",
                "provider openai/name=openai",
                "server/cors=none",
            ]
        );
    }
}
