//! Limits of callers shared by several nodes: a place that all of them reach keeps the books, and each
//! node spends leases of its own.
//!
//! ```text
//!   node: Group ── Message: back, spent, need, want ──▶ Ledger of an organization (one script on Redis)
//!    │  spends its lease                                 │  one bucket a limit and measure
//!    ◀──────────── Reply: granted, what counts as used ◀─┘
//! ```
//!
//! What is granted counts as used from that moment, spent or not; so nobody needs to know who holds
//! what, and a lost message, reply or node costs others nothing but time. Whatever happens to nodes and
//! messages: in any stretch of time no more is admitted than the limit gives in it plus the burst, as in
//! one process ([`super::limits`]).
//!
//! * A lease is asked for ahead when 70 % of the last one are spent. One message of an organization is
//!   under way at a time. A call waits for a message only when the lease is used up and nothing was told
//!   that says it cannot fit.
//! * All leases held together are a sixteenth of the burst at most, and that part is set aside: a lease that
//!   is spent late cannot be more than what was kept for it. A node holds its share of the part; where
//!   that is less than four units, every call asks for itself (small limits: few calls).
//! * Waiting calls get what they need as long as it fits, and of what is left beyond a node's share.
//! * What is not spent, and what a call has reserved and not used, is given back.
//! * The place is away: leases are spent, then each node admits four fifths of its part of the rate,
//!   beginning with nothing. What it admits so is told when the place is back, and counts.
//! * A place that forgot (a fail-over, a restart) is seen by its count of messages that went back, and is
//!   told what had counted as used.
//!
//! Calls at once are leased as places: a node tells how many it uses and wants, absolutely, and holds
//! them for [`places::LIFE`] after it said so last.
//!
//! Between nodes and the place only durations travel.

mod book;
mod entry;
mod group;
mod message;
mod pace;
mod parts;
mod places;
mod rate;

#[cfg(test)]
mod tests;

pub use book::{Book, Places, Pool};
pub use group::{Group, Reach, Stopped, View};
pub use message::{Ask, Message, PlacesAsk, PlacesTold, RateAsk, RateTold, Reply, Told, Wish};
pub use parts::{Others, Parts, Wants};
pub use places::LIFE as PLACES_LIFE;

use core::time::Duration;

/// Asks in one message at most.
pub const ASKS_MAX: usize = 64;

/// A duration in whole microseconds, at most [`Pool::DEBT_MAX`].
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(Pool::DEBT_MAX)
}
