//! What every store promises of kept answers.

use std::time::Duration;

use mainstay_core::store::{Replay, ReplayPlace, ReplaysKept, UnixMillis};

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000);
/// Room for three answers of [`LARGE`] bytes.
const KEPT: ReplaysKept = ReplaysKept { count_max: 1_000, bytes_max: 3 * LARGE as u64 };
const LARGE: usize = 100_000;

fn place(number: u8) -> ReplayPlace {
    ReplayPlace([number; 32])
}

fn answer(body: Option<Vec<u8>>, seconds: u64) -> Replay {
    Replay {
        fingerprint: [7; 32],
        status: 200,
        headers: vec![("content-type".into(), b"text/event-stream".as_slice().into())],
        body,
        until: NOW.plus(Duration::from_secs(seconds)),
    }
}

#[test]
fn an_answer_is_found_as_it_was_kept_until_its_time_is_over() {
    on_every_store(|store| {
        let kept = answer(Some(b"\xff\x00 bytes".to_vec()), 60);
        store.keep_replay(place(1), kept.clone(), KEPT, NOW).unwrap();
        assert_eq!(store.replay(place(1), NOW).unwrap(), Some(kept.clone()));
        assert_eq!(store.replay(place(2), NOW).unwrap(), None);
        assert_eq!(store.replay(place(1), kept.until).unwrap(), None);
        let other = answer(None, 90);
        store.keep_replay(place(1), other.clone(), KEPT, NOW).unwrap();
        assert_eq!(store.replay(place(1), NOW).unwrap(), Some(other), "the later one");
    });
}

#[test]
fn the_oldest_are_forgotten_when_there_is_no_room() {
    on_every_store(|store| {
        for number in 0..4 {
            store
                .keep_replay(place(number), answer(Some(vec![number; LARGE]), 60), KEPT, NOW)
                .unwrap();
        }
        let found = |number| store.replay(place(number), NOW).unwrap().is_some();
        assert_eq!([0, 1, 2, 3].map(found), [false, true, true, true]);
    });
}

#[test]
fn kept_answers_are_no_change_that_gateways_must_read() {
    on_every_store(|store| {
        let epoch = store.epoch().unwrap();
        store.keep_replay(place(1), answer(None, 60), KEPT, NOW).unwrap();
        assert_eq!(store.epoch().unwrap(), epoch);
    });
}
