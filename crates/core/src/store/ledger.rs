//! What a ledger remembers of money, and what it can be asked.
//!
//! Entries are added and never changed. Each reservation begins with a hold and has exactly one
//! terminal entry, a settlement or a release; everything else about money is a sum over entries.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use super::{KeyRecord, Leases, UnixMillis};
use crate::money::Usd;
use crate::wire::usage::Usage;

/// Names a reservation: the sixteen bytes of its request's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub [u8; 16]);

impl ReservationId {
    /// The reservation of the request with this id: `req_` and 32 hexadecimal digits.
    pub fn of_request(id: &str) -> Option<ReservationId> {
        let digits = id.strip_prefix("req_")?.as_bytes();
        let mut bytes = [0; 16];
        if digits.len() != 32 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (DIGIT[usize::from(pair[0])], DIGIT[usize::from(pair[1])]);
            if high | low > 0xf {
                return None;
            }
            *byte = high << 4 | low;
        }
        Some(ReservationId(bytes))
    }
}

/// What each byte says as a hexadecimal digit; more than fifteen: it is none.
const DIGIT: [u8; 256] = {
    let (mut table, mut byte) = ([0xff; 256], 0_u8);
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => 0xff,
        };
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("req_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// So much may be spent; a second one for the same reservation adds to the first.
    Hold,
    /// So much may have been billed by a provider that did not say. It is charged to nobody.
    Exposure,
    /// So much was spent: terminal.
    Settle,
    /// Nothing was spent: terminal.
    Release,
    /// A correction by a person, up or down. Belongs to no hold.
    Adjust,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [EntryKind; 5] = [
        EntryKind::Hold,
        EntryKind::Exposure,
        EntryKind::Settle,
        EntryKind::Release,
        EntryKind::Adjust,
    ];

    /// The stable name, as `ledger export` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            EntryKind::Hold => "hold",
            EntryKind::Exposure => "exposure",
            EntryKind::Settle => "settle",
            EntryKind::Release => "release",
            EntryKind::Adjust => "adjust",
        }
    }

    /// Whether it ends a reservation.
    pub const fn is_terminal(self) -> bool {
        match self {
            EntryKind::Settle | EntryKind::Release => true,
            EntryKind::Hold | EntryKind::Exposure | EntryKind::Adjust => false,
        }
    }
}

/// Where the numbers of an entry come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// Some of it was counted here, because the provider told no usage.
    pub estimated: bool,
    /// It was settled at a start, because a process ended before it could.
    pub recovered: bool,
    /// The model has no price, so that it is recorded at 0.
    pub unpriced: bool,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it says.
    pub kind: EntryKind,
    /// The reservation it belongs to.
    pub reservation: ReservationId,
    /// When the call was admitted: the same in every entry of a reservation.
    pub at: UnixMillis,
    /// The key that pays; `None`: the default project, where no keys are asked for.
    pub key: Option<Arc<KeyRecord>>,
    /// The model.
    pub model: Arc<str>,
    /// The amount, at most [`Usd::ENTRY_MAX`] either way.
    pub amount: Usd,
    /// Tokens, of a settlement.
    pub usage: Usage,
    /// Where the numbers come from.
    pub basis: Basis,
}

/// When an entry counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The system has it: it survives the end of the process, and some 10 ms later that of the machine, longer
    /// where cores are wanted all the time.
    #[default]
    Process,
    /// The disk has it.
    Strict,
    /// It will be written with the next batch, within some 10 ms, longer where cores are wanted all the time.
    Batched,
}

/// What is done at a start with reservations whose process ended before they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// What was held is charged: the answer may have been delivered.
    #[default]
    Charge,
    /// Nothing is charged.
    Release,
}

/// Why a ledger does not take a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerTrouble {
    /// Too many entries wait to be written.
    Full {
        /// How many may wait.
        most: usize,
    },
    /// Entries cannot be written; it is tried again several times a second.
    Failing {
        /// What went wrong and what to do, as one sentence.
        why: String,
    },
}

impl fmt::Display for LedgerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerTrouble::Full { most } => {
                write!(f, "{most} entries wait to be written to the ledger, as many as may")
            }
            LedgerTrouble::Failing { why } => write!(f, "the ledger cannot be written: {why}"),
        }
    }
}

/// A sum over settlements and adjustments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentOf {
    /// The organization.
    pub org: Box<str>,
    /// Only this project, if one is named.
    pub project: Option<Box<str>>,
    /// Only this key, if one is named.
    pub key: Option<Box<str>>,
    /// Admitted then or later, to the quarter of an hour.
    pub from: UnixMillis,
    /// Admitted before; `None`: without an end.
    pub to: Option<UnixMillis>,
}

/// The number of a hold that was taken, for [`Ledger::hand_over`].
#[must_use = "a hold counts when it was handed over"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldNumber(
    /// The ledger's own; 0: there is nothing to hand over.
    pub u64,
);

/// Told when a hold is written, or cannot be.
pub type Written = Box<dyn FnOnce(Result<(), LedgerTrouble>) + Send>;
/// Told a sum.
pub type Summed = Box<dyn FnOnce(Result<Usd, LedgerTrouble>) + Send>;

/// How a ledger is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerState {
    /// What is wrong, as one sentence with what to do; `None`: all is well.
    pub trouble: Option<String>,
    /// Entries that wait to be written.
    pub waiting: usize,
    /// Reservations without a terminal entry.
    pub open: usize,
    /// Entries refused because they break a rule, such as a second terminal entry. Always 0 unless
    /// there is a fault in this program.
    pub refused: u64,
}

/// Where money is remembered. Nothing here blocks but [`Ledger::flush`].
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Begins a reservation. The hold is as durable as the ledger's mode says when it was
    /// [handed over](Ledger::hand_over); where that takes longer, `written` is asked for whom to tell
    /// then, once, from the ledger's own thread.
    ///
    /// # Errors
    ///
    /// [`LedgerTrouble`]: the hold was not taken, nobody is told, and there is no reservation.
    fn hold(
        &self,
        entry: &Entry,
        written: &mut dyn FnMut() -> Written,
    ) -> Result<HoldNumber, LedgerTrouble>;
    /// Hands over what was taken and was not yet, this hold included: holds that were taken side by
    /// side go together, with the first that is asked for.
    ///
    /// # Errors
    ///
    /// [`LedgerTrouble`]: the hold may be lost with this process. Its reservation has begun and is to be
    /// ended like any other.
    fn hand_over(&self, hold: HoldNumber) -> Result<(), LedgerTrouble>;
    /// Adds to a reservation that is open: a further hold or an exposure. At most
    /// [`FURTHER_MAX`] for each reservation.
    fn further(&self, entry: &Entry);
    /// Ends a reservation. Never fails: while it cannot be written it waits.
    fn end(&self, entry: &Entry);
    /// Adds up what was spent, everything included that was handed in before this was asked.
    fn spent(&self, of: SpentOf, summed: Summed);
    /// How it is doing.
    fn state(&self) -> LedgerState;
    /// The latest admission on record, when it was opened.
    fn latest(&self) -> UnixMillis;
    /// Waits until everything handed in is on disk, at most 10 s.
    fn flush(&self);
    /// The way to budgets that other gateways spend from too; `None`: nobody else does.
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }
}

/// Entries besides hold and terminal one that a reservation may have.
pub const FURTHER_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_reservation_is_named_as_its_request() {
        let id = "req_00ff10a0b0c0d0e0f00102030405060f";
        assert_eq!(ReservationId::of_request(id).unwrap().to_string(), id);
        for text in [
            "",
            "req_",
            "00ff10a0b0c0d0e0f00102030405060f",
            "req_00ff10a0b0c0d0e0f00102030405060",
            "req_00ff10a0b0c0d0e0f0010203040506zz",
            "req_é0ff10a0b0c0d0e0f0010203040506",
        ] {
            assert_eq!(ReservationId::of_request(text), None, "{text}");
        }
    }
}
