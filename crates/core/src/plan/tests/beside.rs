//! When another target is started beside a silent stream: by what was learnt of the silent one.

use super::*;
use crate::policy::HedgePolicy;

const SECOND: Duration = Duration::from_secs(1);

/// After which silence the second attempt starts, when `known` answers of the first target began
/// after `took`.
fn beside_after(hedge: &HedgePolicy, known: u32, took: Duration) -> Duration {
    let mut world = World::new(2, Policy { hedge: hedge.clone(), ..Policy::default() });
    for _ in 0..known {
        world.cells[0].target(|target| target.first_content.record(took));
    }
    let mut plan = world.plan(facts(true));
    world.started(&mut plan);
    let sent = world.now;
    let beside = world.started(&mut plan);
    assert_eq!((beside.role, beside.track), (Role::Beside, 1));
    world.now.since(sent)
}

#[track_caller]
fn about(found: Duration, wanted: Duration) {
    // What the quantile may be off, and the eye of the plan.
    let off = found.abs_diff(wanted);
    assert!(off <= wanted / 15 + Duration::from_millis(1), "{found:?}, not {wanted:?}");
}

#[test]
fn a_stream_has_ten_seconds_or_three_times_the_learnt_95th_percentile() {
    let off = &HedgePolicy { enabled: false, delay: None };
    about(beside_after(off, 0, SECOND), SECOND * 10);
    about(beside_after(off, 20, SECOND), SECOND * 10);
    about(beside_after(off, 19, SECOND * 5), SECOND * 10);
    about(beside_after(off, 20, SECOND * 5), SECOND * 15);
}

#[test]
fn a_hedge_waits_for_its_delay_or_the_learnt_95th_percentile_and_never_longer_than_others() {
    let learnt = &HedgePolicy { enabled: true, delay: None };
    about(beside_after(learnt, 0, SECOND), SECOND * 10);
    about(beside_after(learnt, 19, SECOND), SECOND * 10);
    about(beside_after(learnt, 20, SECOND), SECOND);
    let delay = |delay| HedgePolicy { enabled: true, delay: Some(delay) };
    about(beside_after(&delay(SECOND * 2), 0, SECOND), SECOND * 2);
    about(beside_after(&delay(SECOND * 2), 20, SECOND), SECOND * 2);
    about(beside_after(&delay(SECOND * 60), 0, SECOND), SECOND * 10);
}
