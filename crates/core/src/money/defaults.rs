//! What common models cost, as their vendor lists it.
//!
//! Standard prices without discounts for batches and without surcharges for long prompts or quick
//! service. A price of one's own contract belongs into `[[price]]`, which goes before these.

use super::Price;

/// When the table was last gone through. What its rows are worth is said by each row's
/// [`known`](DefaultPrice::known): most are older than this.
pub const DEFAULTS_DATE: &str = "2026-11-21";
/// What most rows are known of.
const OLD: &str = "2025-10";
/// What the rows from a reprint are known of.
const REPRINT: &str = "2026-06";

/// A shipped price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultPrice {
    /// The model, without a closing date.
    pub model: &'static str,
    /// Whether it is the price of models tuned from `model`.
    pub tuned: bool,
    /// The price.
    pub price: Price,
    /// As of which month it is known, `YYYY-MM`: later changes are not in it.
    pub known: &'static str,
}

/// The shipped prices.
pub fn default_prices() -> &'static [DefaultPrice] {
    TABLE
}

const fn row(model: &'static str, input: u64, cached: u64, output: u64) -> DefaultPrice {
    DefaultPrice { model, tuned: false, price: Price::tokens(input, cached, output), known: OLD }
}

const fn reprinted(model: &'static str, input: u64, cached: u64, output: u64) -> DefaultPrice {
    DefaultPrice { known: REPRINT, ..row(model, input, cached, output) }
}

const fn tuned(model: &'static str, input: u64, cached: u64, output: u64) -> DefaultPrice {
    DefaultPrice { tuned: true, ..row(model, input, cached, output) }
}

const fn other(model: &'static str, price: Price) -> DefaultPrice {
    DefaultPrice { model, tuned: false, price, known: OLD }
}

const FREE: Price = Price::tokens(0, 0, 0);

// Pico-USD a token: USD for a million tokens, times a million. Where a vendor lists no price for
// cached input, it is that of input.
#[rustfmt::skip]
const TABLE: &[DefaultPrice] = &[
    row("gpt-4o", 2_500_000, 1_250_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4o-2024-05-13", 5_000_000, 5_000_000, 15_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4o-mini", 150_000, 75_000, 600_000), // Source: the vendor's price page, as known of 2025-10.
    row("chatgpt-4o", 5_000_000, 5_000_000, 15_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4.1", 2_000_000, 500_000, 8_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4.1-mini", 400_000, 100_000, 1_600_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4.1-nano", 100_000, 25_000, 400_000), // Source: the vendor's price page, as known of 2025-10.
    reprinted("gpt-5.5", 5_000_000, 500_000, 30_000_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    reprinted("gpt-5.5-pro", 30_000_000, 30_000_000, 180_000_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    reprinted("gpt-5.4", 2_500_000, 250_000, 15_000_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    reprinted("gpt-5.4-mini", 750_000, 75_000, 4_500_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    reprinted("gpt-5.4-nano", 200_000, 20_000, 1_250_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    reprinted("gpt-5.4-pro", 30_000_000, 30_000_000, 180_000_000), // Source: reprint of the vendor's price page of 2026-06 (morphllm.com), read 2026-11.
    row("gpt-5.1", 1_250_000, 125_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5", 1_250_000, 125_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5-chat", 1_250_000, 125_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5-codex", 1_250_000, 125_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5-mini", 250_000, 25_000, 2_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5-nano", 50_000, 5_000, 400_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-5-pro", 15_000_000, 15_000_000, 120_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("o1", 15_000_000, 7_500_000, 60_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("o1-mini", 1_100_000, 550_000, 4_400_000), // Source: the vendor's price page, as known of 2025-10.
    row("o1-pro", 150_000_000, 150_000_000, 600_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("o3", 2_000_000, 500_000, 8_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("o3-mini", 1_100_000, 550_000, 4_400_000), // Source: the vendor's price page, as known of 2025-10.
    row("o3-pro", 20_000_000, 20_000_000, 80_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("o4-mini", 1_100_000, 275_000, 4_400_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4-turbo", 10_000_000, 10_000_000, 30_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4", 30_000_000, 30_000_000, 60_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4-32k", 60_000_000, 60_000_000, 120_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-3.5-turbo", 500_000, 500_000, 1_500_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-3.5-turbo-instruct", 1_500_000, 1_500_000, 2_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("davinci-002", 2_000_000, 2_000_000, 2_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("babbage-002", 400_000, 400_000, 400_000), // Source: the vendor's price page, as known of 2025-10.
    row("text-embedding-3-small", 20_000, 20_000, 0), // Source: the vendor's price page, as known of 2025-10.
    row("text-embedding-3-large", 130_000, 130_000, 0), // Source: the vendor's price page, as known of 2025-10.
    row("text-embedding-ada-002", 100_000, 100_000, 0), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4o-transcribe", 6_000_000, 6_000_000, 10_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-4o-mini-transcribe", 3_000_000, 3_000_000, 5_000_000), // Source: the vendor's price page, as known of 2025-10.
    row("gpt-image-1", 10_000_000, 10_000_000, 40_000_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-4o", 3_750_000, 1_875_000, 15_000_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-4o-mini", 300_000, 150_000, 1_200_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-4.1", 3_000_000, 750_000, 12_000_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-4.1-mini", 800_000, 200_000, 3_200_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-4.1-nano", 200_000, 50_000, 800_000), // Source: the vendor's price page, as known of 2025-10.
    tuned("gpt-3.5-turbo", 3_000_000, 3_000_000, 6_000_000), // Source: the vendor's price page, as known of 2025-10.
    other("whisper-1", Price { minute: 6_000_000_000, ..FREE }), // 0.006 USD a minute. Source: the vendor's price page, as known of 2025-10.
    other("tts-1", Price { character: 15_000_000, ..FREE }), // 15 USD a million. Source: the vendor's price page, as known of 2025-10.
    other("tts-1-hd", Price { character: 30_000_000, ..FREE }), // 30 USD a million. Source: the vendor's price page, as known of 2025-10.
    // Pictures have several sizes; the dearest is listed, so that no budget is overrun.
    other("dall-e-2", Price { image: 20_000_000_000, ..FREE }), // 0.02 USD. Source: the vendor's price page, as known of 2025-10.
    other("dall-e-3", Price { image: 120_000_000_000, ..FREE }), // 0.12 USD. Source: the vendor's price page, as known of 2025-10.
    other("omni-moderation", FREE), // Source: the vendor's price page, as known of 2025-10.
    other("text-moderation", FREE), // Source: the vendor's price page, as known of 2025-10.
];
