//! What becomes of a job that got no answer: it is written as failed, put off, taken apart, or kept
//! until it shows whether the account or the provider is at fault, and not the line.
//!
//! A line is worth at most two walks when others of its model get on meanwhile: then the fault is
//! its own. When nobody gets on, the provider is away, and waiting costs nothing: until the
//! deadline, or for an hour after the last answer when no deadline was given. A provider that has
//! never answered is not waited for without a deadline; but no line is spent on that either.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_core::catalogue;
use mainstay_core::failure::{Concern, Kind};
use mainstay_core::time::Moment;

use super::job::Job;

/// Walks of a line whose model answers others.
const ROUNDS_MAX: u32 = 2;
/// The same for limits, which are nobody's fault.
const LIMITED_ROUNDS_MAX: u32 = 10;
/// How long an outage is waited out after the last answer when no deadline was given.
const PATIENCE: Duration = Duration::from_secs(3600);
/// First delay of a job that is put off; doubles.
const DELAY_MIN: Duration = Duration::from_secs(1);
/// Longest such delay.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// Models told apart.
const MODELS_MAX: usize = 4096;

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It failed.
    Write,
    /// Its lines are sent one by one.
    Split,
    /// It is sent again after this time.
    Again(Duration),
    /// It failed for a reason that may hold for all lines.
    Park,
}

/// What is known about who gets on.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The last answer of each model.
    last: HashMap<Option<String>, Moment>,
    deadline: bool,
}

impl Outlook {
    /// Nothing is known; `deadline`: the run has one.
    pub(crate) fn new(deadline: bool) -> Outlook {
        Outlook { last: HashMap::new(), deadline }
    }

    /// A model has answered.
    pub(crate) fn answered(&mut self, model: Option<&str>, now: Moment) {
        let model = model.map(str::to_owned);
        if self.last.len() < MODELS_MAX || self.last.contains_key(&model) {
            self.last.insert(model, now);
        }
    }

    /// Decides; counts the round.
    pub(crate) fn decide(
        &self,
        job: &mut Job,
        kind: Kind,
        retry_after: Option<Duration>,
        draw: f64,
        now: Moment,
    ) -> Fate {
        if is_for_all(kind) {
            return Fate::Park;
        }
        if !catalogue::entry(kind).retryable {
            return if job.parts.len() > 1 { Fate::Split } else { Fate::Write };
        }
        let last = self.last.get(&job.model).copied();
        let others_get_on = last.is_some_and(|last| last >= job.started);
        if others_get_on {
            job.rounds += 1;
            let limited = kind.concern() == Concern::Limit;
            let most = if limited { LIMITED_ROUNDS_MAX } else { ROUNDS_MAX };
            if job.rounds >= most {
                return if job.parts.len() > 1 { Fate::Split } else { Fate::Write };
            }
        } else if !self.deadline && last.is_none_or(|last| now.since(last) > PATIENCE) {
            return Fate::Park;
        }
        let doubled = DELAY_MIN.saturating_mul(1 << job.delays.min(8)).min(DELAY_MAX);
        job.delays += 1;
        // Equal jitter: half of it is certain.
        let delay = doubled.mul_f64(0.5 + draw.clamp(0.0, 1.0) / 2.0);
        Fate::Again(delay.max(retry_after.unwrap_or_default()))
    }
}

/// Whether the reason is the account, the key or the setting, so that every line would meet it.
fn is_for_all(kind: Kind) -> bool {
    matches!(kind.concern(), Concern::Account | Concern::Address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ids::id_of;
    use crate::run::job::Part;
    use bytes::Bytes;

    const fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn job(parts: usize, started: u64) -> Job {
        let part = || Part { custom_id: "a".to_owned(), id: id_of("a"), packed: None };
        let mut job = Job::single("/x".to_owned(), Bytes::new(), Some("m".to_owned()), part());
        job.parts.extend((1..parts).map(|_| part()));
        job.started = at(started);
        job
    }

    fn decide(outlook: &Outlook, job: &mut Job, kind: Kind, now: u64) -> Fate {
        outlook.decide(job, kind, None, 1.0, at(now))
    }

    #[test]
    fn a_line_that_fails_while_others_get_on_is_given_up_after_a_second_walk() {
        let mut outlook = Outlook::new(true);
        let mut line = job(1, 10);
        outlook.answered(Some("m"), at(11));
        assert_eq!(decide(&outlook, &mut line, Kind::Overloaded, 12), Fate::Again(DELAY_MIN));
        line.started = at(13);
        outlook.answered(Some("m"), at(14));
        assert_eq!(decide(&outlook, &mut line, Kind::Overloaded, 15), Fate::Write);
    }

    #[test]
    fn an_outage_is_waited_out_and_costs_no_line_its_chance() {
        let mut outlook = Outlook::new(false);
        outlook.answered(Some("m"), at(9));
        let mut line = job(1, 10);
        for now in [20, 600, 3_000] {
            let fate = decide(&outlook, &mut line, Kind::Connection, now);
            assert!(matches!(fate, Fate::Again(wait) if wait <= DELAY_MAX), "{fate:?}");
        }
        assert_eq!(line.rounds, 0);
        assert_eq!(decide(&outlook, &mut line, Kind::Connection, 3_700), Fate::Park, "an hour");
        let outlook = Outlook { deadline: true, ..outlook };
        assert!(matches!(decide(&outlook, &mut line, Kind::Connection, 9_000), Fate::Again(_)));
    }

    #[test]
    fn who_has_never_answered_is_waited_for_only_until_a_deadline() {
        let mut line = job(1, 10);
        assert_eq!(decide(&Outlook::new(false), &mut line, Kind::Connection, 20), Fate::Park);
        let fate = decide(&Outlook::new(true), &mut line, Kind::Connection, 20);
        assert!(matches!(fate, Fate::Again(_)), "{fate:?}");
        let mut other = Outlook::new(false);
        other.answered(Some("another"), at(15));
        assert_eq!(decide(&other, &mut line, Kind::Overloaded, 20), Fate::Park);
    }

    #[test]
    fn a_hint_is_never_cut_short_and_faults_of_lines_and_accounts_are_not_repeated() {
        let outlook = Outlook::new(true);
        let hint = Some(Duration::from_secs(900));
        let fate = outlook.decide(&mut job(1, 1), Kind::RateLimitRequests, hint, 0.0, at(2));
        assert_eq!(fate, Fate::Again(Duration::from_secs(900)));
        assert_eq!(decide(&outlook, &mut job(1, 1), Kind::InvalidValue, 2), Fate::Write);
        assert_eq!(decide(&outlook, &mut job(3, 1), Kind::InvalidValue, 2), Fate::Split);
        assert_eq!(decide(&outlook, &mut job(1, 1), Kind::IncorrectApiKey, 2), Fate::Park);
        assert_eq!(decide(&outlook, &mut job(1, 1), Kind::InsufficientQuota, 2), Fate::Park);
    }
}
