//! What nodes and the place that keeps the books say to each other. All numbers are whole and below
//! 2^53, so that a place that reckons in doubles (Lua) reckons exactly. Rates are counted in
//! microseconds: the time that a limit takes to give what is meant.

use alloc::vec::Vec;

use super::super::limits::Measure;

/// What a node has to say about limits of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Rises with each message of a node about an organization: what comes twice or out of turn counts
    /// for nothing.
    pub number: u64,
    /// Nodes there are, as far as the sender knows; at least one.
    pub nodes: u64,
    /// One for each limit and measure.
    pub asks: Vec<Ask>,
}

/// About one measure of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The limit's number.
    pub id: u64,
    /// Of what.
    pub measure: Measure,
    /// What is asked.
    pub wish: Wish,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Of a rate.
    Rate(RateAsk),
    /// Of calls at once.
    Places(PlacesAsk),
}

/// A wish for a part of a rate. Amounts are microseconds of the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateAsk {
    /// Units a window allows: when it changes, what counts as used is turned into its measure.
    pub limit: u64,
    /// What may count as used at most.
    pub room: u64,
    /// Was leased and is not needed.
    pub back: u64,
    /// How long ago the first of that was given back at most, when this is heard.
    pub age: u64,
    /// Was spent without a lease.
    pub spent: u64,
    /// Least that is of use; 0: a lease is asked for ahead.
    pub need: u64,
    /// Most that is of use.
    pub want: u64,
    /// The count that this node was told last.
    pub count: u64,
    /// What counted as used by that; it is taken for true where the count went back.
    pub floor: u64,
}

/// A wish for calls at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlacesAsk {
    /// Calls at once that are allowed.
    pub limit: u64,
    /// Calls under way on this node.
    pub in_use: u64,
    /// Least that is of use, those in use included, and those that may be before the reply comes.
    pub need: u64,
    /// Most that is of use, those in use included.
    pub want: u64,
    /// How long the node is going to hold what it gets, in microseconds.
    pub life: u64,
}

/// The reply to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// One for each ask, in the same order.
    Told(Vec<Told>),
    /// The message came twice or out of turn, and nothing was done. Numbers go on above this one.
    Stale(u64),
}

/// The reply to one ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of a rate.
    Rate(RateTold),
    /// Of calls at once.
    Places(PlacesTold),
}

/// What was granted of a rate, in microseconds of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateTold {
    /// Granted; counts as used.
    pub granted: u64,
    /// What counts as used after it.
    pub debt: u64,
    /// How many asks there have been.
    pub count: u64,
}

/// What was granted of calls at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlacesTold {
    /// What the node holds.
    pub held: u64,
    /// What others hold.
    pub others: u64,
}
