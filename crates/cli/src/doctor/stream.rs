//! One small streamed call: whether it works, and whether something on the way holds the stream
//! back and hands it over in one piece.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use mainstay::probe::{Exchange, Question};
use mainstay_core::catalogue::entry;
use mainstay_core::failure::Kind;
use serde_json::json;

use super::finding::Finding;
use super::talk::said;
use super::way::millis;

/// Most tokens asked for: what the call may cost.
pub(super) const TOKENS_MAX: u32 = 200;
/// Pieces that come closer together than this may have been sent together.
const APART: Duration = Duration::from_millis(10);
/// So many pieces that come apart make a stream.
const PIECES_MIN: usize = 3;
/// Shorter answers say nothing: a quick model may send them in one go.
const TELLING: Duration = Duration::from_secs(1);

/// The call: long enough that a model takes a second, short enough to cost next to nothing.
pub(super) fn question(model: &str, limit_field: &str) -> Question {
    let content = "Count from 1 to 60, one number a line, and say nothing else.";
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "stream": true,
        limit_field: TOKENS_MAX,
    });
    Question {
        method: Method::POST,
        path: "/chat/completions",
        model: Some(model.to_owned()),
        body: Bytes::from(body.to_string()),
    }
}

/// Whether the provider wants the newer name of `max_tokens`.
pub(super) fn wants_other_field(exchange: &Exchange) -> bool {
    exchange.verdict(true).is_some_and(|verdict| {
        let said = verdict.failure.provider.message.as_deref().unwrap_or_default();
        verdict.failure.kind == Kind::UnsupportedParameter && said.contains("max_completion_tokens")
    })
}

/// Whether the call worked.
pub(super) fn call(exchange: &Exchange, model: &str) -> Finding {
    if let (Some(fault), None) = (exchange.fault, exchange.status) {
        return Finding::fault("call", format!("`{model}` gave no answer"), fault);
    }
    if let Some(verdict) = exchange.verdict(true) {
        let kind = verdict.failure.kind;
        let what = format!("`{model}`: {kind}{}", said(&verdict));
        let finding = Finding::kind("call", what, entry(kind));
        return if kind.retryable() { finding.around() } else { finding };
    }
    if let Some(fault) = exchange.fault {
        return Finding::fault("call", format!("the answer of `{model}` broke off"), fault);
    }
    let took = millis(exchange.took.saturating_sub(exchange.connected));
    Finding::ok("call", format!("`{model}` answered in {took}")).within(exchange.took)
}

/// Whether the stream came as it was made.
pub(super) fn stream(exchange: &Exchange) -> Finding {
    let kind = exchange.media_type();
    if kind != "text/event-stream" {
        let what = format!("the answer is no stream of events but `{kind}`");
        let cause =
            "The server does not stream, or something on the way turns streams into documents.";
        return held_back(what, cause);
    }
    if let Some(length) = exchange.header("content-length") {
        let what = format!("the stream came with a length ({length} bytes)");
        let cause = "Only what has the whole answer can know its length: something on the way collects it first.";
        return held_back(what, cause);
    }
    let (Some((first, _)), Some((last, _))) = (exchange.arrivals.first(), exchange.arrivals.last())
    else {
        return Finding::skipped("stream", "no events came");
    };
    let spread = last.saturating_sub(*first);
    let whole = last.saturating_sub(exchange.connected);
    let pieces = pieces(&exchange.arrivals);
    let noun = if pieces == 1 { "piece" } else { "pieces" };
    let (within, after) = (millis(spread), millis(*first));
    let seen = format!("{pieces} {noun} within {within}, the first after {after}");
    if pieces >= PIECES_MIN && spread * 20 >= whole {
        return Finding::ok("stream", seen);
    }
    if whole < TELLING {
        return Finding::ok("stream", format!("{seen}: too quick to tell whether it is held back"));
    }
    let cause = "A proxy, load balancer or security product collects the stream and hands it over at its end.";
    held_back(format!("all of it came at once: {seen}"), cause)
}

fn held_back(what: String, cause: &str) -> Finding {
    let fix = [
        "Switch response buffering off on proxies of your own (nginx: `proxy_buffering off`).",
        "Exempt the provider's host from content inspection.",
        "Without it callers wait for the whole answer, and time limits on the first content fire early.",
    ];
    Finding::warning("stream", what, cause, &fix).around()
}

/// Pieces that came apart.
fn pieces(arrivals: &[(Duration, usize)]) -> usize {
    let apart = arrivals.windows(2).filter(|two| two[1].0.saturating_sub(two[0].0) >= APART);
    apart.count() + usize::from(!arrivals.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;
    use http::{HeaderValue, StatusCode, header};

    fn streamed(arrivals_ms: &[u64]) -> Exchange {
        let mut exchange = Exchange { status: Some(StatusCode::OK), ..Exchange::default() };
        exchange.arrivals = arrivals_ms.iter().map(|&at| (Duration::from_millis(at), 10)).collect();
        let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
        exchange.headers.insert(header::CONTENT_TYPE, events);
        exchange
    }

    #[test]
    fn a_stream_that_comes_at_once_after_a_while_is_held_back() {
        let state = |arrivals: &[u64]| stream(&streamed(arrivals)).state;
        assert_eq!(state(&[300, 400, 500, 1_300]), State::Ok);
        assert_eq!(state(&[1_300, 1_300, 1_301]), State::Warning);
        assert_eq!(state(&[1_300]), State::Warning);
        // Three pieces of one reader, close together at the very end.
        assert_eq!(state(&[2_000, 2_012, 2_024]), State::Warning);
        let quick = stream(&streamed(&[200, 201]));
        assert!(quick.state == State::Ok && quick.found.contains("too quick"));
        assert_eq!(state(&[]), State::Skipped);
    }

    #[test]
    fn a_length_or_another_type_gives_a_collector_away() {
        let mut exchange = streamed(&[10, 20, 30, 40]);
        exchange.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("99"));
        assert_eq!(stream(&exchange).state, State::Warning);
        exchange.headers.remove(header::CONTENT_LENGTH);
        exchange.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(stream(&exchange).state, State::Warning);
    }
}
