use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn fixed() -> BreakerPolicy {
    BreakerPolicy { failures: 2, open: OpenFor::Fixed(SECOND * 60), ..BreakerPolicy::default() }
}

const FAILED: Outcome = Outcome::Failure { timed_out: false, asked: None };
const TIMED_OUT: Outcome = Outcome::Failure { timed_out: true, asked: None };
const WELL: Outcome = Outcome::Success { took: Duration::from_millis(100) };

/// One breaker, the passes that are out, and what a watcher knows from outside.
struct World {
    breaker: Breaker,
    dice: Dice,
    now: Moment,
    /// Passes out, oldest first, with the era (count of changes of state) they were given in.
    out: Vec<(Pass, u32, Moment)>,
    era: u32,
    in_a_row: u32,
    open_until: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Ask,
    OldestWell,
    OldestFailed,
    OldestNeutral,
    NewestWell,
    LoseOldest,
    TimePasses,
}

impl World {
    fn new(policy: &BreakerPolicy) -> World {
        World {
            breaker: Breaker::new(policy),
            dice: Dice::new(1),
            now: Moment::from_millis(1_000_000),
            out: Vec::new(),
            era: 0,
            in_a_row: 0,
            open_until: None,
        }
    }

    fn play(&mut self, what: Move) {
        match what {
            Move::Ask => self.ask(),
            Move::OldestWell => self.end(0, WELL),
            Move::OldestFailed => self.end(0, FAILED),
            Move::OldestNeutral => self.end(0, Outcome::Neutral),
            Move::NewestWell => self.end(self.out.len().saturating_sub(1), WELL),
            Move::LoseOldest => {
                if !self.out.is_empty() {
                    drop(self.out.remove(0)); // its caller vanished
                }
            }
            Move::TimePasses => self.now = self.now + SECOND * 61,
        }
    }

    fn ask(&mut self) {
        let peek = self.breaker.peek(self.now);
        let was_open = self.breaker.state() != State::Closed;
        match self.breaker.acquire(1, self.now) {
            Ok(pass) => {
                assert_ne!(peek, Peek::Open { until: self.now }, "peek and acquire agree");
                assert!(!matches!(peek, Peek::Open { .. }), "nothing is sent while open");
                assert!(self.open_until.is_none_or(|until| self.now >= until), "sent while open");
                assert_eq!(pass.is_probe(), was_open);
                if pass.is_probe() {
                    let live = self.out.iter().filter(|(pass, era, given)| {
                        pass.is_probe() && *era == self.era && self.now < *given + LEASE_MIN
                    });
                    assert_eq!(live.count(), 0, "two probes with a lease");
                    self.era += 1;
                }
                self.out.push((pass, self.era, self.now));
            }
            Err(until) => {
                assert!(until > self.now, "a refusal says when to come back");
                assert_eq!(peek, Peek::Open { until });
            }
        }
    }

    fn end(&mut self, index: usize, outcome: Outcome) {
        if index >= self.out.len() {
            return;
        }
        let (pass, era, _) = self.out.remove(index);
        let (state, probe) = (self.breaker.state(), pass.is_probe());
        let change = self.breaker.record(pass, outcome, &mut self.dice, self.now);
        if era != self.era {
            assert_eq!(change, None, "a late result of an older generation changed something");
            assert_eq!(self.breaker.state(), state);
            return;
        }
        match (state, outcome) {
            (State::Closed, Outcome::Success { .. }) => self.in_a_row = 0,
            (State::Closed, Outcome::Failure { .. }) => {
                self.in_a_row += 1;
                assert_eq!(change.is_some(), self.in_a_row == 2, "opens on two in a row");
            }
            (State::HalfOpen, Outcome::Success { .. }) => {
                assert_eq!((change, probe), (Some(Change::Closed), true));
                self.open_until = None;
            }
            (State::HalfOpen, Outcome::Failure { .. }) => {
                assert!(matches!(change, Some(Change::Reopened { .. })) && probe);
            }
            (State::HalfOpen | State::Closed, Outcome::Neutral) => assert_eq!(change, None),
            (State::Open, _) => panic!("an attempt of this era while open"),
        }
        if outcome == Outcome::Neutral && state == State::HalfOpen {
            assert_eq!(self.breaker.peek(self.now), Peek::Probe, "the slot was not given back");
            self.era += 1;
        }
        if let Some(Change::Opened { open } | Change::Reopened { open }) = change {
            assert_eq!(open, SECOND * 60);
            self.open_until = Some(self.now + open);
        }
        if change.is_some() {
            self.era += 1;
            self.in_a_row = 0;
        }
    }

    /// A target that is well again is used again, whatever happened before.
    fn recovers(&mut self) -> bool {
        self.now = self.now + SECOND * 300;
        for _ in 0..2 {
            if let Ok(pass) = self.breaker.acquire(0, self.now) {
                self.breaker.record(pass, WELL, &mut self.dice, self.now);
            }
        }
        self.breaker.state() == State::Closed
    }
}

/// Plays every story of seven moves (7^7 = 823,543) and checks after each what must always hold.
#[test]
fn promises_hold_in_every_short_story() {
    const MOVES: [Move; 7] = [
        Move::Ask,
        Move::OldestWell,
        Move::OldestFailed,
        Move::OldestNeutral,
        Move::NewestWell,
        Move::LoseOldest,
        Move::TimePasses,
    ];
    const LENGTH: u32 = 7;
    let policy = fixed();
    for start in [0, 1] {
        for story in 0..7u32.pow(LENGTH) {
            let mut world = World::new(&policy);
            for _ in 0..2 * start {
                world.play(Move::Ask);
                world.play(Move::OldestFailed);
            }
            for step in 0..LENGTH {
                world.play(MOVES[(story / 7u32.pow(step) % 7) as usize]);
            }
            assert!(world.recovers(), "story {story}: stuck in {:?}", world.breaker);
        }
    }
}

#[test]
fn half_of_twenty_failures_within_the_window_open_it_and_old_ones_do_not_count() {
    let mut breaker = Breaker::new(&BreakerPolicy { failures: 1000, ..BreakerPolicy::default() });
    let (mut dice, mut now) = (Dice::new(1), Moment::from_millis(100_000));
    let mut play = |breaker: &mut Breaker, good: bool, now| {
        let pass = breaker.acquire(0, now).unwrap();
        breaker.record(pass, if good { WELL } else { FAILED }, &mut dice, now)
    };
    for _ in 0..9 {
        assert_eq!(play(&mut breaker, false, now), None, "fewer than twenty say nothing");
    }
    now = now + SECOND * 40;
    for round in 0..19 {
        assert_eq!(play(&mut breaker, round % 2 == 0, now), None, "the nine are forgotten");
        now = now + SECOND / 10;
    }
    assert!(matches!(play(&mut breaker, false, now), Some(Change::Opened { .. })));
}

#[test]
fn it_stays_open_for_the_time_of_ten_first_attempts_within_bounds() {
    check_open("fifty a second", Duration::from_millis(20), Duration::from_millis(500));
    check_open("five a second", Duration::from_millis(200), Duration::from_secs(2));
    check_open("one in five seconds", Duration::from_secs(5), Duration::from_secs(5));
}

#[track_caller]
fn check_open(case: &str, gap: Duration, want: Duration) {
    let mut breaker = Breaker::new(&BreakerPolicy::default());
    let (mut dice, mut now) = (Dice::new(4), Moment::from_millis(1000));
    for _ in 0..30 {
        let pass = breaker.acquire(0, now).unwrap();
        breaker.record(pass, WELL, &mut dice, now);
        now = now + gap;
    }
    let mut change = None;
    while change.is_none() {
        let pass = breaker.acquire(1, now).unwrap();
        change = breaker.record(pass, FAILED, &mut dice, now);
    }
    let Some(Change::Opened { open }) = change else { panic!("{case}: {change:?}") };
    let (low, high) = (want * 9 / 10, want * 11 / 10);
    assert!(low <= open && open <= high, "{case}: {open:?}, wanted {want:?} ± 10 %");
}

#[test]
fn only_probes_that_time_out_double_the_open_time_up_to_its_longest() {
    let mut breaker = Breaker::new(&BreakerPolicy { failures: 1, ..BreakerPolicy::default() });
    let (mut dice, mut now) = (Dice::new(9), Moment::from_millis(1000));
    let pass = breaker.acquire(0, now).unwrap();
    breaker.record(pass, FAILED, &mut dice, now);
    let mut probe = |breaker: &mut Breaker, outcome| {
        now = now + SECOND * 200;
        let pass = breaker.acquire(1, now).unwrap();
        let Some(Change::Reopened { open }) = breaker.record(pass, outcome, &mut dice, now) else {
            panic!("a failed probe reopens")
        };
        open.as_secs_f64()
    };
    let times: Vec<f64> = (0..9).map(|_| probe(&mut breaker, TIMED_OUT)).collect();
    for (n, want) in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0].into_iter().enumerate() {
        assert!((times[n] / want - 1.0).abs() <= 0.1001, "{n}: {times:?}");
    }
    assert!(probe(&mut breaker, FAILED) < 0.6, "a probe that was answered ends the doubling");
}

#[test]
fn the_probe_goes_to_the_waiting_call_with_the_fewest_attempts_but_waits_for_nobody_long() {
    let mut breaker = Breaker::new(&fixed());
    let (mut dice, mut now) = (Dice::new(1), Moment::from_millis(1000));
    for _ in 0..2 {
        let pass = breaker.acquire(0, now).unwrap();
        breaker.record(pass, FAILED, &mut dice, now);
    }
    breaker.start_waiting(0);
    breaker.start_waiting(3);
    assert_eq!(breaker.waiting(), 2);
    now = now + SECOND * 60;
    assert_eq!(breaker.acquire(3, now), Err(now + GRACE));
    let mut other = breaker.clone();
    assert!(breaker.acquire(0, now).is_ok_and(|pass| pass.is_probe()));
    assert!(other.acquire(3, now + GRACE).is_ok(), "the better one never came");
    other.stop_waiting(0);
    other.stop_waiting(3);
    other.stop_waiting(3);
    assert_eq!(other.waiting(), 0);
}

#[test]
fn a_vanished_probe_gives_way_after_its_lease_which_suits_slow_answers() {
    let mut breaker = Breaker::new(&BreakerPolicy { failures: 1, ..fixed() });
    let (mut dice, mut now) = (Dice::new(1), Moment::from_millis(1000));
    let pass = breaker.acquire(0, now).unwrap();
    breaker.record(pass, Outcome::Success { took: SECOND * 9 }, &mut dice, now);
    let pass = breaker.acquire(0, now).unwrap();
    breaker.record(pass, FAILED, &mut dice, now);
    now = now + SECOND * 60;
    let lost = breaker.acquire(0, now).unwrap();
    assert_eq!(breaker.acquire(0, now + SECOND * 35), Err(now + SECOND * 36));
    let second = breaker.acquire(0, now + SECOND * 36).unwrap();
    assert_eq!(breaker.record(lost, WELL, &mut dice, now + SECOND * 37), None, "too late");
    assert_eq!(breaker.record(second, WELL, &mut dice, now + SECOND * 38), Some(Change::Closed));
}

#[test]
fn a_breaker_that_is_off_never_opens() {
    let mut breaker = Breaker::new(&BreakerPolicy { enabled: false, ..fixed() });
    let mut dice = Dice::new(1);
    for _ in 0..100 {
        let pass = breaker.acquire(0, Moment::ZERO).unwrap();
        assert_eq!(breaker.record(pass, FAILED, &mut dice, Moment::ZERO), None);
    }
}
