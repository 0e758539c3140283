//! First look at a request: what it asks to go wrong, its key, its path, its body.

use crate::fault::Order;
use crate::provider::answer::Answer;
use crate::provider::desk::Incoming;
use crate::provider::kinds::{KindSpec, NO_KEY, Wait};
use crate::provider::models;
use crate::provider::refusal::Refusal;
use crate::provider::request::{Api, Call, Family, read};
use crate::provider::shelf::deleted;
use crate::scenario::{Scenario, What};

/// What a request turned out to be.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Answered without a model: refused, or a question about models.
    Settled(Box<Answer>),
    /// A failure asked for by header: it needs no key, no sound body and no room in the limits.
    Demand(What, Api, Option<Box<Call>>),
    /// About what is stored: the desk looks it up.
    Stored(Family),
    /// About what is stored, done, and then something goes wrong with the answer.
    Spoilt(Box<Answer>, What, Option<Wait>),
    /// A call of a model.
    Call(Api, Box<Call>),
}

/// Looks at a request.
pub(crate) fn look(incoming: &Incoming<'_>, scenario: &Scenario) -> Asked {
    let settled = |answer| Asked::Settled(Box::new(answer));
    match demanded(incoming) {
        Ok(Some(what)) => {
            let api = Api::at(incoming.path);
            let api = api.or_else(|| Api::stored_at(incoming.path).map(Api::Stored));
            let api = api.unwrap_or(Api::Chat);
            let call = read(api, incoming.body, incoming.form);
            return Asked::Demand(what, api, call.ok().map(Box::new));
        }
        Ok(None) => {}
        Err(refusal) => return settled(refusal.answer()),
    }
    if let Some(refusal) = unknown_key(incoming, scenario) {
        return settled(refusal);
    }
    let filled = scenario.ways.invents.then(|| made_whole(incoming)).flatten();
    let body = filled.as_deref().unwrap_or(incoming.body);
    match (Api::at(incoming.path), incoming.method) {
        (Some(api), "POST") => match read(api, body, incoming.form) {
            Ok(call) => Asked::Call(api, Box::new(call)),
            Err(refusal) => settled(refusal.answer()),
        },
        (at, method) => match Api::stored_at(incoming.path) {
            // Responses have no list.
            Some(family) if at != Some(Api::Responses) => Asked::Stored(family),
            _ if at.is_some() => settled(wrong_method(method, incoming.path)),
            _ => settled(catalogue(method, incoming.path, scenario)),
        },
    }
}

/// A response that is asked for without a model or an input, as the vendor's description allows.
fn made_whole(incoming: &Incoming<'_>) -> Option<Vec<u8>> {
    if Api::at(incoming.path) != Some(Api::Responses) {
        return None;
    }
    let mut body: serde_json::Value = serde_json::from_slice(incoming.body).ok()?;
    let fields = body.as_object_mut()?;
    fields.entry("model").or_insert_with(|| "gpt-4o".into());
    fields.entry("input").or_insert_with(|| "made up".into());
    Some(body.to_string().into_bytes())
}

/// What the headers of a request ask to go wrong.
fn demanded(incoming: &Incoming<'_>) -> Result<Option<What>, Refusal> {
    let unclear = |message: String| {
        Refusal::new(
            400,
            format!("The simulator was asked for something it does not know: {message}."),
        )
    };
    if let Some(name) = incoming.error {
        let kind = KindSpec::named(name)
            .ok_or_else(|| unclear(format!("there is no kind named `{name}`")))?;
        return Ok(Some(What::Kind(kind.name)));
    }
    if let Some(text) = incoming.fault {
        return Order::parse(text).map(|order| Some(What::Fault(order))).map_err(unclear);
    }
    if let Some(text) = incoming.status {
        let status = text.parse().ok().filter(|status| (400..=599).contains(status));
        let status =
            status.ok_or_else(|| unclear(format!("`{text}` is no status from 400 to 599")))?;
        return Ok(Some(What::Status(status)));
    }
    Ok(None)
}

/// The key is absent or not one of the scenario's.
fn unknown_key(incoming: &Incoming<'_>, scenario: &Scenario) -> Option<Answer> {
    let Some(key) = incoming.key.filter(|key| !key.trim().is_empty()) else {
        return Some(Refusal::new(401, NO_KEY).answer());
    };
    let known = scenario.keys.as_ref().is_none_or(|keys| keys.iter().any(|known| known == key));
    if known {
        return None;
    }
    let message = format!(
        "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
        masked(key)
    );
    let refusal = Refusal { code: Some("invalid_api_key"), ..Refusal::new(401, message) };
    Some(refusal.answer())
}

/// Only the ends of a key, as the provider shows it.
fn masked(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    if letters.len() < 12 {
        return "*".repeat(letters.len().max(1));
    }
    let (start, end) = (&letters[..4], &letters[letters.len() - 4..]);
    format!(
        "{}{}{}",
        start.iter().collect::<String>(),
        "*".repeat(12),
        end.iter().collect::<String>()
    )
}

pub(crate) fn wrong_method(method: &str, path: &str) -> Answer {
    let message = format!(
        "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
    );
    Refusal { code: Some("method_not_supported"), ..Refusal::new(405, message) }.answer()
}

/// The endpoints that run no model.
fn catalogue(method: &str, path: &str, scenario: &Scenario) -> Answer {
    let listed = scenario.models.as_deref();
    match (path, path.strip_prefix("/v1/models/")) {
        ("/v1/models", _) if method == "GET" => models::list(listed),
        (_, Some(id)) if method == "GET" && !id.is_empty() => models::one(id, listed),
        (_, Some(id))
            if method == "DELETE" && (id.starts_with("ft:") || id.starts_with("ft%3A")) =>
        {
            Answer::told(deleted(id, "model"))
        }
        ("/v1/models", _) | (_, Some(_)) => wrong_method(method, path),
        (_, None) => Refusal::new(404, format!("Invalid URL ({method} {path})")).answer(),
    }
}
