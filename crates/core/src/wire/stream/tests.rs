use super::*;
use alloc::format;

fn chat(judge: &mut Judge, data: &str) -> Event {
    judge.see(format!("data: {data}\n\n").as_bytes())
}

#[test]
fn a_chat_stream_is_whole_only_after_every_choice_has_finished() {
    let mut judge = Judge::new(Family::Completions).with_choices(2);
    let see = |judge: &mut Judge, data: &str| chat(judge, data);
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    assert_eq!(see(&mut judge, role), Event::StartUp);
    let a = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    assert_eq!(see(&mut judge, a), Event::Content);
    let b = r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
    assert_eq!(see(&mut judge, b), Event::Content);
    let stop =
        |i: u32| format!(r#"{{"choices":[{{"index":{i},"delta":{{}},"finish_reason":"stop"}}]}}"#);
    assert_eq!(see(&mut judge, &stop(0)), Event::StartUp);
    assert_eq!(see(&mut judge, "[DONE]"), Event::Marker);
    assert!(!judge.is_whole(), "[DONE] alone proves nothing");
    assert_eq!(see(&mut judge, &stop(1)), Event::Terminal);
    assert!(judge.is_whole());
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    assert_eq!(see(&mut judge, usage), Event::Usage);
    assert_eq!(judge.usage().map(|usage| usage.total()), Some(5));
}

#[test]
fn what_stands_for_an_error_in_a_chat_stream_is_one() {
    for data in [
        r#"{"error":{"message":"x"}}"#,
        r#"{"error":"x"}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
    ] {
        assert_eq!(chat(&mut Judge::new(Family::Completions), data), Event::Error, "{data}");
    }
    let null = r#"{"choices":[{"delta":{"content":"a"}}],"error":null}"#;
    assert_eq!(chat(&mut Judge::new(Family::Completions), null), Event::Content);
}

#[test]
fn tool_calls_reasoning_and_legacy_text_are_content() {
    for data in [
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"text":"a"}]}"#,
    ] {
        assert_eq!(chat(&mut Judge::new(Family::Completions), data), Event::Content, "{data}");
    }
}

#[test]
fn a_responses_stream_ends_with_completed_or_incomplete_and_fails_with_failed() {
    let mut judge = Judge::new(Family::Responses);
    let mut see = |data: &str| judge.see(format!("event: x\ndata: {data}\n\n").as_bytes());
    assert_eq!(see(r#"{"type":"response.created","sequence_number":0}"#), Event::StartUp);
    let delta = r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"a"}"#;
    assert_eq!(see(delta), Event::Content);
    assert_eq!(see(r#"{"type":"response.failed","sequence_number":5}"#), Event::Error);
    let flat = r#"{"type":"error","code":"x","message":"y","param":null,"sequence_number":5}"#;
    assert_eq!(see(flat), Event::Error);
    let usage = r#"{"usage":{"input_tokens":2,"output_tokens":1}}"#;
    let done = format!(r#"{{"type":"response.completed","sequence_number":6,"response":{usage}}}"#);
    let done = done.as_str();
    assert_eq!(see(done), Event::Terminal);
    assert_eq!(judge.next_sequence(), 7);
    assert_eq!(judge.usage().map(|usage| usage.total()), Some(3));
}

#[test]
fn an_assistants_stream_is_judged_by_the_names_of_its_events() {
    let mut judge = Judge::new(Family::Assistants);
    let mut see =
        |name: &str, data: &str| judge.see(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    assert_eq!(see("thread.run.created", r#"{"id":"run_1"}"#), Event::StartUp);
    assert_eq!(see("thread.message.delta", r#"{"delta":{}}"#), Event::Content);
    assert_eq!(see("thread.run.completed", r#"{"usage":null}"#), Event::Terminal);
    assert_eq!(see("done", "[DONE]"), Event::Marker);
}

#[test]
fn a_run_that_came_to_no_good_end_is_an_error_with_its_reason() {
    let failed = r#"{"id":"run_1","status":"failed","last_error":{"code":"rate_limit_exceeded","message":"Slow down"},"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    let event = format!("event: thread.run.failed\ndata: {failed}\n\n");
    let mut judge = Judge::new(Family::Assistants);
    assert_eq!(judge.see(event.as_bytes()), Event::Error);
    assert!(!judge.is_whole() && judge.missing_marker().is_none());
    assert_eq!(judge.usage().map(|usage| usage.total()), Some(5));
    let reason = error_of_run(event.as_bytes()).unwrap();
    assert_eq!(
        core::str::from_utf8(&reason).unwrap().trim_end(),
        r#"data: {"error":{"code":"rate_limit_exceeded","message":"Slow down"}}"#
    );
    for (name, data) in [
        ("error", r#"{"message":"flat","code":"server_error"}"#),
        ("error", r#"{"error":{"message":"nested"}}"#),
        ("", r#"{"error":{"message":"without a name"}}"#),
        ("thread.run.expired", r#"{"last_error":null}"#),
    ] {
        let event = format!("event: {name}\ndata: {data}\n\n");
        assert_eq!(Judge::new(Family::Assistants).see(event.as_bytes()), Event::Error, "{event}");
        assert_eq!(error_of_run(event.as_bytes()), None);
    }
}

#[test]
fn the_text_of_a_run_is_kept_and_its_marker_added() {
    let mut judge = Judge::new(Family::Assistants).with_transcript();
    let delta = r#"{"delta":{"content":[{"index":0,"type":"text","text":{"value":"Hi","annotations":[]}}]}}"#;
    judge.see(format!("event: thread.message.delta\ndata: {delta}\n\n").as_bytes());
    assert_eq!(judge.transcript().unwrap().text(), b"Hi");
    assert_eq!(judge.missing_marker(), None, "it is not over");
    judge.see(b"event: thread.run.completed\ndata: {\"last_error\":null}\n\n");
    assert_eq!(judge.missing_marker(), Some(&b"event: done\ndata: [DONE]\n\n"[..]));
}

#[test]
fn comments_are_no_content_and_broken_json_is_counted() {
    let mut judge = Judge::new(Family::Completions);
    assert_eq!(judge.see(b": OPENROUTER PROCESSING\n\n"), Event::KeepAlive);
    assert_eq!(chat(&mut judge, r#"{"choices":[{"#), Event::Malformed);
    assert_eq!(judge.malformed(), 1);
}

#[test]
fn a_choice_that_begins_late_is_owed_an_end() {
    let one = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let two = r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
    let mut judge = Judge::new(Family::Completions);
    assert_eq!(chat(&mut judge, one), Event::Terminal);
    assert_eq!(chat(&mut judge, two), Event::Content);
    assert!(!judge.is_whole(), "nobody said how many there are");
    let mut judge = Judge::new(Family::Completions).with_choices(2);
    assert_eq!(chat(&mut judge, one), Event::Content, "the second has not begun");
}

#[test]
fn foreign_members_never_cost_the_text_beside_them() {
    for data in [
        r#"{"id":7,"choices":[{"index":"0","delta":{"content":"a"}}],"usage":[]}"#,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}],"usage":{"prompt_tokens":1.5}}"#,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":3}],"usage":"none"}"#,
    ] {
        let mut judge = Judge::new(Family::Completions).with_transcript();
        assert_eq!(chat(&mut judge, data), Event::Content, "{data}");
        assert_eq!(judge.transcript().map(Transcript::text), Some(&b"a"[..]), "{data}");
    }
}

#[test]
fn text_that_comes_with_an_error_is_not_taken_for_delivered() {
    let mut judge = Judge::new(Family::Completions).with_transcript();
    let data = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"error"}]}"#;
    assert_eq!(chat(&mut judge, data), Event::Error);
    assert_eq!(judge.transcript().map(Transcript::text), Some(&b""[..]));
}

#[test]
fn events_that_only_keep_a_stream_alive_are_no_content() {
    let mut judge = Judge::new(Family::Responses);
    let ping = b"event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":3}\n\n";
    assert_eq!(judge.see(ping), Event::KeepAlive);
}

#[test]
fn a_stream_of_pictures_or_sound_is_whole_after_its_last_event_or_marker() {
    let mut judge = Judge::new(Family::Media);
    let mut see = |data: &str| judge.see(format!("data: {data}\n\n").as_bytes());
    assert_eq!(see(r#"{"type":"image_generation.partial_image","b64_json":"x"}"#), Event::Content);
    let usage = r#"{"input_tokens":3,"output_tokens":100}"#;
    let done = format!(r#"{{"type":"image_generation.completed","usage":{usage}}}"#);
    assert_eq!(see(&done), Event::Terminal);
    assert_eq!(judge.usage().map(|usage| usage.total()), Some(103));
    let mut judge = Judge::new(Family::Media);
    judge.see(b"data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n");
    assert!(!judge.is_whole(), "a delta is no end");
    assert_eq!(
        judge.see(b"data: {\"type\":\"error\",\"error\":{\"message\":\"x\"}}\n\n"),
        Event::Error
    );
    let mut chunks = Judge::new(Family::Media);
    chunks.see(b"data: {\"object\":\"transcription.chunk\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    assert!(!chunks.is_whole());
    assert_eq!(chunks.see(b"data: [DONE]\n\n"), Event::Marker);
    assert!(chunks.is_whole(), "servers that send chunks end with the marker");
}

#[test]
fn a_stored_response_that_is_told_again_ends_as_it_ended() {
    let mut judge = Judge::new(Family::Other);
    judge.see(b"data: {\"type\":\"response.output_text.done\"}\n\n");
    assert!(!judge.is_whole(), "its events tell that it is owed an end");
    assert_eq!(judge.see(b"data: {\"type\":\"response.failed\"}\n\n"), Event::Terminal);
    assert!(judge.is_whole());
    let mut unknown = Judge::new(Family::Other);
    unknown.see(b"data: anything\n\n");
    assert!(unknown.is_whole(), "what is unknown is judged by its framing");
}

/// Both official SDKs take the last of a member that stands twice; such an event is sound.
#[test]
fn of_a_member_that_stands_twice_the_last_holds() {
    let mut judge = Judge::new(Family::Completions);
    let twice = r#"{"usage":null,"choices":[{"index":0,"delta":{"content":"a","content":"b"}}],"usage":null}"#;
    assert_eq!(chat(&mut judge, twice), Event::Content);
    let stop =
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":null,"finish_reason":"stop"}]}"#;
    assert_eq!(chat(&mut judge, stop), Event::Terminal);
    let usage = r#"{"choices":[],"usage":null,"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    assert_eq!(chat(&mut judge, usage), Event::Usage);
    assert_eq!(judge.usage().map(|usage| usage.total()), Some(5));
    assert_eq!(chat(&mut judge, r#"{"choices":[],"choices":["#), Event::Malformed);
    assert_eq!(judge.malformed(), 1);

    let mut judge = Judge::new(Family::Responses);
    let done = r#"{"type":"ping","type":"response.completed","response":{"usage":{"input_tokens":1},"usage":{"input_tokens":2}}}"#;
    assert_eq!(chat(&mut judge, done), Event::Terminal);
    assert_eq!(judge.usage().map(|usage| usage.input), Some(2));
}
