use super::*;
use crate::wire::stream::{Family, Judge};
use alloc::format;
use alloc::vec::Vec;

const TOLD: &str = "Once upon a time there was";

fn chunk(id: &str, delta: &str) -> String {
    format!(r#"{{"id":"{id}","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

fn says(text: &str) -> String {
    chunk("second", &format!(r#"{{"content":{}}}"#, Value::from(text)))
}

fn delivered(datas: &[String]) -> Transcript {
    let mut judge = Judge::new(Family::Completions).with_transcript();
    for data in datas {
        judge.see(format!("data: {data}\n\n").as_bytes());
    }
    judge.take_transcript().unwrap()
}

fn after(text: &str) -> Stitcher {
    let first = chunk("first", &format!(r#"{{"content":{}}}"#, Value::from(text)));
    Stitcher::new(&delivered(&[first])).unwrap()
}

/// Everything that goes out of these texts and the end; `None` when they cannot be joined.
fn out(stitcher: &mut Stitcher, texts: &[&str]) -> Option<String> {
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_string();
    let mut all = String::new();
    for data in texts.iter().map(|text| says(text)).chain([end]) {
        match stitcher.check(data.as_bytes()) {
            Checked::Swallow => {}
            Checked::Differs => return None,
            Checked::Forward(data) => {
                let event: Value = serde_json::from_str(&data).unwrap();
                if let Some(id) = event.get("id") {
                    assert_eq!(id, "first", "the caller sees one id");
                }
                let text = event.pointer("/choices/0/delta/content").and_then(Value::as_str);
                all.push_str(text.unwrap_or_default());
            }
        }
    }
    Some(all)
}

#[test]
fn what_goes_on_goes_out_as_it_comes() {
    assert_eq!(out(&mut after(TOLD), &[" a", " king"]).unwrap(), " a king");
    assert_eq!(out(&mut after(TOLD), &["", " a king"]).unwrap(), " a king");
}

#[test]
fn a_beginning_that_is_told_again_is_swallowed_however_it_is_cut() {
    let whole = format!("{TOLD} a king");
    for size in 1..whole.len() {
        let pieces: Vec<&str> = whole
            .as_bytes()
            .chunks(size)
            .map(|piece| core::str::from_utf8(piece).unwrap())
            .collect();
        assert_eq!(out(&mut after(TOLD), &pieces).unwrap(), " a king", "pieces of {size}");
    }
}

#[test]
fn a_continuation_that_begins_like_the_answer_is_delivered_once_it_differs() {
    assert_eq!(out(&mut after(TOLD), &["Once", " more", " king"]).unwrap(), "Once more king");
    assert_eq!(out(&mut after(TOLD), &["Once"]).unwrap(), "Once", "it is short and ends");
}

#[test]
fn a_beginning_told_again_and_ended_before_its_time_cannot_be_joined() {
    assert_eq!(out(&mut after(TOLD), &["Once upon a time there"]), None);
}

#[test]
fn only_the_text_of_one_unended_choice_is_gone_on_from() {
    let tool = r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]}"#;
    let other = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#.to_string();
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_string();
    let thought = r#"{"reasoning_content":"hm"}"#;
    for more in [chunk("a", tool), other, end, chunk("a", thought)] {
        assert!(Stitcher::new(&delivered(&[says(TOLD), more.clone()])).is_none(), "{more}");
    }
    assert!(Stitcher::new(&delivered(&[says("too short")])).is_none());
    assert!(Stitcher::new(&delivered(&[says(TOLD)])).is_some());
}

#[test]
fn the_role_is_not_told_twice_and_tools_may_follow_the_text() {
    let mut stitcher = after(TOLD);
    let role = chunk("second", r#"{"role":"assistant","content":""}"#);
    assert_eq!(stitcher.check(role.as_bytes()), Checked::Swallow);
    let tool = chunk("second", r#"{"tool_calls":[{"index":0,"id":"call_1"}]}"#);
    assert!(
        matches!(stitcher.check(tool.as_bytes()), Checked::Forward(data) if data.contains("call_1"))
    );
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
    assert!(matches!(stitcher.check(usage.as_bytes()), Checked::Forward(_)));
    assert!(stitcher.joined());
}
