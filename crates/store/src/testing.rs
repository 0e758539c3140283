//! What tests of this and other crates stand on: real servers, started when they are asked for.
//!
//! In no product: the feature `testing` is for tests only.

use std::net::{Ipv4Addr, TcpListener};

pub mod postgres;
pub mod redis;

/// A port that is free at this moment, for a server that is started a moment later.
///
/// It is none that the system gives to whoever connects or listens without naming one: tests that run
/// meanwhile would take it.
///
/// # Panics
///
/// None is found.
pub fn free_port() -> u16 {
    /// Below what Linux gives away by itself (`net.ipv4.ip_local_port_range`) where nobody changed it.
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    for _ in 0..1_000 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        let port = FIRST + u16::from_le_bytes(bytes) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

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
