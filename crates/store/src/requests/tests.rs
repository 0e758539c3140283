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
            .map(|(id, piece)| read(piece).filter(|record| record.id == id))
            .collect();
        prop_assert_eq!(found, Some(records));
    }

    #[test]
    fn records_of_the_first_version_are_read(records in vec(any_record(), 0..6)) {
        let mut batch = Vec::new();
        for record in &records {
            write_as(1, Form::Wide, record, &mut batch);
        }
        let found: Option<Vec<RequestRecord>> = pieces(&batch).map(|(_, piece)| read(piece)).collect();
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
            pieces(batch.bytes()).map(|(_, piece)| read(piece)).collect();
        prop_assert_eq!(left, Some(records[over..].to_vec()));
    }

    #[test]
    fn any_bytes_are_read_or_left_out_without_panic(batch in vec(any::<u8>(), 0..300)) {
        pieces(&batch).for_each(|(_, piece)| drop(read(piece)));
    }

    #[test]
    fn damaged_records_are_left_out_without_panic(
        record in any_record(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut batch = Vec::new();
        write(&record, &mut batch);
        let at = at.index(batch.len());
        batch[at] = byte;
        pieces(&batch).for_each(|(_, piece)| drop(read(piece)));
    }
}
