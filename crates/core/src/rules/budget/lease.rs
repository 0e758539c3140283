//! A node's side of a shared budget: what it may spend without asking anybody.
//!
//! ```text
//!   hold ─▶ room? ── yes ─▶ spend ─▶ used          every turn of the link to the account:
//!             │ no                                   statement ─▶ account ─▶ told
//!             └─▶ lacks: the call waits for ─────────▶ need …            granted rises
//! ```
//!
//! It asks ahead when less than 30 % of its chunk is left, doubles the chunk when that happens and
//! halves it after a quiet while. What it does not need it gives back: when another node waits, when
//! its chunk has shrunk, and at its end.

use super::account::{Statement, Told, less, more};
use super::types::Why;
use crate::money::Usd;

/// Turns without much use after which the chunk is halved.
const QUIET_MAX: u8 = 32;

/// What a node may spend of one budget in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    granted: Usd,
    returned: Usd,
    used: Usd,
    /// How much is asked for ahead of need.
    chunk: Usd,
    /// What all calls that wait need, and the smallest of them; zero when none does.
    lacking: Usd,
    least: Usd,
    /// How far `granted` was asked to rise; zero after the answer.
    wished: Usd,
    /// `used` when it was last told to the account, and how many turns little has changed.
    stated: Usd,
    quiet: u8,
    told: Told,
    heard: bool,
}

impl Lease {
    /// What may be spent beyond `held`.
    pub fn room(&self, held: Usd) -> Usd {
        less(less(self.granted, self.returned), more(self.used, held))
    }

    /// A call waits for `amount`, for which there is no room.
    pub fn lack(&mut self, amount: Usd) {
        self.lacking = more(self.lacking, amount);
        self.least = if self.least > Usd::ZERO { self.least.min(amount) } else { amount };
    }

    /// Why there is no room for `amount`: whether the account may grant it, others may give it back,
    /// or even that would be too little.
    pub fn lacks(&self, amount: Usd, held: Usd) -> Why {
        // What was settled since is still leased, as the account knows it: a turn later it is not.
        let ours = self.room(held).max(less(self.told.outstanding, held));
        let granted = more(self.told.free, ours);
        match (self.heard && amount > granted, amount > more(granted, self.told.idle)) {
            (false, _) => Why::Leased,
            (true, false) => Why::Elsewhere,
            (true, true) => Why::Spent,
        }
    }

    /// A call that was admitted in this period has cost so much.
    pub fn spend(&mut self, cost: Usd) {
        self.used = more(self.used, cost);
    }

    /// Whether there is something to tell the account, or to ask it.
    pub fn has_news(&self) -> bool {
        let open = self.granted > more(self.returned, self.used);
        let told = self.told.outstanding == Usd::ZERO && self.stated == self.used;
        self.lacking > Usd::ZERO || open || !told
    }

    /// What was last told of the account; zeros before the first answer.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Whether nothing is left to tell: what was granted is used or given back, and the account
    /// knows.
    pub fn is_closed(&self) -> bool {
        let known = self.stated == self.used && self.told.outstanding == Usd::ZERO;
        self.room(Usd::ZERO) == Usd::ZERO && (known || self.granted == Usd::ZERO)
    }

    /// What to tell the account next. `closing`: nothing more will be held, so that all that is not
    /// held goes back.
    pub fn statement(&mut self, held: Usd, closing: bool) -> Statement {
        self.adapt();
        let waits = self.least > Usd::ZERO && !closing;
        if closing || self.told.wanted {
            self.give_back(self.room(held));
        } else if !waits {
            self.give_back(less(self.room(held), more(self.chunk, self.chunk)));
        }
        self.stated = self.used;
        let ahead = !closing && !self.told.wanted && self.is_low(held);
        if ahead || waits {
            self.chunk = more(self.chunk, self.chunk).max(self.lacking);
        }
        let base = more(more(self.returned, self.used), held);
        self.wished = match (waits, ahead) {
            (true, _) => more(base, more(self.lacking, self.chunk)),
            (false, true) => more(base, self.chunk),
            (false, false) => Usd::ZERO,
        };
        Statement {
            granted: self.granted,
            returned: self.returned,
            used: self.used,
            held,
            wish: self.wished,
            need: if waits { more(base, self.least) } else { Usd::ZERO },
        }
    }

    fn give_back(&mut self, idle: Usd) {
        self.returned = more(self.returned, idle);
    }

    /// Learns the account's answer to a statement. Calls that wait look again, and say again what
    /// they lack.
    pub fn learn(&mut self, told: &Told) {
        if told.granted < self.wished {
            // Little is left: what came is what may be asked for ahead of need.
            self.chunk = less(told.granted, self.granted);
        }
        self.granted = self.granted.max(told.granted);
        self.told = *told;
        self.heard = true;
        self.wished = Usd::ZERO;
        (self.lacking, self.least) = (Usd::ZERO, Usd::ZERO);
    }

    /// Less than 30 % of the chunk is left.
    fn is_low(&self, held: Usd) -> bool {
        self.chunk > Usd::ZERO
            && self.room(held).pico().saturating_mul(10) < self.chunk.pico().saturating_mul(3)
    }

    fn adapt(&mut self) {
        let used = less(self.used, self.stated);
        let busy = used.pico().saturating_mul(8) >= self.chunk.pico();
        self.quiet = if busy { 0 } else { self.quiet + 1 };
        if self.quiet >= QUIET_MAX {
            (self.quiet, self.chunk) = (0, Usd::from_pico(self.chunk.pico() / 2));
        }
    }
}

#[cfg(test)]
mod tests;
