//! `[[price]]` and `[budget]`.

use std::time::Duration;

use super::fault::words;
use super::reader::{Need, Reader, Section, cut};
use super::values::decimal;
use crate::money::Reserve;

/// What a model costs, in pico-USD (10^-12 USD).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The model, or `provider/model`; `*` at the end matches any rest.
    pub model: String,
    /// An input token.
    pub input: u64,
    /// An input token that was cached.
    pub cached_input: u64,
    /// An output token.
    pub output: u64,
    /// A picture made.
    pub image: u64,
    /// A minute of sound.
    pub minute: u64,
    /// A character spoken.
    pub character: u64,
    /// An attempt that was answered.
    pub request: u64,
}

/// How budgets count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetConfig {
    /// How much is held for a call.
    pub reserve: Reserve,
    /// Output tokens held where neither the call nor the model has a limit.
    pub output_default: u64,
    /// Output tokens held at most with `reserve = "likely"`.
    pub output_likely: u64,
    /// Whether models without a price cost nothing; else they are refused under a hard budget.
    pub unpriced_free: bool,
    /// Whether the shipped prices count.
    pub shipped_prices: bool,
    /// Whether what a process that died has held is charged at the next start; else released.
    pub charge_leftovers: bool,
    /// Entries that may wait to be written.
    pub queue_max: u64,
    /// How long a call waits at most for money of a budget that other gateways spend from too.
    pub lease_wait: Duration,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        BudgetConfig {
            reserve: Reserve::Worst,
            output_default: 4_096,
            output_likely: 1_024,
            unpriced_free: false,
            shipped_prices: true,
            charge_leftovers: true,
            queue_max: 65_536,
            lease_wait: Duration::from_secs(2),
        }
    }
}

pub(super) fn read_budget(reader: &mut Reader<'_>, root: &Section<'_>) -> BudgetConfig {
    let mut budget = BudgetConfig::default();
    let Some(section) = reader.sub(root, "budget", "budget") else { return budget };
    let reserve = [("worst", Reserve::Worst), ("likely", Reserve::Likely)];
    if let Some(found) = reader.word(&section, "reserve", &reserve) {
        budget.reserve = found.value;
    }
    if let Some(found) = reader.word(&section, "unpriced", &[("refuse", false), ("free", true)]) {
        budget.unpriced_free = found.value;
    }
    if let Some(found) = reader.word(&section, "leftovers", &[("charge", true), ("release", false)])
    {
        budget.charge_leftovers = found.value;
    }
    if let Some(flag) = reader.flag(&section, "shipped_prices") {
        budget.shipped_prices = flag;
    }
    let wait = Duration::from_millis(10)..=Duration::from_secs(60);
    if let Some(found) = reader.wait(&section, "lease_wait", wait) {
        budget.lease_wait = found.value;
    }
    for (key, range, slot) in [
        ("output_default", 1..=10_000_000, &mut budget.output_default),
        ("output_likely", 1..=10_000_000, &mut budget.output_likely),
        ("queue_max", 16..=1_000_000, &mut budget.queue_max),
    ] {
        if let Some(found) = reader.number(&section, key, range) {
            *slot = found.value;
        }
    }
    budget
}

pub(super) fn read_prices(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<Price> {
    let mut prices: Vec<Price> = Vec::new();
    for section in reader.list(root, "price") {
        let model = reader.text(&section, "model", Need::Required);
        let mut part = |key: &str| micro(reader, &section, key);
        // USD for a million are pico-USD for one, once six decimals are taken as whole numbers.
        let (input, cached) = (part("input_per_1m"), part("cached_input_per_1m"));
        let (output, character) = (part("output_per_1m"), part("characters_per_1m"));
        let whole = |micro: Option<u64>| micro.unwrap_or(0).saturating_mul(1_000_000);
        let (image, minute) = (whole(part("per_image")), whole(part("per_minute")));
        let request = whole(part("per_request"));
        let Some(model) = model else { continue };
        if prices.iter().any(|price| price.model == model.value) {
            let what = format!("`{}` is a second price for `{}`", section.shown, cut(&model.value));
            reader.error(model.line, words(what, "which one holds would be a guess", "keep one"));
        }
        prices.push(Price {
            model: model.value,
            input: input.unwrap_or(0),
            cached_input: cached.or(input).unwrap_or(0),
            output: output.unwrap_or(0),
            image,
            minute,
            character: character.unwrap_or(0),
            request,
        });
    }
    prices
}

/// USD with six decimals as a whole number.
fn micro(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<u64> {
    const MOST: u128 = 1_000_000_000_000; // a million USD
    let wanted = "USD as a decimal string such as \"2.50\", 0 to 1000000, at most 6 decimals";
    let read = |text: &str| {
        decimal(text, 6).filter(|&micro| micro <= MOST).and_then(|micro| u64::try_from(micro).ok())
    };
    reader.parsed(section, key, wanted, read).map(|found| found.value)
}
