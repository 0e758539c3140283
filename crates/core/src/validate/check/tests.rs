use super::*;

fn check(text: &str) -> Vec<Row> {
    rows(text.as_bytes(), None, Level::Lenient)
}

const SOUND: &str = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;

#[test]
fn one_body_over_several_lines_is_one_row() {
    let text = "{\n \"model\": \"m\",\n \"messages\": [\n  {\"role\": \"user\", \"content\": \"x\"}\n ]\n}\n";
    let rows = check(text);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].ok());
    assert_eq!((rows[0].line, rows[0].endpoint), (1, Some(Endpoint::Chat)));

    let broken = text.replace("\"m\",\n", "\"m\"\n");
    let rows = check(&broken);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].faults[0].message.contains("line 3, column 2"), "{:?}", rows[0]);
}

#[test]
fn each_line_is_a_row_of_its_own() {
    let text = alloc::format!("{SOUND}\n\n{{\"model\":\"m\"}}\n{{broken}}\n{SOUND}\r\n");
    let rows = check(&text);
    let seen: Vec<(usize, bool)> = rows.iter().map(|row| (row.line, row.ok())).collect();
    assert_eq!(seen, [(1, true), (3, false), (4, false), (5, true)]);
    let fault = &rows[1].faults[0];
    assert_eq!(fault.param.as_deref(), Some("messages"));
    assert_eq!(Place::of(text.as_bytes(), fault.offset).line, 3);
}

#[test]
fn a_line_that_is_not_json_is_told_by_its_place_in_the_file_alone() {
    let rows = check(&alloc::format!("{SOUND}\n{{\"model\": \"m\",}}\n{SOUND}\n"));
    let message = &rows[1].faults[0].message;
    assert!(message.contains("at line 2, column 15: expected"), "{message}");
    assert!(!message.contains("line 1") && !message.contains("byte"), "{message}");
    let latin = [SOUND.as_bytes(), b"\n{\"a\": \"\xe9\"}\n"].concat();
    let message = &rows_of(&latin)[1].faults[0].message;
    assert!(message.contains("at line 2, column 8 (0xe9)"), "{message}");
}

fn rows_of(text: &[u8]) -> Vec<Row> {
    rows(text, None, Level::Lenient)
}

#[test]
fn a_first_line_that_is_not_json_does_not_hide_the_others() {
    let rows = check(&alloc::format!("{{broken: 1}}\n{SOUND}\n"));
    assert_eq!(rows.iter().map(Row::ok).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_batch_line_names_its_endpoint_by_url() {
    let line = |id: &str, method: &str, url: &str, body: &str| {
        alloc::format!(r#"{{"custom_id":{id},"method":"{method}","url":"{url}","body":{body}}}"#)
    };
    let text = [
        line("\"a\"", "POST", "/v1/chat/completions", SOUND),
        line("\"b\"", "POST", "/v1/embeddings", r#"{"model":"m","input":[]}"#),
        line(
            "\"b\"",
            "POST",
            "https://api.openai.com/v1/embeddings",
            r#"{"model":"m","input":"x"}"#,
        ),
        line("\"d\"", "GET", "/v1/chat/completions", SOUND),
        line("\"e\"", "POST", "/v1/nowhere", SOUND),
        line("7", "POST", "/v1/chat/completions", SOUND),
        r#"{"custom_id":"g","method":"POST","url":"/v1/chat/completions"}"#.to_string(),
    ]
    .join("\n");
    let rows = rows(text.as_bytes(), None, Level::Strict);
    let seen: Vec<(Option<&str>, Vec<&str>)> = rows
        .iter()
        .map(|row| {
            (
                row.custom_id.as_deref(),
                row.faults.iter().filter_map(|f| f.param.as_deref()).collect(),
            )
        })
        .collect();
    let expected: [(Option<&str>, &[&str]); 7] = [
        (Some("a"), &[]),
        (Some("b"), &["input"]),
        (Some("b"), &["custom_id"]),
        (Some("d"), &["method"]),
        (Some("e"), &["url"]),
        (None, &["custom_id"]),
        (Some("g"), &["body"]),
    ];
    assert_eq!(seen, expected.map(|(id, params)| (id, params.to_vec())));
    assert_eq!(rows[1].endpoint, Some(Endpoint::Embeddings));
    let fault = &rows[1].faults[0];
    assert_eq!(
        &text[fault.offset..fault.offset + 2],
        "[]",
        "offsets count from the start of the file"
    );
}

#[test]
fn the_endpoint_is_told_from_the_fields() {
    for (body, expected) in [
        (SOUND, Some(Endpoint::Chat)),
        (r#"{"model":"gpt-5","input":"x"}"#, Some(Endpoint::Responses)),
        (r#"{"model":"text-embedding-3-small","input":"x"}"#, Some(Endpoint::Embeddings)),
        (r#"{"input":"x"}"#, Some(Endpoint::Moderations)),
        (r#"{"model":"tts-1","input":"x","voice":"ash"}"#, Some(Endpoint::Speech)),
        (r#"{"prompt":"x","size":"auto"}"#, Some(Endpoint::Images)),
        (r#"{"model":"m","prompt":"x"}"#, Some(Endpoint::Completions)),
        (r#"{"assistant_id":"a"}"#, Some(Endpoint::Runs)),
        (r#"{"assistant_id":"a","thread":{}}"#, Some(Endpoint::ThreadAndRun)),
        (r#"{"tool_outputs":[]}"#, Some(Endpoint::ToolOutputs)),
        ("{}", None),
        ("[]", None),
    ] {
        assert_eq!(guess(body), expected, "{body}");
    }
    assert_eq!(check("{}")[0].faults[0].param, None);
    assert!(check("").is_empty() || !check("")[0].ok());
}

#[test]
fn an_excerpt_marks_the_place() {
    let shown = excerpt("a\n{\"é\": x}\nb".as_bytes(), 9);
    assert_eq!((shown.text.as_str(), shown.mark), ("{\"é\": x}", 6));
    assert_eq!((shown.place.line, shown.place.column), (2, 7));
    let long = alloc::format!("{}X{}", "é".repeat(500), "b".repeat(500));
    let shown = excerpt(long.as_bytes(), 1000);
    assert_eq!(shown.text.chars().nth(shown.mark), Some('X'));
    assert!(shown.text.chars().count() <= EXCERPT_MAX);
    assert_eq!(excerpt(b"", 10).text, "");
}
