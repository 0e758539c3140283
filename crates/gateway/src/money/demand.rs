//! What a call may use at worst, by endpoint.
//!
//! | endpoint | held | settled where the provider tells no usage |
//! | --- | --- | --- |
//! | chat, completions, responses | prompt estimate and largest answer | the same prompt, output by its length |
//! | embeddings | prompt estimate | the same |
//! | pictures | so many as asked for, and their tokens | so many as asked for |
//! | speech | characters of `input` | the same |
//! | transcriptions, translations | a second of sound a kilobyte | a second of sound 16 kilobytes |
//! | runs | `max_prompt_tokens` and `max_completion_tokens` | the same |
//! | moderations, files, models, threads, reading and deleting | nothing | nothing |
//! | everything else | cannot be told: refused under a hard budget | nothing |

use std::cell::RefCell;

use http::Method;
use mainstay::call::{Call, CallBody};
use mainstay_core::money::Quantity;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::quoted::Words;
use mainstay_tokens::estimate;
use mainstay_tokens::models::{Vocabulary, Window};
use serde::Deserialize;

use super::{MoneyAsk, MoneyRules, Reserve};
use crate::recent::Recent;

/// What a body says about how much is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// The most tokens one answer may have.
    pub(crate) max_output: Option<u64>,
    /// How many answers or pictures are made.
    pub(crate) answers: Option<u64>,
    /// The length of a body that passes through, where it is known.
    pub(crate) length: Option<u64>,
    /// The work goes on when the connection has ended.
    pub(crate) background: bool,
    /// Words that stand in the body.
    pub(crate) words: Words,
}

/// Whether and how a call is metered.
#[derive(Debug)]
pub(super) enum Metering {
    /// It costs nothing.
    Free,
    /// It may cost something that cannot be told, for this reason.
    Unmetered(&'static str),
    /// It costs what it uses.
    Metered(Demand),
}

/// What a metered call may use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// At worst, or what is likely where the rules say so.
    pub(super) worst: Quantity,
    /// Charged for a complete answer without usage; output tokens are counted by its length.
    pub(super) plain: Quantity,
    /// What is held is charged for a complete answer without usage: its work goes on elsewhere.
    pub(super) all: bool,
}

/// How a call is metered.
pub(super) fn of(ask: &MoneyAsk<'_>) -> Metering {
    let call = ask.call;
    if matches!(call.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS) {
        return Metering::Free;
    }
    match call.endpoint {
        Endpoint::Chat | Endpoint::Completions | Endpoint::Responses => answers(ask),
        Endpoint::Embeddings => input_only(ask),
        Endpoint::Images | Endpoint::ImageEdits | Endpoint::ImageVariations => pictures(ask),
        Endpoint::Speech => speech(call),
        Endpoint::Transcriptions | Endpoint::Translations => sound(ask),
        Endpoint::Runs | Endpoint::ThreadAndRun => run(call),
        // Output of tools goes to a run that was charged when it was made.
        Endpoint::ToolOutputs
        | Endpoint::Moderations
        | Endpoint::Assistants
        | Endpoint::AssistantUpdate
        | Endpoint::Threads
        | Endpoint::ThreadUpdate
        | Endpoint::ThreadMessages
        | Endpoint::Files
        | Endpoint::Models => Metering::Free,
        Endpoint::Batches if call.path.trim_end_matches('/').ends_with("/cancel") => Metering::Free,
        Endpoint::Batches => {
            Metering::Unmetered("a batch is billed when it is done, long after this answer")
        }
        Endpoint::Other => other(call),
    }
}

fn answers(ask: &MoneyAsk<'_>) -> Metering {
    let Asked { max_output, answers, background, .. } = *ask.asked;
    let Known { vocabulary, window } = known(ask);
    let likely = prompt(ask, vocabulary);
    let input = with_margin(likely);
    let output = output(ask.rules, window, max_output).saturating_mul(answers.unwrap_or(1).max(1));
    let worst = Quantity { requests: 1, input, output, ..Quantity::default() };
    let plain = Quantity { input: likely, output: 0, ..worst };
    Metering::Metered(Demand { worst, plain, all: background })
}

/// The largest answer: what the caller allows, else what the model does, else a default.
fn output(rules: &MoneyRules, window: Option<Window>, asked: Option<u64>) -> u64 {
    let known = window.and_then(|window| window.output_max);
    let worst = match (asked, known) {
        (Some(asked), Some(known)) => asked.min(known),
        (Some(asked), None) => asked,
        (None, Some(known)) => known,
        (None, None) => rules.output_default,
    };
    match rules.reserve {
        Reserve::Worst => worst,
        Reserve::Likely => worst.min(rules.output_likely),
    }
}

/// More than an estimate, so that it is seldom too low.
fn with_margin(tokens: u64) -> u64 {
    tokens.saturating_add(tokens / 10).saturating_add(16)
}

/// An estimate of the prompt: the whole body as text. Where pictures or sound are in it, its parts
/// are counted.
fn prompt(ask: &MoneyAsk<'_>, vocabulary: Option<Vocabulary>) -> u64 {
    let CallBody::Buffered(body) = &ask.call.body else { return 0 };
    let model = ask.call.model.as_deref();
    let count = || mainstay_tokens::request::count(body, model).ok();
    let counted = ask.asked.words.has_media().then(count).flatten();
    counted.map_or_else(|| estimate::tokens(vocabulary, body), |count| count.prompt())
}

/// What is known of a model beside its price.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    vocabulary: Option<Vocabulary>,
    window: Option<Window>,
}

thread_local! {
    /// Of the models that this thread's calls have named of late.
    static KNOWN: RefCell<Recent<Known>> = RefCell::default();
}

fn known(ask: &MoneyAsk<'_>) -> Known {
    let Some(model) = ask.call.model.as_deref() else { return Known::default() };
    let find = || Known { vocabulary: Vocabulary::of(model), window: Window::of(model, &[]) };
    KNOWN.with_borrow_mut(|known| known.get(model, find))
}

fn input_only(ask: &MoneyAsk<'_>) -> Metering {
    let input = prompt(ask, known(ask).vocabulary);
    let plain = Quantity { requests: 1, input, ..Quantity::default() };
    let worst = Quantity { input: with_margin(plain.input), ..plain };
    Metering::Metered(Demand { worst, plain, all: false })
}

/// Tokens of the largest picture of the models that are billed by token.
/// Source: the vendor's guide to making pictures, high quality at 1024 by 1536, known as of 2026-11.
const PICTURE_TOKENS: u64 = 6_208;
/// The most pictures of one call. Source: the vendor's API reference, `n`, known as of 2026-11.
const PICTURES_MAX: u64 = 10;

fn pictures(ask: &MoneyAsk<'_>) -> Metering {
    let CallBody::Buffered(body) = &ask.call.body else {
        return Metering::Unmetered(
            "the form is larger than `server.replay_max`, so it is not looked into",
        );
    };
    let is_form =
        ask.call.endpoint != Endpoint::Images && !body.trim_ascii_start().starts_with(b"{");
    let images = match ask.asked.answers {
        Some(asked) => asked.clamp(1, PICTURES_MAX),
        None if is_form => form_number(body, b"n").unwrap_or(1).clamp(1, PICTURES_MAX),
        None => 1,
    };
    let text = if is_form { 0 } else { with_margin(prompt(ask, known(ask).vocabulary)) };
    // A picture that is sent is at most as many tokens as one that is made.
    let input = if is_form { PICTURE_TOKENS.saturating_mul(16) } else { text };
    let plain = Quantity { requests: 1, images, ..Quantity::default() };
    let worst = Quantity { input, output: images.saturating_mul(PICTURE_TOKENS), ..plain };
    Metering::Metered(Demand { worst, plain, all: false })
}

/// A number among the fields of a form.
fn form_number(body: &[u8], name: &[u8]) -> Option<u64> {
    let field = [b"name=\"", name, b"\""].concat();
    let at = memchr::memmem::find(body, &field)? + field.len();
    let rest = body.get(at..)?;
    let value = rest.get(memchr::memmem::find(rest, b"\r\n\r\n")? + 4..)?;
    let digits = value.iter().take_while(|c| c.is_ascii_digit()).take(6);
    core::str::from_utf8(&digits.copied().collect::<Vec<u8>>()).ok()?.parse().ok()
}

fn speech(call: &Call) -> Metering {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        input: std::borrow::Cow<'a, str>,
    }
    let CallBody::Buffered(body) = &call.body else { return Metering::Free };
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else {
        return Metering::Unmetered("its `input` is no text");
    };
    let characters = body.input.chars().count() as u64;
    let worst = Quantity { requests: 1, characters, ..Quantity::default() };
    Metering::Metered(Demand { worst, plain: worst, all: false })
}

/// Sound is seldom packed below a kilobyte a second, and usually above sixteen.
fn sound(ask: &MoneyAsk<'_>) -> Metering {
    let length = match &ask.call.body {
        CallBody::Buffered(body) => Some(body.len() as u64),
        CallBody::Streamed { length, .. } => *length,
        CallBody::Empty => ask.asked.length,
    };
    let Some(bytes) = length else {
        return Metering::Unmetered(
            "its body has no `content-length`, so the sound's length is unknown",
        );
    };
    let plain = Quantity { requests: 1, sound_ms: bytes / 16, ..Quantity::default() };
    // Tokens of sound: 10 a second heard, and what is said in it. Known as of 2026-11.
    let worst = Quantity { sound_ms: bytes, input: bytes / 100, output: bytes / 100, ..plain };
    Metering::Metered(Demand { worst, plain, all: false })
}

fn run(call: &Call) -> Metering {
    #[derive(Deserialize)]
    struct Body {
        max_prompt_tokens: Option<u64>,
        max_completion_tokens: Option<u64>,
    }
    let CallBody::Buffered(body) = &call.body else { return Metering::Free };
    let said = serde_json::from_slice::<Body>(body).ok();
    let (Some(input), Some(output)) = (
        said.as_ref().and_then(|body| body.max_prompt_tokens),
        said.as_ref().and_then(|body| body.max_completion_tokens),
    ) else {
        return Metering::Unmetered(
            "a run goes on by itself: set `model`, `max_prompt_tokens` and `max_completion_tokens`",
        );
    };
    let worst = Quantity { requests: 1, input, output, ..Quantity::default() };
    Metering::Metered(Demand { worst, plain: worst, all: true })
}

/// Paths that are not known as endpoints: those that are known to cost nothing pass.
fn other(call: &Call) -> Metering {
    let path = call.path.split('?').next().unwrap_or("").trim_end_matches('/');
    let mut parts = path.trim_start_matches('/').split('/');
    let free = match (parts.next(), parts.next(), parts.next()) {
        (Some("uploads" | "conversations"), ..) => true,
        (Some("responses"), Some("input_tokens"), None) => true,
        (Some("responses"), Some(_), Some("cancel")) => true,
        (Some("chat"), Some("completions"), Some(_)) => true,
        (Some("threads"), Some(_), _) => true,
        (Some(_) | None, ..) => false,
    };
    if free {
        Metering::Free
    } else {
        Metering::Unmetered("the gateway does not know how it is billed")
    }
}
