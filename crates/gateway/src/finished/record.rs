//! The record of a finished call, as the store keeps it.

use std::time::Duration;

use mainstay::TargetSnapshot;
use mainstay::call::{AttemptRecord, Circuit, PacerSnapshot, TargetLook};
use mainstay_core::mask;
use mainstay_core::store::{AttemptNote, LimitNote, RequestId, RequestRecord, StateNote};
use mainstay_core::wire::endpoint::Endpoint;

use super::Finished;

/// Longest name of a model that is kept, in bytes: callers write what they like there.
const NAME_MAX: usize = 128;

/// Makes the record. `now` has the targets as they are a moment after the call's end.
pub(super) fn of(call: Finished, now: &[TargetSnapshot]) -> Option<RequestRecord> {
    let id = RequestId::parse(&call.id)?;
    let first_content = call.first_content();
    let ended = call.arrived + call.took;
    let attempts = call.trace.records.iter().map(|one| attempt(one, &call, ended, now)).collect();
    let key = call.who.as_ref().and_then(|who| who.record());
    let name = |text: &str| -> Box<str> {
        mask::text(text[..text.floor_char_boundary(NAME_MAX)].to_owned()).into()
    };
    Some(RequestRecord {
        id,
        at: call.at,
        key: key.map(|key| key.id().into()),
        key_name: key.map(|key| key.name.clone()).unwrap_or_default(),
        org: call.who.as_ref().map(|who| who.org().into()).unwrap_or_default(),
        project: call.who.as_ref().map(|who| who.project().into()).unwrap_or_default(),
        endpoint: call.endpoint.unwrap_or(Endpoint::Other),
        model: call.trace.asked.model.as_deref().map(name),
        served: call.trace.model.as_deref().map(name),
        provider: call.trace.provider.as_deref().map(Into::into),
        stream: call.trace.asked.stream,
        status: call.status,
        failed: call.failed.map(|note| *note),
        took: call.took,
        waited: call.trace.waited,
        first_content,
        overhead: Duration::from_micros(call.overhead_us),
        attempts_sent: call.trace.attempts,
        usage: call.used.map(|used| used.usage),
        counted: call.used.is_some_and(|used| used.counted),
        cost: call.cost,
        sdk_retry: call.trace.asked.sdk_retry,
        attempts,
    })
}

fn attempt(
    one: &AttemptRecord,
    call: &Finished,
    ended: mainstay_core::time::Moment,
    now: &[TargetSnapshot],
) -> AttemptNote {
    let state = one.state.as_deref().map(exact).or_else(|| {
        now.iter()
            .find(|target| {
                target.provider == *one.provider
                    && target.credential == one.credential
                    && target.model.as_deref() == one.model.as_deref()
            })
            .map(about)
    });
    AttemptNote {
        provider: (&*one.provider).into(),
        credential: u32::try_from(one.credential).unwrap_or(u32::MAX),
        model: one.model.as_deref().map(Into::into),
        start: one.started.since(call.arrived),
        waited: one.waited,
        cause: one.wait_cause.into(),
        took: one.took,
        lasted: one.ended.unwrap_or(ended).since(one.started),
        status: one.status,
        kind: one.kind,
        bytes: one.bytes,
        usage: one.used.map(|used| used.usage),
        state,
    }
}

fn exact(look: &TargetLook) -> StateNote {
    let TargetLook { circuit, in_flight, retry_budget, pacer } = look;
    state(true, *circuit, *in_flight, *retry_budget, pacer)
}

fn about(target: &TargetSnapshot) -> StateNote {
    let TargetSnapshot { circuit, in_flight, retry_budget, pacer, .. } = target;
    state(false, *circuit, *in_flight, *retry_budget, pacer)
}

fn state(
    exact: bool,
    circuit: Circuit,
    in_flight: u32,
    retry_budget: u32,
    pacer: &PacerSnapshot,
) -> StateNote {
    let limits = pacer.limits.iter().flatten().map(|limit| LimitNote {
        name: limit.name.into(),
        per_minute: limit.per_minute,
        level: limit.level,
        told: limit.told,
    });
    StateNote {
        exact,
        circuit: circuit.name().into(),
        in_flight,
        queued: pacer.queued,
        ceiling: pacer.ceiling,
        retry_budget,
        hold: pacer.hold,
        limits: limits.collect(),
    }
}
