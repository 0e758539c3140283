//! One request from its first byte to its last, on record however it ends: the guard that counts
//! and logs it exactly once, also when its caller leaves and everything is dropped.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mainstay::call::{Trace, Used};
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::rules::limits::Standing;
use mainstay_core::time::Moment;

use crate::admission::{Admitted, Ending, Who};
use crate::body::Hold;
use crate::idempotency::Claim;
use crate::money::MoneyHold;
use crate::ownership::{Mark, Watch};
use crate::shared::Worker;

/// The status of a caller who left, in logs and metrics only.
pub(crate) const CALLER_LEFT: u16 = 499;

/// A request on record.
#[derive(Debug)]
pub(crate) struct Ticket {
    worker: Arc<Worker>,
    /// Our id of the request.
    pub(crate) id: String,
    /// The same as a header value.
    pub(crate) id_value: HeaderValue,
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
    end: End,
}

/// How it ended; until then, how it would be told if the caller left.
#[derive(Debug)]
struct End {
    status: u16,
    kind: Option<Kind>,
    origin: Option<Origin>,
    attempts: u32,
}

impl Ticket {
    /// Opens the record.
    pub(crate) fn open(worker: &Arc<Worker>) -> Ticket {
        worker.meter.begin();
        let (id, id_value) = crate::ids::new();
        Ticket {
            arrived: worker.shared.engine.now(),
            worker: Arc::clone(worker),
            id,
            id_value,
            hold: None,
            claim: None,
            mark: None,
            who: None,
            admitted: None,
            money: None,
            end: End { status: CALLER_LEFT, kind: None, origin: None, attempts: 0 },
        }
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

    /// The call failed with an answer of ours or the provider's.
    pub(crate) fn failed(&mut self, status: u16, kind: Kind, origin: Origin, trace: &Trace) {
        let attempts = trace.attempts;
        self.end = End { status, kind: Some(kind), origin: Some(origin), attempts };
        self.settle(Ending::Walked { trace, used: trace.used });
    }

    /// The answer is complete.
    pub(crate) fn answered(&mut self, status: u16, trace: &Trace) {
        self.end = End { status, kind: None, origin: None, attempts: trace.attempts };
        self.settle(Ending::Walked { trace, used: trace.used });
    }

    /// The answer broke off after it had begun.
    pub(crate) fn cut(&mut self, status: u16, kind: Kind, trace: &Trace) {
        let (origin, attempts) = (Some(Origin::Provider), trace.attempts);
        self.end = End { status, kind: Some(kind), origin, attempts };
        self.settle(Ending::Walked { trace, used: trace.used });
    }

    /// The caller left in the middle of the answer, which had used this much by then.
    pub(crate) fn left(&mut self, trace: &Trace, used: Option<Used>) {
        self.end.attempts = trace.attempts;
        self.settle(Ending::Walked { trace, used });
    }

    fn settle(&mut self, ending: Ending<'_>) {
        if let Some(admitted) = self.admitted.take() {
            let shared = &self.worker.shared;
            shared.admission.settle(admitted, ending, shared.engine.now());
        }
    }

    /// Time spent here, in microseconds: since arrival, without waits and the provider's time.
    pub(crate) fn overhead(&self, received: Moment, now: Moment, trace: &Trace) -> u64 {
        let away: Duration = trace.records.iter().map(|record| record.took).sum();
        let here = now.since(received).saturating_sub(away).saturating_sub(trace.waited);
        let micros = u64::try_from(here.as_micros()).unwrap_or(u64::MAX);
        self.worker.meter.overhead(micros);
        micros
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(Ending::Dropped);
        let End { status, kind, origin, attempts } = self.end;
        self.worker.meter.end(status, kind, attempts);
        let failed = kind.is_some();
        let ours = matches!(origin, Some(Origin::Provider | Origin::Network | Origin::Mainstay));
        if ours && tracing::enabled!(tracing::Level::WARN) {
            tracing::warn!(id = %self.id, status, kind = kind.map_or("", Kind::name), attempts, ms = self.millis(), "failed");
        } else if failed && tracing::enabled!(tracing::Level::INFO) {
            tracing::info!(id = %self.id, status, kind = kind.map_or("", Kind::name), attempts, ms = self.millis(), "refused");
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(id = %self.id, status, attempts, ms = self.millis(), "answered");
        }
    }
}

impl Ticket {
    fn millis(&self) -> u64 {
        let took = self.worker.shared.engine.now().since(self.arrived);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }
}
