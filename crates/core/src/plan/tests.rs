//! The plan in small worlds: one or two targets behind a cell each, time moved by hand.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the step it wants")]

mod told;

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use super::*;
use crate::classify::{TransportFault, of_transport};
use crate::failure::{Failure, Kind, Next, Origin, ProviderSaid, Scope};
use crate::hints::RateHints;
use crate::policy::Limits;
use crate::rules::breaker::State;
use crate::rules::pacer::Pacer;
use crate::shared::TargetState;

mod beside;
mod recovering;
mod waiting;

#[derive(Clone, Debug)]
struct Cell(Rc<RefCell<(TargetState, Pacer)>>);

impl Handle for Cell {
    fn target<R>(&self, rule: impl FnOnce(&mut TargetState) -> R) -> R {
        rule(&mut self.0.borrow_mut().0)
    }

    fn pacer<R>(&self, rule: impl FnOnce(&mut Pacer) -> R) -> R {
        rule(&mut self.0.borrow_mut().1)
    }
}

struct World {
    policy: Arc<Policy>,
    cells: Vec<Cell>,
    now: Moment,
}

impl World {
    fn new(targets: usize, policy: Policy) -> World {
        let cell = || {
            let pacer = Pacer::new(&Limits::default(), Moment::ZERO);
            Cell(Rc::new(RefCell::new((TargetState::new(&policy), pacer))))
        };
        World {
            cells: (0..targets).map(|_| cell()).collect(),
            policy: Arc::new(policy),
            now: Moment::from_millis(10),
        }
    }

    fn plan(&self, facts: Facts) -> Plan<Cell> {
        let candidates = self.cells.iter().map(|cell| Candidate {
            handle: cell.clone(),
            window: None,
            prefill: false,
        });
        Plan::new(facts, Arc::clone(&self.policy), candidates.collect(), Dice::new(7))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Steps until something else than a wait comes, jumping over waits.
    fn next(&mut self, plan: &mut Plan<Cell>) -> Step {
        for _ in 0..1000 {
            match plan.step(self.now) {
                Step::Wait { until: Moment::FAR, .. } => panic!("waits for ever"),
                Step::Wait { until, .. } => self.now = until.max(self.now),
                step => return step,
            }
        }
        panic!("a thousand waits without a step");
    }

    fn started(&mut self, plan: &mut Plan<Cell>) -> Start {
        match self.next(plan) {
            Step::Start(start) => start,
            step => panic!("not a start: {step:?}"),
        }
    }

    fn fails(&self, plan: &mut Plan<Cell>, slot: usize, verdict: Verdict) {
        plan.saw(Seen::Failed { slot, verdict, hints: &RateHints::default() }, self.now);
    }

    /// What calls still hold of the shared state.
    fn held(&self) -> u32 {
        self.cells.iter().map(|c| c.target(|t| t.in_flight) + c.pacer(|p| p.in_flight())).sum()
    }
}

fn facts(stream: bool) -> Facts {
    Facts {
        stream,
        replayable: true,
        repeatable: true,
        recoverable: stream,
        tokens: 100,
        bytes: 100,
        deadline: Moment::from_millis(600_000),
        answer_by: Moment::FAR,
        silence_max: None,
    }
}

fn verdict(kind: Kind, retryable: bool, wait: Option<Duration>) -> Verdict {
    let next = if retryable { Next::SameTarget { wait } } else { Next::Nobody };
    Verdict {
        failure: Failure {
            kind,
            origin: Origin::Provider,
            scope: Scope::None,
            next,
            provider: ProviderSaid::default(),
            attempts: 1,
        },
        retryable,
        delay: wait,
        wait,
    }
}

fn answered(step: &Step) -> bool {
    *step == Step::Done(Ending::Answered)
}

#[test]
fn a_clean_call_starts_delivers_and_ends() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(false));
    let start = world.started(&mut plan);
    assert_eq!((start.role, start.slot, start.cause), (Role::First, 0, Cause::None));
    plan.saw(Seen::Head { slot: 0, hints: &RateHints::default() }, world.now);
    plan.saw(Seen::Finished { slot: 0, tokens: Some(80) }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: 0 });
    assert!(answered(&world.next(&mut plan)));
    assert_eq!(world.held(), 0);
}

#[test]
fn a_final_failure_is_never_followed_by_another_attempt() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(facts(false));
    world.started(&mut plan);
    world.fails(&mut plan, 0, verdict(Kind::InvalidRequest, false, None));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::NotRetryable),
        step => panic!("{step:?}"),
    }
    assert_eq!(world.held(), 0);
}

#[test]
fn a_rate_limit_is_waited_out_at_the_same_target_and_not_counted() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(false));
    world.started(&mut plan);
    for _ in 0..20 {
        let wait = Duration::from_millis(300);
        let before = world.now;
        world.fails(&mut plan, 0, verdict(Kind::RateLimitRequests, true, Some(wait)));
        let start = world.started(&mut plan);
        assert_eq!(start.role, Role::Resend);
        assert!(world.now.since(before) >= wait, "never earlier than the hint");
    }
    assert_eq!(plan.sent(), 21);
}

#[test]
fn a_hint_beyond_the_longest_wait_ends_the_call_with_the_date() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(false));
    world.started(&mut plan);
    let wait = Duration::from_secs(86_400);
    world.fails(&mut plan, 0, verdict(Kind::RateLimitRequests, true, Some(wait)));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => {
            assert_eq!(end.retry_after, Some(wait));
            assert!(matches!(end.why, Why::WaitTooLong { .. }));
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn an_overloaded_target_is_left_at_once_and_a_faulty_one_is_tried_again() {
    for (kind, track) in [(Kind::Overloaded, 1), (Kind::InternalError, 0)] {
        let mut world = World::new(2, Policy::default());
        let mut plan = world.plan(facts(false));
        assert_eq!(world.started(&mut plan).track, 0);
        world.fails(&mut plan, 0, verdict(kind, true, None));
        assert_eq!(world.started(&mut plan).track, track, "{kind}");
    }
}

#[test]
fn a_silent_stream_gets_another_beside_it_and_the_first_content_wins() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(facts(true));
    assert_eq!(world.started(&mut plan).slot, 0);
    let beside = world.started(&mut plan);
    assert_eq!((beside.role, beside.slot, beside.track), (Role::Beside, 1, 1));
    assert_eq!(world.now.since(Moment::from_millis(10)), Duration::from_secs(10));
    plan.saw(Seen::Content { slot: 1 }, world.now);
    assert_eq!(world.next(&mut plan), Step::Cancel { slot: 0 });
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: 1 });
    plan.saw(Seen::Terminal { slot: 1 }, world.now);
    plan.saw(Seen::Finished { slot: 1, tokens: None }, world.now);
    assert!(answered(&world.next(&mut plan)));
    assert_eq!(world.held(), 0);
}

#[test]
fn a_stream_that_falls_silent_after_content_ends_broken() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(true));
    world.started(&mut plan);
    plan.saw(Seen::Content { slot: 0 }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: 0 });
    assert_eq!(world.next(&mut plan), Step::Cancel { slot: 0 }, "and is not asked again");
    let ended = world.next(&mut plan);
    assert_eq!(ended, Step::Done(Ending::Broken { kind: Kind::RequestTimeout }));
    assert_eq!(world.held(), 0);
}

#[test]
fn content_that_was_never_handed_over_can_still_be_replaced() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(true));
    world.started(&mut plan);
    plan.saw(Seen::Content { slot: 0 }, world.now);
    world.fails(&mut plan, 0, of_transport(TransportFault::CutMidBody));
    assert_eq!(world.started(&mut plan).role, Role::Retry);
}

#[test]
fn calls_wait_for_an_open_circuit_and_give_up_when_patience_ends() {
    let mut world = World::new(1, Policy::default());
    while world.cells[0].target(|t| t.breaker.state()) == State::Closed {
        let mut plan = world.plan(facts(false));
        world.started(&mut plan);
        world.fails(&mut plan, 0, verdict(Kind::ServiceUnavailable, true, None));
        plan.abandon(world.now);
    }
    let begun = world.now;
    let mut plan = world.plan(facts(false));
    let mut probes = 0;
    let end = loop {
        match world.next(&mut plan) {
            Step::Start(start) => {
                assert_eq!(start.role, Role::Probe, "an open circuit lets only probes pass");
                probes += 1;
                world.pass(Duration::from_millis(20));
                world.fails(&mut plan, start.slot, verdict(Kind::ServiceUnavailable, true, None));
            }
            Step::Done(Ending::Failed(end)) => break end,
            step => panic!("{step:?}"),
        }
    };
    assert!(matches!(end.why, Why::CircuitOpen { .. }), "{end:?}");
    assert!(world.now.since(begun) <= world.policy.retry.patience + Duration::from_secs(5));
    assert!(probes > 1, "the target is asked again while the call waits");
}

#[test]
fn the_deadline_holds_in_every_state() {
    let short = Facts { deadline: Moment::from_millis(1_010), ..facts(true) };
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(short);
    world.started(&mut plan);
    assert_eq!(world.next(&mut plan), Step::Cancel { slot: 0 });
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::Deadline),
        step => panic!("{step:?}"),
    }
    assert_eq!(world.now, short.deadline);
    assert_eq!(world.held(), 0);
}

#[test]
fn a_call_that_is_dropped_anywhere_gives_everything_back() {
    for steps in 0..4 {
        let mut world = World::new(2, Policy::default());
        let mut plan = world.plan(facts(true));
        for _ in 0..steps {
            if let Step::Start(_) = world.next(&mut plan) {}
        }
        plan.abandon(world.now);
        assert_eq!(world.held(), 0, "dropped after {steps} steps");
    }
}

#[test]
fn a_body_that_cannot_be_sent_again_is_not() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(Facts { replayable: false, ..facts(false) });
    world.started(&mut plan);
    world.fails(&mut plan, 0, verdict(Kind::InternalError, true, None));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::NotReplayable),
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_broken_stream_is_told_once_more_elsewhere_and_not_a_third_time() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(facts(true));
    world.started(&mut plan);
    plan.saw(Seen::Content { slot: 0 }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: 0 });
    world.fails(&mut plan, 0, of_transport(TransportFault::CutMidBody));
    assert!(plan.is_recovering());
    let replay = world.started(&mut plan);
    assert_eq!((replay.role, replay.track), (Role::Replay, 1));
    plan.saw(Seen::Content { slot: replay.slot }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: replay.slot });
    world.fails(&mut plan, replay.slot, of_transport(TransportFault::CutMidBody));
    let ended = world.next(&mut plan);
    assert_eq!(ended, Step::Done(Ending::Broken { kind: Kind::StreamInterrupted }));
    assert_eq!(world.held(), 0);
}

#[test]
fn a_rate_limit_that_names_no_time_is_left_after_as_many_tries_as_a_failure() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(facts(true));
    for _ in 0..Policy::default().retry.attempts_max {
        let start = world.started(&mut plan);
        assert_eq!(start.track, 0);
        world.fails(&mut plan, start.slot, verdict(Kind::RateLimitOther, true, None));
    }
    assert_eq!(world.started(&mut plan).track, 1, "the other target is asked");
}

#[test]
fn hints_that_add_up_beyond_what_may_be_waited_move_on() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(facts(true));
    let hint = Some(Duration::from_secs(2));
    for _ in 0..3 {
        let start = world.started(&mut plan);
        assert_eq!(start.track, 0, "{:?}", world.now);
        world.fails(&mut plan, start.slot, verdict(Kind::RateLimitOther, true, hint));
    }
    assert_eq!(world.started(&mut plan).track, 1, "the other target is asked");
}

#[test]
fn refusals_that_never_end_are_waited_out_for_no_longer_than_one_wait_may_take() {
    for wait in [None, Some(Duration::from_millis(700))] {
        let mut world = World::new(1, Policy::default());
        let mut plan = world.plan(facts(false));
        let mut step = world.next(&mut plan);
        let begun = world.now;
        while let Step::Start(start) = step {
            world.pass(Duration::from_millis(5));
            world.fails(&mut plan, start.slot, verdict(Kind::ConcurrentLimit, true, wait));
            step = world.next(&mut plan);
        }
        let Step::Done(Ending::Failed(end)) = step else { panic!("{step:?}") };
        assert!(matches!(end.why, Why::WaitTooLong { .. }), "{end:?}");
        let waited = world.now.since(begun);
        let longest = world.policy.retry.wait_max;
        assert!(waited <= longest + Duration::from_secs(1), "{waited:?} for {wait:?}");
        assert!(waited >= longest / 2, "{waited:?}: given up too early for {wait:?}");
        assert_eq!(world.held(), 0);
    }
}

#[test]
fn a_call_that_opens_the_circuit_by_itself_ends_with_the_fault_it_met() {
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(false));
    let begun = world.now;
    let end = loop {
        match world.next(&mut plan) {
            Step::Start(start) => {
                world.fails(&mut plan, start.slot, verdict(Kind::InternalError, true, None));
            }
            Step::Done(Ending::Failed(end)) => break end,
            step => panic!("{step:?}"),
        }
    };
    assert!(matches!(end.why, Why::AttemptsUsed { .. }), "{end:?}");
    assert!(world.now.since(begun) < Duration::from_secs(10), "the caller need not wait for it");
    assert!(plan.sent() <= world.policy.retry.attempts_per_call_max);
}

/// Others of whom every `fail_each`th meets a fault; what they have shown is a second old.
fn others(world: &mut World, fail_each: u32) {
    for number in 1..=60 {
        let mut plan = world.plan(facts(false));
        let start = world.started(&mut plan);
        if number % fail_each == 0 {
            let fault = verdict(Kind::InternalError, true, None);
            world.fails(&mut plan, start.slot, fault);
            plan.abandon(world.now);
        } else {
            plan.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
        }
        world.pass(Duration::from_millis(20));
    }
}

/// How many attempts a call makes that meets nothing but faults, while others fare so.
fn attempts_beside(fail_each: u32, policy: Policy) -> u32 {
    let mut world = World::new(1, policy);
    others(&mut world, fail_each);
    let mut plan = world.plan(facts(false));
    loop {
        match world.next(&mut plan) {
            Step::Start(start) => {
                let fault = verdict(Kind::InternalError, true, None);
                world.fails(&mut plan, start.slot, fault);
                // Somebody is answered in between, so that the circuit stays closed.
                let mut other = world.plan(facts(false));
                let start = world.started(&mut other);
                other.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
            }
            Step::Done(Ending::Failed(end)) => {
                assert!(matches!(end.why, Why::AttemptsUsed { .. }), "{end:?}");
                return plan.sent();
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_call_that_a_brown_out_fails_again_and_again_is_tried_twice_as_often() {
    assert_eq!(attempts_beside(5, Policy::default()), 12, "a fifth of all fails");
    assert_eq!(attempts_beside(100, Policy::default()), 6, "it alone fails");
    assert_eq!(attempts_beside(30, Policy::default()), 6, "hardly anybody else fails");
}

#[test]
fn a_number_of_attempts_that_was_chosen_holds_in_a_brown_out_too() {
    let mut policy = Policy::default();
    policy.retry.attempts_per_call_max = 4;
    assert_eq!(attempts_beside(5, policy.clone()), 4);
    policy.retry.attempts_brown_out_max = Some(9);
    assert_eq!(attempts_beside(5, policy), 9);
}

#[test]
fn a_failure_that_names_a_time_is_not_tried_again_before_it() {
    let hint = Duration::from_secs(20);
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(facts(false));
    let first = world.started(&mut plan);
    let failed = world.now;
    world.fails(&mut plan, first.slot, verdict(Kind::ServiceUnavailable, true, Some(hint)));
    let again = world.started(&mut plan);
    assert!(world.now.since(failed) >= hint, "{:?} after the failure", world.now.since(failed));
    assert_eq!(again.cause, Cause::Hint);
}
