//! Forms: sound ones pass however they are written, and those made unsound by rule are refused at the
//! right field.

use mainstay_core::validate::form::{FormBody, FormLook, validate_form};
use mainstay_core::validate::{Level, Report};
use mainstay_core::wire::endpoint::Endpoint;

/// A field's name and value; a file's value begins with `@`.
type Field = (&'static str, &'static str);

/// A sound form, the fields that it must not lose, and values that break a rule.
type Case = (Endpoint, &'static [Field], &'static [&'static str], &'static [Field]);

const FORMS: &[Case] = &[
    (
        Endpoint::Transcriptions,
        &[
            ("file", "@sound"),
            ("model", "whisper-1"),
            ("language", "de"),
            ("prompt", "Names: Ann"),
            ("response_format", "verbose_json"),
            ("temperature", "0.2"),
            ("stream", "false"),
            ("timestamp_granularities[]", "word"),
            ("include[]", "logprobs"),
        ],
        &["file", "model"],
        &[
            ("temperature", "1.1"),
            ("temperature", "warm"),
            ("response_format", "yaml"),
            ("stream", "perhaps"),
            ("timestamp_granularities[]", "letter"),
            ("include[]", "all"),
        ],
    ),
    (
        Endpoint::Translations,
        &[("file", "@sound"), ("model", "whisper-1"), ("prompt", "x"), ("temperature", "0")],
        &["file", "model"],
        &[("temperature", "hot")],
    ),
    (
        Endpoint::ImageEdits,
        &[
            ("image[]", "@one"),
            ("image[]", "@two"),
            ("mask", "@mask"),
            ("prompt", "a hat"),
            ("n", "2"),
            ("size", "auto"),
            ("background", "opaque"),
            ("input_fidelity", "high"),
            ("output_compression", "80"),
            ("quality", "low"),
        ],
        &["prompt"],
        &[
            ("n", "11"),
            ("n", "two"),
            ("background", "blue"),
            ("input_fidelity", "exact"),
            ("output_compression", "101"),
            ("quality", "best"),
        ],
    ),
    (
        Endpoint::ImageVariations,
        &[("image", "@one"), ("n", "1"), ("size", "512x512"), ("response_format", "url")],
        &["image"],
        &[("n", "0"), ("size", "513x513"), ("response_format", "path")],
    ),
    (
        Endpoint::Files,
        &[("file", "@lines"), ("purpose", "batch"), ("expires_after[seconds]", "3600")],
        &["file", "purpose"],
        &[("purpose", "fun")],
    ),
];

fn part((name, value): Field, typed: bool) -> String {
    let (file, value) = match value.strip_prefix('@') {
        Some(content) => ("; filename=\"a file.bin\"", content),
        None => ("", value),
    };
    let kind = if typed && !file.is_empty() { "content-type: text/plain\r\n" } else { "" };
    let header = if typed { "content-disposition" } else { "Content-Disposition" };
    format!("--B\r\n{kind}{header}: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
}

fn form(fields: &[Field], typed: bool) -> String {
    let parts: String = fields.iter().map(|field| part(*field, typed)).collect();
    format!("{parts}--B--\r\n")
}

fn report(endpoint: Endpoint, level: Level, kind: &str, form: &str) -> Report {
    let bytes = form.as_bytes();
    let body = FormBody { content_type: Some(kind), bytes, whole: true, length: None };
    validate_form(endpoint, level, &FormLook::read(body))
}

const KIND: &str = "multipart/form-data; boundary=B";

#[test]
fn sound_forms_pass_however_they_are_written() {
    for (endpoint, fields, ..) in FORMS {
        let backwards: Vec<Field> = fields.iter().rev().copied().collect();
        for (kind, text) in [
            (KIND, form(fields, false)),
            (KIND, form(fields, true)),
            (KIND, form(&backwards, false)),
            ("Multipart/Form-Data; charset=utf-8; boundary=\"B\"", form(fields, false)),
            (KIND, format!("a preamble\r\n{}an epilogue", form(fields, false))),
        ] {
            for level in [Level::Lenient, Level::Strict] {
                let found = report(*endpoint, level, kind, &text);
                assert!(found.is_sound(), "{endpoint:?} {level:?} {kind} {text}: {found:?}");
            }
        }
    }
}

#[test]
fn forms_made_unsound_by_rule_are_refused_with_the_right_parameter() {
    let mut tried = 0;
    let mut refused = |endpoint: Endpoint, text: &str, name: &str| {
        tried += 1;
        let base = name.split('[').next().unwrap_or_default();
        let found = report(endpoint, Level::Strict, KIND, text);
        let named = found.faults.iter().any(|fault| {
            let rest = fault.param.as_deref().and_then(|param| param.strip_prefix(base));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        });
        assert!(named, "{endpoint:?} {name}: {text} {found:?}");
    };
    for (endpoint, fields, required, wrong) in FORMS {
        for name in *required {
            let without: Vec<Field> =
                fields.iter().filter(|field| field.0 != *name).copied().collect();
            refused(*endpoint, &form(&without, false), name);
        }
        for (name, value) in *wrong {
            let broken: Vec<Field> = fields
                .iter()
                .map(|field| if field.0 == *name { (*name, *value) } else { *field })
                .collect();
            refused(*endpoint, &form(&broken, false), name);
        }
        for field in fields.iter().filter(|field| !field.0.contains('[')) {
            let twice: Vec<Field> = fields.iter().chain([field]).copied().collect();
            refused(*endpoint, &form(&twice, false), field.0);
        }
        let more: Vec<Field> = fields.iter().copied().chain([("colour", "red")]).collect();
        if *endpoint != Endpoint::ImageEdits {
            refused(*endpoint, &form(&more, false), "colour");
        }
    }
    assert!(tried >= 54, "only {tried} forms were made");
}
