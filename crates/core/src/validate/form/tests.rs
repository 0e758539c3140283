use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=XX";

fn text(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(name: &str, content: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f.mp3\"\r\n\r\n{content}\r\n"
    )
}

fn whole(parts: &[String]) -> String {
    format!("{}--XX--\r\n", parts.concat())
}

fn body<'a>(content_type: Option<&'a str>, text: &'a str, whole: bool) -> FormBody<'a> {
    FormBody { content_type, bytes: text.as_bytes(), whole, length: None }
}

fn told(endpoint: Endpoint, level: Level, body: FormBody<'_>) -> Vec<String> {
    let report = validate_form(endpoint, level, &FormLook::read(body));
    let name = |fault: Fault| {
        let code = String::from(fault.vendor_code());
        match fault.param {
            Some(param) => format!("{param} {code}"),
            None => code,
        }
    };
    report.faults.into_iter().map(name).collect()
}

fn both(endpoint: Endpoint, form: &str) -> (Vec<String>, Vec<String>) {
    let body = body(Some(TYPE), form, true);
    (told(endpoint, Level::Lenient, body), told(endpoint, Level::Strict, body))
}

#[test]
fn a_form_tells_its_model_and_whether_it_streams() {
    let form = whole(&[file("file", "x"), text("model", "whisper-1"), text("stream", "true")]);
    let look = FormLook::read(body(Some(TYPE), &form, true));
    assert_eq!((look.model(), look.stream(), look.complete()), (Some("whisper-1"), true, true));
    assert_eq!(&form[look.model_span().unwrap()], "whisper-1");
    let head = &form[..form.find("whisper").unwrap() + 4];
    let look = FormLook::read(body(Some(TYPE), head, false));
    assert_eq!((look.model(), look.model_span(), look.complete()), (None, None, false));
}

#[test]
fn sound_forms_pass_at_every_level() {
    let picture = file("image", "png");
    let cases = [
        (
            Endpoint::Transcriptions,
            whole(&[
                file("file", "sound"),
                text("model", "whisper-1"),
                text("temperature", "0.2"),
                text("language", "de"),
                text("timestamp_granularities[]", "word"),
                text("timestamp_granularities[]", "segment"),
                text("chunking_strategy[type]", "server_vad"),
                text("stream", "false"),
                text("response_format", "verbose_json"),
            ]),
        ),
        (
            Endpoint::Translations,
            whole(&[text("model", "whisper-1"), file("file", "sound"), text("temperature", "1")]),
        ),
        (
            Endpoint::ImageEdits,
            whole(&[
                file("image[]", "a"),
                file("image[]", "b"),
                file("mask", "m"),
                text("prompt", "a hat"),
                text("n", "2"),
                text("size", "1024x1024"),
            ]),
        ),
        (
            Endpoint::ImageVariations,
            whole(&[
                picture,
                text("n", "10"),
                text("size", "256x256"),
                text("response_format", ""),
            ]),
        ),
        (
            Endpoint::Files,
            whole(&[
                text("purpose", "batch"),
                text("expires_after[anchor]", "created_at"),
                text("expires_after[seconds]", "3600"),
                file("file", "{}"),
            ]),
        ),
    ];
    for (endpoint, form) in cases {
        assert_eq!(both(endpoint, &form), (Vec::new(), Vec::new()), "{endpoint:?}");
    }
}

#[test]
fn what_every_server_refuses_in_a_form_is_refused_when_lenient() {
    let sound = [text("model", "whisper-1"), file("file", "x")];
    for (form, expected) in [
        (whole(&sound[..1]), "file missing_required_parameter"),
        (
            whole(&[sound[0].clone(), sound[1].clone(), text("model", "other")]),
            "model invalid_value",
        ),
        (
            whole(&[sound[0].clone(), sound[1].clone(), text("temperature", "warm")]),
            "temperature invalid_type",
        ),
        ("{\"model\":\"whisper-1\"}".into(), "invalid_request"),
        (String::new(), "invalid_request"),
    ] {
        let (lenient, strict) = both(Endpoint::Transcriptions, &form);
        assert_eq!(lenient, [expected], "{form}");
        assert!(strict.iter().any(|told| told == expected), "{strict:?}");
    }
    let form = whole(&sound);
    let without = body(Some("multipart/form-data"), &form, true);
    let report = validate_form(Endpoint::Transcriptions, Level::Lenient, &FormLook::read(without));
    assert!(report.faults[0].message.contains("without a `boundary`"), "{report:?}");
    assert!(
        validate_form(Endpoint::Transcriptions, Level::Off, &FormLook::read(without)).is_sound()
    );
}

#[test]
fn what_some_server_takes_in_a_form_passes_when_lenient() {
    let with = |more: &[String]| whole(&[&[text("model", "w"), file("file", "x")], more].concat());
    for (form, expected) in [
        (with(&[text("top_k", "3")]), "top_k unknown_parameter"),
        (with(&[text("temperature", "7")]), "temperature decimal_above_max_value"),
        (with(&[text("response_format", "yaml")]), "response_format invalid_value"),
        (with(&[text("include[]", "all")]), "include[0] invalid_value"),
        (with(&[text("stream", "perhaps")]), "stream invalid_type"),
        (whole(&[file("file", "x")]), "model missing_required_parameter"),
        (
            whole(&[text("model", "w"), text("url", "https://x/y.mp3")]),
            "file missing_required_parameter",
        ),
        (whole(&[text("model", "w"), file("file", "")]), "file invalid_value"),
        (
            whole(&[text("model", "w"), file("file", "x"), file("file", "y")]),
            "file array_above_max_length",
        ),
        (whole(&[text("model", "w"), file("sound", "x"), text("file", "x")]), "file invalid_type"),
        (with(&[]).replace("--XX--", ""), "invalid_request"),
    ] {
        let (lenient, strict) = both(Endpoint::Transcriptions, &form);
        assert_eq!(lenient, [""; 0], "{form}");
        assert!(strict.iter().any(|told| told == expected), "{expected}: {strict:?}");
    }
    let json = body(Some("application/json"), "{}", true);
    assert_eq!(told(Endpoint::Transcriptions, Level::Lenient, json), [""; 0]);
    assert_eq!(told(Endpoint::Transcriptions, Level::Strict, json), ["invalid_request"]);
}

#[test]
fn a_form_that_goes_on_is_not_told_what_it_lacks() {
    let head = file("file", "a beginning of much more");
    let head = head.trim_end();
    let more = FormBody { length: Some(20_000_000), ..body(Some(TYPE), head, false) };
    assert_eq!(told(Endpoint::Transcriptions, Level::Strict, more), [""; 0]);
    let wrong = format!("{}{head}", text("temperature", "warm"));
    let wrong = body(Some(TYPE), &wrong, false);
    assert_eq!(told(Endpoint::Transcriptions, Level::Lenient, wrong), ["temperature invalid_type"]);
    let large = FormBody { length: Some(26_214_401), ..more };
    let report = validate_form(Endpoint::Transcriptions, Level::Strict, &FormLook::read(large));
    assert!(
        report.faults[0]
            .message
            .contains("26214401 bytes, the vendor takes 26214400 here: 1 too many")
    );
    assert_eq!(report.faults[0].kind, crate::failure::Kind::RequestTooLarge);
    assert_eq!(told(Endpoint::Transcriptions, Level::Lenient, large), [""; 0]);
}

#[test]
fn a_picture_that_is_too_large_is_told_with_both_sizes() {
    let form = whole(&[file("image", &"x".repeat(4_000_001))]);
    let report = validate_form(
        Endpoint::ImageVariations,
        Level::Strict,
        &FormLook::read(body(Some(TYPE), &form, true)),
    );
    assert!(report.faults[0].message.contains("has 4000001 bytes or more, at most 4000000"));
    assert_eq!(both(Endpoint::ImageVariations, &form).0, [""; 0]);
}

#[test]
fn a_model_that_stands_twice_is_ambiguous() {
    let form = whole(&[text("model", "a"), text("model", "b")]);
    assert!(FormLook::read(body(Some(TYPE), &form, true)).ambiguous().is_some());
    let form = whole(&[text("model", "a"), text("prompt", "b")]);
    assert!(FormLook::read(body(Some(TYPE), &form, true)).ambiguous().is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), whole: bool, kind in "[ -~]{0,40}") {
        for endpoint in [Endpoint::Transcriptions, Endpoint::ImageEdits, Endpoint::Files] {
            for content_type in [TYPE, &kind] {
                let mut body = b"--XX\r\n".to_vec();
                body.extend(&bytes);
                let form = FormBody { content_type: Some(content_type), bytes: &body, whole, length: None };
                let report = validate_form(endpoint, Level::Strict, &FormLook::read(form));
                prop_assert!(report.faults.iter().all(|fault| fault.offset <= body.len()));
            }
        }
    }
}
