//! What tests of this and other crates stand on: real servers, started when they are asked for.
//!
//! In no product: the feature `testing` is for tests only.

pub mod postgres;
pub mod redis;

/// Whether a test without its server fails instead of being left out.
#[expect(clippy::disallowed_methods, reason = "a test asks who runs it")]
pub(crate) fn is_required() -> bool {
    std::env::var("MAINSTAY_TEST_REQUIRED").is_ok_and(|value| value == "1")
}

/// Says loudly that a test was left out, or fails it where it is required.
#[expect(clippy::print_stderr, reason = "whoever runs the test must see it")]
pub(crate) fn left_out(why: &str) {
    assert!(!is_required(), "a test has no server: {why}");
    eprintln!("LEFT OUT, nothing was tested: {why}");
}
