use std::cell::RefCell;
use std::rc::Rc;

use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::*;

const ALL: [Stage; STAGES] = [
    Stage::Read,
    Stage::Caller,
    Stage::Check,
    Stage::Admit,
    Stage::Pay,
    Stage::Begin,
    Stage::Attempt,
    Stage::Send,
    Stage::Heard,
    Stage::Body,
    Stage::Deliver,
    Stage::Take,
    Stage::Write,
];

/// Runs this on one thread.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, work)
}

/// Calls that somebody conducts.
async fn conducted() -> Cohort {
    let cohort = Cohort::default();
    spawn_local(cohort.clone().conduct());
    yield_now().await;
    cohort
}

/// What so many calls pass, in the order in which they do.
async fn passed(cohort: &Cohort, calls: usize) -> Vec<(Stage, usize)> {
    let log = Rc::new(RefCell::new(Vec::new()));
    let tasks = (0..calls).map(|call| {
        let (log, cohort) = (Rc::clone(&log), cohort.clone());
        spawn_local(async move {
            for stage in ALL {
                cohort.reach(stage).await;
                log.borrow_mut().push((stage, call));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    log.take()
}

#[test]
fn stages_are_passed_together_and_in_order() {
    on_one_thread(async {
        let cohort = conducted().await;
        let stages: Vec<Stage> = passed(&cohort, 8).await.into_iter().map(|(at, _)| at).collect();
        let together: Vec<Stage> = ALL.iter().flat_map(|stage| [*stage; 8]).collect();
        assert_eq!(stages, together);
    });
}

#[test]
fn without_a_conductor_nobody_halts() {
    on_one_thread(async {
        let calls: Vec<usize> =
            passed(&Cohort::default(), 3).await.into_iter().map(|(_, call)| call).collect();
        assert_eq!(calls, [[0; STAGES], [1; STAGES], [2; STAGES]].concat());
    });
}

#[test]
fn a_call_that_is_alone_halts_only_where_others_may_come() {
    on_one_thread(async {
        let cohort = conducted().await;
        for stage in ALL {
            let mut turn = Turn::default();
            let halted = poll_fn(|cx| {
                cohort.watch();
                let halted = turn.poll(&cohort, stage, cx).is_pending();
                assert_eq!((cohort.halts(), turn == Turn::Halted), (halted, halted));
                Poll::Ready(halted)
            });
            assert_eq!(halted.await, stage.gathers(), "{stage:?}");
            cohort.watch();
            assert!(!cohort.halts(), "what is pending now waits for something else");
            // The conductor finds who has gone on already, alone.
            yield_now().await;
        }
    });
}

#[test]
fn who_halts_goes_on_when_the_conductor_ends() {
    on_one_thread(async {
        let cohort = Cohort::default();
        let conductor = spawn_local(cohort.clone().conduct());
        yield_now().await;
        let calls = [Stage::Read, Stage::Heard].map(|stage| {
            let cohort = cohort.clone();
            spawn_local(async move { cohort.reach(stage).await })
        });
        // They halt, and the conductor is behind them.
        conductor.abort();
        for call in calls {
            call.await.expect("it goes on");
        }
        assert!(!cohort.is_halt(Stage::Read));
    });
}

/// Every way in which three calls can halt, go on and leave in seven steps: whoever is woken was
/// waiting, nobody is forgotten, each stage has its turn before another has it twice.
#[test]
fn nobody_is_forgotten_and_every_stage_has_its_turn() {
    /// Where a call is: not halting, waiting at a stage since a take, woken.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Is {
        Away,
        Waiting(usize, u32),
        Woken,
    }
    fn step(floor: &Floor<usize>, calls: [Is; 3], takes: u32, left: u32) {
        let copy = |from: &Floor<usize>| Floor { waiting: from.waiting.clone(), next: from.next };
        if left == 0 {
            return;
        }
        for (which, is) in calls.into_iter().enumerate() {
            match is {
                Is::Away => {
                    for stage in [Stage::Read, Stage::Write] {
                        let (mut floor, mut calls) = (copy(floor), calls);
                        floor.halt(stage, which);
                        calls[which] = Is::Waiting(stage as usize, takes);
                        step(&floor, calls, takes, left - 1);
                    }
                }
                Is::Woken => {
                    let mut calls = calls;
                    calls[which] = Is::Away;
                    step(floor, calls, takes, left - 1);
                }
                Is::Waiting(_, since) => {
                    assert!(takes - since < 2, "the other stage goes first once");
                }
            }
        }
        let (mut floor, mut calls, mut cohort) = (copy(floor), calls, Vec::new());
        let waits = |calls: &[Is; 3]| calls.iter().any(|call| matches!(call, Is::Waiting(..)));
        assert_eq!(floor.take(&mut cohort), waits(&calls));
        if cohort.is_empty() {
            return;
        }
        let Is::Waiting(stage, _) = calls[cohort[0]] else { panic!("it waited") };
        for (which, is) in calls.iter_mut().enumerate() {
            let taken = matches!(is, Is::Waiting(at, _) if *at == stage);
            assert_eq!(cohort.contains(&which), taken);
            if taken {
                *is = Is::Woken;
            }
        }
        step(&floor, calls, takes + 1, left - 1);
    }
    step(&Floor::default(), [Is::Away; 3], 0, 7);
}
