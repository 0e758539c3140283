//! Who calls: the bearer string is looked up, compared in constant time, and told apart when it is
//! wrong. Any bytes may come. What is shown of a key in a message is its first few characters.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use mainstay::Fields;
use mainstay_core::failure::Kind;
use mainstay_core::keys::PublicPart;
use mainstay_core::store::{Changes, KeyRecord, KeyState, Scope, Store, StoreError, UnixMillis};
use mainstay_store::{KeySnapshot, Verdict};

use crate::refused::Refused;
use crate::settings::Auth;

/// Who calls and what he may.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// His key; none when keys are not asked for.
    pub(crate) key: Option<CallerKey>,
    /// His own credential, to be sent to the provider.
    pub(crate) credential: Option<HeaderValue>,
}

/// The key of a call, as it was when the call came: what changes later is for later calls. Shared
/// with the book, so that a call copies none of it.
#[derive(Clone, Debug)]
pub(crate) struct CallerKey {
    /// The key, its project and its organization.
    pub(crate) record: Arc<KeyRecord>,
}

impl Caller {
    /// Whether unknown and administration paths are open to him.
    pub(crate) fn may_pass_through(&self) -> bool {
        self.key.as_ref().is_none_or(|key| key.record.scopes.allows(Scope::Passthrough))
    }
}

/// The keys as of a moment ago. Reading takes no lock.
#[derive(Debug, Default)]
pub(crate) struct KeyBook(ArcSwap<KeySnapshot>);

impl KeyBook {
    /// The keys as of a moment ago.
    pub(crate) fn snapshot(&self) -> Guard<Arc<KeySnapshot>> {
        self.0.load()
    }

    /// Brings the book up to date with a store that has this epoch. What is new, if something is.
    ///
    /// # Errors
    ///
    /// The store failed; the book stays as it was.
    pub(crate) fn refresh(
        &self,
        store: &dyn Store,
        epoch: u64,
    ) -> Result<Option<KeyNews>, StoreError> {
        let known = self.0.load();
        if epoch == known.epoch() {
            return Ok(None);
        }
        let changes = store.changes_since(known.epoch())?;
        let worked = |key: &PublicPart| known.find(key).is_some_and(|key| key.revoked_at.is_none());
        let revoked = changes.keys.iter().filter(|key| key.revoked_at.is_some());
        let revoked = revoked.map(|key| key.public).filter(worked).collect();
        let news = KeyNews { epoch: changes.epoch, revoked };
        self.0.store(Arc::new(known.apply(changes)));
        Ok(Some(news))
    }

    /// Another gateway says that a key was revoked: it is refused from here on, before the store is
    /// asked. The worst that a false word can do is to refuse a key until then.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "nobody tells"))]
    pub(crate) fn revoke(&self, key: PublicPart, now: UnixMillis) {
        self.0.rcu(|known| match known.find(&key) {
            Some(record) if record.revoked_at.is_none() => {
                let record = KeyRecord { revoked_at: Some(now), ..record.clone() };
                let changes =
                    Changes { epoch: known.epoch(), keys: vec![record], ..Changes::default() };
                Arc::new(known.apply(changes))
            }
            Some(_) | None => Arc::clone(known),
        });
    }
}

/// What is new in the store.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "other gateways are told of it"))]
pub(crate) struct KeyNews {
    /// The change up to which everything is known now.
    pub(crate) epoch: u64,
    /// Keys that worked until now and are revoked.
    pub(crate) revoked: Vec<PublicPart>,
}

/// Finds out who calls.
pub(crate) fn authenticate(
    auth: Auth,
    headers: &Fields,
    book: &KeySnapshot,
    now: UnixMillis,
) -> Result<Caller, Refused> {
    match auth {
        Auth::Open => Ok(Caller { key: None, credential: None }),
        Auth::Pass => {
            let value = headers.get("authorization").map(HeaderValue::from_bytes);
            let credential = value.and_then(Result::ok).ok_or_else(missing)?;
            Ok(Caller { key: None, credential: Some(credential) })
        }
        Auth::Keys => {
            let bearer = bearer(headers)?;
            let key = known_key(bearer, book, now)?;
            Ok(Caller { key: Some(key), credential: None })
        }
    }
}

/// What follows `Bearer`, any bytes.
fn bearer(headers: &Fields) -> Result<&[u8], Refused> {
    let mut values = headers.all("authorization");
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(Refused::key(
            Kind::InvalidAuthentication,
            "The request has more than one Authorization header; send exactly one.",
        ));
    }
    let (scheme, rest) =
        value.split_at(value.iter().position(|c| *c == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(wrong_scheme(scheme));
    }
    let bearer = rest.trim_ascii();
    if bearer.is_empty() {
        return Err(Refused::key(
            Kind::InvalidAuthentication,
            "The Authorization header holds no key after `Bearer`. Is the variable that should hold it \
             (OPENAI_API_KEY) empty?",
        ));
    }
    Ok(bearer)
}

fn known_key(bearer: &[u8], book: &KeySnapshot, now: UnixMillis) -> Result<CallerKey, Refused> {
    match book.verify(bearer, now) {
        Verdict::NotOurs => Err(incorrect(
            bearer,
            "it does not look like a key of this gateway, which begins with sk-ms-. Keys of the provider belong into \
             the gateway's configuration; use the key that `mainstay serve` printed, or make one with `mainstay key \
             create`",
        )),
        Verdict::Typo => Err(incorrect(
            bearer,
            "its checksum does not fit, so a character is missing, added or changed. Copy it again, without blanks or \
             quotes around it",
        )),
        Verdict::Unknown => Err(incorrect(
            bearer,
            "it is well-formed but not known here: it was deleted or belongs to another gateway or store. List the \
             keys with `mainstay key list`",
        )),
        Verdict::Known { key, state } => usable(key, state),
    }
}

fn usable(key: &Arc<KeyRecord>, state: KeyState) -> Result<CallerKey, Refused> {
    let id = key.public;
    match state {
        KeyState::Active | KeyState::Grace { .. } => Ok(CallerKey { record: Arc::clone(key) }),
        KeyState::Expired => Err(Refused::key(
            Kind::ExpiredApiKey,
            format!(
                "The API key sk-ms-{id}-… has expired. Make a new one: `mainstay key create --name NAME`."
            ),
        )),
        KeyState::Revoked => Err(Refused::key(
            Kind::RevokedApiKey,
            format!(
                "The API key sk-ms-{id}-… was revoked. Use another one, or ask who revoked it."
            ),
        )),
        KeyState::Rotated => Err(Refused::key(
            Kind::RevokedApiKey,
            format!(
                "The API key sk-ms-{id}-… was replaced and its time of grace is over. Use its successor."
            ),
        )),
    }
}

fn missing() -> Refused {
    Refused::key(
        Kind::InvalidAuthentication,
        "You sent no API key. Send it in the header `Authorization: Bearer YOUR_KEY`; the official SDKs do so with \
         the variable OPENAI_API_KEY.",
    )
}

fn wrong_scheme(scheme: &[u8]) -> Refused {
    let shown = shown(scheme, 16);
    Refused::key(
        Kind::InvalidAuthentication,
        format!(
            "The Authorization header uses the scheme `{shown}`; send `Authorization: Bearer YOUR_KEY`."
        ),
    )
}

fn incorrect(bearer: &[u8], why: &str) -> Refused {
    Refused::key(
        Kind::IncorrectApiKey,
        format!("Incorrect API key provided: {}: {why}.", masked(bearer)),
    )
}

/// Enough of a key to find it again, and not enough to use it: at most ten characters, and never
/// more than a third.
fn masked(bearer: &[u8]) -> String {
    let visible = (bearer.len() / 3).min(10);
    format!("{}…", shown(&bearer[..visible], 10))
}

fn shown(bytes: &[u8], most: usize) -> String {
    bytes
        .iter()
        .take(most)
        .map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests;
