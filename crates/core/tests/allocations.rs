//! A sound body is looked into and checked without memory of its own, however long it is.

#[path = "../benches/bodies/mod.rs"]
mod bodies;

use allocation_counter::measure;
use mainstay_core::validate::{Level, sound, validate};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::request::peek;

/// Allocations that a piece of work makes on this thread.
fn allocations(work: impl FnMut() -> bool) -> u64 {
    let mut work = work;
    // What is made once, at first use, does not count.
    assert!(work());
    measure(|| assert!(work())).count_total
}

#[test]
fn a_sound_chat_costs_no_allocation() {
    for body in [bodies::large(), bodies::small()] {
        for level in [Level::Lenient, Level::Strict] {
            let checked = allocations(|| validate(Endpoint::Chat, level, &body).is_sound());
            let both = allocations(|| sound(Endpoint::Chat, level, &body).is_some());
            assert_eq!((checked, both), (0, 0), "{level:?}, {} bytes", body.len());
        }
        assert_eq!(allocations(|| peek(&body, Endpoint::Chat).is_ok()), 0);
    }
}

#[test]
fn the_count_sees_an_allocation() {
    let unsound = br#"{"model":"m","messages":[]}"#;
    assert!(allocations(|| !validate(Endpoint::Chat, Level::Lenient, unsound).is_sound()) > 0);
}
