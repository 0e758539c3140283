//! Finds the entries that a word, number or message means: `mainstay explain`.

use super::{Entry, class_of_status, entry};
use crate::classify::{Answer, TransportFault, classify, fault_in_text};
use crate::failure::{Class, Kind};
use crate::headers::NoHeaders;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Longest query looked at, in bytes.
const QUERY_MAX: usize = 4096;
/// Most suggestions given.
const SUGGESTIONS_MAX: usize = 3;

/// What a query means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The name of a kind.
    Kind(&'static Entry),
    /// An error code or type of ours or of the vendor's; likeliest kind first.
    Code(Vec<&'static Entry>),
    /// An HTTP status; likeliest kind first.
    Status(u16, Vec<&'static Entry>),
    /// An SDK's error class; the class as Python spells it.
    Class(&'static str, Vec<&'static Entry>),
    /// Words of an error message: the kind that an answer with them has.
    Message(&'static Entry),
    /// Nothing; names that are spelt alike, nearest first, at most three.
    Nothing(Vec<String>),
}

impl Found {
    /// The entries, likeliest first; none for [`Found::Nothing`].
    pub fn entries(&self) -> Vec<&'static Entry> {
        match self {
            Found::Kind(entry) | Found::Message(entry) => alloc::vec![*entry],
            Found::Code(entries) | Found::Status(_, entries) | Found::Class(_, entries) => {
                entries.clone()
            }
            Found::Nothing(_) => Vec::new(),
        }
    }
}

/// Finds what `query` means: a kind, a code, an HTTP status, an SDK class (Python or Node), or an
/// error message, tried in this order; upper and lower case, `-` and `_` make no difference.
pub fn find(query: &str) -> Found {
    let mut end = query.len().min(QUERY_MAX);
    while !query.is_char_boundary(end) {
        end -= 1;
    }
    let query = query.get(..end).unwrap_or_default().trim();
    let name = query.to_ascii_lowercase().replace([' ', '-'], "_");
    if let Ok(kind) = name.parse::<Kind>() {
        return Found::Kind(entry(kind));
    }
    if let Some(found) = status(query).or_else(|| class(query)).or_else(|| code(&name)) {
        return found;
    }
    message(query).unwrap_or_else(|| Found::Nothing(suggestions(&name)))
}

/// "429", "HTTP 429", "429 Too Many Requests", "5xx" is not one.
fn status(query: &str) -> Option<Found> {
    let number = query.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let number = number.split(' ').next()?;
    let alone = query.len() <= number.len() + 5;
    let status: u16 = number.parse().ok().filter(|status| (400..600).contains(status) && alone)?;
    let mut entries: Vec<_> = of(|entry| entry.status == status).collect();
    // Statuses that we do not send ourselves still mean something when a provider does.
    let answer = Answer { status: Some(status), headers: &NoHeaders, body: b"", stream: false };
    if let Some(verdict) = classify(&answer) {
        let likely = entry(verdict.failure.kind);
        if entries.is_empty() {
            entries.push(likely);
        }
        if class_of_status(status) == Some(Class::PermissionDeniedError) {
            entries.push(entry(Kind::ModelAccessDenied));
        }
    }
    Some(Found::Status(status, entries))
}

/// Names of classes beyond those of [`Class`]: older Python, Node, and seeds' own spellings.
const OTHER_CLASSES: [(&str, Class); 4] = [
    ("APIConnectionTimeoutError", Class::APITimeoutError),
    ("InvalidRequestError", Class::BadRequestError),
    ("PermissionError", Class::PermissionDeniedError),
    ("Timeout", Class::APITimeoutError),
];

const CLASSES: [Class; 10] = [
    Class::AuthenticationError,
    Class::BadRequestError,
    Class::ConflictError,
    Class::InternalServerError,
    Class::NotFoundError,
    Class::PermissionDeniedError,
    Class::RateLimitError,
    Class::UnprocessableEntityError,
    Class::APIConnectionError,
    Class::APITimeoutError,
];

fn class(query: &str) -> Option<Found> {
    let name = query.rsplit('.').next()?;
    let plain = CLASSES.into_iter().map(|class| (class.name(), class));
    let (_, class) =
        plain.chain(OTHER_CLASSES).find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(Found::Class(class.name(), of(|entry| entry.class == class).collect()))
}

/// A code or type that we send, or that the classifier knows from providers.
fn code(name: &str) -> Option<Found> {
    let has = |codes: super::Codes| codes.code == Some(name);
    let mut entries: Vec<_> = of(|e| has(e.unified) || has(e.openai)).collect();
    if entries.is_empty() {
        entries = of(|e| e.unified.r#type == name || e.openai.r#type == name).collect();
    }
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    if entries.is_empty() && word && name.contains('_') {
        entries.extend(by_answer(&serde_json::json!({"error": {"code": name}}).to_string()));
    }
    if entries.is_empty() { None } else { Some(Found::Code(entries)) }
}

/// The entry of an answer with these words, when they decide anything.
fn message(query: &str) -> Option<Found> {
    if query.split_whitespace().count() < 2 && !query.starts_with('{') {
        return None;
    }
    let guide = |entry: &&Entry| {
        entry
            .guide
            .iter()
            .any(|line| line.split(" - ").any(|part| part.eq_ignore_ascii_case(query)))
    };
    if let Some(entry) = Kind::ALL.into_iter().map(entry).find(guide) {
        return Some(Found::Message(entry));
    }
    let body = if query.starts_with('{') {
        query.to_string()
    } else {
        serde_json::json!({"error": {"message": query}}).to_string()
    };
    by_answer(&body).map(Found::Message)
}

/// The kind of an answer with this body, when the body and not the status decides it: asked as a
/// client's fault first, then as a server's.
fn by_answer(body: &str) -> Option<&'static Entry> {
    let with = |status: u16, body: &str| {
        let body = body.as_bytes();
        let answer = Answer { status: Some(status), headers: &NoHeaders, body, stream: false };
        classify(&answer).map(|verdict| verdict.failure.kind)
    };
    let decided = [418, 500].into_iter().find_map(|status| {
        let kind = with(status, body)?;
        (Some(kind) != with(status, "")).then_some(kind)
    });
    decided.or_else(|| fault_in_text(body).map(TransportFault::kind)).map(entry)
}

fn of(wanted: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &'static Entry> {
    Kind::ALL.into_iter().map(entry).filter(move |entry| wanted(entry))
}

/// Names at most a third of their letters away, nearest first.
fn suggestions(name: &str) -> Vec<String> {
    let ours = Kind::ALL.into_iter().map(|kind| kind.name().to_string());
    let codes =
        Kind::ALL.into_iter().filter_map(|kind| entry(kind).unified.code.map(str::to_string));
    let classes = CLASSES.into_iter().map(|class| class.name().to_string());
    let mut near: Vec<(usize, String)> = ours
        .chain(codes)
        .chain(classes)
        .map(|known| (distance(name, &known.to_ascii_lowercase()), known))
        .filter(|(steps, known)| *steps * 3 <= known.len())
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(SUGGESTIONS_MAX).map(|(_, known)| known).collect()
}

/// Fewest single-letter edits between two names; bounded by cutting both to 64 letters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut left_above = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *slot;
            *slot = (left_above + usize::from(x != y)).min(above + 1).min(left + 1);
            left_above = above;
            left = *slot;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
