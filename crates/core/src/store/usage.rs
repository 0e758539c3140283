//! What was used and what it cost, added up by quarters of an hour.

use alloc::string::String;

use super::{StoreError, UnixMillis};
use crate::money::Usd;

/// What a key spent on a model in a quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The beginning of the quarter.
    pub from: UnixMillis,
    /// The organization's id.
    pub org: String,
    /// The project's id.
    pub project: String,
    /// The key's id; empty where no keys are asked for.
    pub key: String,
    /// The model; empty when the call named none.
    pub model: String,
    /// Calls that were settled.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens that were cached.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
    /// What it cost.
    pub cost: Usd,
}

/// Where usage can be read.
pub trait UsageStore {
    /// Hands over what was settled in quarters of an hour that begin at `from` or later and before
    /// `to`, oldest first.
    ///
    /// # Errors
    ///
    /// The store failed; what was handed over until then is incomplete.
    fn usage(
        &self,
        from: UnixMillis,
        to: Option<UnixMillis>,
        each: &mut dyn FnMut(UsageRow),
    ) -> Result<(), StoreError>;
}
