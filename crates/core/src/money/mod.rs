//! Money: amounts, what models cost, and what a call costs or may cost.
//!
//! An amount is a whole number of pico-USD (10⁻¹² USD) and a sum that does not fit is refused, so
//! that what is spent, held and billed can be compared digit by digit. There is no float here.

mod defaults;
mod list;
mod price;
mod usd;

/// Budgets: the rule that those ask who admit calls.
pub use crate::rules::budget;

pub use defaults::{DEFAULTS_DATE, DefaultPrice, default_prices};
pub use list::{NamedPrice, PriceList, Unpriced};
pub use price::{Price, Quantity, TooDear};
pub use usd::{NotUsd, Usd};

#[cfg(test)]
mod tests;
