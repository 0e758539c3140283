//! The one log line of a finished call, at `debug`: nothing about a single call is louder, or an outage would
//! fill the log. What an operator should know is told by [`super::sums`]. Values are fields; the sentence
//! is fixed.

use std::fmt::Write as _;

use mainstay_core::failure::{Kind, Origin};
use mainstay_core::store::{FailureNote, RequestRecord};
use tracing::Level;

use crate::config::Bodies;

/// Most attempts named in a line.
const NAMED_MAX: usize = 8;

/// How loud calls that ended like this one are told together.
///
/// | level | which calls |
/// | --- | --- |
/// | `error` | a promise of ours was broken: somebody must look |
/// | `warn` | the provider, the network or the gateway failed: an operator should know today |
/// | `info` | the caller's request was refused, by us or by the provider |
pub(super) fn loudness(failed: &FailureNote) -> Level {
    match failed.origin {
        Origin::Mainstay if failed.kind == Kind::InternalError => Level::ERROR,
        Origin::Mainstay | Origin::Network | Origin::Provider => Level::WARN,
        Origin::Caller => Level::INFO,
    }
}

/// Writes the line, if anybody wants it.
pub(super) fn write(call: &RequestRecord, bodies: Bodies) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let failed = call.failed.as_ref();
    let none = Box::<str>::default;
    let text = |text: &Option<Box<str>>| text.clone().unwrap_or_else(none);
    let of = |pick: fn(&FailureNote) -> &Option<Box<str>>| {
        failed.map(|note| text(pick(note))).unwrap_or_default()
    };
    let (kind, origin) = failed.map_or(("", ""), |note| (note.kind.name(), note.origin.name()));
    let (code, message, upstream_id) =
        (of(|note| &note.code), of(|note| &note.message), of(|note| &note.upstream_id));
    let shown = match bodies {
        Bodies::Off => none(),
        Bodies::Shape => of(|note| &note.shape),
        Bodies::Content => of(|note| &note.content),
    };
    let (model, provider) = (text(&call.model), text(&call.provider));
    let usage = call.usage.unwrap_or_default();
    let cost = call.cost.map(|cost| cost.to_string()).unwrap_or_default();
    let tried = tried(call);
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($sentence:literal) => {
            tracing::debug!(
                id = %call.id,
                key = &*call.key_name,
                project = &*call.project,
                endpoint = call.endpoint.name(),
                model = &*model,
                provider = &*provider,
                status = call.status,
                kind,
                code = &*code,
                origin,
                said = &*message,
                upstream_id = &*upstream_id,
                attempts = call.attempts_sent,
                retries = call.attempts_sent.saturating_sub(1),
                tried = &*tried,
                sdk_retry = call.sdk_retry,
                waited_ms = millis(call.waited),
                first_content_ms = call.first_content.map(millis),
                took_ms = millis(call.took),
                input_tokens = usage.input,
                output_tokens = usage.output,
                cost_usd = &*cost,
                body = &*shown,
                $sentence
            )
        };
    }
    match failed.map(loudness) {
        Some(Level::ERROR) => line!("failed by a fault of this gateway"),
        Some(Level::WARN) => line!("failed"),
        Some(_) => line!("refused"),
        None if call.status == crate::ticket::CALLER_LEFT => line!("caller left"),
        None => line!("answered"),
    }
}

/// Each attempt in a word: where, what came of it, and how long it was waited for.
fn tried(call: &RequestRecord) -> String {
    let mut out = String::new();
    for one in call.attempts.iter().take(NAMED_MAX) {
        out.push_str(if out.is_empty() { "" } else { ", " });
        let model = one.model.as_deref().unwrap_or("-");
        let _ = write!(out, "{}/{model} ", one.provider);
        match (one.kind, one.status) {
            (Some(kind), _) => out.push_str(kind.name()),
            (None, Some(status)) => drop(write!(out, "{status}")),
            (None, None) => out.push_str("cancelled"),
        }
        let _ = write!(out, " {}ms", one.lasted.as_millis());
        if !one.waited.is_zero() {
            let cause = if one.cause.is_empty() { "other" } else { &one.cause };
            let _ = write!(out, " after {}ms {cause}", one.waited.as_millis());
        }
    }
    if call.attempts.len() > NAMED_MAX {
        let _ = write!(out, ", and {} more", call.attempts.len() - NAMED_MAX);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_loud_as_the_fault_is_ours() {
        let of = |kind: Kind, origin: Origin| loudness(&FailureNote::new(kind, origin));
        assert_eq!(of(Kind::InvalidValue, Origin::Caller), Level::INFO);
        assert_eq!(of(Kind::Overloaded, Origin::Provider), Level::WARN);
        assert_eq!(of(Kind::Overloaded, Origin::Network), Level::WARN);
        assert_eq!(of(Kind::Overloaded, Origin::Mainstay), Level::WARN);
        assert_eq!(of(Kind::InternalError, Origin::Provider), Level::WARN);
        assert_eq!(of(Kind::InternalError, Origin::Mainstay), Level::ERROR);
    }
}
