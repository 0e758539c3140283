//! Leases: every short story of a small world, and single stories.

mod small_world;
mod stories;

/// Longest time of a reply in these tests.
const REPLY_MAX: std::time::Duration = std::time::Duration::from_millis(25);
