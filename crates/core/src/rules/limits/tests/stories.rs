//! What is promised, story by story.

use alloc::string::ToString;
use std::time::Duration;

use super::*;

fn at(seconds: f64) -> Moment {
    Moment::ZERO + Duration::from_secs_f64(seconds)
}

fn seconds(seconds: f64) -> Fits {
    Fits::After(Duration::from_secs_f64(seconds))
}

/// A table and one limit of it.
struct Desk {
    limits: LimitTable,
    specs: Vec<LimitSpec>,
    count_refused: bool,
}

impl Desk {
    fn new(specs: &[LimitSpec]) -> Desk {
        Desk { limits: LimitTable::default(), specs: specs.to_vec(), count_refused: false }
    }

    fn ask(&mut self, tokens: u64, now: f64) -> Result<Vec<Share>, Refusal> {
        let mut shares: Vec<Share> =
            (0..).zip(&self.specs).map(|(id, spec)| Share::new(id, *spec)).collect();
        let need = Need { tokens, count_refused: self.count_refused };
        self.limits.admit(&mut shares, need, at(now)).map(|()| shares)
    }

    fn used(&self, id: u64, measure: Measure, now: f64) -> u64 {
        let spec = self.specs[usize::try_from(id).unwrap()];
        let mut readings = self.limits.read(id, &spec, at(now));
        readings.find(|reading| reading.measure == measure).unwrap().used
    }
}

const RPM: Measure = Measure::RequestsPerMinute;
const TPM: Measure = Measure::TokensPerMinute;

#[test]
fn a_whole_windows_worth_goes_at_once_and_the_next_when_one_is_free() {
    let mut desk = Desk::new(&[LimitSpec { rpm: Some(3), ..LimitSpec::default() }]);
    for _ in 0..3 {
        desk.ask(0, 10.0).unwrap();
    }
    let refused = desk.ask(0, 10.0).unwrap_err();
    // Three a minute is one in 20 s. The vendor says the same for "Limit 3, Used 3, Requested 1".
    let told =
        Refusal { index: 0, measure: RPM, limit: 3, used: 3, requested: 1, fits: seconds(20.0) };
    assert_eq!(refused, told);
    assert!(desk.ask(0, 29.999).is_err());
    assert!(desk.ask(0, 30.0).is_ok());
}

#[test]
fn a_burst_is_what_the_rate_gives_in_its_time_and_at_least_one() {
    for (burst, at_once) in [(10_000, 10), (1_500, 1), (1, 1), (60_000, 60), (3_600_000, 60)] {
        let burst = Some(Duration::from_millis(burst));
        let spec = LimitSpec { rpm: Some(60), burst, ..LimitSpec::default() };
        let mut desk = Desk::new(&[spec]);
        let admitted = (0..100).filter(|_| desk.ask(0, 0.0).is_ok()).count();
        assert_eq!(admitted, at_once, "{burst:?}");
        assert_eq!(desk.ask(0, 0.0).unwrap_err().fits, seconds(1.0));
    }
}

#[test]
fn all_limits_or_none() {
    let wide = LimitSpec { rpm: Some(100), concurrency: Some(100), ..LimitSpec::default() };
    let narrow = LimitSpec { tpm: Some(100), ..LimitSpec::default() };
    let mut desk = Desk::new(&[wide, narrow]);
    desk.ask(70, 0.0).unwrap();
    let refused = desk.ask(40, 0.0).unwrap_err();
    assert_eq!((refused.index, refused.measure, refused.used), (1, TPM, 70));
    assert_eq!(refused.fits, seconds(6.0));
    assert_eq!(desk.used(0, RPM, 0.0), 1, "nothing is taken of the other limit");
    assert_eq!(desk.used(0, Measure::Concurrency, 0.0), 1);
}

#[test]
fn what_never_fits_says_so_and_is_not_waited_for() {
    let spec = LimitSpec { rpm: Some(1), tpm: Some(1000), ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec]);
    desk.ask(10, 0.0).unwrap();
    let refused = desk.ask(1001, 0.0).unwrap_err();
    assert_eq!((refused.measure, refused.requested, refused.fits), (TPM, 1001, Fits::Never));
    assert!(matches!(desk.ask(1000, 0.0).unwrap_err().fits, Fits::After(_)));
}

#[test]
fn a_request_above_the_burst_goes_when_nothing_is_used_and_is_paid_back() {
    let burst = Some(Duration::from_secs(6));
    let spec = LimitSpec { tpm: Some(1000), burst, ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec]);
    desk.ask(50, 0.0).unwrap();
    assert_eq!(desk.ask(500, 0.0).unwrap_err().fits, seconds(3.0));
    desk.ask(500, 3.0).unwrap();
    // 100 may come at once, so 400 are a debt of 24 s.
    assert_eq!(desk.ask(100, 3.0).unwrap_err().fits, seconds(30.0));
    assert_eq!(desk.ask(0, 3.0).unwrap_err().fits, seconds(24.0));
}

#[test]
fn tokens_are_settled_both_ways_and_debts_are_waited_out() {
    let spec = LimitSpec { tpm: Some(600), ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec]);
    let mut less = desk.ask(500, 0.0).unwrap();
    desk.limits.settle(&mut less, Some(20), at(0.0));
    assert_eq!(desk.used(0, TPM, 0.0), 20);
    desk.limits.settle(&mut less, Some(0), at(0.0));
    assert_eq!(desk.used(0, TPM, 0.0), 20, "a second settlement changes nothing");
    let mut more = desk.ask(100, 0.0).unwrap();
    desk.limits.settle(&mut more, Some(1180), at(0.0));
    assert_eq!(desk.used(0, TPM, 0.0), 1200);
    assert_eq!(desk.ask(1, 0.0).unwrap_err().fits, seconds(60.1));
}

#[test]
fn places_at_once_come_back_when_calls_end() {
    let mut desk = Desk::new(&[LimitSpec { concurrency: Some(2), ..LimitSpec::default() }]);
    let mut first = desk.ask(0, 0.0).unwrap();
    let mut second = desk.ask(0, 0.0).unwrap();
    let refused = desk.ask(0, 0.0).unwrap_err();
    assert_eq!((refused.measure, refused.used, refused.limit), (Measure::Concurrency, 2, 2));
    assert_eq!(refused.fits, Fits::WhenOneEnds);
    desk.limits.settle(&mut first, None, at(0.0));
    let mut third = desk.ask(0, 0.0).unwrap();
    desk.limits.settle(&mut second, None, at(0.0));
    desk.limits.settle(&mut third, None, at(0.0));
    assert!(desk.limits.is_empty());
}

#[test]
fn a_shadow_counts_and_never_refuses() {
    let shadow = LimitSpec { rpm: Some(1), shadow: true, ..LimitSpec::default() };
    let real = LimitSpec { rpm: Some(3), ..LimitSpec::default() };
    let mut desk = Desk::new(&[shadow, real]);
    let over: Vec<bool> = (0..3).map(|_| desk.ask(0, 0.0).unwrap()[0].is_over()).collect();
    assert_eq!(over, [false, true, true]);
    assert_eq!(desk.ask(0, 0.0).unwrap_err().index, 1);
    let shares = [Share::new(0, shadow), Share::new(1, real)];
    let standing = desk.limits.standing(&shares, at(0.0));
    assert_eq!(standing.requests.unwrap().limit, 3, "headers tell of limits that refuse");
}

#[test]
fn refused_requests_count_only_where_asked_and_only_while_something_is_left() {
    let both = [
        LimitSpec { tpm: Some(10), ..LimitSpec::default() },
        LimitSpec { rpm: Some(4), ..LimitSpec::default() },
    ];
    for (count_refused, used) in [(false, 1), (true, 4)] {
        let mut desk = Desk::new(&both);
        desk.count_refused = count_refused;
        desk.ask(10, 0.0).unwrap();
        for _ in 0..20 {
            assert!(desk.ask(10, 0.0).is_err());
        }
        assert_eq!(desk.used(1, RPM, 0.0), used);
        assert_eq!(desk.used(0, TPM, 0.0), 10);
        assert!(desk.ask(10, 60.0).is_ok(), "hammering does not lock out");
    }
}

#[test]
fn a_changed_limit_keeps_what_was_counted() {
    let mut desk = Desk::new(&[LimitSpec { rpm: Some(10), ..LimitSpec::default() }]);
    let mut open: Vec<Vec<Share>> = (0..8).map(|_| desk.ask(0, 0.0).unwrap()).collect();
    desk.specs[0].rpm = Some(20);
    assert_eq!(desk.used(0, RPM, 0.0), 8);
    desk.specs[0].rpm = Some(4);
    assert_eq!(desk.ask(0, 0.0).unwrap_err().fits, seconds(75.0));
    desk.specs[0] = LimitSpec { concurrency: Some(8), ..LimitSpec::default() };
    assert_eq!(desk.ask(0, 0.0).unwrap_err().fits, Fits::WhenOneEnds, "calls under way count");
    desk.limits.settle(&mut open[0], None, at(0.0));
    assert!(desk.ask(0, 0.0).is_ok());
}

#[test]
fn the_tightest_limit_is_shown() {
    let organization =
        LimitSpec { rpm: Some(100), tpm: Some(500), rpd: Some(3), ..LimitSpec::default() };
    let key = LimitSpec { rpm: Some(2), tpm: Some(6000), ..LimitSpec::default() };
    let mut desk = Desk::new(&[organization, key]);
    let shares = desk.ask(60, 0.0).unwrap();
    let standing = desk.limits.standing(&shares, at(0.0));
    let left = |limit, remaining, reset| {
        Some(Left { limit, remaining, reset: Duration::from_secs_f64(reset) })
    };
    assert_eq!(standing.requests, left(2, 1, 30.0));
    assert_eq!(standing.tokens, left(500, 440, 7.2));
    assert_eq!(desk.limits.standing(&[], at(0.0)), Standing::default());
}

#[test]
fn a_clock_that_goes_back_gives_nothing_and_takes_nothing() {
    let mut desk = Desk::new(&[LimitSpec { rpm: Some(2), ..LimitSpec::default() }]);
    desk.ask(0, 100.0).unwrap();
    desk.ask(0, 100.0).unwrap();
    assert_eq!(desk.ask(0, 0.0).unwrap_err().fits, seconds(30.0));
    assert_eq!(desk.ask(0, 129.0).unwrap_err().fits, seconds(1.0));
    assert!(desk.ask(0, 130.0).is_ok());
}

#[test]
fn many_subjects_take_memory_only_while_they_are_in_use() {
    let spec = LimitSpec { rpm: Some(60), ..LimitSpec::default() };
    let mut limits = LimitTable::default();
    for id in 0..100_000 {
        // Each comes once; a sweep of twenty goes with every tenth, as with ticks.
        let now = Moment::from_millis(id);
        let mut shares = [Share::new(id, spec)];
        let need = Need { tokens: 0, count_refused: false };
        limits.admit(&mut shares, need, now).unwrap();
        limits.settle(&mut shares, None, now);
        if id % 10 == 0 {
            limits.sweep(20, now, |_| Some(spec));
        }
    }
    // A request is forgotten after a second, in which a thousand others come.
    assert!(limits.len() < 2_500, "{} are left", limits.len());
    limits.sweep(usize::MAX, Moment::FAR, |_| Some(spec));
    limits.sweep(usize::MAX, Moment::FAR, |_| Some(spec));
    assert!(limits.is_empty());
}

#[test]
fn values_out_of_range_are_named() {
    let ok =
        LimitSpec { rpm: Some(1), burst: Some(Duration::from_secs(1)), ..LimitSpec::default() };
    assert_eq!(ok.check(), Ok(()));
    for (spec, word) in [
        (LimitSpec { rpd: Some(0), ..ok }, "rpd"),
        (LimitSpec { tpm: Some(u64::MAX), ..ok }, "tpm"),
        (LimitSpec { burst: Some(Duration::ZERO), ..ok }, "burst"),
    ] {
        assert!(spec.check().unwrap_err().to_string().contains(word));
    }
}

#[test]
fn a_day_goes_on_after_a_restart_where_it_was() {
    let spec = LimitSpec { rpd: Some(24), rpm: Some(1_000), ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec]);
    for _ in 0..20 {
        desk.ask(0, 0.0).unwrap();
    }
    let (days, more) = desk.limits.days(None, 10, at(0.0), |_| Some(spec));
    assert_eq!((days.len(), days[0].id, days[0].used, more), (1, 0, 20, None));
    // Three hours later, of which one was spent dead: three requests are free again.
    let mut next = Desk::new(&[spec]);
    let hours = |hours: u64| Duration::from_secs(3_600 * hours);
    next.limits.resume_day(0, &spec, days[0].used, hours(3), at(5.0));
    assert_eq!(next.used(0, Measure::RequestsPerDay, 5.0), 17);
    for _ in 0..7 {
        next.ask(0, 5.0).unwrap();
    }
    assert_eq!(next.ask(0, 5.0).unwrap_err().measure, Measure::RequestsPerDay);
    // Nothing is left of what is a day old, and nothing stays in memory for it.
    let mut later = Desk::new(&[spec]);
    later.limits.resume_day(0, &spec, 24, hours(24), at(1.0));
    assert!(later.limits.is_empty());
}

#[test]
fn a_level_is_news_only_when_a_request_came() {
    let spec = LimitSpec { rpd: Some(86_400), ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec]);
    for _ in 0..9 {
        desk.ask(0, 0.0).unwrap();
    }
    let read = |desk: &Desk, now: f64| desk.limits.days(None, 1, at(now), |_| Some(spec)).0[0];
    let first = read(&desk, 0.3);
    assert!(!read(&desk, 4.7).grew_since(&first, &spec), "time alone is no news");
    desk.ask(0, 4.7).unwrap();
    let second = read(&desk, 4.7);
    assert!(second.grew_since(&first, &spec));
    assert!(!read(&desk, 6.0).grew_since(&second, &spec));
}

#[test]
fn levels_are_read_in_pieces() {
    let spec = LimitSpec { rpd: Some(9), ..LimitSpec::default() };
    let mut desk = Desk::new(&[spec, spec, spec, spec, spec]);
    desk.ask(0, 0.0).unwrap();
    let (mut ids, mut place) = (Vec::new(), None);
    loop {
        let (found, next) = desk.limits.days(place, 2, at(0.0), |_| Some(spec));
        ids.extend(found.iter().map(|level| level.id));
        match next {
            Some(next) => place = Some(next),
            None => break,
        }
    }
    assert_eq!(ids, [0, 1, 2, 3, 4]);
}
