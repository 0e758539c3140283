use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;

fn params(endpoint: Endpoint, level: Level, body: &str) -> Vec<(String, String)> {
    validate(endpoint, level, body.as_bytes())
        .faults
        .into_iter()
        .map(|fault| (fault.param.clone().unwrap_or_default(), fault.vendor_code().to_string()))
        .collect()
}

#[track_caller]
fn refused(level: Level, endpoint: Endpoint, body: &str, expected: &[(&str, &str)]) {
    let found = params(endpoint, level, body);
    let found: Vec<(&str, &str)> =
        found.iter().map(|(param, code)| (param.as_str(), code.as_str())).collect();
    assert_eq!(found, expected, "{body}");
}

#[track_caller]
fn sound(endpoint: Endpoint, body: &str) {
    for level in [Level::Off, Level::Lenient, Level::Strict] {
        let report = validate(endpoint, level, body.as_bytes());
        assert!(report.is_sound(), "{level:?} {body}: {report:?}");
    }
}

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]"#;

fn chat(more: &str) -> String {
    alloc::format!("{CHAT}{more}}}")
}

#[test]
fn sound_bodies_pass_at_every_level() {
    for more in [
        "",
        r#","temperature":2,"top_p":0.5,"n":1.0,"stop":["a","b"],"stream":true,"stream_options":{"include_usage":true}"#,
        r#","max_tokens":null,"logit_bias":{"50256":-100},"metadata":{"a":"b"},"tool_choice":"none""#,
        r#","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"},"strict":true}}"#,
        r#","tools":[{"type":"function","function":{"name":"f","parameters":{"anything":[1]}}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ] {
        sound(Endpoint::Chat, &chat(more));
    }
    sound(
        Endpoint::Chat,
        r#"{"messages":[{"content":[{"text":"a","type":"text"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}],"role":"user"},
          {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":""}}]},
          {"role":"tool","tool_call_id":"b","content":"2"},{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"1"}]},{"role":"assistant","content":"x"}],"model":"m"}"#,
    );
    sound(
        Endpoint::Responses,
        r#"{"model":"m","input":[{"role":"user","content":"x"},{"id":"msg_1"},{"type":"message","role":"assistant","id":"m","status":"completed","content":[{"type":"output_text","text":"x","annotations":[]}]},{"type":"function_call_output","call_id":"c","output":"1"}]}"#,
    );
    sound(Endpoint::Embeddings, r#"{"model":"m","input":[[1,2],[3]]}"#);
    sound(Endpoint::Completions, r#"{"model":"m","prompt":["a","b"]}"#);
    sound(Endpoint::Threads, "{}");
    assert!(validate(Endpoint::Threads, Level::Strict, b"").is_sound());
    assert!(validate(Endpoint::Other, Level::Strict, b"\xff").is_sound());
    assert!(validate(Endpoint::Chat, Level::Off, b"no").is_sound());
}

#[test]
fn what_every_server_refuses_is_refused_when_lenient() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "{}",
            &[("model", "missing_required_parameter"), ("messages", "missing_required_parameter")],
        ),
        (r#"{"model":"m","messages":[]}"#, &[("messages", "empty_array")]),
        (
            r#"{"model":null,"messages":"hi"}"#,
            &[("model", "invalid_type"), ("messages", "invalid_type")],
        ),
        (r#"{"model":"m","messages":["hi"]}"#, &[("messages[0]", "invalid_type")]),
        (
            r#"{"model":"m","messages":[{"content":"hi"}]}"#,
            &[("messages[0].role", "missing_required_parameter")],
        ),
        (
            r#"{"model":"m","messages":[{"role":7,"content":"hi"}]}"#,
            &[("messages[0].role", "invalid_type")],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":{}}]}"#,
            &[("messages[0].content", "invalid_type")],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[3]}]}"#,
            &[("messages[0].content[0]", "invalid_type")],
        ),
        (&chat(r#","stream":"yes""#), &[("stream", "invalid_type")]),
        (&chat(r#","n":[1]"#), &[("n", "invalid_type")]),
        (&chat(r#","max_tokens":"100""#), &[("max_tokens", "invalid_type")]),
        (&chat(r#","model":"other""#), &[("model", "invalid_value")]),
    ];
    for (body, expected) in cases {
        refused(Level::Lenient, Endpoint::Chat, body, expected);
    }
    refused(
        Level::Lenient,
        Endpoint::Embeddings,
        r#"{"model":"m"}"#,
        &[("input", "missing_required_parameter")],
    );
    refused(
        Level::Lenient,
        Endpoint::Runs,
        "{}",
        &[("assistant_id", "missing_required_parameter")],
    );
}

#[test]
fn what_some_server_takes_passes_when_lenient() {
    for more in [
        r#","temperature":9,"top_k":3,"n":0,"max_tokens":-1,"tools":null,"user":null,"stop":[]"#,
        r#","tools":[{"type":"web","x":1}],"tool_choice":"any","reasoning_effort":"ultra","response_format":{"type":"regex"}"#,
    ] {
        let body = chat(more);
        assert_eq!(params(Endpoint::Chat, Level::Lenient, &body), []);
        assert!(!params(Endpoint::Chat, Level::Strict, &body).is_empty());
    }
    for messages in [
        r#"[{"role":"critic","content":"x"}]"#,
        r#"[{"role":"user"}]"#,
        r#"[{"role":"user","content":["a"]}]"#,
        r#"[{"role":"user","content":[{"type":"video_url","video_url":{"url":"x"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":"https://x"}]}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]}]"#,
        r#"[{"role":"assistant","content":"x","reasoning_content":"y"}]"#,
    ] {
        let body = alloc::format!(r#"{{"model":"m","messages":{messages}}}"#);
        assert_eq!(params(Endpoint::Chat, Level::Lenient, &body), [], "{body}");
        assert!(!params(Endpoint::Chat, Level::Strict, &body).is_empty(), "{body}");
    }
}

#[test]
fn the_vendors_rules_hold_when_strict() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (r#","temperature":3"#, &[("temperature", "decimal_above_max_value")]),
        (r#","temperature":-0.1"#, &[("temperature", "decimal_below_min_value")]),
        (r#","n":130"#, &[("n", "integer_above_max_value")]),
        (r#","n":0"#, &[("n", "integer_below_min_value")]),
        (r#","n":1.5"#, &[("n", "invalid_type")]),
        (r#","stop":["a","b","c","d","e"]"#, &[("stop", "array_above_max_length")]),
        (r#","stop":[]"#, &[("stop", "empty_array")]),
        (r#","reasoning_effort":"hihg""#, &[("reasoning_effort", "invalid_value")]),
        (r#","temprature":1"#, &[("temprature", "unknown_parameter")]),
        (r#","logit_bias":{"1":101}"#, &[("logit_bias.1", "integer_above_max_value")]),
        (r#","metadata":{"a":1}"#, &[("metadata.a", "invalid_type")]),
        (r#","user":null"#, &[("user", "invalid_type")]),
        (r#","n":1,"n":1"#, &[("n", "invalid_value")]),
        (r#","response_format":{}"#, &[("response_format.type", "missing_required_parameter")]),
        (
            r#","response_format":{"type":"json_schema","json_schema":{"schema":{}}}"#,
            &[("response_format.json_schema.name", "missing_required_parameter")],
        ),
        (
            r#","tools":[{"type":"function","function":{"name":"a b"}}]"#,
            &[("tools[0].function.name", "invalid_value")],
        ),
    ];
    for (more, expected) in cases {
        refused(Level::Strict, Endpoint::Chat, &chat(more), expected);
    }
    refused(
        Level::Strict,
        Endpoint::Embeddings,
        r#"{"model":"m","input":["a",1]}"#,
        &[("input[1]", "invalid_type")],
    );
    refused(
        Level::Strict,
        Endpoint::Responses,
        r#"{"input":"x"}"#,
        &[("model", "missing_required_parameter")],
    );
    refused(
        Level::Strict,
        Endpoint::Responses,
        r#"{"model":"m","input":[{"content":"x"}],"max_output_tokens":1}"#,
        &[
            ("input[0].role", "missing_required_parameter"),
            ("max_output_tokens", "integer_below_min_value"),
        ],
    );
}

#[test]
fn calls_and_answers_of_tools_belong_together() {
    let call = r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#;
    let answer =
        |id: &str| alloc::format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"x"}}"#);
    let user = r#"{"role":"user","content":"x"}"#;
    let body = |messages: &[&str]| {
        alloc::format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","))
    };
    let unanswered = |n: usize| alloc::format!("messages[{n}].tool_calls[0].id");
    let cases: [(&[&str], Vec<String>); 5] = [
        (&[user, call], [unanswered(1)].into()),
        (&[user, call, user], [unanswered(1)].into()),
        (&[user, &answer("a")], ["messages[1].tool_call_id".into()].into()),
        (&[call, &answer("b")], [unanswered(0), "messages[1].tool_call_id".into()].into()),
        (&[call, &answer("a"), user, call, &answer("a")], Vec::new()),
    ];
    for (messages, expected) in cases {
        let body = body(messages);
        let found: Vec<String> = params(Endpoint::Chat, Level::Strict, &body)
            .into_iter()
            .map(|(param, _)| param)
            .collect();
        assert_eq!(found, expected, "{body}");
        assert_eq!(params(Endpoint::Chat, Level::Lenient, &body), []);
    }
}

#[test]
fn a_message_says_what_why_and_what_to_do() {
    let said = |more: &str| {
        let body = chat(more);
        validate(Endpoint::Chat, Level::Strict, body.as_bytes()).faults[0].message.clone()
    };
    assert_eq!(
        said(r#","temperature":3"#),
        "Invalid 'temperature': 3 is above the maximum of 2. Send a number from 0 to 2."
    );
    assert_eq!(
        said(r#","max_tokens":"100""#),
        "Invalid type for 'max_tokens': it must be an integer of at least 0 or null, but is a string. Remove the quotes."
    );
    assert!(said(r#","temprature":1"#).contains("Did you mean 'temperature'?"));
    assert!(said(r#","reasoning_effort":"hihg""#).contains("Did you mean 'high'?"));
    let long = alloc::format!(r#","safety_identifier":"{}""#, "é".repeat(66));
    assert!(
        said(&long).contains("has 66 characters, at most 64 are allowed. Shorten it by 2."),
        "{}",
        said(&long)
    );
}

#[test]
fn no_more_faults_are_told_than_the_bound() {
    let body = alloc::format!(r#"{{"model":"m","messages":[{}]}}"#, ["7"; 500].join(","));
    let report = validate(Endpoint::Chat, Level::Lenient, body.as_bytes());
    assert_eq!((report.faults.len(), report.more), (FAULTS_MAX, 500 - FAULTS_MAX));
}

#[test]
fn a_fault_points_at_its_value() {
    let body = chat(r#","temperature": 3"#);
    let fault = &validate(Endpoint::Chat, Level::Strict, body.as_bytes()).faults[0];
    assert_eq!(&body[fault.offset..=fault.offset], "3");
}

#[test]
fn a_field_is_found_by_its_name_as_a_walk_over_the_list_finds_it() {
    let endpoints = [
        Endpoint::Chat,
        Endpoint::Responses,
        Endpoint::Completions,
        Endpoint::Embeddings,
        Endpoint::Images,
        Endpoint::Transcriptions,
        Endpoint::ThreadAndRun,
    ];
    let tables: Vec<&schema::Fields> = endpoints.into_iter().filter_map(tables::of).collect();
    let names = tables.iter().flat_map(|table| table.list).map(|field| field.name);
    let mut keys: Vec<String> = names.map(ToString::to_string).collect();
    // Names of one table are strange to another; so are those with a letter too many, too few or another.
    for name in keys.clone() {
        keys.extend([alloc::format!("{name}s"), name[1..].to_string(), name.to_uppercase()]);
    }
    keys.push(String::new());
    for table in tables {
        for raw in &keys {
            let key = crate::wire::json::Str { raw, escaped: false, at: 0 };
            let found = table.list.iter().position(|field| field.name == raw);
            assert_eq!(table.place(key), found, "{raw}");
        }
        for strict in [false, true] {
            let bit = |(at, field): (usize, &schema::Field)| match field.need {
                schema::Need::Always => 1 << at,
                schema::Need::Strict => u64::from(strict) << at,
                schema::Need::Never => 0,
            };
            let must = table.list.iter().enumerate().map(bit).fold(0, |all, one| all | one);
            assert_eq!(table.must(strict), must);
        }
    }
}

#[test]
fn a_kind_that_comes_first_is_checked_as_one_that_comes_last() {
    let message = |members: [&str; 2]| {
        let body = alloc::format!(r#"{{"model":"m","messages":[{{{}}}]}}"#, members.join(","));
        [Level::Lenient, Level::Strict].map(|level| params(Endpoint::Chat, level, &body))
    };
    for (kind, other) in [
        (r#""role":"user""#, r#""content":"x""#),
        (r#""role":"user""#, r#""content":7"#),
        (r#""role":"user""#, r#""nothing":7"#),
        (r#""r\u006fle":"tool""#, r#""content":"x""#),
        (r#""role":"nobody""#, r#""content":"x""#),
        (r#""role":null"#, r#""content":"x""#),
    ] {
        assert_eq!(message([kind, other]), message([other, kind]), "{kind} {other}");
    }
    let twice = message([r#""role":"user""#, r#""content":"x","role":"tool""#]);
    assert_eq!(twice[1], [("messages[0].role".to_string(), "invalid_value".to_string())]);
}

proptest! {
    #[test]
    fn one_pass_finds_what_two_find(
        members in proptest::collection::vec(
            proptest::sample::select(&[
                r#""model":"gpt-4o""#,
                r#""Model":"x""#,
                r#""mod\u0065l":"y""#,
                r#""messages":[{"role":"user","content":"hi"}]"#,
                r#""messages":[{"role":"user"}]"#,
                r#""messages":[]"#,
                r#""stream":true"#,
                r#""stream":1"#,
                r#""STREAM":false"#,
                r#""stream_options":{"include_usage":true}"#,
                r#""n":2"#,
                r#""n":"2""#,
                r#""max_tokens":5"#,
                r#""user":"u\n""#,
                r#""unknown":{"model":1}"#,
                r#""store":null"#,
                r#""n":01"#,
                r#""store":true,"metadata":{"file_id":"_id","\u0061":"b"}"#,
                r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#,
                r#""messages":[{"role":"us\u0065r","role":"tool","content":"\"_id"}]"#,
                r#""messages":[{"content":"input_file","role":"user"},{"role":"nobody","file_id":[]},{"role":"user","content":7}]"#,
                r#""messages":[{"role":"user","content":"a \n\u4f60 conversation"},{"role":1},{"role":"user"]"#,
                r#""input":[{"type":"input_file","file_data":"x"},{"role":"user","content":"store"},{"type":"nothing"}]"#,
            ][..]),
            0..6,
        ),
        end in proptest::sample::select(&["}", "", "} x", ",}"][..]),
    ) {
        let body = alloc::format!(" {{{}{end}", members.join(" , "));
        for level in Level::ALL {
            for endpoint in [Endpoint::Chat, Endpoint::Responses, Endpoint::Other] {
                let two = crate::wire::request::peek(body.as_bytes(), endpoint)
                    .ok()
                    .filter(|_| validate(endpoint, level, body.as_bytes()).is_sound());
                let one = super::sound(endpoint, level, body.as_bytes());
                let has_rules = endpoint != Endpoint::Other && level != Level::Off;
                let two = two.map(|peek| (peek, Words::of(body.as_bytes())));
                prop_assert_eq!(one, two.filter(|_| has_rules), "{} {:?}", body, level);
            }
        }
    }
}
