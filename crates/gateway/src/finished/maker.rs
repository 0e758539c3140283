//! Makes the records of one worker's calls.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Engine;
use mainstay::call::AttemptRecord;
use mainstay_core::store::{RequestBatch, RequestId, RequestRecord};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_store::requests::{self, AttemptNumbers, Base, Numbers};

use super::Finished;
use super::record::{Records, Targets};
use super::told::cut_to;
use crate::admission::Who;
use crate::config::Bodies;

/// Records by which others are told at most, at a time.
const LIKES_MAX: usize = 16;

/// Makes records: whole ones, and of calls that are like one before in everything but numbers those
/// numbers.
#[derive(Debug, Default)]
pub(super) struct Maker {
    records: Records,
    targets: Targets,
    likes: Vec<Like>,
    /// Which of them makes room next.
    oldest: usize,
}

impl Maker {
    /// What comes next goes to another batch.
    pub(super) fn begin_batch(&mut self) {
        self.likes.clear();
    }

    /// Adds the record of a call that was answered by its first attempt, or without any.
    pub(super) fn plain(&mut self, call: &mut Finished, engine: &Engine, to: &mut RequestBatch) {
        let look = self.look(call, engine);
        let known = look.and_then(|_| self.likes.iter().position(|one| one.same.is(call)));
        let like = known.and_then(|place| self.likes.get(place));
        if let Some(like) = like.filter(|like| Some(like.look) == look) {
            if let Some(numbers) = numbers(call) {
                requests::add_like(to, like.base, &numbers);
            }
            return;
        }
        let Some(record) = self.records.of(call, &mut self.targets, engine) else { return };
        if let (Some(base), Some(look)) = (requests::add(to, record), look) {
            self.remember(known, Like { base, look, same: Same::of(call) });
        }
    }

    /// Remembers a record, in the place of one that was the same but for its target's state.
    fn remember(&mut self, known: Option<usize>, like: Like) {
        if known.is_none() && self.likes.len() < LIKES_MAX {
            self.likes.push(like);
            return;
        }
        let place = known.unwrap_or_else(|| {
            self.oldest = (self.oldest + 1) % LIKES_MAX;
            self.oldest
        });
        self.likes[place] = like;
    }

    /// Makes the record of any other call, and adds it where one is given, with as much of the
    /// request's body as is to be kept there.
    pub(super) fn whole(
        &mut self,
        call: &mut Finished,
        engine: &Engine,
        to: Option<(&mut RequestBatch, Bodies)>,
    ) -> Option<Box<RequestRecord>> {
        self.targets.forget();
        let record = self.records.of(call, &mut self.targets, engine)?;
        let own = Box::new(record.clone());
        if let Some((batch, bodies)) = to {
            cut_to(record, bodies);
            requests::add(batch, record);
        }
        Some(own)
    }

    /// Which look at its target goes with the call, if it may be told by another: it has an attempt, of
    /// which no look of its own is kept.
    fn look(&mut self, call: &Finished, engine: &Engine) -> Option<u64> {
        let [attempt] = &call.trace.records[..] else { return None };
        let now = call.arrived + call.took;
        attempt.state.is_none().then(|| self.targets.about(attempt, engine, now).look)
    }
}

/// A whole record by which others can be told.
#[derive(Debug)]
struct Like {
    base: Base,
    /// The look at its target that it has.
    look: u64,
    same: Same,
}

/// What calls have in common that differ in numbers alone.
#[derive(Debug)]
struct Same {
    who: Option<Who>,
    endpoint: Option<Endpoint>,
    asked: mainstay::call::Asked,
    provider: Option<Arc<str>>,
    model: Option<Arc<str>>,
    status: u16,
    counted: bool,
    /// Of its attempt.
    at: Option<At>,
}

#[derive(Debug)]
struct At {
    provider: Arc<str>,
    credential: usize,
    model: Option<Arc<str>>,
    cause: &'static str,
    status: Option<u16>,
}

impl Same {
    fn of(call: &Finished) -> Same {
        let at = call.trace.records.first().map(|one| At {
            provider: one.provider.clone(),
            credential: one.credential,
            model: one.model.clone(),
            cause: one.wait_cause,
            status: one.status,
        });
        Same {
            who: call.who.clone(),
            endpoint: call.endpoint,
            asked: call.trace.asked.clone(),
            provider: call.trace.provider.clone(),
            model: call.trace.model.clone(),
            status: call.status,
            counted: counted(call),
            at,
        }
    }

    fn is(&self, call: &Finished) -> bool {
        let trace = &call.trace;
        let numbers = (self.endpoint, self.status, self.counted);
        let asked = (self.asked.stream, self.asked.sdk_retry);
        numbers == (call.endpoint, call.status, counted(call))
            && asked == (trace.asked.stream, trace.asked.sdk_retry)
            && same_who(self.who.as_ref(), call.who.as_ref())
            && same(self.asked.model.as_ref(), trace.asked.model.as_ref())
            && same(self.provider.as_ref(), trace.provider.as_ref())
            && same(self.model.as_ref(), trace.model.as_ref())
            && match (&self.at, trace.records.first()) {
                (Some(at), Some(one)) => at.is(one),
                _ => false,
            }
    }
}

impl At {
    fn is(&self, one: &AttemptRecord) -> bool {
        (self.credential, self.status) == (one.credential, one.status)
            && (std::ptr::eq(self.cause, one.wait_cause) || self.cause == one.wait_cause)
            && same(Some(&self.provider), Some(&one.provider))
            && same(self.model.as_ref(), one.model.as_ref())
    }
}

/// Whether both are the same text: mostly they are in the same place, too.
pub(super) fn same(one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (None, None) => true,
        _ => false,
    }
}

/// Whether both have the same record of a key: one that was changed since is another one.
fn same_who(one: Option<&Who>, other: Option<&Who>) -> bool {
    match (one.map(Who::record), other.map(Who::record)) {
        (Some(Some(one)), Some(Some(other))) => Arc::ptr_eq(one, other),
        (Some(None), Some(None)) | (None, None) => true,
        _ => false,
    }
}

fn counted(call: &Finished) -> bool {
    call.used.is_some_and(|used| used.counted)
}

/// What a call of one attempt has of its own.
fn numbers(call: &Finished) -> Option<Numbers> {
    let one = call.trace.records.first()?;
    let ended = one.ended.unwrap_or(call.arrived + call.took);
    Some(Numbers {
        id: RequestId::parse(&call.id)?,
        at: call.at,
        took: call.took,
        waited: call.trace.waited,
        overhead: Duration::from_micros(call.overhead_us),
        first_content: call.first_content(),
        usage: call.used.map(|used| used.usage),
        cost: call.cost,
        attempt: AttemptNumbers {
            start: one.started.since(call.arrived),
            waited: one.waited,
            took: one.took,
            lasted: ended.since(one.started),
            bytes: one.bytes,
            usage: one.used.map(|used| used.usage),
        },
    })
}
