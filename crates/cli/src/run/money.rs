//! What a run costs, and that it does not cost more than it may. Amounts are integers of pico-USD.

use std::collections::BTreeMap;

use mainstay_core::wire::usage::Usage;
use mainstay_gateway::config::Price;

/// Output expected of a call that names no bound, until answers have shown more.
const OUTPUT_GUESS: u64 = 512;

/// What models cost, by the name that lines have or by the one that is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    list: Vec<Price>,
    map: BTreeMap<String, String>,
}

impl Prices {
    /// These prices, for models that are renamed by `map`.
    pub(crate) fn new(list: Vec<Price>, map: &[(String, String)]) -> Prices {
        Prices { list, map: map.iter().cloned().collect() }
    }

    /// Whether any price is known.
    pub(crate) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// What a model costs.
    pub(crate) fn of(&self, model: &str) -> Option<&Price> {
        let asked = self.map.get(model).map(String::as_str);
        let find = |name: &str| self.list.iter().find(|price| fits(&price.model, name));
        find(model).or_else(|| asked.and_then(find))
    }
}

fn fits(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => model.starts_with(start),
        None => pattern == model,
    }
}

/// What was used, in pico-USD.
pub(crate) fn cost(price: &Price, usage: Usage) -> u128 {
    let cached = usage.cached.min(usage.input);
    let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
    part(usage.input - cached, price.input)
        + part(cached, price.cached_input)
        + part(usage.output, price.output)
}

/// Money of a job: spent and set aside for calls under way.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    prices: Prices,
    max: Option<u128>,
    spent: u128,
    held: u128,
    output_most: u64,
    unpriced: u64,
}

impl Purse {
    /// A purse with nothing spent.
    pub(crate) fn new(prices: Prices, max: Option<u128>) -> Purse {
        Purse { prices, max, output_most: OUTPUT_GUESS, ..Purse::default() }
    }

    /// The prices.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What was spent, if every answer had a price.
    pub(crate) fn spent(&self) -> Option<u128> {
        (self.unpriced == 0 && !self.prices.list.is_empty()).then_some(self.spent)
    }

    /// Sets aside what a call may cost; `None` when that would be more than there is.
    pub(crate) fn hold(
        &mut self,
        model: Option<&str>,
        input: u64,
        output: Option<u64>,
    ) -> Option<u128> {
        let price = model.and_then(|model| self.prices.of(model));
        let Some(price) = price else { return Some(0) };
        let output = output.unwrap_or(self.output_most);
        let amount = cost(price, Usage { input, output, cached: 0 });
        if self.max.is_some_and(|max| self.spent + self.held + amount > max) {
            return None;
        }
        self.held += amount;
        Some(amount)
    }

    /// Gives back what was set aside and takes what was used.
    pub(crate) fn settle(&mut self, held: u128, model: Option<&str>, used: Option<Usage>) {
        self.held = self.held.saturating_sub(held);
        let Some(used) = used else { return };
        self.output_most = self.output_most.max(used.output);
        match model.and_then(|model| self.prices.of(model)) {
            Some(price) => self.spent += cost(price, used),
            None => self.unpriced += 1,
        }
    }
}

/// Pico-USD as dollars, to four places after the point, or to the first that counts.
pub(crate) fn dollars(pico: u128) -> String {
    const DOLLAR: u128 = 1_000_000_000_000;
    let (whole, rest) = (pico / DOLLAR, pico % DOLLAR);
    let digits = format!("{rest:012}");
    let places = digits.find(|c| c != '0').map_or(4, |at| (at + 2).clamp(4, 12));
    format!("{whole}.{}", &digits[..places])
}

/// Dollars as a person writes them, such as `12.50`, in pico-USD.
pub(crate) fn parse_dollars(text: &str) -> Option<u128> {
    let text = text.trim().trim_start_matches('$');
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && rest.is_empty()
        || !digits(whole)
        || !digits(rest)
        || rest.len() > 12
        || whole.len() > 12
    {
        return None;
    }
    format!("{whole}{rest:0<12}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        let price = |model: &str, input, output| Price {
            model: model.to_owned(),
            input,
            cached_input: input / 2,
            output,
            ..Price::default()
        };
        let map = [("fast".to_owned(), "gpt-4o".to_owned())];
        Prices::new(vec![price("gpt-4o*", 2_500_000, 10_000_000)], &map)
    }

    #[test]
    fn calls_under_way_and_spent_money_never_pass_the_bound_together() {
        let mut purse = Purse::new(prices(), Some(60_000_000));
        let held = purse.hold(Some("gpt-4o-mini"), 10, Some(1)).unwrap();
        assert_eq!(held, 35_000_000);
        assert_eq!(purse.hold(Some("gpt-4o"), 10, Some(1)), None, "70 of 60");
        let used = Usage { input: 10, output: 1, cached: 10 };
        purse.settle(held, Some("gpt-4o-mini"), Some(used));
        assert_eq!(purse.spent(), Some(22_500_000));
        assert_eq!(purse.hold(Some("fast"), 11, Some(1)), Some(37_500_000));
        assert_eq!(purse.hold(Some("fast"), 1, Some(0)), None);
    }

    #[test]
    fn what_has_no_price_is_not_told_as_free() {
        let mut purse = Purse::new(prices(), None);
        assert_eq!(purse.hold(Some("other"), 1_000, None), Some(0));
        purse.settle(0, Some("other"), Some(Usage { input: 1, output: 1, cached: 0 }));
        assert_eq!(purse.spent(), None);
        assert_eq!(Purse::new(Prices::default(), None).spent(), None);
    }

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for (text, pico) in [
            ("0", 0),
            ("12.50", 12_500_000_000_000),
            ("$0.000001", 1_000_000),
            (".5", 500_000_000_000),
        ] {
            assert_eq!(parse_dollars(text), Some(pico), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "1,5", "0.0000000000001"] {
            assert_eq!(parse_dollars(text), None, "{text}");
        }
        assert_eq!(dollars(12_500_000_000_000), "12.5000");
        assert_eq!(dollars(1_250_000), "0.0000012");
        assert_eq!(dollars(0), "0.0000");
    }
}
