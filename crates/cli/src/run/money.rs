//! What a run costs, and that it does not cost more than it may.

use std::collections::BTreeMap;

use mainstay_core::money::{Price, PriceList, Quantity, Usd};
use mainstay_core::wire::usage::Usage;

/// Output expected of a call that names no bound, until answers have shown more.
const OUTPUT_GUESS: u64 = 512;
/// The provider's name in `[[price]]`s of the form `provider/model`.
const PROVIDER: &str = "openai";

/// What models cost, by the name that lines have or by the one that is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    list: PriceList,
    map: BTreeMap<String, String>,
}

impl Prices {
    /// These prices, for models that are renamed by `map`.
    pub(crate) fn new(list: PriceList, map: &[(String, String)]) -> Prices {
        Prices { list, map: map.iter().cloned().collect() }
    }

    /// What a model costs.
    pub(crate) fn of(&self, model: &str) -> Option<Price> {
        let asked = self.map.get(model).map_or(model, String::as_str);
        self.list.price(PROVIDER, asked).or_else(|| self.list.price(PROVIDER, model))
    }
}

/// What was used; an amount that no ledger could hold counts as the largest that one can.
fn cost(price: &Price, usage: Usage) -> Usd {
    let Usage { input, output, cached } = usage;
    let quantity = Quantity { requests: 1, input, cached, output, ..Quantity::default() };
    price.cost(&quantity).unwrap_or(Usd::ENTRY_MAX)
}

/// What so many tokens of a model cost in so many calls.
pub(crate) fn cost_of(price: &Price, requests: u64, input: u64, output: u64) -> Usd {
    let quantity = Quantity { requests, input, output, ..Quantity::default() };
    price.cost(&quantity).unwrap_or(Usd::ENTRY_MAX)
}

/// The sum, up to the largest amount.
pub(crate) fn sum(one: Usd, other: Usd) -> Usd {
    one.plus(other).map_or(Usd::MAX, |sum| sum.min(Usd::MAX))
}

/// Money of a job: spent and set aside for calls under way.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    prices: Prices,
    max: Option<Usd>,
    spent: Usd,
    held: Usd,
    output_most: u64,
    unpriced: u64,
}

impl Purse {
    /// A purse with nothing spent.
    pub(crate) fn new(prices: Prices, max: Option<Usd>) -> Purse {
        Purse { prices, max, output_most: OUTPUT_GUESS, ..Purse::default() }
    }

    /// What was spent, if every answer had a price.
    pub(crate) fn spent(&self) -> Option<Usd> {
        (self.unpriced == 0).then_some(self.spent)
    }

    /// Sets aside what a call may cost; `None` when that would be more than there is.
    pub(crate) fn hold(
        &mut self,
        model: Option<&str>,
        input: u64,
        output: Option<u64>,
    ) -> Option<Usd> {
        let price = model.and_then(|model| self.prices.of(model));
        let Some(price) = price else { return Some(Usd::ZERO) };
        let output = output.unwrap_or(self.output_most);
        let amount = cost(&price, Usage { input, output, cached: 0 });
        let after = sum(sum(self.spent, self.held), amount);
        if self.max.is_some_and(|max| after > max) {
            return None;
        }
        self.held = sum(self.held, amount);
        Some(amount)
    }

    /// Gives back what was set aside and takes what was used.
    pub(crate) fn settle(&mut self, held: Usd, model: Option<&str>, used: Option<Usage>) {
        self.held = self.held.minus(held).unwrap_or_default().max(Usd::ZERO);
        let Some(used) = used else { return };
        self.output_most = self.output_most.max(used.output);
        match model.and_then(|model| self.prices.of(model)) {
            Some(price) => self.spent = sum(self.spent, cost(&price, used)),
            None => self.unpriced += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::money::{NamedPrice, Unpriced};

    fn prices() -> Prices {
        let price = Price::tokens(2_500_000, 1_250_000, 10_000_000);
        let own = vec![NamedPrice { model: "mine*".to_owned(), price }];
        let map = [("fast".to_owned(), "mine".to_owned())];
        Prices::new(PriceList::new(own, Unpriced::Refuse, false), &map)
    }

    fn pico(amount: i128) -> Usd {
        Usd::from_pico(amount)
    }

    #[test]
    fn calls_under_way_and_spent_money_never_pass_the_bound_together() {
        let mut purse = Purse::new(prices(), Some(pico(60_000_000)));
        let held = purse.hold(Some("mine-mini"), 10, Some(1)).unwrap();
        assert_eq!(held, pico(35_000_000));
        assert_eq!(purse.hold(Some("mine"), 10, Some(1)), None, "70 of 60");
        let used = Usage { input: 10, output: 1, cached: 10 };
        purse.settle(held, Some("mine-mini"), Some(used));
        assert_eq!(purse.spent(), Some(pico(22_500_000)));
        assert_eq!(purse.hold(Some("fast"), 11, Some(1)), Some(pico(37_500_000)));
        assert_eq!(purse.hold(Some("fast"), 1, Some(0)), None);
    }

    #[test]
    fn what_has_no_price_is_not_told_as_free() {
        let mut purse = Purse::new(prices(), None);
        assert_eq!(purse.hold(Some("other"), 1_000, None), Some(Usd::ZERO));
        purse.settle(Usd::ZERO, Some("other"), Some(Usage { input: 1, output: 1, cached: 0 }));
        assert_eq!(purse.spent(), None);
    }
}
