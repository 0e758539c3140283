//! Counts of a run: what people see while it lasts, and what is told at its end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mainstay_core::failure::Kind;
use mainstay_core::money::Usd;
use mainstay_core::time::Moment;
use mainstay_core::wire::usage::Usage;

use super::lane::Learnt;
use super::resume::Earlier;

/// How far back rates look.
const RATE_OVER: Duration = Duration::from_secs(15);

/// Why a run ended before everything was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// Its time was over.
    Deadline,
    /// The next request would cost more than there is.
    Money,
    /// Every line fails for the same reason, which is not the lines'.
    ForAll(Kind),
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Progress {
    /// Lines of the input.
    pub(crate) total: u64,
    /// Lines with an answer or a failure.
    pub(crate) done: u64,
    /// Lines that failed.
    pub(crate) failed: u64,
    /// Requests under way and put off.
    pub(crate) under_way: u64,
    /// Requests put off, as the provider is away or asked to wait.
    pub(crate) put_off: u64,
    /// Lines done a second.
    pub(crate) lines_rate: f64,
    /// Tokens a second.
    pub(crate) tokens_rate: f64,
    /// What was learnt of limits.
    pub(crate) learnt: Learnt,
    /// Spent so far.
    pub(crate) cost: Option<Usd>,
    /// Time left at this rate.
    pub(crate) left: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// Lines of the input.
    pub(crate) total: u64,
    /// Lines with an answer, earlier runs included.
    pub(crate) answered: u64,
    /// Lines that failed, earlier runs included.
    pub(crate) failed: BTreeMap<Kind, u64>,
    /// Lines done by earlier runs.
    pub(crate) earlier: u64,
    /// Bytes of a torn end that were cut off.
    pub(crate) mended: u64,
    /// Why it ended before everything was done.
    pub(crate) stop: Option<Stop>,
    /// Attempts of this run.
    pub(crate) attempts: u64,
    /// Tokens of this run.
    pub(crate) used: Usage,
    /// Spent by all runs.
    pub(crate) cost: Option<Usd>,
    /// How long this run took.
    pub(crate) took: Duration,
}

impl Summary {
    /// Lines that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Lines that the same command will go on with.
    pub(crate) fn unfinished(&self) -> u64 {
        self.total.saturating_sub(self.answered + self.failures())
    }
}

/// Counts.
#[derive(Debug)]
pub(crate) struct Tally {
    total: u64,
    earlier: Earlier,
    began: Moment,
    answered: u64,
    failed: BTreeMap<Kind, u64>,
    attempts: u64,
    used: Usage,
    /// Moment, lines and tokens, oldest first.
    marks: VecDeque<(Moment, u64, u64)>,
}

impl Tally {
    /// Counts of a run that begins.
    pub(crate) fn new(total: u64, earlier: Earlier, began: Moment) -> Tally {
        let marks = VecDeque::from([(began, 0, 0)]);
        let (answered, failed) = (0, BTreeMap::new());
        let used = Usage::default();
        Tally { total, earlier, began, answered, failed, attempts: 0, used, marks }
    }

    /// A line has its end.
    pub(crate) fn line(&mut self, kind: Option<Kind>) {
        match kind {
            None => self.answered += 1,
            Some(kind) => *self.failed.entry(kind).or_default() += 1,
        }
    }

    /// A walk has its end.
    pub(crate) fn walk(&mut self, attempts: u32, used: Option<Usage>) {
        self.attempts += u64::from(attempts);
        let used = used.unwrap_or_default();
        self.used.input = self.used.input.saturating_add(used.input);
        self.used.output = self.used.output.saturating_add(used.output);
        self.used.cached = self.used.cached.saturating_add(used.cached);
    }

    fn fresh(&self) -> u64 {
        self.answered + self.failed.values().sum::<u64>()
    }

    fn before(&self) -> u64 {
        self.earlier.answered + self.earlier.failed.values().sum::<u64>()
    }

    /// How it stands.
    pub(crate) fn progress(
        &mut self,
        learnt: Learnt,
        under_way: usize,
        put_off: usize,
        cost: Option<Usd>,
        now: Moment,
    ) -> Progress {
        let (lines, tokens) = (self.fresh(), self.used.total());
        self.marks.push_back((now, lines, tokens));
        while self.marks.len() > 2 && now.since(self.marks[1].0) >= RATE_OVER {
            self.marks.pop_front();
        }
        let (then, lines_then, tokens_then) = self.marks[0];
        let seconds = now.seconds_since(then).max(0.001);
        let lines_rate = (lines - lines_then) as f64 / seconds;
        let tokens_rate = (tokens - tokens_then) as f64 / seconds;
        let done = lines + self.before();
        let open = self.total.saturating_sub(done) as f64;
        let left = (lines_rate > 0.0).then(|| Duration::try_from_secs_f64(open / lines_rate).ok());
        let earlier: u64 = self.earlier.failed.values().sum();
        Progress {
            total: self.total,
            done,
            failed: earlier + self.failed.values().sum::<u64>(),
            under_way: under_way as u64,
            put_off: put_off as u64,
            lines_rate,
            tokens_rate,
            learnt,
            cost,
            left: left.flatten(),
        }
    }

    /// How it ended.
    pub(crate) fn summary(&self, stop: Option<Stop>, cost: Option<Usd>, now: Moment) -> Summary {
        let mut failed = self.earlier.failed.clone();
        for (kind, count) in &self.failed {
            *failed.entry(*kind).or_default() += count;
        }
        Summary {
            total: self.total,
            answered: self.earlier.answered + self.answered,
            failed,
            earlier: self.before(),
            mended: self.earlier.mended,
            stop,
            attempts: self.attempts,
            used: self.used,
            cost,
            took: now.since(self.began),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_last_seconds_and_tell_the_time_left() {
        let at = |secs: u64| Moment::from_millis(secs * 1000);
        let earlier = Earlier { answered: 10, ..Earlier::default() };
        let mut tally = Tally::new(1_000, earlier, at(0));
        let mut shown = None;
        for second in 1..=40 {
            let pace = if second <= 20 { 1 } else { 3 };
            for _ in 0..pace {
                tally.line(None);
                tally.walk(1, Some(Usage { input: 5, output: 5, cached: 0 }));
            }
            shown = Some(tally.progress(Learnt::default(), 0, 0, None, at(second)));
        }
        let shown = shown.unwrap();
        assert_eq!(shown.done, 10 + 20 + 60);
        assert!((shown.lines_rate - 3.0).abs() < 0.01, "{}", shown.lines_rate);
        assert!((shown.tokens_rate - 30.0).abs() < 0.1, "{}", shown.tokens_rate);
        assert_eq!(shown.left.map(|left| left.as_secs()), Some(910 / 3));
        assert!(tally.marks.len() < 20);
    }

    #[test]
    fn what_is_neither_answered_nor_failed_is_unfinished() {
        let earlier = Earlier { answered: 1, failed: [(Kind::Unknown, 2)].into(), mended: 0 };
        let mut tally = Tally::new(10, earlier, Moment::ZERO);
        tally.line(Some(Kind::Unknown));
        tally.line(None);
        let summary = tally.summary(Some(Stop::Deadline), None, Moment::from_millis(5));
        assert_eq!((summary.answered, summary.failures(), summary.unfinished()), (2, 3, 5));
        assert_eq!((summary.earlier, summary.took), (3, Duration::from_millis(5)));
    }
}
