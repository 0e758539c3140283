//! Leases: every short story of a small world, and single stories.

mod small_world;
mod stories;
