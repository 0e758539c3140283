//! The loop of a run: takes jobs as there is room, sends them, and brings every line to exactly one
//! end. One thread does it all; the input is read and the disk is awaited by others.

use std::collections::VecDeque;
use std::time::Duration;

use mainstay::Whole;
use mainstay::call::{Refusal, Trace};
use mainstay_core::failure::Kind;
use mainstay_core::money::Usd;
use mainstay_core::time::Moment;
use mainstay_core::wire::usage::Usage;
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::Watch;
use super::events::{Events, LineEnd};
use super::fate::{Fate, Outlook};
use super::feed::Feed;
use super::job::Job;
use super::lane::Lane;
use super::money::Purse;
use super::pack;
use super::record::{Outcome, request_id};
use super::sink::Sink;
use super::tally::{Stop, Summary, Tally};
use super::window::Window;
use crate::exit::Exit;
use crate::trouble::Trouble;

/// Failures of one reason that every line may share, without an answer between them, until the run
/// stops.
const PARKED_MAX: usize = 20;
/// How long calls under way may take to end after an interrupt.
const GRACE: Duration = Duration::from_secs(30);
/// How often the window and the disk are looked after.
const TICK: Duration = Duration::from_millis(250);
/// How often the disk is asked to catch up, in ticks.
const SYNC_TICKS: u32 = 8;

/// A walk that has ended.
struct Ended {
    job: Job,
    id: String,
    result: Result<Whole, Box<Refusal>>,
}

/// A run under way.
pub(crate) struct Drive<'a> {
    pub(crate) lane: Lane,
    pub(crate) feed: Feed,
    pub(crate) sink: Sink,
    pub(crate) tally: Tally,
    pub(crate) purse: Purse,
    pub(crate) events: Events,
    pub(crate) window: Window,
    pub(crate) outlook: Outlook,
    pub(crate) watch: &'a mut dyn Watch,
    pub(crate) progress_every: Duration,
    pub(crate) state: State,
}

/// What changes while a run lasts.
#[derive(Default)]
pub(crate) struct State {
    walks: JoinSet<Ended>,
    /// Put off until a moment, in no order.
    put_off: Vec<(Moment, Job)>,
    /// Ready to be sent before anything new.
    ready: VecDeque<Job>,
    /// Failed for a reason that may hold for every line.
    parked: Vec<(Job, Outcome, Trace)>,
    exhausted: bool,
    stop: Option<Stop>,
    cut_at: Option<Moment>,
    ticks: u32,
    told_at: Moment,
}

impl Drive<'_> {
    /// Runs to the end. `signals` gives a message for each interrupt.
    pub(crate) async fn run(mut self, mut signals: Receiver<()>) -> Result<Summary, Trouble> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.is_over() {
            let (wake, room) = (self.wake(), self.has_room());
            tokio::select! {
                biased;
                signal = signals.recv() => self.interrupted(signal),
                Some(ended) = self.state.walks.join_next() => self.ended(ended)?,
                _ = tick.tick() => self.tick()?,
                job = self.feed.next(), if room => self.fed(job)?,
                () = sleep_until(wake) => {}
            }
            self.start_due()?;
        }
        self.finish()
    }

    fn is_over(&self) -> bool {
        let now = self.lane.now();
        if self.lane.deadline().is_some_and(|deadline| now >= deadline)
            || self.state.cut_at.is_some_and(|cut| now >= cut)
        {
            return true;
        }
        let nothing_left =
            self.state.exhausted && self.state.put_off.is_empty() && self.state.ready.is_empty();
        self.state.walks.is_empty() && (self.state.stop.is_some() || nothing_left)
    }

    /// When something is due though nothing happens.
    fn wake(&self) -> tokio::time::Instant {
        let due =
            self.state.put_off.iter().map(|(at, _)| *at).filter(|_| self.state.stop.is_none());
        let ends = self.lane.deadline().into_iter().chain(self.state.cut_at);
        self.lane.instant(due.chain(ends).min().unwrap_or(Moment::FAR))
    }

    fn under_way(&self) -> usize {
        self.state.walks.len() + self.state.put_off.len() + self.state.ready.len()
    }

    fn has_room(&self) -> bool {
        self.state.stop.is_none()
            && !self.state.exhausted
            && self.state.ready.is_empty()
            && self.under_way() < self.window.size()
    }

    fn interrupted(&mut self, signal: Option<()>) {
        let again = self.state.stop == Some(Stop::Interrupted);
        // Without anybody to listen to there is nothing to go on for either.
        self.halt(Stop::Interrupted);
        let grace = if again || signal.is_none() { Duration::ZERO } else { GRACE };
        self.state.cut_at = Some(self.lane.now() + grace);
        if !again {
            self.watch.interrupted(self.state.walks.len(), GRACE);
        }
    }

    /// Nothing new is sent from here on.
    fn halt(&mut self, why: Stop) {
        self.state.stop.get_or_insert(why);
        if why == Stop::Interrupted {
            self.state.stop = Some(why);
        }
        self.feed.stop();
    }

    fn fed(&mut self, job: Option<Result<Job, Trouble>>) -> Result<(), Trouble> {
        match job {
            Some(job) => self.state.ready.push_back(job?),
            None => self.state.exhausted = true,
        }
        Ok(())
    }

    /// Sends what is due, as far as the money goes.
    fn start_due(&mut self) -> Result<(), Trouble> {
        if self.state.stop.is_some() {
            return Ok(());
        }
        let now = self.lane.now();
        let due = self.state.put_off.extract_if(.., |(at, _)| *at <= now);
        self.state.ready.extend(due.map(|(_, job)| job));
        while self.state.walks.len() < self.window.size() {
            let Some(mut job) = self.state.ready.pop_front() else { break };
            let (input, output) = job.tokens;
            let Some(held) = self.purse.hold(job.model.as_deref(), input, output) else {
                self.state.ready.push_front(job);
                if self.state.walks.is_empty() {
                    self.halt(Stop::Money);
                }
                return Ok(());
            };
            job.held = held;
            let (id, walk) = self.lane.send(&mut job)?;
            self.state.walks.spawn(async move {
                let result = walk.await;
                Ended { job, id, result }
            });
        }
        Ok(())
    }

    /// Takes this ended walk and all others that have ended, and writes their lines at once.
    fn ended(&mut self, first: Result<Ended, JoinError>) -> Result<(), Trouble> {
        let mut next = Some(first);
        while let Some(ended) = next {
            self.one(ended.map_err(broken)?)?;
            next = self.state.walks.try_join_next();
        }
        self.sink.flush()
    }

    fn one(&mut self, ended: Ended) -> Result<(), Trouble> {
        let Ended { mut job, id, result } = ended;
        let trace = match &result {
            Ok(whole) => &whole.trace,
            Err(refusal) => &refusal.trace,
        };
        let used = trace.used.map(|used| used.usage);
        self.tally.walk(trace.attempts, used);
        self.purse.settle(job.held, job.model.as_deref(), used);
        job.held = Usd::ZERO;
        match result {
            Ok(whole) => self.answered(job, &id, whole, used),
            Err(refusal) => self.refused(job, &id, *refusal),
        }
    }

    fn answered(
        &mut self,
        job: Job,
        id: &str,
        whole: Whole,
        used: Option<Usage>,
    ) -> Result<(), Trouble> {
        let now = self.lane.now();
        self.outlook.answered(job.model.as_deref(), now);
        self.window.answered(now.since(job.started));
        self.unpark()?;
        let request_id = request_id(&whole.headers).unwrap_or(id).to_owned();
        let response = |body| Outcome::Response {
            status: whole.status,
            request_id: request_id.clone(),
            body,
            kind: None,
        };
        if job.parts[0].packed.is_none() {
            return self.write(&job, &[response(whole.body.clone())], &whole.trace, used);
        }
        let Some(bodies) = pack::unpack(&whole.body, &job.parts) else {
            // A server that does not take lists.
            self.split(job);
            return Ok(());
        };
        let outcomes: Vec<Outcome> = bodies.into_iter().map(response).collect();
        self.write(&job, &outcomes, &whole.trace, None)
    }

    fn refused(&mut self, mut job: Job, id: &str, refusal: Refusal) -> Result<(), Trouble> {
        let (kind, now) = (refusal.failure.kind, self.lane.now());
        if self.lane.deadline().is_some_and(|deadline| now >= deadline) {
            // Its time was cut short by ours; it is not the line's end.
            return Ok(());
        }
        let draw = self.lane.draw();
        match self.outlook.decide(&mut job, kind, refusal.retry_after, draw, now) {
            Fate::Write => {
                let trace = refusal.trace.clone();
                let outcome = Outcome::of_refusal(refusal, id);
                self.write(&job, std::slice::from_ref(&outcome), &trace, None)
            }
            Fate::Split => {
                self.split(job);
                Ok(())
            }
            Fate::Again(wait) => {
                let records = &refusal.trace.records;
                self.events.put_off(&job.parts[0].custom_id, kind, wait, records)?;
                self.state.put_off.push((now + wait, job));
                Ok(())
            }
            Fate::Park => {
                let trace = refusal.trace.clone();
                self.state.parked.push((job, Outcome::of_refusal(refusal, id), trace));
                let same =
                    self.state.parked.iter().filter(|(_, other, _)| other.kind() == Some(kind));
                if same.count() >= PARKED_MAX {
                    self.halt(Stop::ForAll(kind));
                }
                Ok(())
            }
        }
    }

    /// Sends the lines of a packed request one by one.
    fn split(&mut self, job: Job) {
        let Job { path, model, parts, mut room, .. } = job;
        for mut part in parts {
            let Some((body, _)) = part.packed.take() else { continue };
            let mut single = Job::single(path.clone(), body, model.clone(), part);
            single.room = room.take();
            self.state.ready.push_back(single);
        }
    }

    /// Somebody was answered, so what others failed for does not hold for all.
    fn unpark(&mut self) -> Result<(), Trouble> {
        if matches!(self.state.stop, Some(Stop::ForAll(_))) {
            return Ok(());
        }
        for (job, outcome, trace) in std::mem::take(&mut self.state.parked) {
            self.write(&job, std::slice::from_ref(&outcome), &trace, None)?;
        }
        Ok(())
    }

    /// Gives the lines of a job their end: each its own outcome, or all the same.
    fn write(
        &mut self,
        job: &Job,
        outcomes: &[Outcome],
        trace: &Trace,
        used: Option<Usage>,
    ) -> Result<(), Trouble> {
        let took = self.lane.now().since(job.started);
        for (at, part) in job.parts.iter().enumerate() {
            let Some(outcome) = outcomes.get(at).or_else(|| outcomes.last()) else { continue };
            self.sink.put(&part.custom_id, &part.id, outcome);
            self.tally.line(outcome.kind());
            self.events.line(&LineEnd {
                custom_id: &part.custom_id,
                status: outcome.status(),
                kind: outcome.kind(),
                attempts: trace.attempts,
                records: &trace.records,
                waited: trace.waited,
                took,
                used,
            })?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Trouble> {
        let now = self.lane.now();
        self.state.ticks = self.state.ticks.wrapping_add(1);
        if self.state.ticks.is_multiple_of(SYNC_TICKS) {
            for file in self.sink.unsynced() {
                // A disk that fails here fails the last sync too, which is told.
                tokio::task::spawn_blocking(move || file.sync_data());
            }
        }
        let learnt = self.lane.learnt();
        let all_busy = self.state.walks.len() >= self.window.size() && learnt.queued == 0;
        self.window.look(all_busy, now);
        if now.since(self.state.told_at) >= self.progress_every {
            self.state.told_at = now;
            let (walks, put_off) = (self.state.walks.len(), self.state.put_off.len());
            let progress = self.tally.progress(learnt, walks, put_off, self.purse.spent(), now);
            self.watch.progress(&progress);
            self.events.progress(&progress)?;
        }
        Ok(())
    }

    /// What is under way is dropped; its lines are the next run's.
    fn finish(mut self) -> Result<Summary, Trouble> {
        let now = self.lane.now();
        if self.state.stop.is_none() && self.lane.deadline().is_some_and(|deadline| now >= deadline)
        {
            let open =
                !self.state.walks.is_empty() || !self.state.exhausted || self.under_way() > 0;
            self.state.stop = open.then_some(Stop::Deadline);
        }
        self.state.walks.abort_all();
        // Parked lines of a run that was stopped are the next run's too.
        if self.state.stop.is_none() {
            self.unpark()?;
        }
        let summary = self.tally.summary(self.state.stop, self.purse.spent(), now);
        self.events.ended(&summary)?;
        self.sink.close()?;
        Ok(summary)
    }
}

fn broken(error: JoinError) -> Trouble {
    let fix = "report this; the same command goes on";
    Trouble::new(Exit::Surroundings, "a call broke off inside this program", error.to_string(), fix)
}

/// Which kind a stop names, if it names one.
pub(crate) fn stop_kind(stop: Stop) -> Option<Kind> {
    match stop {
        Stop::ForAll(kind) => Some(kind),
        Stop::Interrupted | Stop::Deadline | Stop::Money => None,
    }
}
