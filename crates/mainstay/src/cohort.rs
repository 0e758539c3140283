//! Calls that are equally far take their next step one right behind the other.
//!
//! A call runs through some 250 KiB of code once, eight times what the cache next to the core holds:
//! a thread that takes one call from end to end fetches all of it anew for the next. So calls halt at a
//! few [stages](Stage), and those that wait at one go on together, as a cohort: the first fetches the
//! code of the step, and the others find it there. That holds for the kernel's code too, which is why
//! calls halt before they write and after they have read. (Cohort scheduling: Larus and Parkes,
//! USENIX 2002.)
//!
//! They do so while somebody [conducts](Cohort::conduct), as the gateway's workers have it done; without, a
//! [`Turn`] is over before it began. A call that is alone halts at two stages only, where others may be
//! about to come.
//!
//! Whoever halts goes on at the latest when every stage has had its turn once, and whatever else wakes
//! it (a timer, its caller leaving) lets it go on at once.

use std::future::poll_fn;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Where a call halts, in the order of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The request was read from its connection.
    Read,
    /// Its path is known; who calls is found out next.
    Caller,
    /// Its caller may call; its body is looked into next.
    Check,
    /// It is in order; limits come next.
    Admit,
    /// It is within its limits; money comes next.
    Pay,
    /// It has what it needs; a target is looked for next.
    Begin,
    /// A target is found; a connection to it comes next.
    Attempt,
    /// An attempt's request is written next.
    Send,
    /// Something of the provider's answer was read.
    Heard,
    /// Its head was read; its body comes next.
    Body,
    /// The answer may leave; its head is made next.
    Deliver,
    /// Its head is made; its body is taken, and the call settled with its end, next.
    Take,
    /// The answer is written next.
    Write,
}

const STAGES: usize = Stage::Write as usize + 1;

impl Stage {
    /// Whether even a call that nobody waits beside halts: events come in bursts, and the others'
    /// have not been looked at yet.
    fn gathers(self) -> bool {
        matches!(self, Stage::Read | Stage::Heard)
    }
}

/// Who waits at which stage. `W` wakes one of them.
#[derive(Debug)]
struct Floor<W> {
    waiting: [Vec<W>; STAGES],
    /// The stage whose turn is next.
    next: usize,
}

impl<W> Default for Floor<W> {
    fn default() -> Floor<W> {
        Floor { waiting: [const { Vec::new() }; STAGES], next: 0 }
    }
}

impl<W> Floor<W> {
    fn halt(&mut self, stage: Stage, waker: W) {
        self.waiting[stage as usize].push(waker);
    }

    fn is_empty(&self) -> bool {
        self.waiting.iter().all(Vec::is_empty)
    }

    /// Takes the next cohort into `cohort`, which is empty. `false`: nobody waits.
    fn take(&mut self, cohort: &mut Vec<W>) -> bool {
        let mut places = (self.next..STAGES).chain(0..self.next);
        let Some(at) = places.find(|at| !self.waiting[*at].is_empty()) else { return false };
        self.next = (at + 1) % STAGES;
        std::mem::swap(&mut self.waiting[at], cohort);
        true
    }
}

/// The calls of one thread. Copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Cohort(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Somebody conducts.
    conducted: AtomicBool,
    /// Whoever runs now has others beside him, or they wait.
    company: AtomicBool,
    /// See [`Cohort::watch`].
    halted: AtomicBool,
    floor: Mutex<Conducted>,
}

#[derive(Debug, Default)]
struct Conducted {
    floor: Floor<Waker>,
    /// Of a conductor who has nothing to do.
    idle: Option<Waker>,
}

/// Takes the floor away at the end; whoever waits goes on.
struct Conductor<'a>(&'a Shared);

impl Drop for Conductor<'_> {
    fn drop(&mut self) {
        let left = {
            let mut floor = self.0.floor();
            self.0.conducted.store(false, Relaxed);
            std::mem::take(&mut *floor)
        };
        left.floor.waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Shared {
    fn floor(&self) -> MutexGuard<'_, Conducted> {
        // Every change is complete before anything can panic.
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call halts, to be woken by the conductor.
    fn halt(&self, stage: Stage, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let idle = {
            let mut conducted = self.floor();
            // On another thread he may have ended meanwhile.
            if !self.conducted.load(Relaxed) {
                return false;
            }
            conducted.floor.halt(stage, waker);
            conducted.idle.take()
        };
        self.halted.store(true, Relaxed);
        if let Some(conductor) = idle {
            conductor.wake();
        }
        true
    }
}

impl Cohort {
    /// Conducts these calls until it is dropped: one task of the thread that they run on. A runtime
    /// whose tasks move between threads gains nothing by it.
    pub async fn conduct(self) {
        self.0.conducted.store(true, Relaxed);
        let conductor = Conductor(&self.0);
        let mut cohort = Vec::new();
        poll_fn(|cx| {
            let taken = {
                let Conducted { floor, idle } = &mut *conductor.0.floor();
                let taken = floor.take(&mut cohort);
                if taken {
                    self.0.company.store(cohort.len() > 1 || !floor.is_empty(), Relaxed);
                } else {
                    *idle = Some(cx.waker().clone());
                }
                taken
            };
            if taken {
                cohort.drain(..).for_each(Waker::wake);
                // Behind those that were just woken.
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        })
        .await;
    }

    /// Halts a call at a stage.
    pub async fn reach(&self, stage: Stage) {
        let mut turn = Turn::default();
        poll_fn(|cx| turn.poll(self, stage, cx)).await;
    }

    /// Begins to watch what is polled next, see [`Cohort::halts`].
    pub fn watch(&self) {
        self.0.halted.store(false, Relaxed);
    }

    /// Whether what was polled since [`Cohort::watch`] and is pending is so because it halts: then
    /// there is nothing else to look after before it goes on.
    pub fn halts(&self) -> bool {
        self.0.halted.load(Relaxed)
    }

    fn is_halt(&self, stage: Stage) -> bool {
        (stage.gathers() || self.0.company.load(Relaxed)) && self.0.conducted.load(Relaxed)
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
    pub fn poll(&mut self, cohort: &Cohort, stage: Stage, cx: &mut Context<'_>) -> Poll<()> {
        if *self == Turn::Ahead && cohort.is_halt(stage) && cohort.0.halt(stage, cx) {
            *self = Turn::Halted;
            return Poll::Pending;
        }
        *self = Turn::Over;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
