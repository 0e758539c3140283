use super::*;
use crate::provider::request::{Api, Call, read};
use crate::provider::speech::{Manner, Prefill, speak};
use crate::provider::{chat, responses};

fn call(api: Api, stream: bool) -> Call {
    let body = format!(
        r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"in 6 words"}}],"input":"in 6 words","stream_options":{{"include_usage":true}}}}"#
    );
    read(api, body.as_bytes(), None).unwrap()
}

fn answer(api: Api, stream: bool) -> Answer {
    let call = call(api, stream);
    let speech = speak(&call, &Manner { words: 16, text: None, prefill: Prefill::Ignore });
    match (api, stream) {
        (Api::Chat, true) => chat::stream(&call, &speech, 1),
        (Api::Responses, true) => responses::stream(&call, &speech, 1),
        (Api::Responses, false) => responses::whole(&call, &speech, 1),
        (_, _) => chat::whole(&call, &speech, 1),
    }
}

/// The text of a sound exchange, and the waits before its pieces.
fn played(order: Order, api: Api, stream: bool) -> (String, Vec<Duration>) {
    match play(&order, answer(api, stream), Pace::default()).play {
        Play::Http { body: HttpBody::Whole(bytes), .. } => {
            (String::from_utf8_lossy(&bytes).into(), Vec::new())
        }
        Play::Http { body: HttpBody::Pieces(pieces), .. } => {
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
            (
                String::from_utf8_lossy(&bytes).into(),
                pieces.iter().map(|piece| piece.wait).collect(),
            )
        }
        Play::Script(steps) => panic!("not a sound exchange: {steps:?}"),
    }
}

fn after(fault: Fault, after: usize) -> Order {
    Order { after, ..Order::of(fault) }
}

fn contents(text: &str) -> usize {
    text.matches(r#""delta":{"content""#).count()
        + text.matches("event: response.output_text.delta").count()
}

#[test]
fn a_stream_loses_exactly_what_the_fault_says() {
    for api in [Api::Chat, Api::Responses] {
        let last =
            if api == Api::Chat { "data: [DONE]\n\n" } else { "event: response.completed\n" };
        let finish = if api == Api::Chat {
            r#""finish_reason":"stop""#
        } else {
            "response.output_text.done"
        };
        let text = |fault| played(Order::of(fault), api, true).0;

        assert!(!text(Fault::NoDone).contains(last) && text(Fault::NoDone).contains(finish));
        assert!(!text(Fault::NoFinish).contains(finish) && contents(&text(Fault::NoFinish)) == 6);
        assert_eq!(text(Fault::DuplicateDone).matches(last).count(), 2);
        assert!(!text(Fault::MissingUsage).contains("total_tokens"));
        assert_eq!(contents(&text(Fault::MissingUsage)), 6);
    }
}

#[test]
fn errors_inside_a_stream_stand_where_they_should() {
    for pieces in [0, 2, 6, 99] {
        let (text, _) = played(after(Fault::ErrorMidStream, pieces), Api::Chat, true);
        assert_eq!(contents(&text), pieces.min(6));
        assert!(text.ends_with("\"param\":null,\"code\":\"server_is_overloaded\"}}\n\n"), "{text}");
        assert!(!text.contains("[DONE]"));
    }
    let (text, _) = played(Order::of(Fault::ErrorFirstEvent), Api::Chat, true);
    assert!(text.starts_with(r#"data: {"error":{"#), "{text}");
}

#[test]
fn the_responses_api_has_a_nested_error_and_then_a_failed_response() {
    for (fault, sequence) in [(Fault::ErrorFirstEvent, 2), (Fault::ErrorMidStream, 7)] {
        let (text, _) = played(after(fault, 3), Api::Responses, true);
        let events: Vec<(&str, serde_json::Value)> = text
            .split_terminator("\n\n")
            .map(|event| {
                let (name, data) = event.split_once('\n').unwrap();
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                (name.strip_prefix("event: ").unwrap(), data)
            })
            .collect();
        let [.., (error, data), (failed, last)] = events.as_slice() else { panic!("{text}") };
        assert_eq!((*error, *failed), ("error", "response.failed"));
        assert_eq!(data["error"]["code"], "server_is_overloaded");
        assert_eq!(
            (data["type"].as_str(), data["sequence_number"].as_u64()),
            (Some("error"), Some(sequence))
        );
        assert_eq!(last["response"]["error"]["code"], "server_is_overloaded");
        assert_eq!(last["sequence_number"], sequence + 1);
    }
}

#[test]
fn an_error_inside_an_answer_can_be_of_any_kind_that_has_one() {
    let quota = Order::parse("error_mid_stream; after=1; error=insufficient_quota").unwrap();
    let (text, _) = played(quota, Api::Chat, true);
    assert!(
        text.contains(r#""type":"insufficient_quota","param":null,"code":"insufficient_quota""#),
        "{text}"
    );
    let (text, _) = played(quota, Api::Responses, true);
    assert_eq!(
        text.matches(r#""code":"insufficient_quota""#).count(),
        2,
        "the error and the failed response: {text}"
    );
}

#[test]
fn a_malformed_event_stands_between_sound_ones() {
    let (text, _) = played(after(Fault::MalformedEvent, 2), Api::Chat, true);
    let broken: Vec<usize> = text
        .split_terminator("\n\n")
        .enumerate()
        .filter(|(_, event)| {
            let data = event.strip_prefix("data: ").unwrap();
            data != "[DONE]" && serde_json::from_str::<serde_json::Value>(data).is_err()
        })
        .map(|(at, _)| at)
        .collect();
    // The role and two pieces come first.
    assert_eq!(broken, [3]);
    assert_eq!(contents(&text), 6);
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn waits_stand_before_the_right_piece() {
    let long = Duration::from_secs(7);
    let waits = |fault, stream| {
        played(Order { time: long, after: 2, ..Order::of(fault) }, Api::Chat, stream).1
    };
    let at = |waits: &[Duration]| {
        waits
            .iter()
            .enumerate()
            .filter(|(_, wait)| !wait.is_zero())
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert_eq!(at(&waits(Fault::SlowFirstToken, true)), [1]);
    assert_eq!(at(&waits(Fault::Stall, true)), [3]);
    assert_eq!(at(&waits(Fault::SlowDrip, true)), [2, 3, 4, 5, 6]);
    assert_eq!(at(&waits(Fault::SlowFirstToken, false)), [0]);
    assert_eq!(at(&waits(Fault::Stall, false)), [2]);
}

#[test]
fn pacing_waits_before_content_only() {
    let pace = Pace { first_token: Duration::from_millis(5), token: Duration::from_millis(1) };
    let Play::Http { body: HttpBody::Pieces(pieces), .. } =
        sound(answer(Api::Chat, true), pace).play
    else {
        panic!("a stream comes in pieces")
    };
    let waits: Vec<u128> = pieces.iter().map(|piece| piece.wait.as_millis()).collect();
    // Role, six pieces, finish, usage, done.
    assert_eq!(waits, [0, 5, 1, 1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn a_cut_leaves_a_chunk_that_is_shorter_than_it_says() {
    for (fault, end) in [(Fault::CutFin, Step::Finish), (Fault::CutRst, Step::Reset)] {
        let course = play(&after(fault, 1), answer(Api::Chat, true), Pace::default());
        let Play::Script(steps) = course.play else { panic!("a cut is no sound exchange") };
        assert_eq!(steps.last(), Some(&end));
        let sent: Vec<&Bytes> = steps
            .iter()
            .filter_map(|step| if let Step::Send(bytes) = step { Some(bytes) } else { None })
            .collect();
        // Head, role, one piece, half a piece.
        assert_eq!(sent.len(), 4);
        let last = String::from_utf8_lossy(sent[3]).into_owned();
        let (size, rest) = last.split_once("\r\n").unwrap();
        assert!(rest.len() < usize::from_str_radix(size, 16).unwrap());
        assert!(rest.starts_with("data: {") && !rest.contains("\n\n"));
    }
}

#[test]
fn edits_of_framing_keep_the_content() {
    let sound = played(after(Fault::Stall, 0), Api::Chat, true).0;
    assert_eq!(played(Order::of(Fault::OneByteChunks), Api::Chat, true).0, sound);
    assert_eq!(
        played(Order::of(Fault::CrlfEvents), Api::Chat, true).0.replace("\r\n", "\n"),
        sound
    );
    assert_eq!(played(Order::of(Fault::OneByteChunks), Api::Chat, true).1.len(), sound.len());
}
