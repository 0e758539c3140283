//! An amount of money.

use alloc::string::String;
use core::fmt;

/// An amount in pico-USD, which may be negative: a debt, or a correction downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

/// Pico-USD of one USD.
const ONE: i128 = 1_000_000_000_000;
/// Digits behind the point.
const PLACES: usize = 12;

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUsd;

impl fmt::Display for NotUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount is written as decimal digits such as 5.00, at most 12 behind the point and 15 before it")
    }
}

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);
    /// The largest amount that can be written; sums beyond twice this are refused.
    pub const MAX: Usd = Usd(1_000_000_000_000_000 * ONE - 1);
    /// The largest amount of one entry of a ledger: what 63 bits hold, about 9.2 million USD.
    pub const ENTRY_MAX: Usd = Usd(i64::MAX as i128);

    /// An amount of so many pico-USD.
    pub const fn from_pico(pico: i128) -> Usd {
        Usd(pico)
    }

    /// The amount in pico-USD.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// The amount as an entry of a ledger keeps it; `None` beyond [`Usd::ENTRY_MAX`].
    pub fn entry(self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum; `None` when it does not fit.
    pub fn plus(self, other: Usd) -> Option<Usd> {
        self.0.checked_add(other.0).map(Usd)
    }

    /// The difference; `None` when it does not fit.
    pub fn minus(self, other: Usd) -> Option<Usd> {
        self.0.checked_sub(other.0).map(Usd)
    }

    /// `percent` hundredths of it, rounded down; `None` when it does not fit.
    pub fn percent(self, percent: u32) -> Option<Usd> {
        self.0.checked_mul(i128::from(percent)).map(|all| Usd(all.div_euclid(100)))
    }

    /// Reads an amount: digits, perhaps a point and up to 12 more. A sign is not read: what people
    /// write is never negative.
    ///
    /// # Errors
    ///
    /// [`NotUsd`] for anything else.
    pub fn parse(text: &str) -> Result<Usd, NotUsd> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        if !digits(whole) || !digits(part) || whole.len() > 15 || part.len() > PLACES {
            return Err(NotUsd);
        }
        let whole: i128 = whole.parse().map_err(|_| NotUsd)?;
        let mut pico: i128 = part.parse().map_err(|_| NotUsd)?;
        for _ in part.len()..PLACES {
            pico *= 10;
        }
        Ok(Usd(whole * ONE + pico))
    }

    /// The amount with all twelve places, for programs that compare texts.
    pub fn exact(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        alloc::format!("{sign}{}.{:012}", pico / one, pico % one)
    }
}

impl fmt::Display for Usd {
    /// Every digit that is not a closing zero, and at least two behind the point: `5.00`, `0.0125`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.exact();
        let shortest = text.len() - (PLACES - 2);
        let end = text.trim_end_matches('0').len().max(shortest);
        f.pad(&text[..end])
    }
}
