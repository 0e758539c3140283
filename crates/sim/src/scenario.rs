//! Scenarios: what a simulated provider allows, how fast it is, and what goes wrong when.
//!
//! A scenario is read from TOML, or from JSON with the same keys. Everything has a default; an empty
//! scenario is a provider without limits and faults. Keys, units and defaults: `docs/simulator.md`.

mod draft;

use crate::fault::{Fault, Order};
use crate::provider::answer::Pace;
use crate::provider::dice::Dice;
use crate::provider::kinds::{KindSpec, Wait};
use crate::provider::limits::Limits;
use crate::provider::request::Api;
use crate::provider::shelf::Ways;
use crate::provider::speech::Manner;
use std::time::Duration;

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) seed: u64,
    /// Accepted keys; absent: any.
    pub(crate) keys: Option<Vec<String>>,
    /// Models that exist; absent: any name does.
    pub(crate) models: Option<Vec<String>>,
    /// The largest body that is read, in bytes.
    pub(crate) body_max: u64,
    /// The largest form that is read, in bytes.
    pub(crate) upload_max: u64,
    /// How what is stored behaves.
    pub(crate) ways: Ways,
    /// Whether each model has limits of its own.
    pub(crate) limits_per_model: bool,
    /// What errors on demand ask for as a wait.
    pub(crate) retry_after: Wait,
    pub(crate) manner: Manner,
    pub(crate) default: ModelRules,
    pub(crate) rules: Vec<(String, ModelRules)>,
    pub(crate) troubles: Vec<Trouble>,
}

/// What holds for a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelRules {
    pub(crate) limits: Limits,
    pub(crate) latency: Latency,
    /// Tokens that prompt and answer may have together; absent: any number.
    pub(crate) context_window: Option<u64>,
}

/// Waits, each from a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency {
    /// From the request to the head of the answer.
    pub(crate) headers: Spread,
    /// From the head to the first piece of content.
    pub(crate) first_token: Spread,
    /// Between pieces.
    pub(crate) token: Spread,
}

/// A range of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) low: Duration,
    pub(crate) high: Duration,
}

impl Latency {
    /// Draws the waits of one answer.
    pub(crate) fn draw(&self, dice: &mut Dice) -> (Duration, Pace) {
        let mut wait = |spread: Spread| dice.between(spread.low, spread.high);
        (wait(self.headers), Pace { first_token: wait(self.first_token), token: wait(self.token) })
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Fault(Order),
    Kind(&'static str),
    Status(u16),
}

/// What goes wrong, and when.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) what: What,
    /// From this time of the scenario on, up to that.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// The share of the requests it hits, 0 to 1.
    pub(crate) share: f64,
    /// Only this request, counted from 1 among those it could hit.
    pub(crate) nth: Option<u64>,
    /// Each so-many-th of them.
    pub(crate) every: Option<u64>,
    /// Only so many of them.
    pub(crate) first: Option<u64>,
    /// Names of models, `*` at the end for any rest; empty: all.
    pub(crate) models: Vec<String>,
    /// Endpoints; empty: all.
    pub(crate) endpoints: Vec<String>,
    /// Strikes before the limits are asked, so that it costs nothing there.
    pub(crate) before_limits: bool,
    pub(crate) retry_after: Option<Wait>,
}

impl Trouble {
    /// Whether it hits everything for some time, so that connections are refused.
    fn closes_the_door(&self) -> bool {
        matches!(&self.what, What::Fault(order) if order.fault == Fault::Refuse)
            && self.to < Duration::MAX
            && self.share >= 1.0
            && self.nth.or(self.every).or(self.first).is_none()
            && self.models.is_empty()
            && self.endpoints.is_empty()
    }

    /// Whether this request is one that it could hit.
    pub(crate) fn concerns(&self, model: &str, api: Api, now: Duration) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == pattern,
        };
        (self.from..self.to).contains(&now)
            && (self.models.is_empty() || self.models.iter().any(named))
            && (self.endpoints.is_empty() || self.endpoints.iter().any(|name| name == api.name()))
    }

    /// Whether it hits the `count`-th request that it could hit. One throw of the dice each time.
    pub(crate) fn hits(&self, count: u64, dice: &mut Dice) -> bool {
        let thrown = dice.share() < self.share;
        thrown
            && self.nth.is_none_or(|nth| count == nth)
            && self.every.is_none_or(|every| count.is_multiple_of(every))
            && self.first.is_none_or(|first| count <= first)
    }
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario::from_toml("").expect("every key of a scenario is optional")
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line where one is known.
    pub fn from_toml(text: &str) -> Result<Scenario, ScenarioError> {
        draft::from_toml(text)
    }

    /// Reads a scenario written as JSON, with the same keys.
    ///
    /// # Errors
    ///
    /// As [`Scenario::from_toml`].
    pub fn from_json(text: &str) -> Result<Scenario, ScenarioError> {
        draft::from_json(text)
    }

    /// The rules for a model.
    pub(crate) fn rules_for(&self, model: &str) -> &ModelRules {
        self.rules.iter().find(|(name, _)| name == model).map_or(&self.default, |(_, rules)| rules)
    }

    /// Times in which no connection is accepted. A refusal that hits some requests only is done to those.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Duration, Duration)> + '_ {
        let windows = self.troubles.iter().filter(|trouble| trouble.closes_the_door());
        windows.map(|trouble| (trouble.from, trouble.to))
    }
}

/// Why a text is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// What is wrong.
    pub what: String,
    /// Why it is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// The line it stands on, from 1, where known.
    pub line: Option<usize>,
}

impl std::fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if let Some(line) = self.line {
            write!(f, "\n   at: line {line}")?;
        }
        write!(f, "\n  why: {}\n  fix: {}", self.why, self.fix)
    }
}

impl std::error::Error for ScenarioError {}

/// Reads `250ms`, `5s`, `1.5s`, `2m`, `1h`, or a bare number of seconds; at most a year.
pub(crate) fn duration_of(text: &str) -> Option<Duration> {
    const YEAR: f64 = 31_536_000.0;
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "us" => 0.000_001,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds = digits.parse::<f64>().ok()? * unit;
    (0.0..=YEAR).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// A sound duration, or any text that is to be sent as it is.
pub(crate) fn wait_of(text: &str) -> Wait {
    duration_of(text)
        .filter(|wait| !wait.is_zero())
        .map_or_else(|| Wait::Odd(text.into()), Wait::For)
}

/// The kind with this name, as a trouble.
pub(crate) fn kind_named(name: &str) -> Option<What> {
    KindSpec::named(name).map(|kind| What::Kind(kind.name))
}

#[cfg(test)]
mod tests;
