//! Who conducts: polls the tasks of a cohort, those that were woken as they were, and those that halt
//! stage by stage.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::{STAGES, Shared};

/// What a task does.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks polled before the runtime has its turn. It lets each of its own tasks ask it for 128 things
/// (tokio 1.54, `task::coop`), and all of these count as one; what is pending for that reason is woken
/// at once.
const POLLS_MAX: usize = 16;

/// Where others leave what the conductor has to do.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Left>);

#[derive(Default)]
struct Left {
    new: Vec<Work>,
    /// Places of those that were woken.
    woken: Vec<usize>,
    /// Of a conductor who has nothing to do, if `idle`.
    conductor: Option<Waker>,
    idle: bool,
}

impl std::fmt::Debug for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Left").field("idle", &self.idle).finish_non_exhaustive()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Left> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bring(&self, work: Work) {
        self.leave(|left| left.new.push(work));
    }

    fn leave(&self, what: impl FnOnce(&mut Left)) {
        let conductor = {
            let mut left = self.lock();
            what(&mut left);
            if std::mem::take(&mut left.idle) { left.conductor.clone() } else { None }
        };
        if let Some(conductor) = conductor {
            conductor.wake();
        }
    }
}

/// Wakes one task.
#[derive(Debug)]
struct Bell {
    place: usize,
    /// It was rung, and the task not polled since.
    rung: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, AcqRel) {
            self.shared.desk.leave(|left| left.woken.push(self.place));
        }
    }
}

struct Task {
    work: Work,
    bell: Arc<Bell>,
    /// The same.
    waker: Waker,
    /// Where it halts.
    halts: Option<usize>,
}

/// Which tasks wait at which stage, by their places.
#[derive(Debug, Default)]
pub(super) struct Floor {
    waiting: [Vec<usize>; STAGES],
    /// The stage whose turn is next.
    next: usize,
}

impl Floor {
    pub(super) fn halt(&mut self, stage: usize, place: usize) {
        self.waiting[stage].push(place);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(Vec::is_empty)
    }

    /// Takes the next cohort into `cohort`, which is empty, and says where it stood. `None`: nobody waits.
    pub(super) fn take(&mut self, cohort: &mut Vec<usize>) -> Option<usize> {
        let mut stages = (self.next..STAGES).chain(0..self.next);
        let at = stages.find(|at| !self.waiting[*at].is_empty())?;
        self.next = (at + 1) % STAGES;
        std::mem::swap(&mut self.waiting[at], cohort);
        Some(at)
    }
}

/// Polls tasks.
pub(super) struct Conductor {
    shared: Arc<Shared>,
    /// Each in its place, and places that are free.
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    floor: Floor,
    /// Whom to poll, of whom so many were; they halted at this stage, or were woken.
    pass: Vec<usize>,
    polled: usize,
    stage: Option<usize>,
}

impl Drop for Conductor {
    fn drop(&mut self) {
        // Nobody polls what is left there.
        let new = {
            let mut left = self.shared.desk.lock();
            left.conductor = None;
            std::mem::take(&mut left.new)
        };
        drop(new);
    }
}

impl Conductor {
    pub(super) fn new(shared: Arc<Shared>) -> Conductor {
        Conductor {
            shared,
            tasks: Vec::new(),
            free: Vec::new(),
            floor: Floor::default(),
            pass: Vec::new(),
            polled: 0,
            stage: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..POLLS_MAX {
            if self.polled == self.pass.len() && !self.next_pass(cx.waker()) {
                return Poll::Pending;
            }
            let place = self.pass[self.polled];
            self.polled += 1;
            self.poll_task(place);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Finds whom to poll next: those that were woken and those of a stage by turns. `false`: nobody, and
    /// the conductor is woken when that changes.
    fn next_pass(&mut self, conductor: &Waker) -> bool {
        self.pass.clear();
        self.polled = 0;
        let after_stage = self.stage.take().is_some();
        if after_stage || self.floor.is_empty() {
            self.take_woken(conductor);
        }
        if self.pass.is_empty() {
            self.stage = self.floor.take(&mut self.pass);
        }
        let company = self.pass.len() > 1 || !self.floor.is_empty();
        self.shared.company.store(company, Relaxed);
        !self.pass.is_empty()
    }

    /// Takes who is new and who was woken into the pass.
    fn take_woken(&mut self, conductor: &Waker) {
        let new = {
            let mut left = self.shared.desk.lock();
            std::mem::swap(&mut left.woken, &mut self.pass);
            left.idle = self.pass.is_empty() && left.new.is_empty() && self.floor.is_empty();
            if left.idle && !left.conductor.as_ref().is_some_and(|old| old.will_wake(conductor)) {
                left.conductor = Some(conductor.clone());
            }
            std::mem::take(&mut left.new)
        };
        for work in new {
            let place = self.seat(work);
            self.pass.push(place);
        }
    }

    fn seat(&mut self, work: Work) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        let (rung, shared) = (AtomicBool::new(true), Arc::clone(&self.shared));
        let bell = Arc::new(Bell { place, rung, shared });
        let waker = Waker::from(Arc::clone(&bell));
        self.tasks[place] = Some(Task { work, bell, waker, halts: None });
        place
    }

    /// Polls the task at this place, if there is one and it was not polled since.
    fn poll_task(&mut self, place: usize) {
        let Some(task) = &mut self.tasks[place] else { return };
        match self.stage {
            // Something else has woken it.
            Some(_) if task.halts != self.stage => return,
            Some(_) => {}
            None => {
                // What was done before it was rung is seen from here on.
                let _rung = task.bell.rung.swap(false, AcqRel);
            }
        }
        let Shared { on, halted, in_turn, .. } = &*self.shared;
        on.store(task.waker.data().addr(), Relaxed);
        in_turn.store(self.stage.is_some(), Relaxed);
        let mut cx = Context::from_waker(&task.waker);
        let polled = catch_unwind(AssertUnwindSafe(|| task.work.as_mut().poll(&mut cx)));
        on.store(0, Relaxed);
        if let Ok(Poll::Pending) = polled {
            // Nobody else writes there, so that it need not be one step.
            task.halts = halted.load(Relaxed).checked_sub(1);
            halted.store(0, Relaxed);
            if let Some(stage) = task.halts {
                self.floor.halt(stage, place);
            }
        } else {
            halted.store(0, Relaxed);
            self.free.push(place);
            let over = self.tasks[place].take();
            // It was told where it panicked, and so it is when it does once more.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(over)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::super::{Cohort, Stage, Turn};
    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// What a task does next.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Does {
        /// Halts early or late in a call.
        Halts(Stage),
        /// Waits to be woken.
        Sleeps,
        /// Wakes itself.
        Yields,
    }

    /// What is known of a task from outside.
    #[derive(Default)]
    struct Known {
        /// It sleeps, and can be woken by this.
        asleep: Mutex<Option<Waker>>,
        over: AtomicBool,
    }

    /// A task that does all of this.
    async fn script(cohort: Cohort, known: Arc<Known>, does: Vec<Does>) {
        for one in does {
            match one {
                Does::Halts(stage) => cohort.reach(stage).await,
                Does::Yields => {
                    let mut once = false;
                    poll_fn(|cx| {
                        cx.waker().wake_by_ref();
                        if std::mem::replace(&mut once, true) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                }
                Does::Sleeps => {
                    let mut slept = false;
                    poll_fn(|cx| {
                        let mut asleep = known.asleep.lock().unwrap();
                        if slept && asleep.is_none() {
                            return Poll::Ready(());
                        }
                        slept = true;
                        *asleep = Some(cx.waker().clone());
                        Poll::Pending
                    })
                    .await;
                }
            }
        }
        known.over.store(true, Relaxed);
    }

    /// Every pair of tasks that do three of these things: whenever the conductor rests, whoever is not
    /// over sleeps; woken one after the other, in either order, or both at once, they come to their end.
    #[test]
    fn nobody_is_forgotten() {
        let all = [Does::Halts(Stage::Read), Does::Halts(Stage::Write), Does::Sleeps, Does::Yields];
        let scripts: Vec<Vec<Does>> = (0..64)
            .map(|number| [1, 4, 16].map(|place| all[number / place % 4]).to_vec())
            .collect();
        for (number, first) in scripts.iter().enumerate() {
            for second in &scripts {
                for order in [[0, 1], [1, 0], [0, 0]] {
                    play([first, second], order, number);
                }
            }
        }
    }

    fn play(scripts: [&Vec<Does>; 2], order: [usize; 2], number: usize) {
        let (cohort, count) = (Cohort::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut conductor = Conductor::new(Arc::clone(&cohort.0));
        let known = [(); 2].map(|()| Arc::new(Known::default()));
        for (known, does) in known.iter().zip(scripts) {
            cohort.spawn(script(cohort.clone(), Arc::clone(known), does.clone()));
        }
        // Three sleeps each at most, and the first time.
        for _ in 0..8 {
            rest(&mut conductor, &waker, &count);
            let mut sleepers = Vec::new();
            for known in &known {
                let asleep = known.asleep.lock().unwrap().is_some();
                assert_ne!(asleep, known.over.load(Relaxed), "{scripts:?} {order:?} {number}");
                sleepers.extend(asleep.then_some(known));
            }
            let wake = |known: &Known| known.asleep.lock().unwrap().take().unwrap().wake();
            match (sleepers.as_slice(), order) {
                ([], _) => break,
                ([one], _) => wake(one),
                (both, [0, 0]) => both.iter().for_each(|known| wake(known)),
                (both, [which, _]) => wake(both[which]),
            }
        }
        assert!(known.iter().all(|known| known.over.load(Relaxed)), "{scripts:?} {order:?}");
        assert!(conductor.tasks.iter().all(Option::is_none));
    }

    /// Polls until the conductor rests.
    fn rest(conductor: &mut Conductor, waker: &Waker, count: &Count) {
        for _ in 0..20 {
            let before = count.0.load(Relaxed);
            assert!(conductor.poll(&mut Context::from_waker(waker)).is_pending());
            if count.0.load(Relaxed) == before {
                return;
            }
        }
        panic!("it does not rest");
    }

    #[test]
    fn a_stage_has_its_turn_before_another_has_it_twice() {
        let mut floor = Floor::default();
        let take = |floor: &mut Floor| {
            let mut cohort = Vec::new();
            floor.take(&mut cohort).map(|stage| (stage, cohort))
        };
        assert_eq!(take(&mut floor), None);
        for (stage, place) in [(3, 1), (3, 2), (7, 3)] {
            floor.halt(stage, place);
        }
        assert_eq!(take(&mut floor), Some((3, vec![1, 2])));
        // They halt there again, and another comes before them.
        for (stage, place) in [(3, 1), (3, 2), (1, 4)] {
            floor.halt(stage, place);
        }
        assert_eq!(take(&mut floor), Some((7, vec![3])));
        assert_eq!(take(&mut floor), Some((1, vec![4])));
        assert_eq!(take(&mut floor), Some((3, vec![1, 2])));
        assert!(floor.is_empty());
        assert_eq!(take(&mut floor), None);
    }

    /// The first task wakes itself for ever, the second and the fourth halt early for ever, the third halts
    /// late, is woken and sleeps from then on.
    #[test]
    fn who_was_woken_and_who_halts_go_on_by_turns() {
        let (cohort, count) = (Cohort::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut conductor = Conductor::new(Arc::clone(&cohort.0));
        let (log, bell) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None::<Waker>)));
        for which in 0..4 {
            let (log, bell, halts) = (Arc::clone(&log), Arc::clone(&bell), cohort.clone());
            let mut polled = 0;
            cohort.spawn(poll_fn(move |cx| {
                log.lock().unwrap().push(which);
                polled += 1;
                let halt = |stage| assert!(Turn::default().poll(&halts, stage, cx).is_pending());
                match (which, polled) {
                    (0, _) => cx.waker().wake_by_ref(),
                    (2, 1) => {
                        halt(Stage::Write);
                        *bell.lock().unwrap() = Some(cx.waker().clone());
                    }
                    (2, _) => {}
                    _ => {
                        halt(Stage::Read);
                        bell.lock()
                            .unwrap()
                            .take_if(|_| which == 3)
                            .into_iter()
                            .for_each(Waker::wake);
                    }
                }
                Poll::Pending
            }));
        }
        assert!(conductor.poll(&mut Context::from_waker(&waker)).is_pending());
        // The one look that is missing is at the third, which had halted late and did so no more.
        let polls = [0, 1, 2, 3, 1, 3, 0, 2, 0, 1, 3, 0, 1, 3, 0];
        assert_eq!(*log.lock().unwrap(), polls);
        assert_eq!(cohort.0.on.load(Relaxed), 0, "nobody is being polled");
        assert_eq!(count.0.load(Relaxed), 1, "there is more to do, and it was not idle before");
    }

    #[test]
    fn who_waits_elsewhere_is_company() {
        let (cohort, count) = (Cohort::default(), Arc::new(Count::default()));
        let mut conductor = Conductor::new(Arc::clone(&cohort.0));
        let halted = Arc::new(Mutex::new(Vec::new()));
        for stages in [[Stage::Read, Stage::Send], [Stage::Write, Stage::Write]] {
            let (halts, halted) = (cohort.clone(), Arc::clone(&halted));
            cohort.spawn(async move {
                for stage in stages {
                    let mut turn = Turn::default();
                    poll_fn(|cx| {
                        let polled = turn.poll(&halts, stage, cx);
                        halted.lock().unwrap().extend(polled.is_pending().then_some(stage));
                        polled
                    })
                    .await;
                }
            });
        }
        rest(&mut conductor, &Waker::from(Arc::clone(&count)), &count);
        assert_eq!(*halted.lock().unwrap(), [Stage::Read, Stage::Write, Stage::Send]);
    }

    /// A connection that comes, and one that goes: places are taken again.
    #[test]
    fn places_are_used_again() {
        let (cohort, count) = (Cohort::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut conductor = Conductor::new(Arc::clone(&cohort.0));
        let old = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&old);
        cohort.spawn(poll_fn(move |cx| {
            *kept.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        for _ in 0..1000 {
            rest(&mut conductor, &waker, &count);
            cohort.spawn(async {});
        }
        rest(&mut conductor, &waker, &count);
        assert_eq!(conductor.tasks.len(), 1);
        // Whoever wakes one that is long over wakes nobody else for nothing but a look.
        let mut turn = Turn::default();
        let halts = cohort.clone();
        let looks = Arc::new(AtomicUsize::new(0));
        let looked = Arc::clone(&looks);
        cohort.spawn(poll_fn(move |cx| {
            looked.fetch_add(1, Relaxed);
            let _alone = turn.poll(&halts, Stage::Read, cx);
            Poll::Pending
        }));
        rest(&mut conductor, &waker, &count);
        old.lock().unwrap().take().unwrap().wake();
        rest(&mut conductor, &waker, &count);
        assert_eq!(looks.load(Relaxed), 2);
    }
}
