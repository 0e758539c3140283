//! The record of a finished call, as the store keeps it.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Engine;
use mainstay::call::{AttemptRecord, TargetLook};
use mainstay_core::mask;
use mainstay_core::store::{
    AttemptNote, KeyRecord, LimitNote, RequestId, RequestRecord, StateNote, UnixMillis,
};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;

use super::Finished;
use super::maker::same as same_text;

/// Longest name of a model that is kept, in bytes: callers write what they like there.
const NAME_MAX: usize = 128;

/// For how long what was seen of a target goes with calls that end after it.
const FRESH: Duration = Duration::from_millis(10);
/// Targets remembered at most: callers may name any model.
const SEEN_MAX: usize = 64;

/// Targets as they were of late.
#[derive(Debug, Default)]
pub(super) struct Targets {
    seen: Vec<Seen>,
    /// Which of them makes room next.
    oldest: usize,
    looks: u64,
}

/// What was seen of one.
#[derive(Debug)]
pub(super) struct Seen {
    provider: Arc<str>,
    credential: usize,
    model: Option<Arc<str>>,
    at: Moment,
    /// The number of the look; a later one that finds the same has it too.
    pub(super) look: u64,
    state: Option<StateNote>,
}

impl Targets {
    /// What was seen of a target at `now`, or not long before.
    pub(super) fn about(&mut self, one: &AttemptRecord, engine: &Engine, now: Moment) -> &Seen {
        let AttemptRecord { provider, credential, model, .. } = one;
        let place = self.seen.iter().position(|seen| {
            seen.credential == *credential
                && same_text(Some(&seen.provider), Some(provider))
                && same_text(seen.model.as_ref(), model.as_ref())
        });
        let fresh = |seen: &Seen| now.since(seen.at) < FRESH;
        if let Some(place) = place
            && self.seen.get(place).is_some_and(fresh)
        {
            return &self.seen[place];
        }
        let look = engine.state_of(provider, *credential, model.as_deref());
        let state = look.map(|look| note(false, &look));
        if let Some(seen) = place.and_then(|place| self.seen.get_mut(place)) {
            seen.at = now;
            if seen.state != state {
                self.looks += 1;
                (seen.look, seen.state) = (self.looks, state);
            }
            return &self.seen[place.unwrap_or_default()];
        }
        self.looks += 1;
        let (provider, model) = (provider.clone(), model.clone());
        let new =
            Seen { provider, credential: *credential, model, at: now, look: self.looks, state };
        if self.seen.len() < SEEN_MAX {
            self.seen.push(new);
            return &self.seen[self.seen.len() - 1];
        }
        self.oldest = (self.oldest + 1) % SEEN_MAX;
        self.seen[self.oldest] = new;
        &self.seen[self.oldest]
    }

    /// Something has happened: what was seen is old.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }
}

/// Makes records, each in the place of the one before: calls that follow each other mostly have the
/// same key, model and target, and what is the same stays where it is.
#[derive(Debug)]
pub(super) struct Records {
    record: RequestRecord,
    /// Whose key the record names.
    key: Option<Arc<KeyRecord>>,
    model: Shown,
    served: Shown,
}

/// A name as it was given, and what may be kept of it.
#[derive(Debug, Default)]
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

impl Default for Records {
    fn default() -> Records {
        Records { record: empty(), key: None, model: Shown::default(), served: Shown::default() }
    }
}

impl Records {
    /// Makes the record of a call; it stands until that of the next.
    pub(super) fn of(
        &mut self,
        call: &mut Finished,
        targets: &mut Targets,
        engine: &Engine,
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
        attempts(&mut record.attempts, call, targets, engine);
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

fn attempts(to: &mut Vec<AttemptNote>, call: &Finished, targets: &mut Targets, engine: &Engine) {
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
        let state = &targets.about(one, engine, ended).state;
        if to.state != *state {
            to.state.clone_from(state);
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
