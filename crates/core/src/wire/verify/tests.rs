use super::*;
use crate::wire::stream::Judge;
use alloc::format;

fn chunk(id: &str, content: &str) -> String {
    let content = Value::from(content);
    format!(r#"{{"id":"{id}","choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#)
}

fn delivered(texts: &[&str]) -> Transcript {
    let mut transcript = Transcript::default();
    transcript.note_id("first");
    for text in texts {
        transcript.note(0, "content", 0, &Value::from(*text).to_string());
    }
    transcript
}

fn content_of(checked: &Checked) -> Option<String> {
    let Checked::Forward(data) = checked else { return None };
    let value: Value = serde_json::from_str(data).ok()?;
    assert_eq!(value["id"], "first", "the caller sees one id");
    value.pointer("/choices/0/delta/content")?.as_str().map(ToString::to_string)
}

#[test]
fn a_second_telling_is_delivered_from_where_the_first_broke_however_it_is_cut() {
    let whole = "Grüße aus der Ferne";
    let transcript = delivered(&["Grü", "ße aus"]);
    for size in 1..=whole.chars().count() {
        let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
        let chars: Vec<char> = whole.chars().collect();
        let mut rest = String::new();
        for piece in chars.chunks(size) {
            let piece: String = piece.iter().collect();
            let checked = verifier.check(chunk("second", &piece).as_bytes());
            assert_ne!(checked, Checked::Differs);
            rest.push_str(&content_of(&checked).unwrap_or_default());
        }
        assert_eq!(rest, " der Ferne", "pieces of {size}");
        assert!(verifier.caught_up());
    }
}

#[test]
fn the_first_differing_character_ends_it() {
    let transcript = delivered(&["one two"]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    assert_eq!(verifier.check(chunk("x", "one t").as_bytes()), Checked::Swallow);
    assert_eq!(verifier.check(chunk("x", "hree").as_bytes()), Checked::Differs);
}

#[test]
fn a_shorter_second_telling_may_not_finish_the_first() {
    let transcript = delivered(&["one two"]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    verifier.check(chunk("x", "one").as_bytes());
    let finish = br#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    assert_eq!(verifier.check(finish), Checked::Differs);
}

/// What a judge keeps of a stream of these data.
fn told(family: Family, datas: &[&str]) -> Transcript {
    let mut judge = Judge::new(family).with_transcript();
    for data in datas {
        judge.see(format!("data: {data}\n\n").as_bytes());
    }
    judge.take_transcript().unwrap()
}

fn tool(id: &str, name: &str, arguments: &str) -> String {
    let arguments = Value::from(arguments);
    format!(
        r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"{name}","arguments":{arguments}}}}}]}}}}]}}"#
    )
}

#[test]
fn fragments_of_tool_calls_are_continued_under_the_id_the_caller_has() {
    let transcript = told(Family::Completions, &[&tool("call_1", "f", "{\"a\"")]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    let again = tool("call_2", "f", "{\"a\":1}");
    let Checked::Forward(data) = verifier.check(again.as_bytes()) else { panic!("it goes on") };
    let value: Value = serde_json::from_str(&data).unwrap();
    let call = value.pointer("/choices/0/delta/tool_calls/0").unwrap();
    assert_eq!(call.pointer("/function/arguments").unwrap(), ":1}");
    assert_eq!(call.get("id"), None);
}

#[test]
fn another_tool_under_the_same_arguments_differs() {
    let transcript = told(Family::Completions, &[&tool("call_1", "f", "{\"a\"")]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    assert_eq!(verifier.check(tool("c", "g", "{\"a\":1}").as_bytes()), Checked::Differs);
}

#[test]
fn calls_of_the_older_kind_are_continued_too() {
    let call = |arguments: &str| {
        let arguments = Value::from(arguments);
        format!(
            r#"{{"choices":[{{"delta":{{"function_call":{{"name":"f","arguments":{arguments}}}}}}}]}}"#
        )
    };
    let transcript = told(Family::Completions, &[&call("{\"a\"")]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    let Checked::Forward(data) = verifier.check(call("{\"a\":1}").as_bytes()) else {
        panic!("it goes on")
    };
    let value: Value = serde_json::from_str(&data).unwrap();
    let call = value.pointer("/choices/0/delta/function_call").unwrap();
    assert_eq!((call["name"].as_str(), call["arguments"].as_str()), (Some(""), Some(":1}")));
}

#[test]
fn thoughts_that_the_first_telling_did_not_have_may_not_come_in_between() {
    let transcript = delivered(&["one two"]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    let thought = br#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#;
    assert_eq!(verifier.check(thought), Checked::Differs);
}

#[test]
fn an_end_that_the_caller_has_is_not_told_twice() {
    let a = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let b = r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
    let transcript = told(Family::Completions, &[a, b]);
    let mut verifier = Verifier::new(Family::Completions, &transcript, 0);
    assert_eq!(verifier.check(a.as_bytes()), Checked::Swallow);
    assert_eq!(verifier.check(b.as_bytes()), Checked::Swallow);
    let more = r#"{"choices":[{"index":0,"delta":{"content":"more"}}]}"#;
    assert_eq!(verifier.check(more.as_bytes()), Checked::Differs);
}

#[test]
fn typed_events_keep_their_ids_and_count_on() {
    let transcript = told(
        Family::Responses,
        &[
            r#"{"type":"response.created","response":{"id":"resp_1"}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1"}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hel"}"#,
        ],
    );
    let mut verifier = Verifier::new(Family::Responses, &transcript, 3);
    let created = br#"{"type":"response.created","response":{"id":"resp_2"}}"#;
    assert_eq!(verifier.check(created), Checked::Swallow);
    let added = br#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_2"}}"#;
    assert_eq!(verifier.check(added), Checked::Swallow);
    let delta = br#"{"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_2",
        "output_index":0,"content_index":0,"delta":"Hello"}"#;
    let Checked::Forward(data) = verifier.check(delta) else { panic!("it goes on") };
    let value: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((value["delta"].as_str(), value["item_id"].as_str()), (Some("lo"), Some("msg_1")));
    assert_eq!(value["sequence_number"], 3);
    let end = br#"{"type":"response.completed","sequence_number":9,"response":{"id":"resp_2"}}"#;
    let Checked::Forward(data) = verifier.check(end) else { panic!("it ends") };
    assert!(data.contains("resp_1") && !data.contains("resp_2"));
}

#[test]
fn a_typed_item_of_another_kind_or_name_differs_and_its_call_keeps_its_id() {
    let added = |id: &str, name: &str| {
        format!(
            r#"{{"type":"response.output_item.added","output_index":0,"item":{{"id":"fc_{id}","call_id":"call_{id}","type":"function_call","name":"{name}"}}}}"#
        )
    };
    let delta = |text: &str| {
        let text = Value::from(text);
        format!(
            r#"{{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"fc_2","delta":{text}}}"#
        )
    };
    let transcript = told(Family::Responses, &[&added("1", "f"), &delta("{\"a\"")]);
    let mut other = Verifier::new(Family::Responses, &transcript, 0);
    assert_eq!(other.check(added("2", "g").as_bytes()), Checked::Differs);
    let mut same = Verifier::new(Family::Responses, &transcript, 0);
    assert_eq!(same.check(added("2", "f").as_bytes()), Checked::Swallow);
    assert!(matches!(same.check(delta("{\"a\":1}").as_bytes()), Checked::Forward(_)));
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"fc_2","call_id":"call_2","arguments":"call_2"}}"#;
    let Checked::Forward(data) = same.check(done.as_bytes()) else { panic!("it goes on") };
    let value: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(value["item"]["id"], "fc_1");
    assert_eq!(value["item"]["call_id"], "call_1");
    assert_eq!(value["item"]["arguments"], "call_2", "text is never renamed");
}
