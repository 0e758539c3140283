//! Promises: told once, not too early, not missed, and over when it is over.

use super::*;

const SECOND: u64 = 1_000;

fn limits() -> AlertLimits {
    let seconds = Duration::from_secs;
    AlertLimits {
        circuit_after: seconds(2),
        calm: seconds(2),
        store_after: seconds(1),
        ..AlertLimits::default()
    }
}

fn at(second: u64) -> UnixMillis {
    UnixMillis(second * SECOND)
}

fn circuit(alerts: &mut Alerts, second: u64, open: bool) {
    alerts.see(at(second), Sighting::Circuit { target: "a/m", open });
}

fn changes(notices: &[Notice]) -> Vec<(Rule, Change)> {
    notices.iter().map(|notice| (notice.rule, notice.change)).collect()
}

/// What a condition tells in a story of seconds, read off the definition: raised when it was bad in
/// each of the last two seconds and this one, over when it was well so.
fn by_definition(story: &[bool]) -> Vec<(u64, Change)> {
    let mut told: Vec<(u64, Change)> = Vec::new();
    for second in 2..story.len() {
        let last = &story[second - 2..=second];
        let raised = told.last().is_some_and(|(_, change)| *change == Change::Raised);
        if !raised && last.iter().all(|bad| *bad) {
            told.push((second as u64, Change::Raised));
        } else if raised && last.iter().all(|bad| !*bad) {
            told.push((second as u64, Change::Recovered));
        }
    }
    told
}

#[test]
fn every_short_story_of_a_condition_is_told_as_defined() {
    const SECONDS: u32 = 11;
    let mut told_something = 0;
    for number in 0..1_u32 << SECONDS {
        let story: Vec<bool> = (0..SECONDS).map(|second| number >> second & 1 == 1).collect();
        let mut alerts = Alerts::new(limits());
        let mut told = Vec::new();
        for (second, bad) in (0..).zip(&story) {
            circuit(&mut alerts, second, *bad);
            told.extend(alerts.tick(at(second)).iter().map(|notice| (second, notice.change)));
        }
        assert_eq!(told, by_definition(&story), "{story:?}");
        let raised = told.last().is_some_and(|(_, change)| *change == Change::Raised);
        assert_eq!(alerts.active().len(), usize::from(raised), "{story:?}");
        told_something += u32::from(!told.is_empty());
    }
    assert!(told_something > 500);
}

#[test]
fn every_short_story_of_a_target_raises_at_the_third_same_failure() {
    const STEPS: u32 = 7;
    let alphabet = [None, Some(Kind::Overloaded), Some(Kind::Connection), Some(Kind::InvalidValue)];
    for number in 0..alphabet.len().pow(STEPS) {
        let story: Vec<Option<Kind>> =
            (0..STEPS).map(|step| alphabet[number / alphabet.len().pow(step) % 4]).collect();
        let mut alerts = Alerts::new(AlertLimits { calm: Duration::MAX, ..limits() });
        let mut raised = 0;
        for (second, kind) in (0..).zip(&story) {
            alerts
                .see(at(second), Sighting::Target { provider: "a", model: Some("m"), kind: *kind });
            let told = alerts.tick(at(second));
            raised += told.iter().filter(|notice| notice.change == Change::Raised).count();
        }
        // The caller's own mistakes neither count nor heal.
        let seen: Vec<_> = story.iter().filter(|kind| **kind != Some(Kind::InvalidValue)).collect();
        let three = seen.windows(3).any(|w| w[0].is_some() && w[0] == w[1] && w[1] == w[2]);
        assert_eq!(raised, usize::from(three), "{story:?}");
    }
}

#[test]
fn another_kind_of_failure_does_not_heal_and_a_success_does() {
    let mut alerts = Alerts::new(limits());
    let mut see = |second, kind| {
        alerts.see(at(second), Sighting::Target { provider: "a", model: None, kind });
        changes(&alerts.tick(at(second)))
    };
    for second in 0..2 {
        assert_eq!(see(second, Some(Kind::Overloaded)), []);
    }
    assert_eq!(see(2, Some(Kind::Overloaded)), [(Rule::PermanentFailure, Change::Raised)]);
    assert_eq!(see(3, Some(Kind::Connection)), []);
    assert_eq!(see(9, Some(Kind::Connection)), []);
    assert_eq!(see(10, None), []);
    assert_eq!(see(12, None), [(Rule::PermanentFailure, Change::Recovered)]);
}

#[test]
fn failures_far_apart_are_counted_together() {
    let mut alerts = Alerts::new(limits());
    let mut told = Vec::new();
    for hour in 0..3 {
        let kind = Some(Kind::Overloaded);
        alerts.see(at(hour * 3_600), Sighting::Target { provider: "a", model: None, kind });
        told.extend(changes(&alerts.tick(at(hour * 3_600))));
        told.extend(changes(&alerts.tick(at(hour * 3_600 + 1_800))));
    }
    assert_eq!(told, [(Rule::PermanentFailure, Change::Raised)]);
}

#[test]
fn a_used_up_quota_is_told_at_once_and_ends_with_an_answer() {
    let mut alerts = Alerts::new(limits());
    let mut see = |second, kind| {
        alerts.see(at(second), Sighting::Target { provider: "a", model: Some("m"), kind });
        changes(&alerts.tick(at(second)))
    };
    assert_eq!(see(0, Some(Kind::InsufficientQuota)), [(Rule::QuotaExhausted, Change::Raised)]);
    assert_eq!(see(1, Some(Kind::Overloaded)), [], "other trouble says nothing of the quota");
    assert_eq!(see(2, None), []);
    assert_eq!(see(4, None), [(Rule::QuotaExhausted, Change::Recovered)]);
}

#[test]
fn a_share_of_failures_counts_from_its_least_number_and_leaves_with_its_window() {
    let mut alerts = Alerts::new(limits());
    for call in 0..19 {
        alerts.see(at(0), Sighting::Calls { count: 1, failed: call < 6 });
    }
    assert_eq!(changes(&alerts.tick(at(0))), [], "19 calls say nothing");
    alerts.see(at(1), Sighting::Calls { count: 1, failed: false });
    let told = alerts.tick(at(1));
    assert_eq!(changes(&told), [(Rule::ErrorRate, Change::Raised)]);
    assert_eq!(told[0].what, "6 of 20 calls of the last 300 s failed");
    assert_eq!(changes(&alerts.tick(at(299))), []);
    assert_eq!(changes(&alerts.tick(at(330))), []);
    assert_eq!(changes(&alerts.tick(at(333))), [(Rule::ErrorRate, Change::Recovered)]);
}

#[test]
fn what_lasts_is_told_again_when_that_is_asked_for() {
    let repeat = Some(Duration::from_secs(60));
    let mut alerts = Alerts::new(AlertLimits { repeat, ..limits() });
    alerts.see(at(0), Sighting::Store { part: "records", trouble: Some("disk full") });
    assert_eq!(changes(&alerts.tick(at(1))), [(Rule::StoreDegraded, Change::Raised)]);
    assert_eq!(changes(&alerts.tick(at(60))), []);
    let told = alerts.tick(at(61));
    assert_eq!(changes(&told), [(Rule::StoreDegraded, Change::Repeated)]);
    assert_eq!(told[0].what, "the store cannot keep records: disk full");
    assert_eq!(told[0].since, at(0));
}

#[test]
fn each_budget_is_told_as_it_comes_and_is_never_active() {
    let mut alerts = Alerts::new(limits());
    for percent in [50, 90] {
        let (owner, spent, limit) = ("project `web`", "4.5", "5");
        alerts.see(at(0), Sighting::Budget { owner, percent, spent, limit });
    }
    let told = alerts.tick(at(0));
    assert_eq!(told[1].what, "the budget of project `web` has passed 90 %: 4.5 of 5 USD");
    assert_eq!(changes(&told), [(Rule::Budget, Change::Event); 2]);
    assert!(alerts.active().is_empty());
    assert_eq!(alerts.recent().map(|notice| notice.id).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_nobody_speaks_of_any_more_is_over_after_a_day() {
    let mut alerts = Alerts::new(limits());
    for second in 0..3 {
        circuit(&mut alerts, second, true);
    }
    assert_eq!(alerts.tick(at(2)).len(), 1);
    assert_eq!(alerts.tick(at(86_401)), []);
    assert_eq!(changes(&alerts.tick(at(86_402))), [(Rule::CircuitOpen, Change::Recovered)]);
    assert!(alerts.active().is_empty());
}

#[test]
fn nothing_grows_without_bound_and_what_is_raised_is_kept() {
    let mut alerts = Alerts::new(limits());
    let see = |alerts: &mut Alerts, from: usize, to: usize, kind: Kind| {
        for number in from..to {
            let provider = format!("p{number}");
            alerts.see(
                at(0),
                Sighting::Target { provider: &provider, model: None, kind: Some(kind) },
            );
        }
    };
    see(&mut alerts, 0, 1, Kind::InsufficientQuota);
    assert_eq!(alerts.tick(at(0)).len(), 1);
    see(&mut alerts, 1, 3 * CONDITIONS_MAX, Kind::Overloaded);
    assert!(alerts.conditions.len() <= CONDITIONS_MAX);
    assert_eq!(alerts.active().len(), 1);
    see(&mut alerts, 0, 3 * CONDITIONS_MAX, Kind::InsufficientQuota);
    alerts.tick(at(0));
    assert!(alerts.recent().count() <= RECENT_MAX);
    let long = "x\n".repeat(TEXT_MAX);
    alerts.see(at(0), Sighting::Budget { owner: &long, percent: 1, spent: "", limit: "" });
    assert!(alerts.tick(at(0))[0].subject.len() <= TEXT_MAX);
}
