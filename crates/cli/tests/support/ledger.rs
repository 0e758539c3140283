//! A ledger's file against what callers have received.

use std::collections::HashMap;
use std::path::Path;

use mainstay_core::money::Usd;
use mainstay_core::store::EntryKind;
use mainstay_store::LedgerFile;

/// The ledger verifies and has nothing open; every answer that was received is paid for once: exactly, or
/// by what was held where its gateway died. Gives how many reservations were recovered.
pub(crate) fn examine(store: &Path, paid: &HashMap<String, Usd>) -> u64 {
    let mut file = LedgerFile::open(store).unwrap();
    let found = file.verify().unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.open, 0, "what the dead one left open has its end");
    let mut ends: HashMap<String, Vec<(EntryKind, Usd, bool)>> = HashMap::new();
    file.export(&mut |row| {
        if row.kind.is_terminal() {
            let end = (row.kind, row.amount, row.basis.recovered);
            ends.entry(row.reservation.to_string()).or_default().push(end);
        }
    })
    .unwrap();
    for (id, cost) in paid {
        let ended =
            ends.get(id).unwrap_or_else(|| panic!("{id} was answered and is not in the ledger"));
        let [(kind, amount, recovered)] = ended[..] else {
            panic!("{id} is charged twice: {ended:?}")
        };
        assert_eq!(kind, EntryKind::Settle, "{id} was answered");
        if recovered {
            assert!(amount >= *cost, "{id}: the hold of {amount} covers {cost}");
        } else {
            assert_eq!(amount, *cost, "{id}");
        }
    }
    ends.values().flatten().map(|(_, _, recovered)| u64::from(*recovered)).sum()
}
