//! The end of a call without an answer, in words: what happened, why, what to do, with numbers.

use std::time::Duration;

use mainstay_core::catalogue;
use mainstay_core::classify::Verdict;
use mainstay_core::failure::{Failure, Kind, Next, Origin, ProviderSaid, Scope};
use mainstay_core::plan::{Final, Plan, Why};
use serde_json::{Value, json};

use crate::call::{Call, ProviderAnswer, Refusal, Sent, Trace};
use crate::targets::Shared;

/// Makes the refusal of a plan's end; what it took is filled in by the walk.
pub(crate) fn refuse(
    end: Final,
    answer: Option<(usize, ProviderAnswer)>,
    plan: &Plan<Shared>,
    call: &Call,
) -> Refusal {
    let last = end.last.as_ref().map(|(track, verdict)| (plan.handle(*track).0.name(), verdict));
    let mut failure = match (&end.last, own_kind(&end)) {
        (Some((_, verdict)), None) => verdict.failure.clone(),
        (_, Some((kind, origin, scope))) => own_failure(kind, origin, scope),
        (None, None) => before_any_attempt(end.why),
    };
    failure.attempts = end.attempts;
    let message = message(&end, last, call);
    // The provider's own words pass on when they are why the call ends.
    let theirs = own_kind(&end).is_none();
    let provider_answer = match (&end.last, answer) {
        (Some((track, _)), Some((of, answer))) if *track == of && theirs => Some(answer),
        (Some(_) | None, Some(_) | None) => None,
    };
    let message = if provider_answer.is_some() { None } else { Some(message) };
    let (retry_after, trace, sent) = (end.retry_after, Trace::default(), Sent::default());
    Refusal { failure, retry_after, message, provider_answer, trace, sent }
}

/// What a call ends with whose account takes no further attempt.
pub(crate) fn out_of_money() -> Verdict {
    let failure = own_failure(Kind::InsufficientQuota, Origin::Mainstay, Scope::Key);
    Verdict { failure, retryable: false, delay: None, wait: None }
}

/// A walk that broke its own order.
pub(crate) fn fault(trace: Trace) -> Refusal {
    Refusal {
        failure: own_failure(Kind::InternalError, Origin::Mainstay, Scope::None),
        retry_after: None,
        message: Some(
            "the call was given up because of a fault of Mainstay's; it is safe to send it again"
                .to_owned(),
        ),
        provider_answer: None,
        trace,
        sent: Sent::default(),
    }
}

/// The four members of an error object for an answer that broke after its first byte.
pub(crate) fn error_value(verdict: &Verdict, trace: &Trace) -> Value {
    let said = &verdict.failure.provider;
    let codes = catalogue::entry(verdict.failure.kind).unified;
    let provider = trace.provider.as_deref().unwrap_or("the provider");
    let message = said.message.clone().unwrap_or_else(|| {
        format!(
            "the answer of {provider} broke off ({}); what was delivered so far is incomplete",
            verdict.failure.kind.name()
        )
    });
    json!({
        "message": message,
        "type": said.r#type.clone().unwrap_or_else(|| codes.r#type.to_owned()),
        "param": said.param,
        "code": said.code.clone().or_else(|| codes.code.map(str::to_owned)),
    })
}

/// Ends that are our own finding, whatever the last attempt said.
fn own_kind(end: &Final) -> Option<(Kind, Origin, Scope)> {
    match end.why {
        // What the target itself said last tells the caller more than that it is left alone.
        Why::CircuitOpen { .. } if end.last.is_some() => None,
        Why::QueueFull => Some((Kind::Overloaded, Origin::Mainstay, Scope::None)),
        Why::CircuitOpen { .. } => {
            Some((Kind::ServiceUnavailable, Origin::Provider, Scope::Provider))
        }
        Why::NoTarget => Some((Kind::ModelNotFound, Origin::Caller, Scope::Model)),
        Why::Fault => Some((Kind::InternalError, Origin::Mainstay, Scope::None)),
        Why::NotRetryable
        | Why::AttemptsUsed { .. }
        | Why::NotReplayable
        | Why::NotRepeatable
        | Why::BudgetEmpty
        | Why::WaitTooLong { .. }
        | Why::Deadline => None,
    }
}

/// The call ended before anything was sent.
fn before_any_attempt(why: Why) -> Failure {
    match why {
        Why::WaitTooLong { .. } => own_failure(Kind::RateLimitOther, Origin::Provider, Scope::Key),
        Why::Deadline => own_failure(Kind::RequestTimeout, Origin::Mainstay, Scope::None),
        Why::NotRetryable
        | Why::AttemptsUsed { .. }
        | Why::NotReplayable
        | Why::NotRepeatable
        | Why::BudgetEmpty
        | Why::QueueFull
        | Why::CircuitOpen { .. }
        | Why::NoTarget
        | Why::Fault => own_failure(Kind::InternalError, Origin::Mainstay, Scope::None),
    }
}

fn own_failure(kind: Kind, origin: Origin, scope: Scope) -> Failure {
    Failure {
        kind,
        origin,
        scope,
        next: Next::Nobody,
        provider: ProviderSaid::default(),
        attempts: 0,
    }
}

/// What happened, why and what to do, in one line.
fn message(end: &Final, last: Option<(String, &Verdict)>, call: &Call) -> String {
    let tried = match (&last, end.attempts) {
        (Some((target, verdict)), attempts) => format!(
            " ({} to {target}, the last one: {})",
            plural(attempts, "attempt"),
            told(verdict)
        ),
        (None, _) => String::new(),
    };
    match end.why {
        Why::NotRetryable => match last {
            Some((target, verdict)) => {
                format!("{target} cannot answer this call: {}", told(verdict))
            }
            None => "no target can answer this call".to_owned(),
        },
        Why::AttemptsUsed { max } => format!(
            "no answer after the {max} attempts that a call may make{tried}; try again later, or \
             raise `retry.attempts_per_call_max`"
        ),
        Why::NotReplayable => format!(
            "the attempt failed{tried} and its body was passed on as it came, so it cannot be sent \
             a second time; send the request again"
        ),
        Why::NotRepeatable => format!(
            "the attempt failed{tried} after the target may have begun, and this call must not be \
             done twice; look at what is stored (runs of the thread, batches, jobs) before sending it \
             again"
        ),
        Why::BudgetEmpty => format!(
            "the attempt failed{tried} and too many others failed before it, so the retry budget \
             of this target is empty; try again later"
        ),
        Why::WaitTooLong { wait, max } => format!(
            "the next attempt would fit in {}, but this call may wait {} at most{tried}; send it \
             again then, or raise `retry.wait_max` or the call's time limit",
            seconds(wait),
            seconds(max)
        ),
        Why::QueueFull => "too many calls wait for this target's limit already; send this one \
                           again later, or raise the provider's limits"
            .to_owned(),
        Why::CircuitOpen { opens_in } => format!(
            "no target could answer: the circuit breaker is open and will be probed in {}{tried}; \
             try again then, or add another target to the route",
            seconds(opens_in)
        ),
        Why::Deadline => format!(
            "the call's time limit ran out before an answer came{tried}; allow more time, ask for \
             less output, or stream the answer"
        ),
        Why::NoTarget => match &call.model {
            Some(model) => format!(
                "no provider or route serves the model `{}`; GET /v1/models lists what is served",
                shown(model)
            ),
            None => "no provider is configured; add a [[provider]] to the configuration".to_owned(),
        },
        Why::Fault => "the call was given up because of a fault of Mainstay's".to_owned(),
    }
}

/// A failure in a few words: the provider's own if it said any.
fn told(verdict: &Verdict) -> String {
    let failure = &verdict.failure;
    match (&failure.provider.message, failure.provider.status) {
        (Some(said), Some(status)) => format!("{status} {}: {}", failure.kind.name(), shown(said)),
        (Some(said), None) => format!("{}: {}", failure.kind.name(), shown(said)),
        (None, Some(status)) => format!("{status} {}", failure.kind.name()),
        (None, None) => failure.kind.name().to_owned(),
    }
}

/// A foreign text, cut to a length that fits a message.
fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

fn plural(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn seconds(duration: Duration) -> String {
    let secs = duration.as_secs_f64();
    if secs < 10.0 { format!("{secs:.1} s") } else { format!("{secs:.0} s") }
}
