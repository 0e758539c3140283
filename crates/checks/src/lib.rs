//! End-to-end tests and house rules live in `tests/`; this crate has no code of its own.
