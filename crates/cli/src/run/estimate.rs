//! What an input will take, by model: counted for the first lines, weighed by them for the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::policy::Limits;
use mainstay_core::wire::request::peek;

use super::line::Line;
use super::money::{Prices, cost_of, sum};

/// Lines of a model that are counted token by token.
const COUNTED_MAX: u64 = 2_000;
/// Models told apart; lines of further ones are put together.
const MODELS_MAX: usize = 256;
/// The name under which lines without a model, and further models, stand.
const OTHERS: &str = "(others)";

/// Sums by model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimate {
    count: bool,
    models: BTreeMap<String, Sums>,
}

/// What the lines of one model amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// How many there are.
    pub(crate) lines: u64,
    /// Bytes of their bodies.
    pub(crate) bytes: u64,
    /// The most output they ask for, over lines that say so.
    pub(crate) asked: u64,
    /// Lines that do not say.
    pub(crate) unasked: u64,
    counted_lines: u64,
    counted_bytes: u64,
    counted: u64,
}

impl Sums {
    /// Tokens of the prompts.
    pub(crate) fn input(&self) -> u64 {
        if self.counted_bytes == 0 {
            return self.bytes.div_ceil(4);
        }
        let all =
            u128::from(self.counted) * u128::from(self.bytes) / u128::from(self.counted_bytes);
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// Whether every line was counted.
    pub(crate) fn exact(&self) -> bool {
        self.counted_lines == self.lines
    }
}

impl Estimate {
    /// Empty sums; `count`: tokens are counted, not only bytes.
    pub(crate) fn new(count: bool) -> Estimate {
        Estimate { count, models: BTreeMap::new() }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: &Line, body: &[u8]) {
        let name = line.model.as_deref().unwrap_or(OTHERS);
        let name = if self.models.len() < MODELS_MAX || self.models.contains_key(name) {
            name
        } else {
            OTHERS
        };
        if !self.models.contains_key(name) {
            self.models.insert(name.to_owned(), Sums::default());
        }
        let Some(sums) = self.models.get_mut(name) else { return };
        sums.lines += 1;
        sums.bytes += body.len() as u64;
        if !self.count {
            return;
        }
        let look = peek(body, line.endpoint).unwrap_or_default();
        match look.max_output() {
            Some(most) => {
                let answers = look.n.unwrap_or(1).max(1);
                sums.asked = sums.asked.saturating_add(most.saturating_mul(answers));
            }
            None => sums.unasked += 1,
        }
        if sums.counted_lines < COUNTED_MAX
            && let Ok(count) = mainstay_tokens::request::count(body, None)
        {
            sums.counted_lines += 1;
            sums.counted_bytes += body.len() as u64;
            sums.counted += count.prompt();
        }
    }

    /// The sums of each model.
    pub(crate) fn models(&self) -> impl Iterator<Item = (&str, &Sums)> {
        self.models.iter().map(|(name, sums)| (name.as_str(), sums))
    }

    /// What all of it costs at most, as far as lines say how much they ask for; `None`
    /// when a model has no price.
    pub(crate) fn cost(&self, prices: &Prices) -> Option<Usd> {
        self.models().try_fold(Usd::ZERO, |all, (model, sums)| {
            let price = prices.of(model)?;
            Some(sum(all, cost_of(&price, sums.lines, sums.input(), sums.asked)))
        })
    }

    /// How long it takes at these limits, which hold for each model; `None` without any.
    pub(crate) fn time(&self, limits: &Limits) -> Option<Duration> {
        let minutes =
            |amount: u64, limit: Option<u64>| limit.map(|limit| amount as f64 / limit as f64);
        let times = self.models.values().flat_map(|sums| {
            let tokens = sums.input().saturating_add(sums.asked);
            [minutes(sums.lines, limits.rpm), minutes(tokens, limits.tpm)]
        });
        let most = times.flatten().reduce(f64::max)?;
        Duration::try_from_secs_f64(most * 60.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::line;

    fn of(bodies: &[&str]) -> Estimate {
        let mut estimate = Estimate::new(true);
        for body in bodies {
            estimate.add(&line::read(body.as_bytes(), 1).unwrap(), body.as_bytes());
        }
        estimate
    }

    #[test]
    fn lines_are_counted_by_model_and_the_slower_limit_tells_the_time() {
        let body =
            r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}],"max_tokens":92}"#;
        let estimate = of(&[body, body, r#"{"model":"m","messages":[]}"#]);
        let (_, sums) = estimate.models().find(|(name, _)| *name == "gpt-4o").unwrap();
        assert_eq!((sums.lines, sums.input(), sums.asked, sums.exact()), (2, 16, 184, true));
        let limits = |rpm, tpm| Limits { rpm, tpm, concurrency: None };
        let time = |rpm, tpm| estimate.time(&limits(rpm, tpm)).map(|time| time.as_secs());
        assert_eq!(time(Some(1), None), Some(120));
        assert_eq!(time(Some(1), Some(20)), Some(600));
        assert_eq!(time(None, None), None);
    }

    #[test]
    fn a_thousand_models_take_no_more_room_than_a_few() {
        let mut estimate = Estimate::new(false);
        for n in 0..1_000 {
            let body = format!(r#"{{"model":"m{n}","messages":[]}}"#);
            estimate.add(&line::read(body.as_bytes(), 1).unwrap(), body.as_bytes());
        }
        assert_eq!(estimate.models().count(), MODELS_MAX + 1);
        assert_eq!(estimate.models().map(|(_, sums)| sums.lines).sum::<u64>(), 1_000);
    }
}
