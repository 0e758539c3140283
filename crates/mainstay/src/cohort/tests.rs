use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

use super::*;

const ALL: [Stage; STAGES] = [
    Stage::Read,
    Stage::Caller,
    Stage::Known,
    Stage::Check,
    Stage::Looked,
    Stage::Admit,
    Stage::Pay,
    Stage::Hold,
    Stage::Begin,
    Stage::Plan,
    Stage::Attempt,
    Stage::Send,
    Stage::Heard,
    Stage::Deliver,
    Stage::Write,
];

/// Runs this on one thread.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// Calls that somebody conducts, and what happens to them.
fn conducted<T>() -> (Cohort, Log<T>) {
    let cohort = Cohort::default();
    tokio::spawn(cohort.clone().conduct());
    (cohort, Log::new())
}

/// What happened, in its order.
#[derive(Debug)]
struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Log<T> {
        Log(Arc::clone(&self.0))
    }
}

impl<T> Log<T> {
    fn new() -> Log<T> {
        Log(Arc::default())
    }

    fn note(&self, what: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call that passes all stages, and says where it is.
fn call(
    cohort: &Cohort,
    log: &Log<(Stage, usize)>,
    which: usize,
) -> (impl Future<Output = ()> + Send + use<>, oneshot::Receiver<()>) {
    let (cohort, log, (done, over)) = (cohort.clone(), log.clone(), oneshot::channel());
    let call = async move {
        for stage in ALL {
            cohort.reach(stage).await;
            log.note((stage, which));
        }
        done.send(()).expect("somebody waits");
    };
    (call, over)
}

#[test]
fn stages_are_passed_together_and_in_order() {
    on_one_thread(async {
        let (cohort, log) = conducted();
        // More than are polled in one go.
        let calls = (0..40).map(|which| {
            let (call, over) = call(&cohort, &log, which);
            cohort.spawn(call);
            over
        });
        for over in calls.collect::<Vec<_>>() {
            over.await.expect("no panic");
        }
        let together: Vec<(Stage, usize)> =
            ALL.iter().flat_map(|stage| (0..40).map(|call| (*stage, call))).collect();
        assert_eq!(log.take(), together);
    });
}

#[test]
fn whom_nobody_conducts_does_not_halt() {
    on_one_thread(async {
        let (cohort, log) = conducted();
        // They have company all the time: two tasks that are never at rest, nor at their end.
        for _ in 0..2 {
            cohort.spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::Pending
            }));
        }
        let calls = (0..3).map(|which| {
            let (call, over) = call(&cohort, &log, which);
            tokio::spawn(call);
            over
        });
        for over in calls.collect::<Vec<_>>() {
            over.await.expect("no panic");
        }
        let order: Vec<usize> = log.take().into_iter().map(|(_, call)| call).collect();
        assert_eq!(order, [[0; STAGES], [1; STAGES], [2; STAGES]].concat());
    });
}

#[test]
fn who_is_polled_by_another_waker_does_not_halt() {
    on_one_thread(async {
        let (cohort, log) = conducted();
        let (done, over) = oneshot::channel();
        let mut done = Some(done);
        for which in 0..2 {
            let (cohort, log, done) = (cohort.clone(), log.clone(), done.take());
            let polled = cohort.clone();
            cohort.spawn(async move {
                let other = poll_fn(|_| {
                    let mut turn = Turn::default();
                    let cx = Context::from_waker(std::task::Waker::noop());
                    Poll::Ready(turn.poll(&polled, Stage::Read, &cx))
                });
                log.note((which, other.await, polled.halts()));
                polled.reach(Stage::Write).await;
                if let Some(done) = done {
                    done.send(()).expect("somebody waits");
                }
            });
        }
        over.await.expect("no panic");
        assert_eq!(log.take(), [(0, Poll::Ready(()), false), (1, Poll::Ready(()), false)]);
    });
}

#[test]
fn a_call_that_is_alone_does_not_halt() {
    on_one_thread(async {
        let cohort = Cohort::default();
        tokio::spawn(cohort.clone().conduct());
        let (done, over) = oneshot::channel();
        let alone = cohort.clone();
        cohort.spawn(async move {
            let halted = poll_fn(|cx| {
                let halts = |stage| Turn::default().poll(&alone, stage, cx).is_pending();
                Poll::Ready(ALL.into_iter().filter(|stage| halts(*stage)).collect::<Vec<_>>())
            });
            done.send(halted.await).expect("somebody waits");
        });
        assert_eq!(over.await.expect("no panic"), []);
    });
}

#[test]
fn who_halts_and_is_woken_by_something_else_goes_on_with_those_that_were_woken() {
    on_one_thread(async {
        let (cohort, log, bell) = (Cohort::default(), Log::new(), Arc::new(Notify::new()));
        let conductor = cohort.clone().conduct();
        let (done, over) = oneshot::channel();
        let (halts, noted, rung) = (cohort.clone(), log.clone(), Arc::clone(&bell));
        cohort.spawn(async move {
            let (mut turn, mut ring) = (Turn::default(), std::pin::pin!(rung.notified()));
            poll_fn(|cx| {
                noted.note(("polled", halts.halts()));
                if ring.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let halted = turn.poll(&halts, Stage::Write, cx);
                assert_eq!((halted.is_pending(), halts.halts()), (true, true));
                halted
            })
            .await;
            noted.note(("gone", false));
            // The cohort that it stood in comes to it too late.
            halts.reach(Stage::Read).await;
            noted.note(("over", false));
            done.send(()).expect("somebody waits");
        });
        let (other, ring, noted) = (cohort.clone(), Arc::clone(&bell), log.clone());
        cohort.spawn(async move {
            ring.notify_one();
            other.reach(Stage::Read).await;
            noted.note(("other", false));
        });
        tokio::spawn(conductor);
        over.await.expect("no panic");
        // The stage whose turn it was comes before those that were woken.
        let order = ["polled", "other", "polled", "gone", "over"].map(|what| (what, false));
        assert_eq!(log.take(), order);
    });
}

#[test]
fn who_goes_on_with_his_stage_knows_that_nothing_else_has_woken_him() {
    on_one_thread(async {
        let (cohort, log) = conducted();
        let bells = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let calls = bells.clone().map(|bell| {
            let (halts, noted) = (cohort.clone(), log.clone());
            let (done, over) = oneshot::channel();
            cohort.spawn(async move {
                let (mut turn, mut ring) = (Turn::default(), std::pin::pin!(bell.notified()));
                poll_fn(|cx| {
                    let rung = ring.as_mut().poll(cx).is_ready();
                    noted.note((rung, halts.has_turn()));
                    turn.poll(&halts, Stage::Write, cx)
                })
                .await;
                done.send(()).expect("somebody waits");
            });
            over
        });
        for over in calls {
            over.await.expect("no panic");
        }
        // Each as it began, and then with the others of its stage.
        let order = [(false, false), (false, false), (false, true), (false, true)];
        assert_eq!(log.take(), order);
    });
}

#[test]
fn a_task_that_panics_ends_alone() {
    struct Left(Log<usize>);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.note(100);
        }
    }
    on_one_thread(async {
        let (cohort, log) = conducted();
        let (done, over) = oneshot::channel();
        let mut done = Some(done);
        for which in 0..3 {
            let (cohort, log, left, done) =
                (cohort.clone(), log.clone(), Left(log.clone()), done.take_if(|_| which == 2));
            cohort.clone().spawn(async move {
                cohort.reach(Stage::Read).await;
                assert_ne!(which, 1, "expected: this task is to panic");
                log.note(which);
                cohort.reach(Stage::Write).await;
                drop(left);
                if let Some(done) = done {
                    done.send(()).expect("somebody waits");
                }
            });
        }
        over.await.expect("the others go on");
        assert_eq!(log.take(), [0, 100, 2, 100, 100], "what the second held was given back");
    });
}

#[test]
fn tasks_end_with_their_conductor() {
    on_one_thread(async {
        let cohort = Cohort::default();
        let conductor = tokio::spawn(cohort.clone().conduct());
        let overs = [(); 2].map(|()| {
            let (held, over) = oneshot::channel::<()>();
            let cohort = cohort.clone();
            cohort.clone().spawn(async move {
                cohort.reach(Stage::Read).await;
                std::future::pending::<()>().await;
                drop(held);
            });
            over
        });
        yield_now().await;
        conductor.abort();
        for over in overs {
            over.await.expect_err("it was dropped");
        }
    });
}

#[test]
fn other_tasks_of_the_thread_have_their_turn() {
    on_one_thread(async {
        let (cohort, log) = (Cohort::default(), Log::new());
        let (done, over) = oneshot::channel();
        let mut done = Some(done);
        for which in 0..100 {
            let (log, done) = (log.clone(), done.take_if(|_| which == 99));
            cohort.spawn(async move {
                log.note(which);
                if let Some(done) = done {
                    done.send(()).expect("somebody waits");
                }
            });
        }
        tokio::spawn(cohort.clone().conduct());
        let other = log.clone();
        tokio::spawn(async move {
            for _ in 0..4 {
                other.note(1000);
                // Not tokio's own, which lets the thread look for events first.
                let mut again = true;
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::take(&mut again) { Poll::Pending } else { Poll::Ready(()) }
                })
                .await;
            }
        });
        over.await.expect("no panic");
        let log = log.take();
        let places: Vec<usize> = (0..log.len()).filter(|at| log[*at] == 1000).collect();
        assert_eq!(places, [16, 33, 50, 67]);
    });
}
