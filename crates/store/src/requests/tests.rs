use mainstay_core::time::Moment;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn any_text() -> impl Strategy<Value = Box<str>> {
    "\\PC{0,12}".prop_map(String::into_boxed_str)
}

fn maybe<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

fn any_usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 3]>().prop_map(|[input, cached, output]| Usage { input, output, cached })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(&Kind::ALL[..])
}

fn any_state() -> impl Strategy<Value = StateNote> {
    let limit = (any_text(), -1e9..1e9, -1e9..1e9, any::<bool>());
    let limit = limit.prop_map(|(name, per_minute, level, told)| LimitNote {
        name,
        per_minute,
        level,
        told,
    });
    (
        any::<bool>(),
        any_text(),
        any::<[u32; 3]>(),
        maybe(any::<u32>()),
        any_time(),
        vec(limit, 0..4),
    )
        .prop_map(
            |(exact, circuit, [in_flight, queued, retry_budget], ceiling, hold, limits)| {
                StateNote { exact, circuit, in_flight, queued, ceiling, retry_budget, hold, limits }
            },
        )
}

fn any_attempt() -> impl Strategy<Value = AttemptNote> {
    let names = (any_text(), any::<u32>(), maybe(any_text()), any_text());
    let times = [any_time(), any_time(), any_time(), any_time()];
    let ends = (maybe(any::<u16>()), maybe(any_kind()), any::<u64>(), maybe(any_usage()));
    (names, times, ends, maybe(any_state())).prop_map(|(names, times, ends, state)| {
        let (provider, credential, model, cause) = names;
        let [start, waited, took, lasted] = times;
        let (status, kind, bytes, usage) = ends;
        AttemptNote {
            provider,
            credential,
            model,
            start,
            waited,
            cause,
            took,
            lasted,
            status,
            kind,
            bytes,
            usage,
            state,
        }
    })
}

fn any_failure() -> impl Strategy<Value = FailureNote> {
    let texts = [maybe(any_text()), maybe(any_text()), maybe(any_text()), maybe(any_text())];
    let headers = vec((any_text(), any_text()), 0..3);
    (any_kind(), texts, maybe(any_time()), headers, maybe(any_text()), maybe(any_text())).prop_map(
        |(kind, [code, param, message, upstream_id], retry_after, headers, shape, content)| {
            let scope = retry_after.map(|_| Scope::Key);
            let new = FailureNote::new(kind, Origin::Provider);
            FailureNote {
                scope,
                code,
                param,
                message,
                upstream_id,
                retry_after,
                headers,
                shape,
                content,
                ..new
            }
        },
    )
}

pub(crate) fn any_record() -> impl Strategy<Value = RequestRecord> {
    let names = [any_text(), any_text(), any_text()];
    let maybes = [maybe(any_text()), maybe(any_text()), maybe(any_text()), maybe(any_text())];
    let times = ([any_time(), any_time(), any_time()], maybe(any_time()));
    let numbers = (any::<[u8; 16]>(), any::<u64>(), any::<u16>(), any::<[u32; 2]>());
    let ends = (maybe(any_usage()), any::<[bool; 2]>(), maybe(any::<i64>()), maybe(any_failure()));
    (names, maybes, times, numbers, ends, vec(any_attempt(), 0..4)).prop_map(
        |(names, maybes, (times, first_content), numbers, ends, attempts)| {
            let [key_name, org, project] = names;
            let [key, model, served, provider] = maybes;
            let [took, waited, overhead] = times;
            let (id, at, status, [attempts_sent, sdk_retry]) = numbers;
            let (usage, [stream, counted], cost, failed) = ends;
            RequestRecord {
                id: RequestId(id),
                at: UnixMillis(at),
                key,
                key_name,
                org,
                project,
                endpoint: Endpoint::Chat,
                model,
                served,
                provider,
                stream,
                status,
                failed,
                took,
                waited,
                first_content,
                overhead,
                attempts_sent,
                usage,
                counted,
                cost: cost.map(|pico| Usd::from_pico(i128::from(pico))),
                sdk_retry,
                attempts,
            }
        },
    )
}

proptest! {
    #[test]
    fn reading_undoes_writing(records in vec(any_record(), 0..6)) {
        let mut batch = Vec::new();
        for record in &records {
            write(record, &mut batch);
        }
        let found: Option<Vec<RequestRecord>> = pieces(&batch)
            .map(|piece| read(piece).filter(|record| record.id == piece.id()))
            .collect();
        prop_assert_eq!(found, Some(records));
    }

    #[test]
    fn records_of_the_first_version_are_read(records in vec(any_record(), 0..6)) {
        let mut batch = Vec::new();
        for record in &records {
            write_as(1, Form::Wide, record, &mut batch);
        }
        let found: Option<Vec<RequestRecord>> = pieces(&batch).map(read).collect();
        prop_assert_eq!(found, Some(records));
    }

    #[test]
    fn numbers_of_any_size_come_back(number in any::<i128>(), shift in 0..127_u32) {
        for number in [number, number >> shift, i128::MIN, i128::MAX, 0, -1] {
            let mut bytes = Vec::new();
            Writer::new(&mut bytes, Form::Narrow).i128(number);
            prop_assert_eq!(Reader::new(&bytes, Form::Narrow).i128(), Some(number));
        }
    }

    #[test]
    fn a_batch_gives_up_its_oldest_records(records in vec(any_record(), 0..9), most in 0..9_u64) {
        let mut batch = batch_of(records.clone());
        let over = records.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
        prop_assert_eq!(shorten(&mut batch, most), over as u64);
        prop_assert_eq!(batch.len(), (records.len() - over) as u64);
        let left: Option<Vec<RequestRecord>> =
            pieces(batch.bytes()).map(read).collect();
        prop_assert_eq!(left, Some(records[over..].to_vec()));
    }

    #[test]
    fn any_bytes_are_read_or_left_out_without_panic(batch in vec(any::<u8>(), 0..300)) {
        pieces(&batch).for_each(|piece| drop(read(piece)));
    }

    #[test]
    fn damaged_records_are_left_out_without_panic(
        record in any_record(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut batch = Vec::new();
        write(&record, &mut batch);
        let at = at.index(batch.len());
        batch[at] = byte;
        pieces(&batch).for_each(|piece| drop(read(piece)));
    }
}

/// The numbers of a record, of its first attempt too.
fn numbers_of(record: &RequestRecord) -> Option<Numbers> {
    let attempt = record.attempts.first()?;
    Some(Numbers {
        id: record.id,
        at: record.at,
        took: record.took,
        waited: record.waited,
        overhead: record.overhead,
        first_content: record.first_content,
        usage: record.usage,
        cost: record.cost,
        attempt: AttemptNumbers {
            start: attempt.start,
            waited: attempt.waited,
            took: attempt.took,
            lasted: attempt.lasted,
            bytes: attempt.bytes,
            usage: attempt.usage,
        },
    })
}

/// A record with the numbers of another.
fn with(base: &RequestRecord, numbers: &Numbers) -> RequestRecord {
    let own = numbers.attempt;
    let attempt = AttemptNote {
        start: own.start,
        waited: own.waited,
        took: own.took,
        lasted: own.lasted,
        bytes: own.bytes,
        usage: own.usage,
        ..base.attempts[0].clone()
    };
    RequestRecord {
        id: numbers.id,
        at: numbers.at,
        took: numbers.took,
        waited: numbers.waited,
        overhead: numbers.overhead,
        first_content: numbers.first_content,
        usage: numbers.usage,
        cost: numbers.cost,
        attempts: vec![attempt],
        ..base.clone()
    }
}

/// A batch of these, each whole or by an earlier one of those given with it; and what it tells.
fn told(records: &[(RequestRecord, Option<usize>)]) -> (RequestBatch, Vec<RequestRecord>) {
    let (mut batch, mut bases, mut all) = (RequestBatch::default(), Vec::new(), Vec::new());
    for (record, like) in records {
        let base = like.and_then(|at| bases.get(at % bases.len().max(1)));
        if let (Some((base, of)), Some(numbers)) = (base, numbers_of(record)) {
            add_like(&mut batch, *base, &numbers);
            all.push(with(of, &numbers));
        } else {
            let base = add(&mut batch, record);
            bases.extend(base.map(|base| (base, record.clone())));
            all.push(record.clone());
        }
    }
    (batch, all)
}

fn any_told() -> impl Strategy<Value = Vec<(RequestRecord, Option<usize>)>> {
    vec((any_record(), maybe(any::<usize>())), 0..12)
}

fn read_all(batch: &RequestBatch) -> Vec<RequestRecord> {
    let found: Vec<Option<RequestRecord>> = pieces(batch.bytes()).map(read).collect();
    let count = found.len() as u64;
    assert_eq!(count, batch.len());
    found.into_iter().map(|one| one.expect("it was written so")).collect()
}

proptest! {
    #[test]
    fn records_told_by_others_are_read_as_they_were(records in any_told()) {
        let (batch, all) = told(&records);
        prop_assert_eq!(read_all(&batch), all);
    }

    #[test]
    fn what_is_left_of_a_batch_can_be_read(records in any_told(), most in 0..12_u64) {
        let (mut batch, all) = told(&records);
        let given_up = usize::try_from(shorten(&mut batch, most)).unwrap();
        prop_assert!(batch.len() <= most, "{} of {most}", batch.len());
        prop_assert_eq!(read_all(&batch), all[given_up..].to_vec());
    }

    #[test]
    fn batches_become_one_in_the_order_of_the_ends(
        parts in vec(any_told(), 0..4), ends in vec(0..20_u64, 48), before in any_told(),
    ) {
        let (mut into, mut wanted) = told(&before);
        let mut from = Vec::new();
        let mut told_of = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let (batch, all) = told(part);
            let mut ends = ends[12 * number..][..all.len()].to_vec();
            ends.sort_unstable();
            told_of.extend(ends.iter().copied().zip(all));
            from.push((batch, ends.into_iter().map(Moment::from_nanos).collect()));
        }
        told_of.sort_by_key(|(end, _)| *end);
        wanted.extend(told_of.into_iter().map(|(_, record)| record));
        merge(&mut into, &from);
        prop_assert_eq!(read_all(&into), wanted);
    }

    #[test]
    fn damaged_batches_are_read_without_panic(
        records in any_told(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let (batch, _) = told(&records);
        let mut bytes = batch.bytes().to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        pieces(&bytes).for_each(|piece| drop(read(piece)));
    }
}

#[test]
fn a_record_told_by_another_is_short() {
    let usage = Some(Usage { input: 180, output: 16, cached: 0 });
    let millis = Duration::from_millis;
    let numbers = Numbers {
        id: RequestId([0xa7; 16]),
        at: UnixMillis(1_700_000_000_250),
        took: millis(900),
        waited: Duration::ZERO,
        overhead: Duration::from_micros(80),
        first_content: Some(millis(890)),
        usage,
        cost: Some(Usd::from_pico(97_600_000)),
        attempt: AttemptNumbers {
            start: Duration::from_micros(60),
            waited: Duration::ZERO,
            took: millis(890),
            lasted: millis(900),
            bytes: 780,
            usage,
        },
    };
    let (mut batch, at) = (RequestBatch::default(), UnixMillis(1_700_000_000_000));
    add_like(&mut batch, Base { start: 0, at }, &numbers);
    assert!(batch.bytes().len() <= 60, "{} bytes", batch.bytes().len());
}
