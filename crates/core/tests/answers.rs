//! Answers shaped like those of many providers, in `data/answers.jsonl`: each gets its kind, says
//! rightly whether a repeat helps, and shows its delay.
//!
//! A row's `kinds` are the acceptable ones, the best first. The rows are written for this project
//! after public documentation; which provider a row is shaped like stands in its id and is not
//! known to the classifier.

use mainstay_core::classify::jsonl;
use mainstay_core::failure::Kind;
use serde_json::Value;
use std::collections::BTreeSet;

const ROWS: &str = include_str!("data/answers.jsonl");

fn rows() -> impl Iterator<Item = (&'static str, Value)> {
    ROWS.lines().map(|line| (line, serde_json::from_str(line).expect("a row is JSON")))
}

#[test]
fn every_answer_gets_its_kind_and_its_verdict_on_repeats() {
    let mut wrong = Vec::new();
    let (mut best, mut count) = (0, 0);
    for (line, row) in rows() {
        let said: Value =
            serde_json::from_str(&jsonl::line(line).expect("readable")).expect("JSON");
        let expect = &row["expect"];
        let kinds = expect["kinds"].as_array().expect("kinds");
        let kind_right = kinds.contains(&said["kind"]);
        let repeat_right = said["retryable"] == expect["retryable"];
        let delay_right = expect["retry_after_s"].as_f64().is_none_or(|wanted| {
            let got = said["retry_after_s"].as_f64().unwrap_or(f64::INFINITY);
            (got - wanted).abs() <= f64::max(1.0, wanted * 0.05)
        });
        if !(kind_right && repeat_right && delay_right) {
            wrong.push(format!("{line}\n  got {said}"));
        }
        count += 1;
        best += u32::from(kinds.first() == Some(&said["kind"]));
    }
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 350 && best * 10 > count * 9, "{best} of {count} get the best kind");
}

#[test]
fn the_rows_cover_every_kind_but_the_unknown() {
    let covered: BTreeSet<String> = rows()
        .filter_map(|(_, row)| row["expect"]["kinds"][0].as_str().map(String::from))
        .collect();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Unknown) {
        assert!(covered.contains(kind.name()), "no row for {kind}");
    }
}

#[test]
fn costly_mistakes_do_not_happen_when_only_the_status_is_known() {
    // Without a body nothing but the status speaks: auth and quota statuses are final, overload
    // and limits are not.
    let repeat = |status: u16| {
        let line = format!(r#"{{"id":1,"status":{status},"body":""}}"#);
        let said: Value =
            serde_json::from_str(&jsonl::line(&line).expect("readable")).expect("JSON");
        said["retryable"].as_bool()
    };
    for status in [400, 401, 402, 403, 404, 405, 409, 413, 422, 451, 501] {
        assert_eq!(repeat(status), Some(false), "{status}");
    }
    for status in [408, 424, 425, 429, 498, 500, 502, 503, 504, 520, 522, 524, 529, 530, 599] {
        assert_eq!(repeat(status), Some(true), "{status}");
    }
}

#[test]
fn provider_source_and_label_are_never_read() {
    for (line, mut row) in rows() {
        let plain = jsonl::line(line);
        row["provider"] = "groq".into();
        row["source"] = "a page about rate limits".into();
        row["expect"] = serde_json::json!({"kind": "overloaded", "retryable": true});
        assert_eq!(jsonl::line(&row.to_string()), plain, "{line}");
    }
}

#[test]
fn a_line_that_is_no_answer_is_refused_with_a_reason() {
    for (line, words) in [
        ("", "not JSON"),
        ("[1]", "not a JSON object"),
        (r#"{"status":"429","body":""}"#, "`status`"),
        (r#"{"status":42,"body":""}"#, "`status`"),
        (r#"{"status":429,"body":{}}"#, "`body`"),
        (r#"{"status":429,"headers":[],"body":""}"#, "`headers`"),
        (r#"{"status":200,"stream":"yes","body":""}"#, "`stream`"),
    ] {
        let fault = jsonl::line(line).expect_err(line).to_string();
        assert!(fault.contains(words), "{line}: {fault}");
    }
    let sound = r#"{"id":"a","status":200,"body":"{\"choices\":[]}"}"#;
    assert!(jsonl::line(sound).expect("readable").contains(r#""kind":null"#));
}
