//! The record of a finished call, as the store keeps it.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Engine;
use mainstay::call::{AttemptRecord, TargetLook};
use mainstay_core::mask;
use mainstay_core::store::{AttemptNote, LimitNote, RequestId, RequestRecord, StateNote};
use mainstay_core::wire::endpoint::Endpoint;

use super::Finished;

/// Longest name of a model that is kept, in bytes: callers write what they like there.
const NAME_MAX: usize = 128;

/// Targets as they are a moment after the end of some calls; each is looked at once.
pub(super) struct Targets<'e> {
    engine: &'e Engine,
    seen: Vec<Seen>,
}

struct Seen {
    provider: Arc<str>,
    credential: usize,
    model: Option<Arc<str>>,
    state: Option<StateNote>,
}

impl<'e> Targets<'e> {
    pub(super) fn of(engine: &'e Engine) -> Targets<'e> {
        Targets { engine, seen: Vec::new() }
    }

    fn about(&mut self, one: &AttemptRecord) -> Option<StateNote> {
        let AttemptRecord { provider, credential, model, .. } = one;
        let is_it = |seen: &&Seen| {
            (&seen.provider, seen.credential, &seen.model) == (provider, *credential, model)
        };
        if let Some(seen) = self.seen.iter().find(is_it) {
            return seen.state.clone();
        }
        let look = self.engine.state_of(provider, *credential, model.as_deref());
        let state = look.map(|look| note(false, &look));
        let (provider, model) = (provider.clone(), model.clone());
        self.seen.push(Seen { provider, credential: *credential, model, state: state.clone() });
        state
    }
}

/// Makes the record.
pub(super) fn of(call: Finished, targets: &mut Targets<'_>) -> Option<RequestRecord> {
    let id = RequestId::parse(&call.id)?;
    let first_content = call.first_content();
    let ended = call.arrived + call.took;
    let attempts = call.trace.records.iter().map(|one| attempt(one, &call, ended, targets));
    let attempts = attempts.collect();
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
    targets: &mut Targets<'_>,
) -> AttemptNote {
    let exact = one.state.as_deref().map(|look| note(true, look));
    let state = exact.or_else(|| targets.about(one));
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

fn note(exact: bool, look: &TargetLook) -> StateNote {
    let TargetLook { circuit, in_flight, retry_budget, pacer } = look;
    let limits = pacer.limits.iter().flatten().map(|limit| LimitNote {
        name: limit.name.into(),
        per_minute: limit.per_minute,
        level: limit.level,
        told: limit.told,
    });
    StateNote {
        exact,
        circuit: circuit.name().into(),
        in_flight: *in_flight,
        queued: pacer.queued,
        ceiling: pacer.ceiling,
        retry_budget: *retry_budget,
        hold: pacer.hold,
        limits: limits.collect(),
    }
}
