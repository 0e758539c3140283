//! Keys: made and shown once, looked at, replaced and revoked.

use askama::Template;
use mainstay_core::store::Scope;
use serde_json::{Value, json};

use crate::admin::{Problem, Question};

use super::super::format::{When, when};
use super::super::frame::Frame;
use super::super::read::{maybe, text, texts};
use super::super::visit::{Page, Visit};
use super::super::words::{self, Badge};
use super::names::{Choice, Names, choices};

struct Key {
    id: String,
    name: String,
    state: Badge,
    usable: bool,
    project: String,
    org: String,
    user: Option<String>,
    /// What it may be used for, in words.
    may: String,
    models: Vec<String>,
    made: When,
    expires: Option<When>,
    revoked: Option<When>,
    successor: Option<String>,
    grace: Option<When>,
}

fn key(value: &Value, names: &Names, visit: &Visit<'_>) -> Key {
    let at = |name: &str| maybe(value, name).map(|stamp| when(&stamp, visit.now));
    let state = text(value, "state");
    Key {
        id: text(value, "id"),
        name: text(value, "name"),
        usable: matches!(state.as_str(), "active" | "grace"),
        state: words::key_state(&state),
        project: names.of(&text(value, "project")),
        org: names.of(&text(value, "org")),
        user: maybe(value, "user"),
        may: may(&texts(value, "scopes")),
        models: texts(value, "models"),
        made: at("created_at").unwrap_or_default(),
        expires: at("expires_at"),
        revoked: at("revoked_at"),
        successor: maybe(value, "rotated_to"),
        grace: at("grace_until"),
    }
}

/// Without a family of endpoints named, every family is allowed.
fn may(scopes: &[String]) -> String {
    let family = |name: &&String| !matches!(name.as_str(), "passthrough" | "read_only");
    let every = scopes.iter().all(|name| !family(&name));
    let named = scopes.iter().map(String::as_str);
    every.then_some("every endpoint").into_iter().chain(named).collect::<Vec<_>>().join(", ")
}

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys {
    frame: Frame,
    usable: Vec<Key>,
    others: Vec<Key>,
    projects: Vec<Choice>,
    scopes: Vec<&'static str>,
}

/// All keys, and the form for a new one.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let names = Names::ask(visit)?;
    let newest_first = names.keys.iter().rev();
    let all = newest_first.map(|one| key(one, &names, visit));
    let (usable, others) = all.partition(|key| key.usable);
    let chosen = visit.form.get("project").unwrap_or("default");
    let label = |one: &Value| format!("{} / {}", names.of(&text(one, "org")), text(one, "name"));
    Page::html(&Keys {
        frame: Frame::new(visit, "Keys", "keys"),
        usable,
        others,
        projects: choices(&names.projects, chosen, label),
        scopes: Scope::ALL.iter().map(|scope| scope.name()).collect(),
    })
}

#[derive(Template)]
#[template(path = "key_made.html")]
struct Made {
    frame: Frame,
    name: String,
    id: String,
    secret: String,
    /// What it replaces, and until when that works.
    replaces: Option<String>,
    base_url: String,
    model: String,
}

/// Makes a key and shows it, this once.
pub(super) fn create(visit: &Visit<'_>) -> Result<Page, Problem> {
    let form = &visit.form;
    let models: Vec<&str> = form
        .get("models")
        .map(|text| text.split([',', ' ', '\n']).filter(|one| !one.is_empty()).collect())
        .unwrap_or_default();
    let mut body = json!({
        "name": form.text("name"),
        "scopes": form.all("scopes"),
        "models": models,
    });
    for field in ["project", "user", "expires"] {
        if let Some(value) = form.get(field) {
            body[field] = json!(value);
        }
    }
    made(visit, &visit.ask(Question::post(&["keys"], body))?, None)
}

/// Puts a new key in the place of one and shows it, this once.
pub(super) fn rotate(visit: &Visit<'_>) -> Result<Page, Problem> {
    let id = visit.segment(0);
    let grace = visit.form.get("grace").unwrap_or("24h");
    let body = json!({"grace": grace});
    made(visit, &visit.ask(Question::post(&["keys", id, "rotate"], body))?, Some(id))
}

fn made(visit: &Visit<'_>, key: &Value, replaces: Option<&str>) -> Result<Page, Problem> {
    Page::html(&Made {
        frame: Frame::new(visit, "Your new key", "keys"),
        name: text(key, "name"),
        id: text(key, "id"),
        secret: text(key, "key"),
        replaces: replaces.map(str::to_owned),
        base_url: base_url(visit),
        model: texts(key, "models")
            .into_iter()
            .find(|one| !one.ends_with('*'))
            .unwrap_or_else(|| "gpt-4o-mini".to_owned()),
    })
}

/// Where callers connect. What listens on every address is named by the one the browser came by.
pub(super) fn base_url(visit: &Visit<'_>) -> String {
    let config = visit.ask(Question::get(&["config"])).unwrap_or_default();
    let server = &config["server"];
    let scheme = if server["tls"].is_null() { "http" } else { "https" };
    let listen = text(server, "listen");
    let (host, port) = listen.rsplit_once(':').unwrap_or(("127.0.0.1", "8080"));
    let came_by = visit.host.rsplit_once(':').map_or(&*visit.host, |(host, _)| host);
    let host = if matches!(host, "0.0.0.0" | "[::]") { came_by } else { host };
    format!("{scheme}://{host}:{port}/v1")
}

#[derive(Template)]
#[template(path = "key.html")]
struct One {
    frame: Frame,
    key: Key,
}

/// One key.
pub(super) fn one(visit: &Visit<'_>) -> Result<Page, Problem> {
    let found = visit.ask(Question::get(&["keys", visit.segment(0)]))?;
    let names = Names::ask(visit)?;
    let key = key(&found, &names, visit);
    Page::html(&One { frame: Frame::new(visit, &format!("Key {}", key.name), "keys"), key })
}

/// Withdraws a key.
pub(super) fn revoke(visit: &Visit<'_>) -> Result<Page, Problem> {
    let id = visit.segment(0);
    visit.ask(Question::post(&["keys", id, "revoke"], Value::Null))?;
    Ok(Page::Moved(format!("/keys/{}?done=key-revoked", crate::admin::encode(id))))
}
