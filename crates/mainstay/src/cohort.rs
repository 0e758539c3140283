//! Calls that are equally far take their next step one right behind the other.
//!
//! A call runs through some 250 KiB of code once, eight times what the cache next to the core holds:
//! a thread that takes one call from end to end fetches all of it anew for the next. So calls halt at a
//! few [stages](Stage), and those that wait at one go on together, as a cohort: the first fetches the
//! code of the step, and the others find it there. That holds for the kernel's code too, which is why
//! calls halt before they write and after they have read. (Cohort scheduling: Larus and Parkes,
//! USENIX 2002.)
//!
//! They do so where they run as tasks of a cohort ([`Cohort::spawn`]) that somebody
//! [conducts](Cohort::conduct), as the gateway's workers have it done; anywhere else a [`Turn`] is over
//! before it began. A halt takes neither a waker nor a place in the runtime's queue: the conductor polls
//! his tasks himself, and whoever halts tells him by being pending. A call that is alone does not halt.
//!
//! Whoever halts goes on at the latest when every stage has had its turn once. Whatever else wakes it (a
//! timer, its caller leaving) lets it go on with those that were woken, who have their turn behind each
//! stage.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::{Context, Poll};

use self::conductor::{Conductor, Desk};

mod conductor;

/// Where a call halts, in the order of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The request was read from its connection.
    Read,
    /// Its path is known; who calls is found out next.
    Caller,
    /// Its caller may call; what he wishes is read next.
    Known,
    /// Its body is there; it is looked into next.
    Check,
    /// Its body is in order; whether it may go where it wants, and what of its head, comes next.
    Looked,
    /// It is in order; limits come next.
    Admit,
    /// It is within its limits; what it may cost comes next.
    Pay,
    /// Its price is known; money is held next.
    Hold,
    /// It has what it needs; what it holds is handed over next, and targets that it may go to.
    Begin,
    /// They are known; one is chosen next.
    Plan,
    /// A target is found; a connection to it comes next.
    Attempt,
    /// An attempt's request is written next.
    Send,
    /// Something of the provider's answer was read.
    Heard,
    /// The answer may leave; its head is made next, its body taken, and the call settled with its end.
    Deliver,
    /// The answer is written next.
    Write,
}

const STAGES: usize = Stage::Write as usize + 1;

/// The calls of one thread. Copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Cohort(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whose turn it is, by the address that his waker has; 0: nobody's.
    on: AtomicUsize,
    /// Where he has halted since, counted from 1; 0: he has not.
    halted: AtomicUsize,
    /// He has others beside him.
    company: AtomicBool,
    /// He has halted before, and goes on because those of his stage do.
    in_turn: AtomicBool,
    desk: Desk,
}

impl Cohort {
    /// Has this done beside the other tasks of these calls, while somebody [conducts](Cohort::conduct).
    /// A task that panics ends, and no other with it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.desk.bring(Box::pin(work));
    }

    /// Conducts these calls, polling their tasks, until it is dropped, and they with it. It is one task of
    /// the thread that they are to run on, and there is one at most.
    pub async fn conduct(self) {
        let mut conductor = Conductor::new(self.0);
        poll_fn(|cx| conductor.poll(cx)).await;
    }

    /// Halts a call at a stage.
    pub fn reach(&self, stage: Stage) -> Reach<'_> {
        Reach { cohort: self, stage, turn: Turn::default() }
    }

    /// Whether the task that is being polled has halted: if it is pending, it is so because of that,
    /// and there is nothing else to look after before it goes on.
    pub fn halts(&self) -> bool {
        self.0.halted.load(Relaxed) != 0
    }

    /// Whether the task that is being polled goes on with its stage, from where it halted. Nothing else is a
    /// reason for this: has something woken it meanwhile, it is polled once more because of that.
    pub fn has_turn(&self) -> bool {
        self.0.in_turn.load(Relaxed)
    }
}

/// Ready when a call has gone on from a stage.
#[derive(Debug)]
#[must_use = "a call halts while it waits for this"]
pub struct Reach<'c> {
    cohort: &'c Cohort,
    stage: Stage,
    turn: Turn,
}

impl Future for Reach<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let reach = self.get_mut();
        reach.turn.poll(reach.cohort, reach.stage, cx)
    }
}

impl Shared {
    /// Whether a call halts, to be polled again by the conductor.
    fn halt(&self, stage: Stage, cx: &Context<'_>) -> bool {
        // By any other waker somebody polls whom the conductor does not know.
        let halts = self.company.load(Relaxed) && self.on.load(Relaxed) == cx.waker().data().addr();
        if halts {
            self.halted.store(stage as usize + 1, Relaxed);
        }
        halts
    }
}

/// A call's halt at one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// It has not come there.
    #[default]
    Ahead,
    /// It waits there.
    Halted,
    /// It has gone on.
    Over,
}

impl Turn {
    /// Ready when the call may take its next step, at the latest the second time.
    pub fn poll(&mut self, cohort: &Cohort, stage: Stage, cx: &Context<'_>) -> Poll<()> {
        if *self == Turn::Ahead && cohort.0.halt(stage, cx) {
            *self = Turn::Halted;
            return Poll::Pending;
        }
        *self = Turn::Over;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
