//! Which price a model has.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Price, default_prices};
use crate::store::model_fits;

/// A price and the models it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPrice {
    /// The model, or `provider/model`; `*` at the end stands for any rest.
    pub model: String,
    /// The price.
    pub price: Price,
}

/// What is done with a model that has no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// A call under a hard budget is refused; any other one goes through and is recorded at 0.
    #[default]
    Refuse,
    /// It costs nothing.
    Free,
    /// It costs this.
    At(Price),
}

/// The prices of a configuration over the shipped ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    own: Vec<NamedPrice>,
    unpriced: Unpriced,
    /// Whether the shipped prices count.
    shipped: bool,
}

impl PriceList {
    /// A list of these prices. With `shipped`, models that none of them fits have the shipped price.
    pub fn new(own: Vec<NamedPrice>, unpriced: Unpriced, shipped: bool) -> PriceList {
        PriceList { own, unpriced, shipped }
    }

    /// What is done with models without a price.
    pub fn unpriced(&self) -> Unpriced {
        self.unpriced
    }

    /// The price of `model` at `provider`; `None` when there is none and the rule is to refuse.
    ///
    /// `provider/model` goes before `model`, an exact name before a pattern, a longer pattern before
    /// a shorter one, and every price of one's own before a shipped one.
    pub fn price(&self, provider: &str, model: &str) -> Option<Price> {
        let own = self.own(provider, model);
        let found = own.or_else(|| self.shipped.then(|| shipped(model)).flatten());
        found.or_else(|| match self.unpriced {
            Unpriced::Refuse => None,
            Unpriced::Free => Some(Price::default()),
            Unpriced::At(price) => Some(price),
        })
    }

    fn own(&self, provider: &str, model: &str) -> Option<Price> {
        // What counts more comes first in the tuple.
        let rank = |named: &NamedPrice| {
            let pattern = named.model.as_str();
            let exact = !pattern.ends_with('*');
            if let Some(rest) =
                pattern.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'))
                && model_fits(rest, model)
            {
                return Some((true, exact, pattern.len()));
            }
            model_fits(pattern, model).then_some((false, exact, pattern.len()))
        };
        let ranked = self.own.iter().filter_map(|named| Some((rank(named)?, named.price)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, price)| price)
    }
}

/// The shipped price of a model: its name without a provider's prefix and without a closing date.
fn shipped(model: &str) -> Option<Price> {
    let name = model.rsplit('/').next().unwrap_or(model);
    // A tuned model is named `ft:BASE:ORGANIZATION:…` and has a price of its own.
    let tuned = name.strip_prefix("ft:").map(|rest| rest.split(':').next().unwrap_or(rest));
    let table = default_prices();
    let find = |name: &str| {
        table
            .iter()
            .find(|row| row.tuned == tuned.is_some() && row.model == name)
            .map(|row| row.price)
    };
    let base = tuned.unwrap_or(name);
    find(base).or_else(|| find(undated(base)?))
}

/// The name before a closing `-YYYY-MM-DD`, `-MMDD` or `-latest`; `None` without one. Only these
/// are the same model: `gpt-5-pro` is not `gpt-5`.
fn undated(name: &str) -> Option<&str> {
    if let Some(base) = name.strip_suffix("-latest") {
        return Some(base);
    }
    [11, 5].into_iter().find_map(|length| {
        let at = name.len().checked_sub(length).filter(|at| *at > 0)?;
        let (base, end) = (name.get(..at)?, name.get(at..)?);
        let fits = |(index, c): (usize, u8)| {
            if matches!(index, 0 | 5 | 8) { c == b'-' } else { c.is_ascii_digit() }
        };
        end.bytes().enumerate().all(fits).then_some(base)
    })
}
