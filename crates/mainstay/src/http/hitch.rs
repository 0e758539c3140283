//! What went wrong on the way to a destination, with the system's own words for it.

use std::fmt;

use mainstay_core::classify::TransportFault;

/// A fault, and what the system or the other end said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hitch {
    /// What it means.
    pub fault: TransportFault,
    /// The words, for people; at most [`Hitch::DETAIL_MAX`] bytes.
    pub detail: String,
}

impl Hitch {
    /// Longest detail kept, in bytes.
    pub const DETAIL_MAX: usize = 512;

    pub(super) fn new(fault: TransportFault, detail: impl fmt::Display) -> Hitch {
        let mut detail = detail.to_string();
        let mut end = detail.len().min(Hitch::DETAIL_MAX);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        detail.truncate(end);
        Hitch { fault, detail }
    }
}

impl From<Hitch> for TransportFault {
    fn from(hitch: Hitch) -> TransportFault {
        hitch.fault
    }
}
