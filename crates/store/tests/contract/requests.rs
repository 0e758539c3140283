//! What every store promises of the records of requests.

use std::time::Duration;

use mainstay_core::failure::{Kind, Origin};
use mainstay_core::store::{
    FailureNote, RequestFilter, RequestId, RequestRecord, RequestStore, RequestsKept, StatusFilter,
    Store, UnixMillis,
};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_store::Sqlite;
use mainstay_store::requests::batch_of;

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000_000);

fn record(number: u8) -> RequestRecord {
    RequestRecord {
        id: RequestId([number; 16]),
        at: later(u64::from(number)),
        key: Some("key_a".into()),
        key_name: "a".into(),
        org: "org-default".into(),
        project: "proj_default".into(),
        endpoint: Endpoint::Chat,
        model: Some("gpt-4o".into()),
        served: Some("gpt-4o-2024-11-20".into()),
        provider: Some("openai".into()),
        stream: false,
        status: 200,
        failed: None,
        took: Duration::from_millis(7),
        waited: Duration::ZERO,
        first_content: None,
        overhead: Duration::ZERO,
        attempts_sent: 1,
        usage: None,
        counted: false,
        cost: None,
        sdk_retry: 0,
        attempts: Vec::new(),
    }
}

fn failed(number: u8, status: u16, kind: Kind) -> RequestRecord {
    let failed = Some(FailureNote::new(kind, Origin::Provider));
    RequestRecord { status, failed, ..record(number) }
}

fn later(seconds: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(seconds))
}

fn keep(store: &dyn Store, batch: Vec<RequestRecord>) {
    store
        .keep_requests(&batch_of(batch), RequestsKept::default(), later(300))
        .expect("the test's own ground");
}

fn found(store: &dyn Store, filter: &RequestFilter, limit: usize) -> Vec<u8> {
    store
        .requests(filter, limit)
        .expect("the store works")
        .iter()
        .map(|record| record.id.0[0])
        .collect()
}

#[test]
fn a_record_is_found_as_it_was_kept_and_the_newest_comes_first() {
    on_every_store(|store| {
        let all = RequestFilter::default();
        assert!(found(store, &all, 9).is_empty());
        keep(store, vec![record(1), failed(2, 503, Kind::Overloaded)]);
        keep(store, vec![]);
        keep(store, vec![record(3)]);
        let two = store.request(RequestId([2; 16])).unwrap();
        assert_eq!(two, Some(failed(2, 503, Kind::Overloaded)));
        assert_eq!(store.request(RequestId([9; 16])).unwrap(), None);
        assert_eq!(found(store, &all, 9), [3, 2, 1]);
        assert_eq!(found(store, &all, 2), [3, 2]);
        let epoch = store.epoch().unwrap();
        keep(store, vec![record(4)]);
        assert_eq!(store.epoch().unwrap(), epoch, "records are no change that gateways look for");
    });
}

#[test]
fn a_page_goes_on_behind_the_last_of_the_one_before() {
    on_every_store(|store| {
        keep(store, (1..=3).map(record).collect());
        keep(store, (4..=6).map(record).collect());
        let behind =
            |id: u8| RequestFilter { after: Some(RequestId([id; 16])), ..RequestFilter::default() };
        assert_eq!(found(store, &behind(5), 3), [4, 3, 2]);
        assert_eq!(found(store, &behind(2), 3), [1]);
        assert!(found(store, &behind(99), 3).is_empty());
    });
}

#[test]
fn each_filter_narrows_what_is_found() {
    on_every_store(|store| {
        let other = RequestRecord {
            key: Some("key_b".into()),
            project: "proj_b".into(),
            model: Some("o3".into()),
            served: Some("o3".into()),
            provider: Some("spare".into()),
            ..failed(3, 429, Kind::RateLimitTokens)
        };
        let nobody = RequestRecord { key: None, ..failed(4, 401, Kind::IncorrectApiKey) };
        keep(store, vec![record(1), failed(2, 503, Kind::Overloaded), other, nobody]);
        let text = |text: &str| Some(text.to_owned());
        let all = RequestFilter::default();
        let check = |filter: &RequestFilter, want: &[u8]| {
            assert_eq!(found(store, filter, 9), want, "{filter:?}");
        };
        check(&RequestFilter { key: text("key_b"), ..all.clone() }, &[3]);
        check(&RequestFilter { project: text("proj_default"), ..all.clone() }, &[4, 2, 1]);
        check(&RequestFilter { org: text("org-x"), ..all.clone() }, &[]);
        check(&RequestFilter { model: text("gpt-4o"), ..all.clone() }, &[4, 2, 1]);
        check(&RequestFilter { model: text("gpt-4o-2024-11-20"), ..all.clone() }, &[4, 2, 1]);
        check(&RequestFilter { provider: text("spare"), ..all.clone() }, &[3]);
        check(&RequestFilter { kind: Some(Kind::Overloaded), ..all.clone() }, &[2]);
        let status = |filter| RequestFilter { status: Some(filter), ..all.clone() };
        check(&status(StatusFilter::Exactly(429)), &[3]);
        check(&status(StatusFilter::Class(4)), &[4, 3]);
        check(&RequestFilter { since: Some(later(3)), ..all.clone() }, &[4, 3]);
        let both = RequestFilter { since: Some(later(2)), ..status(StatusFilter::Class(5)) };
        check(&both, &[2]);
    });
}

#[test]
fn what_is_too_old_or_too_much_is_forgotten_from_the_oldest_end() {
    on_every_store(|store| {
        let kept = RequestsKept { count_max: 4, age_max: Duration::from_secs(100) };
        for number in 1..=9 {
            store
                .keep_requests(&batch_of([record(number)]), kept, later(u64::from(number)))
                .unwrap();
        }
        let all = RequestFilter::default();
        assert_eq!(found(store, &all, 99), [9, 8, 7, 6]);
        store.keep_requests(&batch_of([record(10)]), kept, later(108)).unwrap();
        assert_eq!(found(store, &all, 99), [10, 9, 8]);
        store.keep_requests(&batch_of([record(11)]), kept, later(5_000)).unwrap();
        assert_eq!(store.request(RequestId([10; 16])).unwrap(), None);
    });
}

#[test]
fn records_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.db");
    keep(&Sqlite::open(&path).unwrap(), vec![record(1)]);
    let again = Sqlite::open(&path).unwrap();
    assert_eq!(again.request(RequestId([1; 16])).unwrap(), Some(record(1)));
    keep(&again, vec![record(2)]);
    assert_eq!(found(&again, &RequestFilter::default(), 9), [2, 1]);
}

/// The oldest records make room for the newest: however long a gateway runs, its file is as large as
/// what is kept.
#[test]
fn the_file_does_not_grow_with_what_is_forgotten() {
    const BATCH: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.db");
    let kept = RequestsKept { count_max: 1_000, ..RequestsKept::default() };
    // What is in the log beside the file is brought into it at the end.
    let turn = |batches: std::ops::Range<u64>| {
        let store = Sqlite::open(&path).unwrap();
        for number in batches {
            let one = |place: u64| {
                let mut id = [0; 16];
                id[..8].copy_from_slice(&(number * BATCH + place).to_le_bytes());
                RequestRecord { id: RequestId(id), ..record(1) }
            };
            store.keep_requests(&batch_of((0..BATCH).map(one)), kept, NOW).unwrap();
        }
        drop(store);
        std::fs::metadata(&path).unwrap().len()
    };
    let (early, late) = (turn(0..60), turn(60..300));
    let store = Sqlite::open(&path).unwrap();
    let records = store.requests(&RequestFilter::default(), 9_999).unwrap().len();
    assert!((1_000..1_000 + 2 * usize::try_from(BATCH).unwrap()).contains(&records), "{records}");
    assert!(late <= early + early / 4, "{early} bytes after 60 batches, {late} after 300");
}
