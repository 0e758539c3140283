//! What is told of calls, as the store keeps it and the teller hears it.

use std::sync::Arc;

use mainstay::Engine;
use mainstay::call::{Asked, AttemptRecord};
use mainstay_core::keys::KeyText;
use mainstay_core::policy::Policy;
use mainstay_core::store::{
    KeyRecord, RequestBatch, RequestFilter, RequestRecord, RequestStore, RequestsKept, Scopes,
};
use mainstay_core::wire::usage::Usage;
use mainstay_store::requests::batch_of;
use mainstay_store::{Memory, digest};

use super::maker::Maker;
use super::record::{Records, Targets};
use super::*;

fn engine() -> Arc<Engine> {
    let (providers, routes) = (Vec::new(), Vec::new());
    Engine::new(mainstay::spec::EngineSpec { providers, routes, policy: Policy::default() })
}

fn key(seed: u8, name: &str) -> Arc<KeyRecord> {
    let text = KeyText::mint(|bytes| bytes.fill(seed));
    Arc::new(KeyRecord {
        public: text.public(),
        digest: digest(text.secret().as_bytes()),
        name: name.into(),
        project: "proj_default".into(),
        org: "org-default".into(),
        user: None,
        scopes: Scopes::default(),
        models: Box::default(),
        created_at: UnixMillis(0),
        expires_at: None,
        revoked_at: None,
        rotated: None,
    })
}

/// Digits of a number, each from 0 to below its base.
fn digits<const N: usize>(number: u64, bases: [u64; N]) -> [u64; N] {
    let mut rest = number;
    bases.map(|base| {
        let digit = rest % base;
        rest /= base;
        digit
    })
}

/// A call that was answered by its first attempt, or without any: each number another one.
fn answered(number: u64, keys: &[Arc<KeyRecord>]) -> Finished {
    let [who, model, provider, tokens, shape, waits, attempts] =
        digits(number / 3, [3, 2, 2, 3, 2, 3, 5]);
    let time = |n: u64| Duration::from_micros(n * (number + 1));
    let model = Some(Arc::from(format!("model-{model}")));
    let usage = Usage { input: number, output: number / 2, cached: number % 7 };
    let used = (tokens > 0).then_some(Used { usage, counted: tokens > 1 });
    let record = AttemptRecord {
        provider: Arc::from(format!("provider-{provider}")),
        credential: usize::from(shape > 0),
        model: model.clone(),
        waited: if waits > 0 { time(3) } else { Duration::ZERO },
        wait_cause: ["", "limit", "backoff"][usize::try_from(waits).unwrap()],
        started: Moment::ZERO + time(5),
        took: time(40),
        ended: (shape > 0).then_some(Moment::ZERO + time(50)),
        status: Some(200 + u16::from(tokens > 1)),
        bytes: 100 * number,
        used,
        ..AttemptRecord::default()
    };
    let provider = Some(Arc::clone(&record.provider));
    let asked = Asked { model: model.clone(), stream: shape > 0, sdk_retry: u32::from(waits > 1) };
    let records = if attempts > 0 { vec![record] } else { Vec::new() };
    let waited = time(waits);
    let attempts = u32::from(attempts > 0);
    let trace =
        Trace { asked, provider, model, attempts, waited, used, records, ..Trace::default() };
    let id = format!("req_{number:032x}");
    Finished {
        id: Id::sample(id.as_bytes().try_into().unwrap()),
        at: UnixMillis(1_000_000 + number * 3 % 400),
        took: time(60),
        who: keys.get(usize::try_from(who).unwrap()).map(|key| Who::with(Some(Arc::clone(key)))),
        trace,
        used,
        cost: used.map(|_| Usd::from_pico(i128::from(number) * 77_000)),
        ..Finished::sample(200, None, attempts)
    }
}

/// The records of a batch, the last one first.
fn read(batch: &RequestBatch) -> Vec<RequestRecord> {
    let store = Memory::new();
    let kept = RequestsKept { age_max: Duration::MAX, ..RequestsKept::default() };
    store.keep_requests(batch, kept, UnixMillis(1_000_000)).unwrap();
    store.requests(&RequestFilter::default(), usize::MAX).unwrap()
}

#[test]
fn a_record_told_by_another_says_what_a_whole_one_does() {
    const CALLS: u64 = 3 * 3 * 2 * 2 * 3 * 2 * 3 * 5;
    let (engine, keys) = (engine(), [key(1, "one"), key(2, "two")]);
    let (mut maker, mut told) = (Maker::default(), RequestBatch::default());
    let (mut records, mut targets) = (Records::default(), Targets::default());
    let mut whole = Vec::new();
    for number in 0..CALLS {
        maker.plain(&mut answered(number, &keys), &engine, &mut told);
        let mut call = answered(number, &keys);
        whole.push(records.of(&mut call, &mut targets, &engine).unwrap().clone());
    }
    let whole = batch_of(whole);
    assert_eq!(told.len(), CALLS);
    assert_eq!(read(&told), read(&whole));
    // Of three that follow each other two are told by the first, where there was an attempt.
    let (told, whole) = (told.bytes().len(), whole.bytes().len());
    assert!(10 * told < 6 * whole, "{told} bytes, {whole} whole");
}

#[test]
fn a_call_of_another_batch_is_told_whole() {
    let (engine, mut maker) = (engine(), Maker::default());
    for _ in 0..2 {
        let mut batch = RequestBatch::default();
        maker.plain(&mut answered(15 * 216, &[]), &engine, &mut batch);
        maker.begin_batch();
        assert_eq!(read(&batch).len(), 1);
    }
}
