//! Answers that are completed by going on, calls that must not happen twice, callers with little patience.

use super::*;
use crate::policy::Recovery;

/// A plan of a route whose targets go on with a partial answer or do not.
fn continuing(world: &World, prefill: &[bool]) -> Plan<Cell> {
    let candidates = world.cells.iter().zip(prefill);
    let candidates = candidates.map(|(cell, prefill)| Candidate {
        handle: cell.clone(),
        window: None,
        prefill: *prefill,
    });
    Plan::new(facts(true), Arc::clone(&world.policy), candidates.collect(), Dice::new(7))
}

fn wishes(recovery: Recovery) -> Policy {
    let mut policy = Policy::default();
    policy.stream.recovery = recovery;
    policy
}

/// Brings a call to its first delivered content, and breaks it there.
fn broken(world: &mut World, plan: &mut Plan<Cell>) {
    world.started(plan);
    plan.saw(Seen::Content { slot: 0 }, world.now);
    assert_eq!(world.next(plan), Step::Deliver { slot: 0 });
    world.fails(plan, 0, of_transport(TransportFault::CutMidBody));
    assert!(plan.is_recovering());
}

#[test]
fn a_target_that_takes_partial_answers_is_asked_to_go_on_before_others_tell_all_again() {
    let mut world = World::new(3, wishes(Recovery::Continue));
    let mut plan = continuing(&world, &[false, false, true]);
    broken(&mut world, &mut plan);
    plan.can_continue();
    let start = world.started(&mut plan);
    assert_eq!((start.role, start.track), (Role::Continue, 2));
    plan.saw(Seen::Content { slot: start.slot }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: start.slot });
    plan.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
    assert!(answered(&world.next(&mut plan)));
    assert_eq!(world.held(), 0);
}

#[test]
fn a_target_that_refuses_a_partial_answer_tells_it_from_the_start_and_nobody_a_third_time() {
    let mut world = World::new(2, wishes(Recovery::Continue));
    let mut plan = continuing(&world, &[false, true]);
    broken(&mut world, &mut plan);
    plan.can_continue();
    let start = world.started(&mut plan);
    assert_eq!((start.role, start.track), (Role::Continue, 1));
    world.fails(&mut plan, start.slot, verdict(Kind::InvalidRequest, false, None));
    assert!(plan.is_recovering());
    let again = world.started(&mut plan);
    assert_eq!((again.role, again.track), (Role::Replay, 1));
    world.fails(&mut plan, again.slot, verdict(Kind::InternalError, true, None));
    let ended = world.next(&mut plan);
    assert_eq!(ended, Step::Done(Ending::Broken { kind: Kind::StreamInterrupted }));
    assert_eq!(world.held(), 0);
}

#[test]
fn nobody_is_asked_to_go_on_where_the_policy_or_the_answer_does_not_allow_it() {
    for (recovery, can) in [(Recovery::Verified, true), (Recovery::Continue, false)] {
        let mut world = World::new(2, wishes(recovery));
        let mut plan = continuing(&world, &[false, true]);
        broken(&mut world, &mut plan);
        if can {
            plan.can_continue();
        }
        assert_eq!(world.started(&mut plan).role, Role::Replay);
    }
}

#[test]
fn the_target_that_broke_goes_on_itself_when_no_other_can() {
    let mut world = World::new(2, wishes(Recovery::Continue));
    let mut plan = continuing(&world, &[true, false]);
    broken(&mut world, &mut plan);
    plan.can_continue();
    let start = world.started(&mut plan);
    assert_eq!((start.role, start.track), (Role::Continue, 0));
}

/// One call whose first telling breaks; whether the other target was asked, and answers or differs.
fn completed_elsewhere(world: &mut World, complete: bool) -> bool {
    let mut plan = world.plan(facts(true));
    broken(world, &mut plan);
    let Step::Start(start) = world.next(&mut plan) else { return false };
    if start.track != 1 {
        plan.abandon(world.now);
        return false;
    }
    plan.saw(Seen::Content { slot: start.slot }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: start.slot });
    if complete {
        plan.saw(Seen::Finished { slot: start.slot, tokens: None }, world.now);
        assert!(answered(&world.next(&mut plan)));
    } else {
        world.fails(&mut plan, start.slot, of_transport(TransportFault::CutMidBody));
        assert!(matches!(world.next(&mut plan), Step::Done(Ending::Broken { .. })));
    }
    true
}

#[test]
fn a_fallback_completes_any_number_of_answers_and_fails_to_only_as_its_budget_lasts() {
    let mut world = World::new(2, Policy::default());
    let asked = (0..1000).filter(|_| completed_elsewhere(&mut world, true)).count();
    assert_eq!(asked, 1000, "what completes an answer costs nothing");
    assert_eq!(world.held(), 0);
    let asked = (0..1000).filter(|_| completed_elsewhere(&mut world, false)).count();
    assert_eq!(asked, 500 / 14, "what completes none is gone");
    assert_eq!(world.held(), 0);
}

fn said(status: Option<u16>, kind: Kind) -> Verdict {
    let mut verdict = verdict(kind, true, None);
    verdict.failure.provider.status = status;
    verdict
}

#[test]
fn what_must_not_happen_twice_is_sent_again_only_if_it_did_not_happen() {
    let cases = [
        (false, None, Kind::Connection, true),
        (true, None, Kind::Connection, false),
        (true, Some(200), Kind::Overloaded, false),
        (true, Some(500), Kind::InternalError, false),
        (true, Some(504), Kind::GatewayTimeout, false),
        (true, Some(503), Kind::ServiceUnavailable, true),
        (true, Some(429), Kind::RateLimitOther, true),
    ];
    for (reached, status, kind, again) in cases {
        let mut world = World::new(2, Policy::default());
        let mut plan = world.plan(Facts { repeatable: false, recoverable: false, ..facts(true) });
        world.started(&mut plan);
        if reached {
            plan.saw(Seen::Sending { slot: 0 }, world.now);
        }
        world.fails(&mut plan, 0, said(status, kind));
        match world.next(&mut plan) {
            Step::Start(_) => assert!(again, "{status:?} {kind:?} reached: {reached}"),
            Step::Done(Ending::Failed(end)) => {
                assert_eq!(end.why, Why::NotRepeatable);
                assert!(!again, "{status:?} {kind:?} reached: {reached}");
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn nothing_is_sent_beside_what_must_not_happen_twice() {
    let mut world = World::new(2, Policy::default());
    let mut plan = world.plan(Facts { repeatable: false, recoverable: false, ..facts(true) });
    world.started(&mut plan);
    plan.saw(Seen::Sending { slot: 0 }, world.now);
    assert_eq!(world.next(&mut plan), Step::Cancel { slot: 0 }, "silent to its hard limit");
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::NotRepeatable),
        step => panic!("{step:?}"),
    }
}

#[test]
fn the_end_of_a_callers_patience_comes_before_the_deadline_and_only_while_he_has_nothing() {
    let patience = Facts { answer_by: Moment::from_millis(3_010), ..facts(true) };
    let mut world = World::new(1, Policy::default());
    let mut plan = world.plan(patience);
    world.started(&mut plan);
    assert_eq!(world.next(&mut plan), Step::Cancel { slot: 0 });
    assert_eq!(world.now, Moment::from_millis(3_010));
    match world.next(&mut plan) {
        Step::Done(Ending::Failed(end)) => assert_eq!(end.why, Why::Deadline),
        step => panic!("{step:?}"),
    }
    let mut plan = world.plan(Facts { answer_by: world.now + Duration::from_secs(1), ..patience });
    world.started(&mut plan);
    plan.saw(Seen::Content { slot: 0 }, world.now);
    assert_eq!(world.next(&mut plan), Step::Deliver { slot: 0 });
    world.pass(Duration::from_secs(2));
    assert!(matches!(plan.step(world.now), Step::Wait { .. }), "he has something");
}
