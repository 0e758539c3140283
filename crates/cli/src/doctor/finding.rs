//! What a check found: one line for people, one object for programs.

use std::time::Duration;

use mainstay_core::catalogue::{Advice, Entry, advice};
use mainstay_core::classify::TransportFault;
use serde_json::{Value, json};

use crate::exit::Exit;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Calls work, and somebody should look.
    Warning,
    /// Calls will not work.
    Failed,
    /// Not looked at, with the reason.
    Skipped,
}

/// Whose it is to put right, for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What was configured: settings, keys, models, accounts.
    Setup,
    /// What is around: network, proxy, certificates, the provider's servers, clock, disk.
    Surroundings,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was checked; a stable word.
    pub(crate) check: &'static str,
    pub(crate) state: State,
    pub(crate) side: Side,
    /// What was seen.
    pub(crate) found: String,
    /// What is behind it; empty when all is well.
    pub(crate) cause: String,
    /// What to do, in order.
    pub(crate) fix: Vec<String>,
    /// How long it took, where that says something.
    pub(crate) took: Option<Duration>,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "failed",
            State::Skipped => "skipped",
        }
    }
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        let (cause, fix) = (String::new(), Vec::new());
        let (state, side) = (State::Ok, Side::Setup);
        Finding { check, state, side, found: found.into(), cause, fix, took: None }
    }

    pub(crate) fn skipped(check: &'static str, why: impl Into<String>) -> Finding {
        Finding { state: State::Skipped, ..Finding::ok(check, why) }
    }

    pub(crate) fn warning(
        check: &'static str,
        found: impl Into<String>,
        cause: impl Into<String>,
        fix: &[&str],
    ) -> Finding {
        let fix = fix.iter().map(|step| (*step).to_owned()).collect();
        let cause = cause.into();
        Finding { state: State::Warning, cause, fix, ..Finding::ok(check, found) }
    }

    /// Something of the setup that keeps calls from working.
    pub(crate) fn failed(
        check: &'static str,
        found: impl Into<String>,
        cause: impl Into<String>,
        fix: &[&str],
    ) -> Finding {
        Finding { state: State::Failed, ..Finding::warning(check, found, cause, fix) }
    }

    /// A fault of the way, in the guide's words.
    pub(crate) fn fault(
        check: &'static str,
        found: impl Into<String>,
        fault: TransportFault,
    ) -> Finding {
        let Advice { cause, steps } = advice(fault);
        Finding::failed(check, found, cause, steps).around()
    }

    /// A kind of failure, in the guide's words.
    pub(crate) fn kind(check: &'static str, found: impl Into<String>, entry: &Entry) -> Finding {
        Finding::failed(check, found, entry.cause, entry.steps)
    }

    /// It is the surroundings' to put right.
    pub(crate) fn around(mut self) -> Finding {
        self.side = Side::Surroundings;
        self
    }

    pub(crate) fn only_a_warning(mut self) -> Finding {
        self.state = State::Warning;
        self
    }

    pub(crate) fn caused(mut self, cause: impl Into<String>) -> Finding {
        self.cause = cause.into();
        self
    }

    pub(crate) fn within(mut self, took: Duration) -> Finding {
        self.took = Some(took);
        self
    }

    pub(crate) fn object(&self, provider: Option<&str>) -> Value {
        let millis = self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        json!({
            "check": self.check,
            "provider": provider,
            "state": self.state.name(),
            "found": self.found,
            "cause": (!self.cause.is_empty()).then_some(&self.cause),
            "fix": self.fix,
            "took_ms": millis,
        })
    }

    /// A line for people, and lines for cause and fix below it.
    pub(crate) fn text(&self) -> String {
        let head = format!("{:<8} {:<9} {}", self.state.name(), self.check, self.found);
        let cause = (!self.cause.is_empty()).then_some(("cause:", &self.cause));
        let words = ["fix:"].into_iter().chain(std::iter::repeat(""));
        let below = cause.into_iter().chain(words.zip(&self.fix));
        let below = below.map(|(word, text)| format!("\n           {word:<6} {text}"));
        std::iter::once(head).chain(below).collect()
    }
}

/// 3 when the surroundings keep calls from working: what lies behind them could not be judged. 1
/// when the setup does. Warnings are none of both.
pub(crate) fn exit<'a>(findings: impl Iterator<Item = &'a Finding>) -> Exit {
    let mut exit = Exit::Worked;
    for finding in findings.filter(|finding| finding.state == State::Failed) {
        match finding.side {
            Side::Surroundings => return Exit::Surroundings,
            Side::Setup => exit = Exit::Failed,
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_whose_it_is_to_put_right() {
        let key = Finding::failed("key", "", "", &[]);
        let net = Finding::fault("tcp", "", TransportFault::Refused);
        let warned = Finding::fault("tcp", "", TransportFault::Refused).only_a_warning();
        assert_eq!(exit([&warned, &Finding::ok("dns", "")].into_iter()), Exit::Worked);
        assert_eq!(exit([&key, &warned].into_iter()), Exit::Failed);
        assert_eq!(exit([&key, &net].into_iter()), Exit::Surroundings);
    }
}
