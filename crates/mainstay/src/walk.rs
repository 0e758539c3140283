//! One call, from the door to the last byte.
//!
//! Nothing is decided here. The plan decides; this does, and tells the plan what came of it. Up to
//! two attempts are live; the walk looks after both, the timer, and the caller, who leaves by
//! dropping it. It is polled by whoever wants the answer: no task, no channel, and back-pressure
//! is that nobody asks.

mod breaking;
mod ending;
mod record;
mod wait;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use mainstay_core::classify::{self, TransportFault};
use mainstay_core::failure::{Kind, Next};
use mainstay_core::plan::{Ending, On, Plan, Role, SLOTS, Seen, Start, Step};
use mainstay_core::policy::{Policy, Recovery};
use mainstay_core::time::Moment;
use mainstay_core::wire::stream::Family;
use tokio::time::Sleep;

use crate::answer::AnswerBody;
use crate::call::{AnswerHead, AttemptRecord, Call, ProviderAnswer, Refusal, Trace, Used};
use crate::clock::Clock;
use crate::dispatch;
use crate::fields::Fields;
use crate::flow::{Broken, Expect, Flow, Saw};
use crate::queue::Queue;
use crate::refusal;
use crate::targets::{Place, Shared};
use crate::upstream::{Attempt, AttemptEvent, Upstream};
use record::{
    Live, content_length, note, note_end, note_time, notes, refuses_usage, trace_context,
};

/// How long a caller in the middle of a stream hears nothing before he is sent a comment, so that
/// his own read timeout does not run out while a silent stream is waited for or told again.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// The shortest such time, for callers with a short read timeout.
const ALIVE_LEAST: Duration = Duration::from_millis(100);
/// A caller who asks for more later than this was away.
const AWAY: Duration = Duration::from_millis(100);

/// A call under way. Dropping it cancels everything and gives everything back.
pub struct Walk<U: Upstream> {
    run: Box<Run<U>>,
}

/// What comes out of a walk, in this order: one `Head`, any number of `Data`, then `End` or
/// `Broken`; or a `Refused` alone.
#[derive(Debug)]
pub(crate) enum Out {
    Head(AnswerHead),
    Data(Bytes),
    End,
    Broken(Kind),
    Refused(Box<Refusal>),
}

pub(crate) struct Run<U: Upstream> {
    clock: Clock,
    upstream: Arc<U>,
    call: Box<Call>,
    /// The call's headers, which its attempts share.
    headers: Arc<Fields>,
    policy: Arc<Policy>,
    plan: Plan<Shared>,
    /// In memory of their own: a second one is seldom there, and none is moved once it is.
    live: [Option<Box<Live<U::Attempt>>>; SLOTS],
    /// The slot whose bytes go to the caller.
    delivering: Option<usize>,
    out: Queue<Out>,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` fires. Timers that move later are left to fire early and set again.
    sleep_at: Moment,
    on: On,
    /// Its place among those who wait for a candidate's circuit.
    circuit_place: Option<(usize, Place)>,
    /// A broken stream's connection is cut then.
    cut_at: Option<(Moment, Kind)>,
    /// What is left of the stream that broke, while a second telling is looked for.
    broken: Option<Broken>,
    /// Tokens of that stream.
    told: Option<Used>,
    /// When the caller, if he hears nothing in the middle of a stream, is sent a sign of life.
    alive_at: Moment,
    alive_every: Duration,
    /// Who tells the stream a second time, until the first of what is new has left.
    recovered_by: Option<String>,
    /// When the caller was last given something, until he asks for more.
    given_at: Option<Moment>,
    /// The latest moment looked at.
    now: Moment,
    /// The clock has not been looked at in this turn.
    stale: bool,
    /// Choices asked for.
    choices: u64,
    provider_answer: Option<(usize, ProviderAnswer)>,
    trace: Trace,
    over: bool,
}

impl<U: Upstream> fmt::Debug for Walk<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("call", &self.run.call.id).finish_non_exhaustive()
    }
}

impl<U: Upstream> Walk<U> {
    pub(crate) fn new(
        clock: Clock,
        upstream: Arc<U>,
        mut call: Box<Call>,
        policy: Arc<Policy>,
        plan: Plan<Shared>,
    ) -> Walk<U> {
        let sleep = Box::pin(tokio::time::sleep_until(clock.instant(Moment::FAR)));
        let patience = call.read_timeout.map_or(ALIVE_EVERY, |read| read / 3);
        let alive_every = patience.clamp(ALIVE_LEAST, ALIVE_EVERY);
        let choices = dispatch::choices(&call);
        let headers = Arc::new(std::mem::take(&mut call.headers));
        // It is made in its place: it is too much to be moved there.
        let place = Box::new_uninit();
        let run = Run {
            clock,
            upstream,
            call,
            headers,
            policy,
            plan,
            live: [None, None],
            delivering: None,
            out: Queue::default(),
            sleep,
            sleep_at: Moment::FAR,
            on: On::Attempts,
            circuit_place: None,
            cut_at: None,
            broken: None,
            told: None,
            alive_at: Moment::FAR,
            alive_every,
            recovered_by: None,
            given_at: None,
            now: Moment::ZERO,
            stale: true,
            choices,
            provider_answer: None,
            trace: Trace::default(),
            over: false,
        };
        Walk { run: Box::write(place, run) }
    }

    /// Goes on until an answer's first piece is in hand, or there is none to be had.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] says why there is no answer and when to come back.
    pub async fn answer(mut self) -> Result<(AnswerHead, AnswerBody<U>), Box<Refusal>> {
        match poll_fn(|cx| self.run.poll_out(cx)).await {
            Out::Head(head) => Ok((head, AnswerBody::new(self.run))),
            Out::Refused(refusal) => Err(refusal),
            // A walk begins with a head or a refusal.
            Out::Data(_) | Out::End | Out::Broken(_) => Err(self.run.fault()),
        }
    }
}

impl<U: Upstream> Run<U> {
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Tokens of the answer so far.
    pub(crate) fn used(&self) -> Option<Used> {
        let live = self.delivering.and_then(|slot| self.live[slot].as_ref());
        live.map_or(self.trace.used, |live| self.used_with(live))
    }

    /// Tokens of the answer when it ends with what this attempt has said.
    fn used_with(&self, live: &Live<U::Attempt>) -> Option<Used> {
        live.used_after(self.told, &self.plan)
    }

    /// The next thing for the caller.
    pub(crate) fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Out> {
        if self.out.is_empty() {
            self.stale = true;
            self.excuse_caller();
        }
        let out = self.poll_next(cx);
        if out.is_ready() {
            self.given_at = Some(self.now);
        }
        out
    }

    /// A timer of silence must not run out on a caller who was slow to ask: what would have broken
    /// it may be on its way to us.
    fn excuse_caller(&mut self) {
        let Some(given) = self.given_at.take() else { return };
        self.look_at_clock();
        let time = self.now.since(given);
        if time >= AWAY {
            self.plan.saw(Seen::CallerAway { time }, self.now);
        }
    }

    /// One reading of the clock a turn, where something is done in it: that takes no time worth telling.
    fn look_at_clock(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.now = self.clock.now();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Out> {
        loop {
            if let Some(out) = self.out.pop_front() {
                return Poll::Ready(out);
            }
            if let Some((at, kind)) = self.cut_at {
                self.look_at_clock();
                return self.poll_cut(at, kind, cx);
            }
            // What arrived comes before what is late: a caller that reads slowly must not have a
            // timer run out on bytes that have been there all the time.
            let moved = self.poll_attempts(cx);
            if !moved && self.live.iter().flatten().any(|live| live.attempt.halts()) {
                return Poll::Pending;
            }
            if !self.out.is_empty() {
                continue;
            }
            self.look_at_circuit();
            self.look_at_clock();
            let now = self.now;
            match self.plan.step(now) {
                Step::Start(start) => self.start(start, now),
                Step::Cancel { slot } => self.cancel(slot, now),
                Step::Deliver { slot } => self.deliver(slot, now),
                Step::Done(ending) => self.done(ending, now),
                Step::Wait { .. } if now >= self.alive_at => {
                    self.alive_at = now + self.alive_every;
                    self.out.push_back(Out::Data(Bytes::from_static(b": mainstay\n\n")));
                }
                Step::Wait { until, on } => {
                    let until = until.min(self.alive_at);
                    if moved {
                        continue;
                    }
                    if self.poll_wait(until, on, cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.now = self.clock.now();
                }
            }
        }
    }

    /// Takes what live attempts have. `true` when anything came.
    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> bool {
        /// Events taken from one attempt before others get their turn.
        const BATCH_MAX: usize = 32;
        let mut moved = false;
        for slot in 0..SLOTS {
            for _ in 0..BATCH_MAX {
                let Some(live) = self.live[slot].as_mut().filter(|live| !live.ended) else { break };
                let Poll::Ready(event) = live.attempt.poll_event(cx) else { break };
                if std::mem::take(&mut self.stale) {
                    self.now = self.clock.now();
                }
                live.ended = matches!(event, AttemptEvent::End | AttemptEvent::Fault(_));
                moved = true;
                self.event(slot, event);
                // The caller takes what is there before more is read: that is the back-pressure.
                if !self.out.is_empty() {
                    return true;
                }
            }
        }
        moved
    }

    fn event(&mut self, slot: usize, event: AttemptEvent) {
        let now = self.now;
        let Some(live) = &mut self.live[slot] else { return };
        let saw = match event {
            AttemptEvent::Sending { .. } => {
                self.plan.saw(Seen::Sending { slot }, now);
                Saw::Nothing
            }
            AttemptEvent::Head(head) => {
                let status = head.status.as_u16();
                note(&mut self.trace, live.record, |record| record.status = Some(status));
                self.plan.handle(live.track).0.heard(&head.headers);
                live.flow.on_head(head)
            }
            AttemptEvent::Data(bytes) => live.flow.on_data(bytes),
            AttemptEvent::End => live.flow.on_end(),
            AttemptEvent::Fault(fault) => live.flow.on_fault(fault),
        };
        self.saw(slot, saw, now);
        self.drain(slot, now);
    }

    /// Tells the plan what a piece of an answer showed.
    fn saw(&mut self, slot: usize, saw: Saw, now: Moment) {
        let Some(live) = &mut self.live[slot] else { return };
        match saw {
            Saw::Nothing => {}
            Saw::Head => self.plan.saw(Seen::Head { slot, hints: &live.flow.hints }, now),
            Saw::ErrorHead => self.plan.saw(Seen::ErrorHead { slot }, now),
            Saw::Bytes if live.flow.wants_stream() && live.flow.is_events() => {}
            Saw::Bytes | Saw::Content => {
                note_time(&mut self.trace, live.record, now);
                self.plan.saw(Seen::Content { slot }, now);
            }
            Saw::Terminal => {
                note_time(&mut self.trace, live.record, now);
                self.plan.saw(Seen::Terminal { slot }, now);
            }
            Saw::PassThrough => {
                self.plan.saw(Seen::Head { slot, hints: &live.flow.hints }, now);
                self.plan.saw(Seen::PassThrough { slot }, now);
            }
            Saw::Finished(usage) => {
                note_end(&mut self.trace, live, &self.plan, now, None);
                self.trace.used = live.used_after(self.told, &self.plan);
                let tokens = usage.map(|usage| usage.total());
                self.plan.saw(Seen::Finished { slot, tokens }, now);
            }
            Saw::Failed(verdict) => self.failed(slot, *verdict, now),
        }
    }

    fn failed(&mut self, slot: usize, mut verdict: classify::Verdict, now: Moment) {
        let Some(mut live) = self.live[slot].take() else { return };
        if live.flow.asks_usage() && refuses_usage(&verdict) {
            // It was our wish and not the caller's: without it the call is as he sent it.
            self.plan.handle(live.track).0.spare_usage();
            verdict.retryable = true;
            verdict.failure.next = Next::SameTarget { wait: None };
        }
        note_end(&mut self.trace, &live, &self.plan, now, Some(verdict.failure.kind));
        let hints = live.flow.hints;
        let told = verdict.clone();
        self.plan.saw(Seen::Failed { slot, verdict, hints: &hints }, now);
        // What it did to the target is part of what is known.
        let target = &self.plan.handle(live.track).0;
        note(&mut self.trace, live.record, |record| {
            record.state = Some(Box::new(target.state(now)));
        });
        if self.delivering == Some(slot) {
            self.broke(live, &told, now);
        } else if self.broken.is_some() {
            // A target that did not go on has said nothing; another tells it all.
            if !self.plan.is_recovering() {
                self.last_words(&mut live, &told, now);
            }
        } else if let Some(answer) = live.flow.into_provider_answer() {
            self.provider_answer = Some((live.track, answer));
        }
    }

    /// Hands over what the delivering attempt has.
    fn drain(&mut self, slot: usize, now: Moment) {
        if self.delivering != Some(slot) {
            return;
        }
        let Run { live, out, recovered_by, alive_at, alive_every, .. } = self;
        let Some(live) = live[slot].as_mut().filter(|live| !live.flow.ready.is_empty()) else {
            return;
        };
        // In its place: what it knows is too much to be moved for each event.
        pour(&mut live.flow, recovered_by, out);
        if live.flow.is_events() {
            *alive_at = now + *alive_every;
        }
    }

    /// Hands over what an attempt that is over has.
    fn pour(&mut self, live: &mut Live<U::Attempt>, now: Moment) {
        if live.flow.ready.is_empty() {
            return;
        }
        pour(&mut live.flow, &mut self.recovered_by, &mut self.out);
        if live.flow.is_events() {
            self.alive_at = now + self.alive_every;
        }
    }

    fn start(&mut self, start: Start, now: Moment) {
        if !self.may_start() {
            let verdict = refusal::out_of_money();
            let hints = mainstay_core::hints::RateHints::default();
            self.plan.saw(Seen::Failed { slot: start.slot, verdict, hints: &hints }, now);
            return;
        }
        let target = &self.plan.handle(start.track).0;
        let record = self.trace.records.len();
        self.trace.attempts = self.plan.sent();
        self.trace.waited += start.waited;
        self.trace.provider = Some(Arc::clone(&target.provider_name));
        self.trace.credential = target.credential;
        self.trace.model.clone_from(&target.model);
        let kept = record < Trace::ATTEMPTS_MAX;
        if kept {
            if record == 0 {
                // Most calls have one.
                self.trace.records.reserve_exact(1);
            }
            let state = (!start.waited.is_zero()).then(|| Box::new(target.state(now)));
            self.trace.records.push(AttemptRecord {
                provider: Arc::clone(&target.provider_name),
                credential: target.credential,
                model: target.model.clone(),
                waited: start.waited,
                wait_cause: start.cause.name(),
                started: now,
                took: Duration::ZERO,
                ended: None,
                status: None,
                kind: None,
                bytes: 0,
                dropped: 0,
                used: None,
                sound_ms: None,
                told: None,
                state,
            });
        }
        let told = self.broken.as_ref().filter(|_| start.role == Role::Continue);
        let told = told.and_then(Broken::text);
        let mut flow = match (&self.broken, &told) {
            (Some(broken), Some(_)) => Flow::continuation(self.expect(), broken),
            (Some(broken), None) => Flow::replay(self.expect(), broken),
            (None, _) => Flow::new(self.expect()),
        };
        let connect = self.policy.timeouts.connect;
        let Ok((mut request, adds_usage)) =
            dispatch::request(&mut self.call, &self.headers, target, connect, told.as_deref())
        else {
            let verdict = classify::of_transport(TransportFault::Other);
            let hints = flow.hints;
            self.plan.saw(Seen::Failed { slot: start.slot, verdict, hints: &hints }, now);
            return;
        };
        if adds_usage {
            flow.strip_usage();
        }
        flow.notes = notes(&self.call);
        trace_context(&mut request, self.call.traced, record);
        let place = Box::new_uninit();
        let attempt = self.upstream.start(request);
        let (track, record) = (start.track, kept.then_some(record));
        let live = Live { attempt, flow, track, record, ended: false };
        self.live[start.slot] = Some(Box::write(place, live));
    }

    /// What an answer of this call must be.
    fn expect(&self) -> Expect {
        let again = match Family::of(self.call.endpoint) {
            Family::Completions | Family::Responses => true,
            Family::Assistants | Family::Media | Family::Other => false,
        };
        let verified = again && self.policy.stream.recovery != Recovery::Error;
        Expect {
            endpoint: self.call.endpoint,
            stream: self.call.stream,
            choices: self.choices,
            strip_usage: false,
            strict: verified && self.plan.candidates() > 1,
        }
    }

    fn cancel(&mut self, slot: usize, now: Moment) {
        let Some(mut live) = self.live[slot].take() else { return };
        let verdict = classify::of_transport(TransportFault::IdleTimeout);
        if self.delivering == Some(slot) && self.plan.is_whole() {
            // Its terminal event has come; only its framing did not end.
            note_end(&mut self.trace, &live, &self.plan, now, None);
            live.flow.on_fault(TransportFault::IdleTimeout);
            self.trace.used = self.used_with(&live);
            self.pour(&mut live, now);
        } else if self.delivering == Some(slot) {
            // The plan has given the delivering attempt up: a timer ran out.
            note_end(&mut self.trace, &live, &self.plan, now, Some(verdict.failure.kind));
            self.broke(live, &verdict, now);
        } else if self.broken.is_some() && !self.plan.is_recovering() {
            note_end(&mut self.trace, &live, &self.plan, now, Some(verdict.failure.kind));
            self.last_words(&mut live, &verdict, now);
        } else {
            let kind = live.flow.head.is_none().then_some(Kind::RequestTimeout);
            note_end(&mut self.trace, &live, &self.plan, now, kind);
        }
    }

    fn deliver(&mut self, slot: usize, now: Moment) {
        let Some(live) = &mut self.live[slot] else { return };
        self.delivering = Some(slot);
        if self.broken.is_some() {
            // The head has left long ago.
            self.recovered_by = Some(self.plan.handle(live.track).0.name());
            self.drain(slot, now);
            return;
        }
        let Some(head) = live.flow.head.take() else { return };
        if let Some(record) = live.record.and_then(|at| self.trace.records.get(at)) {
            self.trace.provider = Some(record.provider.clone());
            self.trace.credential = self.plan.handle(live.track).0.credential;
            self.trace.model.clone_from(&record.model);
        }
        let whole = !live.flow.is_events() && self.plan.is_whole();
        let length =
            if whole { Some(live.flow.held_len()) } else { content_length(&head, &live.flow) };
        let crate::upstream::AnswerHead { status, headers } = head;
        self.out.push_back(Out::Head(AnswerHead { status, headers, length }));
        note_time(&mut self.trace, live.record, now);
        self.drain(slot, now);
    }

    fn done(&mut self, ending: Ending, now: Moment) {
        if self.over {
            self.out.push_back(Out::End);
            return;
        }
        self.over = true;
        let _told = self.tell_account(matches!(ending, Ending::Answered));
        match ending {
            Ending::Answered => self.out.push_back(Out::End),
            // `last_words` has set the cut already where a stream can carry an error.
            Ending::Broken { kind } if self.cut_at.is_none() => {
                self.end_broken(kind, now);
            }
            Ending::Broken { .. } => {}
            Ending::Failed(end) => {
                let answer = self.provider_answer.take();
                let mut refused = refusal::refuse(*end, answer, &self.plan, &self.call);
                refused.trace = self.take_trace();
                refused.sent = self.take_sent();
                self.out.push_back(Out::Refused(Box::new(refused)));
            }
        }
        self.live = [None, None];
    }

    /// A walk that broke its own order: never seen, and answered as our fault.
    fn fault(&mut self) -> Box<Refusal> {
        Box::new(refusal::fault(std::mem::take(&mut self.trace)))
    }
}

/// Hands over what an attempt has; a second telling says first who tells it.
fn pour(flow: &mut Flow, recovered_by: &mut Option<String>, out: &mut Queue<Out>) {
    if let Some(name) = recovered_by.take() {
        let comment = format!(": mainstay: recovered by {name}\n\n");
        out.push_back(Out::Data(Bytes::from(comment)));
    }
    while let Some(piece) = flow.ready.pop_front() {
        out.push_back(Out::Data(piece));
    }
}
