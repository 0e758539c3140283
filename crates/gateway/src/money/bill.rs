//! What a call cost: price times usage of each of its attempts, whoever lost or broke off.

use mainstay::call::{AttemptRecord, Trace};
use mainstay_core::failure::Kind;
use mainstay_core::money::{Price, Quantity, Usd};
use mainstay_core::wire::usage::Usage;

use super::MoneyRules;
use super::demand::Demand;

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bill {
    /// What it cost.
    pub(super) cost: Usd,
    /// Tokens charged.
    pub(super) usage: Usage,
    /// Something was charged, even if it cost nothing.
    pub(super) charged: bool,
    /// Some of it was counted here.
    pub(super) estimated: bool,
    /// Some of it has no price.
    pub(super) unpriced: bool,
    /// What providers may have billed for attempts that nothing is known of.
    pub(super) exposure: Usd,
}

/// What became of an attempt, as far as money is concerned.
enum Part {
    /// It used this.
    Used(Quantity, Usage, bool),
    /// It costs what is held for a call.
    All,
    /// It may have cost up to what is held for a call; nobody knows.
    Unknown,
    /// It cost nothing.
    Nothing,
}

/// Adds up a call's attempts. `whole`: its answer is complete; `held`: what one answer may cost.
pub(super) fn of(
    rules: &MoneyRules,
    demand: &Demand,
    trace: &Trace,
    whole: bool,
    held: Usd,
) -> Bill {
    let mut bill = Bill::default();
    // The answer is the last attempt's that did not fail.
    let answered =
        trace.records.iter().rposition(|record| record.kind.is_none() && is_sound(record));
    for (index, record) in trace.records.iter().enumerate() {
        let price =
            record.model.as_deref().and_then(|model| rules.prices.price(&record.provider, model));
        bill.unpriced |= price.is_none();
        let price = price.unwrap_or_default();
        match part(demand, record, &price, whole && answered == Some(index)) {
            Part::Used(quantity, usage, estimated) => {
                bill.charge(cost(&price, &quantity), usage);
                bill.estimated |= estimated;
            }
            Part::All => {
                bill.charge(held, Usage::default());
                bill.estimated = true;
            }
            Part::Unknown => bill.exposure = sum(bill.exposure, held),
            Part::Nothing => {}
        }
    }
    bill
}

impl Bill {
    fn charge(&mut self, cost: Usd, usage: Usage) {
        self.charged = true;
        self.cost = sum(self.cost, cost);
        self.usage = Usage {
            input: self.usage.input.saturating_add(usage.input),
            output: self.usage.output.saturating_add(usage.output),
            cached: self.usage.cached.saturating_add(usage.cached),
        };
    }
}

fn part(demand: &Demand, record: &AttemptRecord, price: &Price, is_answer: bool) -> Part {
    // Only of what was asked to be heard; any other answer may mean something else by its seconds.
    let heard = record.sound_ms.filter(|_| demand.worst.sound_ms > 0);
    let plain = Quantity { sound_ms: heard.unwrap_or(demand.plain.sound_ms), ..demand.plain };
    match record.used {
        Some(used) if used.counted => {
            // What came was counted; what was asked is estimated.
            let usage = Usage { input: plain.input, ..used.usage };
            Part::Used(quantity(usage, &plain), usage, true)
        }
        Some(used) => {
            // Tokens were told; the length of the sound, where it costs too, may be a guess.
            let guessed = heard.is_none() && plain.sound_ms > 0 && price.minute > 0;
            Part::Used(quantity(used.usage, &plain), used.usage, guessed)
        }
        None if heard.is_some() => {
            Part::Used(quantity(Usage::default(), &plain), Usage::default(), false)
        }
        None if is_answer && demand.all => Part::All,
        None if is_answer => {
            let fixed = demand.plain.images > 0 || demand.plain.characters > 0;
            // Four bytes a token, as in English text; what is counted otherwise has no tokens.
            let output = if demand.worst.output > 0 && !fixed && demand.plain.sound_ms == 0 {
                (record.bytes / 4).min(demand.worst.output)
            } else {
                0
            };
            let plain = Quantity { output, ..demand.plain };
            let usage = Usage { input: plain.input, output, cached: 0 };
            let exact = demand.plain.characters > 0 || demand.plain.images > 0;
            Part::Used(plain, usage, !exact)
        }
        None => silent(record),
    }
}

/// An attempt that told no tokens and is not the answer.
fn silent(record: &AttemptRecord) -> Part {
    match record.kind {
        // Nobody waited for its end; the provider may have gone on.
        None => Part::Unknown,
        // A refusal is not billed.
        Some(_) if record.status.is_some_and(|status| status >= 400) => Part::Nothing,
        Some(
            Kind::Connection
            | Kind::RequestTimeout
            | Kind::GatewayTimeout
            | Kind::StreamInterrupted
            | Kind::MalformedResponse,
        ) => Part::Unknown,
        Some(_) => Part::Nothing,
    }
}

fn quantity(usage: Usage, plain: &Quantity) -> Quantity {
    Quantity { input: usage.input, cached: usage.cached, output: usage.output, ..*plain }
}

fn is_sound(record: &AttemptRecord) -> bool {
    record.status.is_some_and(|status| status < 400)
}

/// The cost, as much of it as an entry can hold: a settlement never fails.
pub(super) fn cost(price: &Price, quantity: &Quantity) -> Usd {
    price.cost(quantity).unwrap_or(Usd::ENTRY_MAX)
}

fn sum(a: Usd, b: Usd) -> Usd {
    a.plus(b).map_or(Usd::ENTRY_MAX, |sum| sum.min(Usd::ENTRY_MAX))
}
