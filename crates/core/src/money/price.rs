//! What a model costs, and what a call of it costs.

use core::fmt;

use super::Usd;

/// The price of a model. Every number is in pico-USD and may be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// An input token that was not cached.
    pub input: u64,
    /// An input token that was cached.
    pub cached_input: u64,
    /// An output token, reasoning included.
    pub output: u64,
    /// A picture made.
    pub image: u64,
    /// A minute of sound, charged by the millisecond and rounded up to a pico-USD.
    pub minute: u64,
    /// A character of text that is spoken.
    pub character: u64,
    /// An attempt that was answered, whatever it used.
    pub request: u64,
}

/// What was used, or may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantity {
    /// Attempts that were answered.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens that were cached; more than `input` counts as `input`.
    pub cached: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Pictures made.
    pub images: u64,
    /// Sound heard or spoken, in milliseconds.
    pub sound_ms: u64,
    /// Characters spoken.
    pub characters: u64,
}

impl Quantity {
    /// Both together; sums saturate, which any price but zero refuses.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        Quantity {
            requests: self.requests.saturating_add(other.requests),
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            output: self.output.saturating_add(other.output),
            images: self.images.saturating_add(other.images),
            sound_ms: self.sound_ms.saturating_add(other.sound_ms),
            characters: self.characters.saturating_add(other.characters),
        }
    }
}

/// A cost beyond what one entry of a ledger can hold: a price or a number is mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDear;

impl fmt::Display for TooDear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the cost of one call is above {} USD, so a price or a number is mistaken",
            Usd::ENTRY_MAX
        )
    }
}

impl Price {
    /// A price by the token: input, cached input, output, in pico-USD.
    pub const fn tokens(input: u64, cached_input: u64, output: u64) -> Price {
        Price { input, cached_input, output, image: 0, minute: 0, character: 0, request: 0 }
    }

    /// What `quantity` costs, exactly; a part of a minute is rounded up to a whole pico-USD.
    ///
    /// # Errors
    ///
    /// [`TooDear`] above [`Usd::ENTRY_MAX`]; nothing wraps.
    pub fn cost(&self, quantity: &Quantity) -> Result<Usd, TooDear> {
        let cached = quantity.cached.min(quantity.input);
        let parts = [
            (self.input, quantity.input - cached),
            (self.cached_input, cached),
            (self.output, quantity.output),
            (self.image, quantity.images),
            (self.character, quantity.characters),
            (self.request, quantity.requests),
        ];
        // Each product is below 2¹²⁸, and so is the sum only if it is checked.
        let mut sum = (u128::from(self.minute) * u128::from(quantity.sound_ms)).div_ceil(60_000);
        for (price, count) in parts {
            sum = sum.checked_add(u128::from(price) * u128::from(count)).ok_or(TooDear)?;
        }
        let sum = i128::try_from(sum).map_err(|_| TooDear)?;
        Some(Usd::from_pico(sum)).filter(|cost| *cost <= Usd::ENTRY_MAX).ok_or(TooDear)
    }

    /// The dearer of two prices, number by number: an upper bound of both.
    #[must_use]
    pub fn or_dearer(&self, other: &Price) -> Price {
        Price {
            input: self.input.max(other.input),
            cached_input: self.cached_input.max(other.cached_input),
            output: self.output.max(other.output),
            image: self.image.max(other.image),
            minute: self.minute.max(other.minute),
            character: self.character.max(other.character),
            request: self.request.max(other.request),
        }
    }
}
