//! One request from its first byte to its last, on record however it ends: the guard that counts
//! and logs it exactly once, also when its caller leaves and everything is dropped.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Fields;
use mainstay::call::{Asked, CallBody, Trace, Used};
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::rules::limits::Standing;
use mainstay_core::store::FailureNote;
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::notes::Wishes;
use mainstay_core::wire::traceparent::TraceContext;

use crate::admission::{Admitted, Ending, Who};
use crate::body::Hold;
use crate::finished::Finished;
use crate::idempotency::Claim;
use crate::ids::Id;
use crate::money::MoneyHold;
use crate::otel::Traced;
use crate::ownership::{Mark, Watch};
use crate::settings::Settings;
use crate::shared::Worker;

/// The status of a caller who left, in logs and metrics only.
pub(crate) const CALLER_LEFT: u16 = 499;

/// A request on record.
#[derive(Debug)]
pub(crate) struct Ticket {
    worker: Arc<Worker>,
    /// Our id of the request.
    pub(crate) id: Id,
    /// When its head had arrived.
    pub(crate) arrived: Moment,
    /// The memory its body takes.
    hold: Option<Hold>,
    /// The idempotency key that this request is the first under.
    claim: Option<Claim>,
    /// The object that its answer is about.
    mark: Option<Mark>,
    /// Who calls, once that is known.
    who: Option<Who>,
    /// What the call has taken and gives back at its end.
    admitted: Option<Admitted>,
    /// What it may cost.
    money: Option<MoneyHold>,
    /// What was asked for, once the path has told it.
    endpoint: Option<Endpoint>,
    /// What was asked for, of a request that never became a call.
    asked: Asked,
    /// Its place in a trace, where traces are sent.
    traced: Option<Box<Traced>>,
    /// Time spent here, in microseconds, once that is known.
    pub(crate) overhead_us: u64,
    /// Whether its end has been told.
    told: bool,
}

impl Ticket {
    /// Opens the record. It is handed on from one to the next, and is too much to be copied each time.
    pub(crate) fn open(worker: &Arc<Worker>) -> Box<Ticket> {
        worker.meter.begin();
        let (place, id) = (Box::new_uninit(), crate::ids::new());
        let ticket = Ticket {
            arrived: worker.shared.engine.now(),
            worker: Arc::clone(worker),
            id,
            hold: None,
            claim: None,
            mark: None,
            who: None,
            admitted: None,
            money: None,
            endpoint: None,
            asked: Asked::default(),
            traced: None,
            overhead_us: 0,
            told: false,
        };
        Box::write(place, ticket)
    }

    /// The worker that serves it.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Keeps whose the answer's object is going to be, until the answer is there.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.mark = Some(mark);
    }

    /// What looks at the answer of this call, if something does.
    pub(crate) fn watch(&mut self, trace: &Trace, events: bool) -> Option<Watch> {
        let (mark, provider) = (self.mark.take()?, trace.provider.as_deref()?);
        mark.watch(provider, trace.credential, events, self.worker.shared.wall.now())
    }

    /// Keeps the body's share of memory until the end.
    pub(crate) fn keep(&mut self, hold: Hold) {
        self.hold = Some(hold);
    }

    /// Remembers who calls.
    pub(crate) fn called_by(&mut self, who: Who) {
        self.who = Some(who);
    }

    /// Keeps the request's claim to its idempotency key until its answer begins.
    pub(crate) fn claim(&mut self, claim: Claim) {
        self.claim = Some(claim);
    }

    /// The request's claim, to be fulfilled by its answer. Dropped, it frees the key.
    pub(crate) fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// How the caller stands with his limits: after his call was admitted, else at present.
    pub(crate) fn standing(&self) -> Standing {
        let shared = &self.worker.shared;
        match (&self.admitted, &self.who) {
            (Some(admitted), _) => admitted.standing(),
            (None, Some(who)) => shared.admission.limits.standing(who, shared.engine.now()),
            (None, None) => Standing::default(),
        }
    }

    /// Keeps what the call has taken until its end.
    pub(crate) fn admit(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    /// Keeps what the call may cost until its end.
    pub(crate) fn hold_money(&mut self, hold: MoneyHold) {
        self.money = Some(hold);
    }

    /// Remembers what the path asks for.
    pub(crate) fn leads_to(&mut self, endpoint: Endpoint) {
        self.endpoint = Some(endpoint);
    }

    /// Remembers what was asked for by a request that is refused before it becomes a call.
    pub(crate) fn asked(&mut self, asked: Asked) {
        self.asked = asked;
    }

    /// Finds its place in a trace, if traces are sent.
    pub(crate) fn trace(&mut self, settings: &Settings, headers: &Fields) {
        let Some(otel) = &settings.otel else { return };
        let header = headers.text("traceparent");
        self.traced = Some(Box::new(otel.trace(&self.id, header, self.arrived)));
    }

    /// Keeps what a request asks for that a trace tells, if it is traced.
    pub(crate) fn wishes(&mut self, body: &CallBody) {
        if let (Some(traced), CallBody::Buffered(bytes)) = (&mut self.traced, body)
            && traced.context.sampled
        {
            traced.wishes = Some(Wishes::of(bytes));
        }
    }

    /// The call's own span.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        self.traced.as_ref().map(|traced| traced.context)
    }

    /// The call failed with an answer of ours or the provider's.
    pub(crate) fn failed(&mut self, status: u16, note: Box<FailureNote>, trace: Trace) {
        let used = trace.used;
        self.end(status, Some(note), trace, used);
    }

    /// The answer is complete.
    pub(crate) fn answered(&mut self, status: u16, trace: Trace) {
        let used = trace.used;
        self.end(status, None, trace, used);
    }

    /// The answer broke off after it had begun.
    pub(crate) fn cut(&mut self, status: u16, kind: Kind, trace: Trace) {
        let used = trace.used;
        let note = FailureNote::new(kind, Origin::Provider);
        self.end(status, Some(Box::new(note)), trace, used);
    }

    /// The caller left in the middle of the answer, which had used this much by then.
    pub(crate) fn left(&mut self, trace: Trace, used: Option<Used>) {
        self.end(CALLER_LEFT, None, trace, used);
    }

    /// Gives back what was taken and tells of the end, once.
    fn end(
        &mut self,
        status: u16,
        failed: Option<Box<FailureNote>>,
        mut trace: Trace,
        used: Option<Used>,
    ) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let shared = &self.worker.shared;
        let now = shared.engine.now();
        if let Some(admitted) = self.admitted.take() {
            shared.admission.settle(admitted, Ending::Walked { trace: &trace, used }, now);
        }
        if trace.asked == Asked::default() {
            trace.asked = std::mem::take(&mut self.asked);
        }
        self.tell(status, failed, trace, used, now);
    }

    fn tell(
        &mut self,
        status: u16,
        failed: Option<Box<FailureNote>>,
        trace: Trace,
        used: Option<Used>,
        now: Moment,
    ) {
        let took = now.since(self.arrived);
        let call = Finished {
            id: self.id,
            at: self.worker.shared.wall.now().minus(took),
            arrived: self.arrived,
            took,
            who: self.who.take(),
            endpoint: self.endpoint,
            traced: self.traced.take(),
            status,
            failed,
            overhead_us: self.overhead_us,
            trace,
            used,
            cost: self.money.as_ref().and_then(MoneyHold::cost),
        };
        self.worker.meter.finished(&call);
        // Questions about health and the like are counted and not told of.
        if call.endpoint.is_some() || call.failed.is_some() {
            self.worker.tell.tell(&self.worker.shared, call);
        }
    }

    /// Time spent here, in microseconds: since arrival, without waits and the provider's time.
    pub(crate) fn overhead(&mut self, received: Moment, now: Moment, trace: &Trace) -> u64 {
        let away: Duration = trace.records.iter().map(|record| record.took).sum();
        let here = now.since(received).saturating_sub(away).saturating_sub(trace.waited);
        let micros = u64::try_from(here.as_micros()).unwrap_or(u64::MAX);
        self.worker.meter.overhead(micros);
        self.overhead_us = micros;
        micros
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.told {
            // The caller left before an answer began.
            let left = self.money.as_ref().and_then(MoneyHold::left_trace);
            self.told = true;
            let now = self.worker.shared.engine.now();
            if let Some(admitted) = self.admitted.take() {
                self.worker.shared.admission.settle(admitted, Ending::Dropped, now);
            }
            let used = left.as_ref().and_then(|trace| trace.used);
            self.tell(CALLER_LEFT, None, left.unwrap_or_default(), used, now);
        }
        self.worker.meter.end();
    }
}
