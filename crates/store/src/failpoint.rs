//! Named places where a test lets the process die, to see what the next start makes of it.
//!
//! `MAINSTAY_FAILPOINT=NAME` or `NAME:N` ends the process at the first or the N-th time that the
//! place is passed, as if it were killed. Builds for release have no such places.

/// Every place of a gateway with a store of its own. The test of deaths goes through all of them, so
/// that none is forgotten.
pub const FAILPOINTS: [&str; 8] = [
    "money-before-attempt",
    "money-before-settle",
    "ledger-before-commit",
    "ledger-after-commit",
    "recovery-before-commit",
    "recovery-after-commit",
    "replay-before-commit",
    "replay-after-commit",
];

/// Places that only a gateway with a store in PostgreSQL passes.
pub const FAILPOINTS_TOGETHER: [&str; 4] =
    ["node-before-return", "bring-before-accounts", "bring-before-commit", "bring-before-learn"];

/// Dies here if the environment says so.
#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "a test speaks to the process it starts")]
pub fn failpoint(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    debug_assert!(
        FAILPOINTS.contains(&name) || FAILPOINTS_TOGETHER.contains(&name),
        "`{name}` is missing in FAILPOINTS"
    );
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("MAINSTAY_FAILPOINT").ok()?;
        match text.split_once(':') {
            Some((name, count)) => Some((name.to_owned(), count.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    if let Some((place, count)) = wanted
        && place == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        std::process::abort();
    }
}

/// Builds for release die nowhere.
#[cfg(not(debug_assertions))]
pub fn failpoint(_name: &str) {}
