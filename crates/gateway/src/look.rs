//! The look into a body: what the call asks for, and whether a provider would take it. What it would
//! not take is refused here, before it uses any quota or money.

use mainstay::Engine;
use mainstay::call::{Call, CallBody};
use mainstay_core::validate::{Fault, Level, validate};
use mainstay_core::wire::endpoint::{BodyForm, Endpoint};
use mainstay_core::wire::request::{Peek, peek};

use crate::body::{Hold, Taken};
use crate::refused::Refused;

/// Looks into the body and puts it into the call; gives back the memory it takes.
pub(crate) fn into(call: &mut Call, taken: Taken, engine: &Engine) -> Result<Hold, Refused> {
    let Taken { body, hold, json, .. } = taken;
    let bytes: &[u8] = match &body {
        CallBody::Buffered(bytes) => bytes,
        CallBody::Empty | CallBody::Streamed { .. } => &[],
    };
    if json && !(bytes.is_empty() && call.endpoint.body_form() != BodyForm::Json) {
        let peeked = sound(call.endpoint, bytes, engine)?;
        call.stream = peeked.stream;
        call.tokens = estimate(call.endpoint, bytes.len(), peeked.max_output(), peeked.n);
        call.model_span = peeked.model_span();
        call.model = peeked.model.map(std::borrow::Cow::into_owned);
    }
    call.body = body;
    Ok(hold)
}

/// The fields that decide, of a body that passes at the level of its model's route.
fn sound<'b>(endpoint: Endpoint, bytes: &'b [u8], engine: &Engine) -> Result<Peek<'b>, Refused> {
    let level = |model: Option<&str>| engine.validation(model);
    match peek(bytes, endpoint) {
        Ok(peeked) => {
            let report = validate(endpoint, level(peeked.model.as_deref()), bytes);
            if report.is_sound() { Ok(peeked) } else { Err(Refused::unsound(report)) }
        }
        Err(first) => Err(all_of(first, endpoint, level(None), bytes)),
    }
}

/// A body whose model cannot be told, with everything else that is wrong with it.
fn all_of(first: Fault, endpoint: Endpoint, level: Level, bytes: &[u8]) -> Refused {
    let mut report = validate(endpoint, level, bytes);
    // What is no JSON is said in the same words by both; a second `Model` is seen by one only.
    let known = |fault: &Fault| fault.param == first.param && fault.kind == first.kind;
    if !report.faults.iter().any(known) {
        report.faults.insert(0, first);
    }
    Refused::unsound(report)
}

/// Tokens a call may use, from its size: four bytes a token is the usual ratio for English text in
/// JSON; what was really used is settled afterwards.
fn estimate(
    endpoint: Endpoint,
    bytes: usize,
    max_output: Option<u64>,
    answers: Option<u64>,
) -> u64 {
    if !endpoint.group().counts_tokens() {
        return 0;
    }
    let output = max_output.unwrap_or(0).saturating_mul(answers.unwrap_or(1).max(1));
    (bytes as u64).div_ceil(4).saturating_add(output)
}
