//! How money is counted, as configured.

use std::time::Duration;

use mainstay_core::money::{NamedPrice, Price, PriceList, Unpriced};

use crate::config::Config;

/// How much is held for a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// The most it may use: no budget is ever overspent by an answer as long as its limit says.
    #[default]
    Worst,
    /// What most answers use. More calls fit at once, and a long answer may leave a debt.
    Likely,
}

/// Prices and rules, as of one configuration.
#[derive(Clone, Debug, Default)]
pub struct MoneyRules {
    /// What models cost.
    pub prices: PriceList,
    /// How much is held for a call.
    pub reserve: Reserve,
    /// Output tokens held for a call without a limit of its own, where the model's is unknown.
    pub output_default: u64,
    /// Output tokens held at most with [`Reserve::Likely`].
    pub output_likely: u64,
    /// How long a call waits at most for money of a budget that other gateways spend from too.
    pub lease_wait: Duration,
}

impl MoneyRules {
    /// The rules of a configuration.
    pub(crate) fn of(config: &Config) -> MoneyRules {
        let own = config.prices.iter().map(|price| NamedPrice {
            model: price.model.clone(),
            price: Price {
                input: price.input,
                cached_input: price.cached_input,
                output: price.output,
                image: price.image,
                minute: price.minute,
                character: price.character,
                request: price.request,
            },
        });
        let budget = &config.budget;
        let unpriced = if budget.unpriced_free { Unpriced::Free } else { Unpriced::Refuse };
        MoneyRules {
            prices: PriceList::new(own.collect(), unpriced, budget.shipped_prices),
            reserve: budget.reserve,
            output_default: budget.output_default,
            output_likely: budget.output_likely,
            lease_wait: budget.lease_wait,
        }
    }
}
