//! What stores promise of the gateways that use them.

use std::time::Duration;

use mainstay_core::store::UnixMillis;

use crate::ground::on_every_store;

#[test]
fn gateways_are_counted_until_they_were_not_heard_of_or_not_at_all() {
    on_every_store(|store| {
        let (now, gone_after) = (UnixMillis(1_000_000), Duration::from_secs(5));
        let count = |node: &str, now| store.count_node(node, now, gone_after).unwrap();
        // A file is one machine's.
        if count("one", now).is_none() {
            return;
        }
        assert_eq!(count("two", now), Some(2));
        assert_eq!(count("one", now), Some(2), "the same one again");
        assert_eq!(count("three", now), Some(3));
        // By the store's own clock or by ours: those who say nothing are forgotten.
        std::thread::sleep(Duration::from_millis(1_100));
        let later = now.plus(Duration::from_millis(1_100));
        let counted = store.count_node("one", later, Duration::from_secs(1)).unwrap();
        assert_eq!(counted, Some(1));
    });
}
