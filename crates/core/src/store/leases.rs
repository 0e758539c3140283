//! How budgets that several gateways spend from come by their leases.
//!
//! The rule of it is [`account`](crate::money::budget::account); here is who talks to whom. The
//! ledger's own thread takes what budgets have to tell, brings entries over to the shared store and
//! tells the accounts, in this order, and hands the answers back.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::money::budget::Claim;
use crate::money::budget::account::Told;

/// What a budget of an organization tells its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgClaim {
    /// The organization's id.
    pub org: Box<str>,
    /// What is told.
    pub claim: Claim,
}

/// Who has budgets that spend from leases.
pub trait LeaseHolder: Send + Sync + fmt::Debug {
    /// What its budgets have to tell. Every settlement that the numbers count has been handed to the
    /// ledger before. `closing`: this gateway ends, so that what is not held goes back.
    fn claims(&self, closing: bool) -> Vec<OrgClaim>;
    /// Learns the answers to what it told.
    fn learn(&self, answers: Vec<(OrgClaim, Told)>);
    /// The accounts could not be told: who waits for an answer is to be told so.
    fn away(&self);
}

/// The way to the accounts. Nothing here blocks.
pub trait Leases: Send + Sync + fmt::Debug {
    /// From here on this holder's budgets spend from leases.
    fn attach(&self, holder: Arc<dyn LeaseHolder>);
    /// A call waits for money: the accounts are told at once instead of with the next turn.
    fn hurry(&self);
    /// Why the accounts are not reached, as one sentence with what to do; `None`: all is well.
    fn trouble(&self) -> Option<String>;
}
