//! `mainstay key`: make, list, show, rotate and revoke keys.

use mainstay_core::keys::{KeyText, PublicPart};
use mainstay_core::store::{KeyRecord, NewKey, Rotated, Scopes, key_id, public_of_id};
use mainstay_gateway::config::duration;
use mainstay_gateway::shapes;
use mainstay_store::{digest, mint};
use serde_json::json;
use std::time::Duration;

use crate::args::{KeyCommand, KeyCreate};
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &KeyCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        KeyCommand::Create(args) => create(args, show)?,
        KeyCommand::List(at) => list(&super::store(at)?.keys()?, show)?,
        KeyCommand::Show(id) => {
            let key = super::store(&id.at)?.key(public(&id.id)?)?;
            show.either(&shapes::key(&key, now()), &lines(&key))?;
        }
        KeyCommand::Rotate { id, grace } => {
            let (old, grace) = (public(&id.id)?, wait("--grace", grace)?);
            let fresh = mint()?;
            let successor = (fresh.public(), digest(fresh.secret().as_bytes()));
            let key = super::store(&id.at)?.rotate_key(old, successor, grace, now())?;
            hand_over(&key, &fresh, show)?;
        }
        KeyCommand::Revoke(id) => {
            let key = super::store(&id.at)?.revoke_key(public(&id.id)?, now())?;
            show.either(&shapes::key(&key, now()), &format!("{} is revoked", key.id()))?;
        }
    }
    Ok(Exit::Worked)
}

fn create(args: &KeyCreate, show: &mut Show) -> Result<(), Trouble> {
    let scopes = args.scopes.as_deref().unwrap_or_default();
    let scopes = Scopes::from_text(scopes).map_err(|name| {
        let known = mainstay_core::store::Scope::ALL.map(mainstay_core::store::Scope::name);
        let fix = format!("use some of {}", known.join(", "));
        Trouble::usage(format!("there is no scope `{name}`"), "a scope names a use of a key", fix)
    })?;
    let lifetime = args.expires.as_deref().map(|text| wait("--expires", text)).transpose()?;
    let fresh = mint()?;
    let now = now();
    let new = NewKey {
        public: fresh.public(),
        digest: digest(fresh.secret().as_bytes()),
        name: args.name.clone(),
        project: args.project.clone(),
        user: args.user.clone(),
        scopes,
        models: args.models.iter().map(|model| model.trim().to_owned()).collect(),
        expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
    };
    let key = super::store(&args.at)?.create_key(new, now)?;
    hand_over(&key, &fresh, show)
}

/// Shows a new key, the only time that it can be.
fn hand_over(key: &KeyRecord, fresh: &KeyText, show: &mut Show) -> Result<(), Trouble> {
    let mut value = shapes::key(key, now());
    value["key"] = json!(fresh.expose());
    show.either(&value, &format!("{}\n{}", fresh.expose(), lines(key)))?;
    show.note("The key is shown this once; only its hash is stored.");
    Ok(())
}

fn public(id: &str) -> Result<PublicPart, Trouble> {
    public_of_id(id).ok_or_else(|| {
        let shown: String = id.chars().take(24).collect();
        let what = format!("`{shown}` is no key id");
        let why = "an id is `key_` and twelve letters and digits; the key itself is not its id";
        Trouble::usage(what, why, "see `mainstay key list` for ids")
    })
}

fn wait(flag: &str, text: &str) -> Result<Duration, Trouble> {
    duration(text).ok_or_else(|| {
        let what = format!("`{flag} {text}` is no duration");
        Trouble::usage(
            what,
            "a duration has a number and a unit",
            "write it such as 30d, 12h or 90s",
        )
    })
}

fn list(keys: &[KeyRecord], show: &mut Show) -> Result<(), Trouble> {
    if show.json() {
        return keys.iter().try_for_each(|key| show.line(&shapes::key(key, now()).to_string()));
    }
    show.line(&format!("{:<17} {:<8} {:<20} {:<14} made", "id", "state", "name", "project"))?;
    for key in keys {
        let (id, state, made) = (key.id(), key.state(now()).name(), shapes::time(key.created_at));
        show.line(&format!("{id:<17} {state:<8} {:<20} {:<14} {made}", key.name, key.project))?;
    }
    Ok(())
}

fn lines(key: &KeyRecord) -> String {
    let mut lines = vec![
        format!("id       {}", key.id()),
        format!("name     {}", key.name),
        format!("state    {}", key.state(now()).name()),
        format!("project  {} of {}", key.project, key.org),
        format!("made     {}", shapes::time(key.created_at)),
    ];
    lines.extend(key.user.as_deref().map(|user| format!("user     {user}")));
    if key.scopes != Scopes::default() {
        lines.push(format!("scopes   {}", key.scopes.to_text()));
    }
    if !key.models.is_empty() {
        lines.push(format!("models   {}", key.models.join(",")));
    }
    lines.extend(key.expires_at.map(|end| format!("expires  {}", shapes::time(end))));
    lines.extend(key.revoked_at.map(|at| format!("revoked  {}", shapes::time(at))));
    lines.extend(key.rotated.map(|Rotated { grace_until, successor, .. }| {
        format!("replaced by {}, works until {}", key_id(successor), shapes::time(grace_until))
    }));
    lines.join("\n")
}
