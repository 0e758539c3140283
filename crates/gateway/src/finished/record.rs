//! The record of a finished call, as the store keeps it.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Engine;
use mainstay::call::{AttemptRecord, TargetLook};
use mainstay_core::mask;
use mainstay_core::store::{
    AttemptNote, KeyRecord, LimitNote, RequestId, RequestRecord, StateNote, UnixMillis,
};
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

    fn about(&mut self, one: &AttemptRecord) -> Option<&StateNote> {
        let AttemptRecord { provider, credential, model, .. } = one;
        let is_it = |seen: &Seen| {
            (&seen.provider, seen.credential, &seen.model) == (provider, *credential, model)
        };
        let place = self.seen.iter().position(is_it).unwrap_or_else(|| {
            let look = self.engine.state_of(provider, *credential, model.as_deref());
            let state = look.map(|look| note(false, &look));
            let (provider, model) = (provider.clone(), model.clone());
            self.seen.push(Seen { provider, credential: *credential, model, state });
            self.seen.len() - 1
        });
        self.seen[place].state.as_ref()
    }
}

/// Makes records, each in the place of the one before: calls that follow each other mostly have the
/// same key, model and target, and what is the same stays where it is.
pub(super) struct Records {
    record: RequestRecord,
    /// Whose key the record names.
    key: Option<Arc<KeyRecord>>,
    model: Shown,
    served: Shown,
}

/// A name as it was given, and what may be kept of it.
#[derive(Default)]
struct Shown {
    given: Arc<str>,
    kept: Box<str>,
}

impl Shown {
    fn kept(&mut self, given: &Arc<str>) -> &str {
        // Mostly the very same: what it says need not be looked at.
        if !Arc::ptr_eq(&self.given, given) && self.given != *given {
            self.given = Arc::clone(given);
            let text = &given[..given.floor_char_boundary(NAME_MAX)];
            self.kept = mask::text(text.to_owned()).into();
        }
        &self.kept
    }
}

impl Records {
    pub(super) fn new() -> Records {
        Records { record: empty(), key: None, model: Shown::default(), served: Shown::default() }
    }

    /// Makes the record of a call; it stands until that of the next.
    pub(super) fn of(
        &mut self,
        call: &mut Finished,
        targets: &mut Targets<'_>,
    ) -> Option<&mut RequestRecord> {
        self.record.id = RequestId::parse(&call.id)?;
        self.who(call);
        let record = &mut self.record;
        let asked = &call.trace.asked;
        maybe(&mut record.model, asked.model.as_ref().map(|name| self.model.kept(name)));
        let served = call.trace.model.as_ref();
        maybe(&mut record.served, served.map(|name| self.served.kept(name)));
        maybe(&mut record.provider, call.trace.provider.as_deref());
        record.at = call.at;
        record.endpoint = call.endpoint.unwrap_or(Endpoint::Other);
        record.stream = asked.stream;
        record.status = call.status;
        record.took = call.took;
        record.waited = call.trace.waited;
        record.first_content = call.first_content();
        record.overhead = Duration::from_micros(call.overhead_us);
        record.attempts_sent = call.trace.attempts;
        record.usage = call.used.map(|used| used.usage);
        record.counted = call.used.is_some_and(|used| used.counted);
        record.cost = call.cost;
        record.sdk_retry = asked.sdk_retry;
        record.failed = call.failed.take().map(|note| *note);
        attempts(&mut record.attempts, call, targets);
        Some(record)
    }

    fn who(&mut self, call: &Finished) {
        let (who, record) = (call.who.as_ref(), &mut self.record);
        let key = who.and_then(|who| who.record());
        if let (Some(key), Some(last)) = (key, &self.key)
            && Arc::ptr_eq(key, last)
        {
            return;
        }
        self.key = key.cloned();
        record.key = key.map(|key| key.id().into());
        record.key_name = key.map(|key| key.name.clone()).unwrap_or_default();
        record.org = who.map(|who| who.org().into()).unwrap_or_default();
        record.project = who.map(|who| who.project().into()).unwrap_or_default();
    }
}

fn same(to: &mut Box<str>, text: &str) {
    if **to != *text {
        *to = text.into();
    }
}

fn maybe(to: &mut Option<Box<str>>, text: Option<&str>) {
    match (to.as_mut(), text) {
        (Some(to), Some(text)) => same(to, text),
        (_, text) => *to = text.map(Into::into),
    }
}

fn attempts(to: &mut Vec<AttemptNote>, call: &Finished, targets: &mut Targets<'_>) {
    let records = &call.trace.records;
    to.truncate(records.len());
    to.resize_with(records.len(), unsent);
    let ended = call.arrived + call.took;
    for (to, one) in to.iter_mut().zip(records) {
        same(&mut to.provider, &one.provider);
        to.credential = u32::try_from(one.credential).unwrap_or(u32::MAX);
        maybe(&mut to.model, one.model.as_deref());
        to.start = one.started.since(call.arrived);
        to.waited = one.waited;
        same(&mut to.cause, one.wait_cause);
        to.took = one.took;
        to.lasted = one.ended.unwrap_or(ended).since(one.started);
        to.status = one.status;
        to.kind = one.kind;
        to.bytes = one.bytes;
        to.usage = one.used.map(|used| used.usage);
        if let Some(look) = one.state.as_deref() {
            to.state = Some(note(true, look));
            continue;
        }
        let state = targets.about(one);
        if to.state.as_ref() != state {
            to.state = state.cloned();
        }
    }
}

/// What every record is made from.
fn empty() -> RequestRecord {
    RequestRecord {
        id: RequestId([0; 16]),
        at: UnixMillis(0),
        key: None,
        key_name: Box::default(),
        org: Box::default(),
        project: Box::default(),
        endpoint: Endpoint::Other,
        model: None,
        served: None,
        provider: None,
        stream: false,
        status: 0,
        failed: None,
        took: Duration::ZERO,
        waited: Duration::ZERO,
        first_content: None,
        overhead: Duration::ZERO,
        attempts_sent: 0,
        usage: None,
        counted: false,
        cost: None,
        sdk_retry: 0,
        attempts: Vec::new(),
    }
}

fn unsent() -> AttemptNote {
    AttemptNote {
        provider: Box::default(),
        credential: 0,
        model: None,
        start: Duration::ZERO,
        waited: Duration::ZERO,
        cause: Box::default(),
        took: Duration::ZERO,
        lasted: Duration::ZERO,
        status: None,
        kind: None,
        bytes: 0,
        usage: None,
        state: None,
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
