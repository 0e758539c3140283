use super::edit::{add_include_usage, set_model};
use super::*;
use alloc::string::String;
use proptest::prelude::*;

fn look(body: &str) -> Result<Peek<'_>, Fault> {
    peek(body.as_bytes(), Endpoint::Chat)
}

#[test]
fn the_fields_that_decide_are_read() {
    let body = r#"{"messages":[{"role":"user","content":"a \"model\": x"}], "model" : "gpt-\u0034o","stream":true,
        "stream_options":{"include_usage":false},"max_tokens":5,"max_completion_tokens":7,"n":2,"best_of":3,"user":"u",
        "background":true,"store":false,"previous_response_id":"resp_1","prompt_cache_key":"k","unknown":{"model":"no"}}"#;
    let seen = look(body).unwrap();
    assert_eq!(seen.model.as_deref(), Some("gpt-4o"));
    assert!(seen.stream && seen.background);
    assert_eq!((seen.include_usage, seen.store), (Some(false), Some(false)));
    assert_eq!((seen.max_output(), seen.n, seen.best_of), (Some(5), Some(2), Some(3)));
    assert_eq!(
        (seen.user.as_deref(), seen.previous_response_id.as_deref()),
        (Some("u"), Some("resp_1"))
    );
    assert_eq!(seen.prompt_cache_key.as_deref(), Some("k"));
    assert_eq!(&body[seen.model_span().unwrap()], r#""gpt-\u0034o""#);
}

#[test]
fn the_only_field_a_name_can_be_is_found_in_any_case() {
    for (at, (name, _)) in FIELDS.iter().enumerate() {
        for raw in [(*name).to_string(), name.to_uppercase()] {
            assert_eq!(
                known(Str { raw: &raw, escaped: false, at: 0 }).map(|found| found.0),
                Some(at)
            );
        }
        let mut other = (*name).to_string();
        other.pop();
        for raw in [other.clone(), alloc::format!("{other}_"), alloc::format!("{name}s")] {
            assert!(known(Str { raw: &raw, escaped: false, at: 0 }).is_none(), "{raw}");
        }
    }
}

#[test]
fn absent_and_null_fields_are_none() {
    for body in [
        "{}",
        r#"{"model":null,"stream":null,"n":null,"user":null,"max_tokens":null,"store":null}"#,
    ] {
        assert_eq!(look(body).unwrap().model, None);
        assert!(!look(body).unwrap().stream);
        assert_eq!(look(body).unwrap().max_output(), None);
    }
    let odd = look(
        r#"{"n":"2","max_tokens":-1,"user":7,"store":"x","max_output_tokens":1.5,"stream_options":3}"#,
    );
    assert_eq!(
        odd.map(|seen| (seen.n, seen.max_output(), seen.user, seen.store)),
        Ok((None, None, None, None))
    );
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused() {
    for (body, param) in [
        (r#"{"model":"a","model":"b"}"#, "model"),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "model"),
        (r#"{"model":"a","Model":"b"}"#, "model"),
        (r#"{"stream":true,"stream":false}"#, "stream"),
        (r#"{"max_tokens":1,"max_tokens":100000}"#, "max_tokens"),
        (
            r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
            "stream_options.include_usage",
        ),
    ] {
        let fault = look(body).unwrap_err();
        assert_eq!(
            (fault.param.as_deref(), fault.code()),
            (Some(param), "invalid_value"),
            "{body}"
        );
        assert!(fault.message.starts_with("Duplicate key"), "{}", fault.message);
    }
    // A lone `Model` is no model to us, and would be one to a reader that does not mind case.
    for body in [r#"{"Model":"a"}"#, r#"{"MODEL":"a","model":"b"}"#] {
        let fault = look(body).unwrap_err();
        assert_eq!(fault.param.as_deref(), Some("model"));
        assert!(fault.message.contains("only in its case"), "{}", fault.message);
    }
    assert!(look(r#"{"Store":1,"N":2}"#).is_ok(), "other fields do not decide who may call");
}

#[test]
fn what_is_not_an_object_of_json_is_refused() {
    for (body, needle) in [
        ("", "empty"),
        ("[]", "must be a JSON object, but is an array"),
        ("\"x\"", "a string"),
        ("{\"model\":\"a\"", "ends too soon"),
        ("{\"model\":\"a\"} {}", "nothing behind it"),
        ("{\"model\":\"a\",}", "trailing commas"),
        ("{\"model\":5}", "Invalid type for 'model'"),
        ("{\"model\":\"\\ud800\"}", "Invalid type for 'model'"),
        ("{\"stream\":\"true\"}", "Invalid type for 'stream'"),
    ] {
        let fault = look(body).unwrap_err();
        assert!(fault.message.contains(needle), "{body}: {}", fault.message);
    }
    assert!(peek(b"{\"a\":\"\xff\"}", Endpoint::Chat).unwrap_err().message.contains("UTF-8"));
    assert_eq!(peek(b"", Endpoint::Threads), Ok(Peek::default()));
    assert_eq!(peek(b"", Endpoint::Models), Ok(Peek::default()));
}

#[test]
fn a_splice_keeps_every_other_byte() {
    let body = "{ \"a\":1.0, \"model\" : \"x\" , \"b\":[ ] }";
    let seen = look(body).unwrap();
    let edited = set_model(body.as_bytes(), &seen, "p/\"q\"\n");
    assert_eq!(edited, b"{ \"a\":1.0, \"model\" : \"p/\\\"q\\\"\\u000a\" , \"b\":[ ] }");
    for (body, expected) in [
        ("{}", r#"{"model":"m"}"#),
        ("{\"a\":1}", r#"{"model":"m","a":1}"#),
        ("{\"model\":null}", r#"{"model":"m"}"#),
    ] {
        assert_eq!(set_model(body.as_bytes(), &look(body).unwrap(), "m"), expected.as_bytes());
    }
}

#[test]
fn usage_is_asked_for_wherever_the_options_stand() {
    for (body, expected) in [
        (r#"{"stream":true}"#, r#"{"stream_options":{"include_usage":true},"stream":true}"#),
        (r#"{"stream_options":null}"#, r#"{"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":{ }}"#, r#"{"stream_options":{"include_usage":true }}"#),
        (r#"{"stream_options":{"x":1}}"#, r#"{"stream_options":{"include_usage":true,"x":1}}"#),
        (
            r#"{"stream_options":{"include_usage":false}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        let edited = add_include_usage(body.as_bytes(), &look(body).unwrap()).unwrap();
        assert_eq!(String::from_utf8(edited).unwrap(), expected);
    }
    let asked = r#"{"stream_options":{"include_usage":true}}"#;
    assert_eq!(add_include_usage(asked.as_bytes(), &look(asked).unwrap()), None);
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = peek(&body, Endpoint::Chat);
    }

    #[test]
    fn an_edited_body_reads_back_as_meant(
        model in any::<String>(), new in any::<String>(), before in any::<String>(), options in 0_usize..4,
    ) {
        let choices = ["", r#","stream_options":{}"#, r#","stream_options":null"#, r#","stream_options":{"a":[1]}"#];
        let options = choices[options];
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let body = alloc::format!("{{\"user\":{},\"model\":{}{options}}}", quoted(&before), quoted(&model));
        let seen = look(&body).unwrap();
        prop_assert_eq!(seen.model.as_deref(), Some(model.as_str()));
        let edited = set_model(body.as_bytes(), &seen, &new);
        let again = peek(&edited, Endpoint::Chat).unwrap();
        prop_assert_eq!(again.model.as_deref(), Some(new.as_str()));
        prop_assert_eq!(again.user.as_deref(), Some(before.as_str()));
        let with_usage = add_include_usage(&edited, &again).unwrap();
        prop_assert_eq!(peek(&with_usage, Endpoint::Chat).unwrap().include_usage, Some(true));
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&with_usage).is_ok());
    }
}

#[test]
fn a_partial_answer_becomes_the_last_message_and_its_tokens_count() {
    let body = br#"{ "model":"m", "max_tokens": 100,"messages" : [ {"role":"user","content":"[]"} ] , "x":1e0}"#;
    let edited = edit::continue_from(body, "so \"far\"\n", 40).unwrap();
    let wanted = r#"{ "model":"m", "max_tokens": 60,"messages" : [ {"role":"user","content":"[]"} ,{"role":"assistant","content":"so \"far\"\u000a"}] , "x":1e0}"#;
    assert_eq!(core::str::from_utf8(&edited).unwrap(), wanted);
    let least =
        edit::continue_from(br#"{"messages":[{"role":"user"}],"max_completion_tokens":3}"#, "t", 9);
    assert!(
        core::str::from_utf8(&least.unwrap()).unwrap().ends_with(r#""max_completion_tokens":1}"#)
    );
    for body in [
        r#"{"messages":[]}"#,
        r#"{"prompt":"x"}"#,
        r#"{"messages":[{"role":"user"},{"role":"assistant","content":"I"}]}"#,
        r#"{"messages":"x"}"#,
    ] {
        assert_eq!(edit::continue_from(body.as_bytes(), "t", 0), None, "{body}");
    }
}

#[test]
fn a_body_is_fitted_to_a_provider_by_leaving_out_and_renaming_and_nothing_else() {
    let boxed = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<Box<str>>>();
    let omit = boxed(&["store", "user"]);
    let rename = [("max_completion_tokens".into(), "max_tokens".into())];
    let fitted = |body: &str| {
        edit::fit(body.as_bytes(), &omit, &rename).map(|edited| String::from_utf8(edited).unwrap())
    };
    let cases = [
        (r#"{"model":"m","x":1.50}"#, None),
        (r#"{"store":true,"model":"m"}"#, Some(r#"{"model":"m"}"#)),
        (r#"{ "model" : "m" , "store" : true }"#, Some(r#"{"model" : "m" }"#)),
        (r#"{"a":[1, 2],"user":"u","b":{"store":1}}"#, Some(r#"{"a":[1, 2],"b":{"store":1}}"#)),
        (r#"{"store":true,"user":"u"}"#, Some("{}")),
        (r#"{"max_completion_tokens":7,"a":1}"#, Some(r#"{"max_tokens":7,"a":1}"#)),
        (r#"{"max_tokens":5,"max_completion_tokens":7}"#, Some(r#"{"max_tokens":5}"#)),
        (r#"{"st\u006fre":true,"a":1}"#, Some(r#"{"a":1}"#)),
        ("[1]", None),
        ("{}", None),
        ("no json", None),
    ];
    for (body, want) in cases {
        assert_eq!(fitted(body).as_deref(), want, "{body}");
    }
}
