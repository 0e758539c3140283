//! The wall clock, read in one place.

use mainstay_core::store::UnixMillis;

/// Milliseconds since 1970; 0 on a clock set before that.
#[expect(clippy::disallowed_methods, reason = "commands have no clock handed in; this is theirs")]
pub(crate) fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
