//! Promises of what a trace may tell.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn word(text: &str) -> Option<Word> {
    let word = Word::new(text);
    assert!(word.is_some(), "{text}");
    word
}

fn ends(told: &Told) -> Vec<&str> {
    told.finished().map(Word::as_str).collect()
}

#[test]
fn what_a_request_asks_for_is_read_in_every_familys_words() {
    let chat = br#"{"model":"m","messages":[{"role":"user","content":"temperature"}],"max_tokens":50,
        "max_completion_tokens":40,"n":2,"seed":-7,"temperature":0.5,"top_p":1,"top_k":40,
        "frequency_penalty":-0.25,"presence_penalty":1e-1,"reasoning_effort":"low","service_tier":"flex",
        "response_format":{"type":"json_schema","json_schema":{"name":"x"}}}"#;
    let wishes = Wishes::of(chat);
    assert_eq!((wishes.max_tokens, wishes.choices, wishes.seed), (Some(40), Some(2), Some(-7)));
    assert_eq!(
        [wishes.temperature, wishes.top_p, wishes.top_k, wishes.frequency_penalty],
        [Some(0.5), Some(1.0), Some(40.0), Some(-0.25)]
    );
    assert_eq!(wishes.presence_penalty, Some(0.1));
    assert_eq!((wishes.effort, wishes.tier), (word("low"), word("flex")));
    assert_eq!(wishes.format, word("json_schema"));
    let responses = br#"{"input":"hi","max_output_tokens":9,"reasoning":{"effort":"high"},
        "text":{"format":{"type":"text"}},"conversation":{"id":"conv_1"},"previous_response_id":"resp_0"}"#;
    let wishes = Wishes::of(responses);
    assert_eq!((wishes.max_tokens, wishes.effort), (Some(9), word("high")));
    assert_eq!((wishes.format, wishes.conversation), (word("text"), word("conv_1")));
    assert_eq!(wishes.previous, word("resp_0"));
    assert_eq!(Wishes::of(br#"{"conversation":"conv_2"}"#).conversation, word("conv_2"));
    assert_eq!(Wishes::of(br#"{"encoding_format":"base64"}"#).encoding, word("base64"));
}

#[test]
fn what_is_no_setting_is_not_told() {
    for body in [
        r#"{"temperature":"hot","max_tokens":-1,"n":1.5,"seed":"x","top_p":1e999,"top_k":null}"#,
        r#"{"service_tier":"what the caller wrote","conversation":"two words","reasoning":"x"}"#,
        r#"{"reasoning_effort":"","response_format":"mp3","text":"x","encoding_format":["float"]}"#,
        "[]",
        "7",
        "",
        "{",
    ] {
        assert_eq!(Wishes::of(body.as_bytes()), Wishes::default(), "{body}");
    }
    assert_eq!(Wishes::of(b"{\"temperature\":1,\"x\":\"\xff\"}"), Wishes::default());
}

#[test]
fn a_word_is_short_plain_and_no_key() {
    assert_eq!(Word::new("fp_44709d6fcb").unwrap().as_str(), "fp_44709d6fcb");
    for none in ["", "two words", "\u{e9}", "a\"b", &"x".repeat(Word::MAX + 1)] {
        assert_eq!(Word::new(none), None, "{none}");
    }
    assert!(Word::new(&"x".repeat(Word::MAX)).is_some());
    assert_eq!(Word::new("sk-abcdefghijkl").unwrap().as_str(), "sk-***");
}

#[test]
fn a_whole_answer_tells_who_answered_and_why_it_ended() {
    let mut told = Told::default();
    told.answer(
        br#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-11-20","service_tier":"default",
        "system_fingerprint":"fp_1","choices":[{"index":1,"finish_reason":"length"},{"index":0,"message":
        {"content":"id"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":8,
        "prompt_tokens_details":{"cached_tokens":1,"audio_tokens":2,"cache_write_tokens":3},
        "completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0,"text_tokens":8}}}"#,
    );
    assert_eq!(
        (told.id.clone(), told.model.clone()),
        (word("chatcmpl-1"), word("gpt-4o-2024-11-20"))
    );
    assert_eq!((told.tier.clone(), told.fingerprint.clone()), (word("default"), word("fp_1")));
    assert_eq!(ends(&told), ["stop", "length"], "in the order of choices");
    let tokens = Apart {
        reasoning: Some(4),
        cache_written: Some(3),
        input: [None, None, Some(2)],
        output: [Some(8), None, Some(0)],
    };
    assert_eq!(told.tokens, tokens);
    let ended = |body: &str| {
        let mut told = Told::default();
        told.answer(body.as_bytes());
        ends(&told).concat()
    };
    assert_eq!(
        ended(r#"{"id":"resp_1","status":"completed","incomplete_details":null}"#),
        "completed"
    );
    let cut = r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#;
    assert_eq!(ended(cut), "max_output_tokens");
    assert_eq!(ended(r#"{"id":"resp_1","status":"in_progress"}"#), "");
    assert_eq!(ended("[1]"), "");
}

fn streamed(events: &[&str]) -> Told {
    let mut told = Told::default();
    for event in events {
        told.event(event.as_bytes());
    }
    told
}

#[test]
fn a_stream_tells_the_same_piece_by_piece() {
    let told = streamed(&[
        r#"{"id":"c1","model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}"#,
        r#"{"id":"c1","model":"m","choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"c1","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"id":"c1","choices":[{"index":2,"delta":{},"finish_reason":null},{"index":0,"finish_reason" : "stop"}]}"#,
        r#"{"id":"c1","choices":[],"usage":{"completion_tokens_details":{"reasoning_tokens":5}}}"#,
        "[DONE]",
    ]);
    assert_eq!((told.id.clone(), told.model.clone()), (word("c1"), word("m")));
    assert_eq!((ends(&told), told.tokens.reasoning), (vec!["stop", "length"], Some(5)));
    assert_eq!(told.fingerprint, word("fp"));
    let told = streamed(&[
        r#"{"type":"response.created","response":{"id":"resp_1","model":"m","status":"in_progress"}}"#,
        r#"{"type":"response.output_item.added","item":{"id":"msg_1","status":"completed"}}"#,
        r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"finish_reason"}"#,
        r#"{"type":"response.completed","response":{"id":"resp_1","model":"m","status":"completed","service_tier":"flex","usage":{"output_tokens_details":{"reasoning_tokens":6}}}}"#,
    ]);
    assert_eq!((told.id.clone(), ends(&told)), (word("resp_1"), vec!["completed"]));
    assert_eq!((told.tier, told.tokens.reasoning), (word("flex"), Some(6)));
    let told = streamed(&[
        r#"{"id":"run_1","object":"thread.run","model":"m","status":"queued"}"#,
        r#"{"id":"msg_1","object":"thread.message.delta","delta":{}}"#,
        r#"{"id":"step_1","object":"thread.run.step","status":"completed"}"#,
        r#"{"id":"run_1","object":"thread.run","model":"m","status":"completed"}"#,
    ]);
    assert_eq!((told.id.clone(), ends(&told)), (word("run_1"), vec!["completed"]));
}

#[test]
fn what_is_kept_of_choices_has_a_bound() {
    let mut told = Told::default();
    for index in 0..500 {
        told.event(
            alloc::format!(r#"{{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#)
                .as_bytes(),
        );
    }
    assert_eq!(told.finished().count(), Told::FINISHED_MAX);
}

proptest! {
    /// Whatever comes, also what is passed over: nothing breaks, and an end is never missed.
    #[test]
    fn an_end_is_told_wherever_it_stands(
        before in prop::collection::vec(any::<bool>(), 0..4), spaces in "[ \t]{0,3}", tail in "[a-z\"{}:,]{0,20}",
    ) {
        let mut choices: Vec<String> = before
            .iter()
            .map(|usage| String::from(if *usage { r#"{"index":9,"logprobs":null,"finish_reason":null}"# } else { "{}" }))
            .collect();
        choices.push(alloc::format!(r#"{{"index":3,"finish_reason"{spaces}:{spaces}"stop"}}"#));
        let event = alloc::format!(r#"{{"id":"c","choices":[{}]}}"#, choices.join(","));
        let told = streamed(&[r#"{"id":"c"}"#, &event]);
        prop_assert_eq!(ends(&told), vec!["stop"]);
        let broken = alloc::format!("{event}{tail}");
        streamed(&[r#"{"id":"c"}"#, &broken]);
    }
}
