//! Keys: made and shown once, listed, rotated and revoked.

use std::time::Duration;

use http::Method;
use mainstay_core::keys::PublicPart;
use mainstay_core::store::{NewKey, Scope, Scopes, public_of_id};
use mainstay_store::{digest, mint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::reply::Problem;
use super::{Ask, Field, Route, Shape};
use crate::config::duration;
use crate::shapes;

const fn text(name: &'static str, required: bool, about: &'static str) -> Field {
    Field { name, required, kind: "string", about }
}

const fn texts(name: &'static str, about: &'static str) -> Field {
    Field { name, required: false, kind: "strings", about }
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/keys",
        id: "key.list",
        about: "List keys, oldest first, without their secrets.",
        query: &[
            ("project", "Only those of the project with this id."),
            ("user", "Only those of the user with this id."),
        ],
        body: &[],
        answer: Shape::Page("Key"),
        run: list,
    },
    Route {
        method: Method::POST,
        path: "/mainstay/keys",
        id: "key.create",
        about: "Make a key. The answer shows it, this once.",
        query: &[],
        body: &[
            text("name", true, "For people, 1 to 64 characters."),
            text("project", false, "Id or name of its project; absent: `default`."),
            text("user", false, "Id or name of the user it is for; absent: a service key."),
            texts("scopes", "What it may be used for; absent: every endpoint, not `passthrough`."),
            texts("models", "Models it may use, `*` at the end matches any rest; absent: all."),
            text("expires", false, "When it ends, from the present, such as `30d`."),
        ],
        answer: Shape::Made("NewKey"),
        run: create,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/keys/{id}",
        id: "key.show",
        about: "Show a key's record.",
        query: &[],
        body: &[],
        answer: Shape::One("Key"),
        run: |ask| Ok(shapes::key(&ask.store.key(public(ask)?)?, ask.now)),
    },
    Route {
        method: Method::POST,
        path: "/mainstay/keys/{id}/revoke",
        id: "key.revoke",
        about: "Withdraw a key for good.",
        query: &[],
        body: &[],
        answer: Shape::One("Key"),
        run: |ask| Ok(shapes::key(&ask.store.revoke_key(public(ask)?, ask.now)?, ask.now)),
    },
    Route {
        method: Method::POST,
        path: "/mainstay/keys/{id}/rotate",
        id: "key.rotate",
        about: "Replace a key by a new one. The answer shows the new one, this once.",
        query: &[],
        body: &[text("grace", false, "How long the old key still works, 0s to 366d; absent: 24h.")],
        answer: Shape::Made("NewKey"),
        run: rotate,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields {
    name: String,
    project: Option<String>,
    user: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    grace: Option<String>,
}

fn list(ask: &Ask<'_>) -> Result<Value, Problem> {
    let mut all = ask.store.keys()?;
    all.retain(|key| {
        ask.query.get("project").is_none_or(|id| *key.project == **id)
            && ask.query.get("user").is_none_or(|id| key.user.as_deref() == Some(id))
    });
    ask.page(all.iter().map(|key| (key.id(), shapes::key(key, ask.now))).collect())
}

fn create(ask: &Ask<'_>) -> Result<Value, Problem> {
    let fields: KeyFields = ask.fields()?;
    let lifetime = fields.expires.as_deref().map(|text| wait("expires", text)).transpose()?;
    let fresh = mint()?;
    let new = NewKey {
        public: fresh.public(),
        digest: digest(fresh.secret().as_bytes()),
        name: fields.name,
        project: fields.project,
        user: fields.user,
        scopes: scopes(&fields.scopes)?,
        models: fields.models,
        expires_at: lifetime.map(|lifetime| ask.now.plus(lifetime)),
    };
    let mut shown = shapes::key(&ask.store.create_key(new, ask.now)?, ask.now);
    shown["key"] = json!(fresh.expose());
    Ok(shown)
}

fn rotate(ask: &Ask<'_>) -> Result<Value, Problem> {
    let Rotation { grace } = ask.fields()?;
    let grace = wait("grace", grace.as_deref().unwrap_or("24h"))?;
    let fresh = mint()?;
    let successor = (fresh.public(), digest(fresh.secret().as_bytes()));
    let key = ask.store.rotate_key(public(ask)?, successor, grace, ask.now)?;
    let mut shown = shapes::key(&key, ask.now);
    shown["key"] = json!(fresh.expose());
    Ok(shown)
}

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    names.iter().try_fold(Scopes::default(), |scopes, name| {
        let known = || Scope::ALL.map(Scope::name).join(", ");
        let scope = name.parse::<Scope>();
        let message = || format!("There is no scope `{name}`: use some of {}.", known());
        scope.map(|scope| scopes.with(scope)).map_err(|_| Problem::value("scopes", message()))
    })
}

fn public(ask: &Ask<'_>) -> Result<PublicPart, Problem> {
    public_of_id(ask.segment(0)).ok_or_else(|| {
        Problem::value(
            "id",
            "A key's id is `key_` and twelve letters and digits; the key itself is not its id.",
        )
    })
}

fn wait(field: &str, text: &str) -> Result<Duration, Problem> {
    duration(text).ok_or_else(|| {
        Problem::value(
            field,
            format!("`{field}` is a duration with a unit, such as 30d, 12h or 90s."),
        )
    })
}
