//! The first look at a request: the few fields a gateway decides by, read in one pass, in place.
//!
//! Everything else of the body is passed over and stays as the caller wrote it. [`edit`] changes a
//! body by splicing bytes, so that unknown fields, the order of keys and the form of numbers survive.
//!
//! Two readers of one body must see one model: a second `model` or `stream`, also one spelt with an
//! escape or in another case, is refused, and so is a lone `Model`, because what is authorised here could differ from what the
//! provider reads.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use core::ops::Range;

use crate::failure::Kind;
use crate::validate::Fault;
use crate::wire::endpoint::{BodyForm, Endpoint};
use crate::wire::json::{Reader, Str, Syntax, Type};

pub mod edit;

/// What the first look found. A field of another type than its own is absent here, except for `model`
/// and `stream`, which are then refused: validation says more about the others.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Peek<'a> {
    /// The model, as the caller names it.
    pub model: Option<Cow<'a, str>>,
    /// Whether the answer is asked for in pieces.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// `max_tokens`.
    pub max_tokens: Option<u64>,
    /// `max_completion_tokens`.
    pub max_completion_tokens: Option<u64>,
    /// `max_output_tokens`.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for.
    pub n: Option<u64>,
    /// `best_of`: how many answers are made for the `n` returned.
    pub best_of: Option<u64>,
    /// The caller's name for his own user.
    pub user: Option<Cow<'a, str>>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<Cow<'a, str>>,
    /// Whether the work goes on without the connection.
    pub background: bool,
    /// Whether the provider is to keep the answer.
    pub store: Option<bool>,
    /// The stored response that this one follows.
    pub previous_response_id: Option<Cow<'a, str>>,
    spans: Spans,
}

/// Where in the body the fields stand that may be edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spans {
    model: Option<Range<usize>>,
    stream_options: Option<Range<usize>>,
    include_usage: Option<Range<usize>>,
    /// Just behind the opening brace of the body.
    body: usize,
    /// Just behind the opening brace of `stream_options`, and whether it has no key.
    options: Option<(usize, bool)>,
    empty: bool,
}

impl core::fmt::Debug for Peek<'_> {
    /// Without the caller's own words: `user` and ids stay out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Peek")
            .field("model", &self.model)
            .field("stream", &self.stream)
            .field("max_output", &self.max_output())
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}

impl Peek<'_> {
    /// The most tokens one answer may have, by whichever field says so; the smallest when several do.
    pub fn max_output(&self) -> Option<u64> {
        [self.max_completion_tokens, self.max_output_tokens, self.max_tokens]
            .into_iter()
            .flatten()
            .min()
    }

    /// Where the value of `model` stands in the body, quotes included; also where it is `null`.
    pub fn model_span(&self) -> Option<Range<usize>> {
        self.spans.model.clone()
    }
}

/// Reads the fields of a request that a gateway decides by.
///
/// An absent body gives an empty look where the endpoint takes none ([`BodyForm::JsonOrNothing`] and
/// [`BodyForm::Any`]). Multipart bodies are not for this function.
///
/// # Errors
///
/// The body is not UTF-8, not JSON or not an object, `model` is not a string, `stream` not a boolean,
/// or one of the fields that are read stands twice. The request must not be sent.
pub fn peek(body: &[u8], endpoint: Endpoint) -> Result<Peek<'_>, Fault> {
    if body.is_empty() {
        return match endpoint.body_form() {
            BodyForm::Json => Err(Fault::empty_body()),
            BodyForm::JsonOrNothing | BodyForm::Any | BodyForm::Multipart => Ok(Peek::default()),
        };
    }
    let text = core::str::from_utf8(body).map_err(|error| Fault::not_utf8(body, error))?;
    let mut reader = Reader::new(text);
    let found = reader.next_type().map_err(|syntax| Fault::not_json(text, syntax))?;
    if found != Type::Object {
        return Err(Fault::not_an_object(found.with_article(), reader.offset()));
    }
    let mut look = Look::new(reader.offset());
    look.object(&mut reader).map_err(|syntax| Fault::not_json(text, syntax))?;
    match look.refused {
        Some(fault) => Err(fault),
        None => Ok(look.peek),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Model,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    BestOf,
    User,
    PromptCacheKey,
    Background,
    Store,
    PreviousResponseId,
}

const FIELDS: [(&str, Field); 13] = [
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("stream_options", Field::StreamOptions),
    ("max_tokens", Field::MaxTokens),
    ("max_completion_tokens", Field::MaxCompletionTokens),
    ("max_output_tokens", Field::MaxOutputTokens),
    ("n", Field::N),
    ("best_of", Field::BestOf),
    ("user", Field::User),
    ("prompt_cache_key", Field::PromptCacheKey),
    ("background", Field::Background),
    ("store", Field::Store),
    ("previous_response_id", Field::PreviousResponseId),
];

/// Whether the first look reads the field of this name.
pub(crate) fn is_peeked(key: Str<'_>) -> bool {
    FIELDS.iter().any(|(name, _)| key.is(name))
}

/// The field that a key names in any case, and its place among [`FIELDS`].
fn known(key: Str<'_>) -> Option<(usize, &'static (&'static str, Field))> {
    if !key.escaped {
        let at = candidate(key.raw.as_bytes())?;
        return FIELDS
            .get(at)
            .filter(|known| key.is_ignoring_case(known.0))
            .map(|known| (at, known));
    }
    FIELDS.iter().enumerate().find(|(_, (name, _))| key.is_ignoring_case(name))
}

/// The only one of [`FIELDS`] that a name without escapes can be, by its length and first letter.
fn candidate(name: &[u8]) -> Option<usize> {
    Some(match (name.len(), name.first()?.to_ascii_lowercase()) {
        (5, b'm') => 0,
        (6, b's') => 1,
        (14, b's') => 2,
        (10, b'm') => 3,
        (21, b'm') => 4,
        (17, b'm') => 5,
        (1, b'n') => 6,
        (7, b'b') => 7,
        (4, b'u') => 8,
        (16, b'p') => 9,
        (10, b'b') => 10,
        (5, b's') => 11,
        (20, b'p') => 12,
        _ => return None,
    })
}

/// A first look under way.
pub(crate) struct Look<'a> {
    peek: Peek<'a>,
    /// One bit for each of [`FIELDS`].
    seen: u32,
    /// The first thing to refuse; reading goes on, because a syntax fault matters more.
    refused: Option<Fault>,
}

impl<'a> Look<'a> {
    /// A look at an object that begins at `at`.
    pub(crate) fn new(at: usize) -> Look<'a> {
        let spans = Spans { body: at + 1, empty: true, ..Spans::default() };
        Look { peek: Peek { spans, ..Peek::default() }, seen: 0, refused: None }
    }

    fn object(&mut self, reader: &mut Reader<'a>) -> Result<(), Syntax> {
        let mut first = true;
        while let Some(key) = reader.key(&mut first)? {
            if !self.member(key, reader)? {
                reader.skip()?;
            }
        }
        reader.end()
    }

    /// Looks at a member whose value `reader` is about to read, and leaves it to it.
    pub(crate) fn ahead(&mut self, key: Str<'a>, reader: &Reader<'a>) -> Result<(), Syntax> {
        self.member(key, &mut reader.clone()).map(drop)
    }

    /// What was found; `None` when something is to be refused.
    pub(crate) fn found(self) -> Option<Peek<'a>> {
        self.refused.is_none().then_some(self.peek)
    }

    /// Reads a member's value when it is of interest; `false`: it is unread.
    fn member(&mut self, key: Str<'a>, reader: &mut Reader<'a>) -> Result<bool, Syntax> {
        self.peek.spans.empty = false;
        // Readers that do not mind case exist (Go's standard library), so `Stream` counts as a
        // second `stream`, though never as the first.
        let Some((index, (name, field))) = known(key) else { return Ok(false) };
        if self.seen & (1 << index) != 0 {
            self.refuse(|| Fault::duplicate((*name).to_string(), key.at));
        } else if *field == Field::Model && !key.is(name) {
            // Who reads it as the model would read one that nobody here has seen.
            self.refuse(|| Fault::other_case(key, name));
        }
        self.seen |= 1 << index;
        if key.is(name) { self.field(*field, reader).map(|()| true) } else { Ok(false) }
    }

    fn field(&mut self, field: Field, reader: &mut Reader<'a>) -> Result<(), Syntax> {
        match field {
            Field::Model => self.model(reader)?,
            Field::Stream => self.stream(reader)?,
            Field::StreamOptions => self.stream_options(reader)?,
            Field::MaxTokens => self.peek.max_tokens = count(reader)?,
            Field::MaxCompletionTokens => self.peek.max_completion_tokens = count(reader)?,
            Field::MaxOutputTokens => self.peek.max_output_tokens = count(reader)?,
            Field::N => self.peek.n = count(reader)?,
            Field::BestOf => self.peek.best_of = count(reader)?,
            Field::User => self.peek.user = text(reader)?,
            Field::PromptCacheKey => self.peek.prompt_cache_key = text(reader)?,
            Field::Background => self.peek.background = boolean(reader)?.unwrap_or(false),
            Field::Store => self.peek.store = boolean(reader)?,
            Field::PreviousResponseId => self.peek.previous_response_id = text(reader)?,
        }
        Ok(())
    }

    fn model(&mut self, reader: &mut Reader<'a>) -> Result<(), Syntax> {
        let at = reader.offset();
        let found = reader.next_type()?;
        if found == Type::String {
            self.peek.model = reader.string()?.text();
        } else {
            reader.skip()?;
        }
        self.peek.spans.model = Some(at..reader.after());
        if self.peek.model.is_none() && found != Type::Null {
            self.refuse(|| mistyped("model", "a string", found, at));
        }
        Ok(())
    }

    fn stream(&mut self, reader: &mut Reader<'a>) -> Result<(), Syntax> {
        let at = reader.offset();
        let found = reader.next_type()?;
        self.peek.stream = boolean(reader)?.unwrap_or(false);
        if found != Type::Bool && found != Type::Null {
            self.refuse(|| mistyped("stream", "true or false", found, at));
        }
        Ok(())
    }

    fn stream_options(&mut self, reader: &mut Reader<'a>) -> Result<(), Syntax> {
        let at = reader.offset();
        if reader.next_type()? != Type::Object {
            reader.skip()?;
            self.peek.spans.stream_options = Some(at..reader.after());
            return Ok(());
        }
        let (mut first, mut keys) = (true, 0_usize);
        while let Some(key) = reader.key(&mut first)? {
            keys += 1;
            if !key.is("include_usage") {
                reader.skip()?;
                continue;
            }
            if self.peek.spans.include_usage.is_some() {
                self.refuse(|| {
                    Fault::duplicate("stream_options.include_usage".to_string(), key.at)
                });
            }
            let value_at = reader.offset();
            self.peek.include_usage = boolean(reader)?;
            self.peek.spans.include_usage = Some(value_at..reader.after());
        }
        self.peek.spans.options = Some((at + 1, keys == 0));
        self.peek.spans.stream_options = Some(at..reader.after());
        Ok(())
    }

    fn refuse(&mut self, fault: impl FnOnce() -> Fault) {
        self.refused.get_or_insert_with(fault);
    }
}

fn mistyped(name: &str, expected: &str, found: Type, offset: usize) -> Fault {
    let found = found.with_article();
    Fault {
        kind: Kind::InvalidValue,
        openai_code: Some("invalid_type"),
        param: Some(name.to_string()),
        message: format!(
            "Invalid type for '{name}': it must be {expected}, but is {found}. Send {expected}."
        ),
        offset,
    }
}

fn count(reader: &mut Reader<'_>) -> Result<Option<u64>, Syntax> {
    if reader.next_type()? == Type::Number {
        return Ok(reader.number()?.parse().ok());
    }
    reader.skip()?;
    Ok(None)
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Syntax> {
    if reader.next_type()? == Type::String {
        return Ok(Str::text(&reader.string()?));
    }
    reader.skip()?;
    Ok(None)
}

fn boolean(reader: &mut Reader<'_>) -> Result<Option<bool>, Syntax> {
    if reader.next_type()? == Type::Bool {
        return Ok(Some(reader.boolean()?));
    }
    reader.skip()?;
    Ok(None)
}

#[cfg(test)]
mod tests;
