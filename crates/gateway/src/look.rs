//! The look into a body: what the call asks for, and whether a provider would take it. What it would
//! not take is refused here, before it uses any quota or money.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use mainstay::call::{Call, CallBody};
use mainstay::{Engine, Fields};
use mainstay_core::validate::form::{FormBody, FormLook, validate_form};
use mainstay_core::validate::{self, Fault, Level, validate};
use mainstay_core::wire::endpoint::{BodyForm, Endpoint};
use mainstay_core::wire::quoted::Words;
use mainstay_core::wire::request::{Peek, peek};

use crate::body::{Begun, Hold, Taken};
use crate::money::Asked;
use crate::refused::Refused;
use crate::window::{self, Prompt};

/// What the look has shown beside what is in the call.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The memory that the body takes.
    pub(crate) hold: Hold,
    /// The beginning of a body that is to pass through.
    pub(crate) begun: Option<Begun>,
    /// What is asked for, as far as it decides on the cost.
    pub(crate) asked: Asked,
    /// The body may name a model behind what was looked at.
    pub(crate) model_unseen: bool,
}

/// Looks into the body and puts it into the call.
pub(crate) async fn into(
    call: &mut Call,
    taken: Taken,
    headers: &Fields,
    engine: &Engine,
) -> Result<Looked, Refused> {
    let Taken { body, begun, hold, json, form, inflated: _ } = taken;
    let mut model_unseen = false;
    let mut asked = Asked::default();
    if json {
        let none = Bytes::new();
        let bytes = match &body {
            CallBody::Buffered(bytes) => bytes,
            CallBody::Empty | CallBody::Streamed { .. } => &none,
        };
        asked = into_json(call, bytes, engine).await?;
    }
    if let Some(head) = form {
        let content_type = headers.text("content-type");
        let length = begun.as_ref().map_or(Some(head.len() as u64), |begun| begun.length);
        let seen = FormBody { content_type, bytes: &head, whole: begun.is_none(), length };
        model_unseen = into_form(call, seen, engine)?;
    }
    asked.length = begun.as_ref().and_then(|begun| begun.length);
    if let CallBody::Buffered(bytes) = &body
        && !json
        && bytes.trim_ascii_start().starts_with(b"{")
    {
        asked.words = Words::of(bytes);
    }
    call.body = body;
    Ok(Looked { hold, begun, asked, model_unseen })
}

/// Looks into a JSON body.
async fn into_json(call: &mut Call, bytes: &Bytes, engine: &Engine) -> Result<Asked, Refused> {
    if bytes.is_empty() && call.endpoint.body_form() != BodyForm::Json {
        return Ok(Asked::default());
    }
    let (peeked, level, words) = sound(call.endpoint, bytes, engine)?;
    let asked = Asked {
        max_output: peeked.max_output(),
        answers: peeked.n.max(peeked.best_of),
        background: peeked.background,
        words,
        ..Asked::default()
    };
    call.stream = peeked.stream;
    call.tokens = estimate(call.endpoint, bytes.len(), asked.max_output, peeked.n);
    call.model_span = peeked.model_span();
    call.usage_ask = if peeked.stream { peeked.usage_ask() } else { None };
    call.model = peeked.model.as_deref().map(named);
    let Some(model) = call.model.as_deref() else { return Ok(asked) };
    let (endpoint, most, time) = (call.endpoint, asked.max_output, call.timeout);
    let prompt = Prompt { endpoint, model, body: bytes, asked: most, level, time };
    window::check(prompt, engine).await?;
    Ok(asked)
}

/// Looks into what is at hand of a form; tells whether a model may stand behind it.
fn into_form(call: &mut Call, body: FormBody<'_>, engine: &Engine) -> Result<bool, Refused> {
    let form = FormLook::read(body);
    let model = form.model();
    let mut report = validate_form(call.endpoint, engine.validation(model), &form);
    if let (Some(twice), true) = (form.ambiguous(), report.is_sound()) {
        report.faults.push(twice);
    }
    if !report.is_sound() {
        return Err(Refused::unsound(report));
    }
    call.stream = form.stream();
    call.model_span = form.model_span();
    call.model = model.map(named);
    Ok(model.is_none() && !form.complete() && call.endpoint != Endpoint::Files)
}

thread_local! {
    /// The name that [`named`] gave last.
    static NAME: RefCell<Arc<str>> = RefCell::default();
}

/// Longest name that is shared, in bytes: callers write what they like there.
const SHARED_MAX: usize = 128;

/// A model's name. Calls that follow each other mostly have the same one, and share it.
fn named(model: &str) -> Arc<str> {
    if model.len() > SHARED_MAX {
        return model.into();
    }
    NAME.with_borrow_mut(|last| {
        if **last != *model {
            *last = model.into();
        }
        Arc::clone(last)
    })
}

/// The fields that decide, of a body that passes at the level of its model's route, the level, and the
/// words that stand in it.
fn sound<'b>(
    endpoint: Endpoint,
    bytes: &'b [u8],
    engine: &Engine,
) -> Result<(Peek<'b>, Level, Words), Refused> {
    let view = engine.view();
    let usual = view.validation(None);
    if let Some((peeked, words)) = validate::sound(endpoint, usual, bytes)
        && view.validation(peeked.model.as_deref()) == usual
    {
        return Ok((peeked, usual, words));
    }
    match peek(bytes, endpoint) {
        Ok(peeked) => {
            let level = engine.validation(peeked.model.as_deref());
            let report = validate(endpoint, level, bytes);
            if !report.is_sound() {
                return Err(Refused::unsound(report));
            }
            Ok((peeked, level, Words::of(bytes)))
        }
        Err(first) => Err(all_of(first, endpoint, engine.validation(None), bytes)),
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
    of_bytes(bytes).saturating_add(output)
}

/// The prompt's part of the tokens that a call may use.
pub(crate) fn prompt(call: &Call) -> u64 {
    match &call.body {
        CallBody::Buffered(bytes) => of_bytes(bytes.len()).min(call.tokens),
        CallBody::Empty | CallBody::Streamed { .. } => 0,
    }
}

fn of_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_one_model_share_its_name() {
        let [first, again, other] = ["gpt-4.1", "gpt-4.1", "gpt-4o"].map(named);
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((&*first, &*other), ("gpt-4.1", "gpt-4o"));
        let long = "x".repeat(SHARED_MAX + 1);
        let twice = [named(&long), named(&long)];
        assert!(*twice[0] == long && !Arc::ptr_eq(&twice[0], &twice[1]), "it is kept by nobody");
        assert!(Arc::ptr_eq(&named("gpt-4o"), &other));
    }
}
