//! What must hold for any bytes: the same functions serve libFuzzer (`fuzz/`) and the loop beside this.
//! A broken promise is a panic.

use mainstay_core::validate::check::rows;
use mainstay_core::validate::form::{FormBody, FormLook, validate_form};
use mainstay_core::validate::{Level, Report, validate};
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::json::Reader;
use mainstay_core::wire::request::{edit, peek};
use mainstay_tokens::models::Vocabulary;
use mainstay_tokens::{estimate, exact, request};
use serde_json::Value;

/// Endpoints with rules of their own.
const ENDPOINTS: [Endpoint; 12] = [
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Completions,
    Endpoint::Embeddings,
    Endpoint::Moderations,
    Endpoint::Images,
    Endpoint::Speech,
    Endpoint::Assistants,
    Endpoint::Threads,
    Endpoint::ThreadMessages,
    Endpoint::Runs,
    Endpoint::ToolOutputs,
];

/// The first look: agrees with another parser on what is JSON, and edits what it found.
pub(crate) fn peeked(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<Value>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut reader = Reader::new(text);
        let ours = reader.skip().and_then(|()| reader.end());
        match (&theirs, ours) {
            (Ok(_), Err(syntax)) => panic!("refused as no JSON: {syntax:?}"),
            // Where nobody reads a string, half a surrogate pair passes; depth and size of numbers have
            // other bounds.
            (Err(error), Ok(())) => {
                let why = error.to_string();
                let known = ["surrogate", "hex escape", "recursion", "out of range"];
                assert!(known.iter().any(|word| why.contains(word)), "taken as JSON: {why}");
            }
            (Ok(_), Ok(())) | (Err(_), Err(_)) => {}
        }
    }
    let Ok(found) = peek(bytes, Endpoint::Chat) else { return };
    if let (Ok(Value::Object(body)), false) = (&theirs, bytes.is_empty()) {
        let model = body.get("model").and_then(Value::as_str);
        assert_eq!(found.model.as_deref(), model, "another model than other readers see");
        let stream = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        assert_eq!(found.stream, stream, "another way of answering than other readers see");
        let renamed = edit::set_model(bytes, &found, "a \"model\"");
        let again = peek(&renamed, Endpoint::Chat).expect("an edited body is sound");
        assert_eq!(again.model.as_deref(), Some("a \"model\""));
        // `Stream_Options` is another field to most readers, and the edit leaves it alone.
        let odd =
            |key: &String| key != "stream_options" && key.eq_ignore_ascii_case("stream_options");
        if let (Some(asking), false) =
            (edit::add_include_usage(bytes, &found), body.keys().any(odd))
        {
            let again = peek(&asking, Endpoint::Chat).expect("an edited body is sound");
            assert_eq!(again.include_usage, Some(true));
        }
    }
}

/// The validator: says where in the body, in one line, and asks no more when lenient than when strict.
pub(crate) fn validated(bytes: &[u8]) {
    // Chat, and one of the others by the input's length: more inputs in the same time.
    for endpoint in [Endpoint::Chat, ENDPOINTS[bytes.len() % ENDPOINTS.len()]] {
        let lenient = validate(endpoint, Level::Lenient, bytes);
        let strict = validate(endpoint, Level::Strict, bytes);
        sensible(&lenient, bytes);
        sensible(&strict, bytes);
        assert!(lenient.is_sound() || !strict.is_sound(), "lenient refuses what strict takes");
        assert!(validate(endpoint, Level::Off, bytes).is_sound());
    }
    for row in rows(bytes, None, Level::Strict) {
        assert!(row.faults.iter().all(|fault| fault.offset <= bytes.len()));
    }
    for whole in [true, false] {
        let content_type = Some("multipart/form-data; boundary=XX");
        let look = FormLook::read(FormBody { content_type, bytes, whole, length: None });
        for endpoint in [Endpoint::Transcriptions, Endpoint::ImageEdits, Endpoint::Files] {
            let strict = validate_form(endpoint, Level::Strict, &look);
            let lenient = validate_form(endpoint, Level::Lenient, &look);
            sensible(&strict, bytes);
            assert!(lenient.is_sound() || !strict.is_sound(), "lenient refuses what strict takes");
        }
        assert!(look.model_span().is_none_or(|span| span.end <= bytes.len()));
    }
}

fn sensible(report: &Report, bytes: &[u8]) {
    for fault in &report.faults {
        assert!(fault.offset <= bytes.len(), "{fault:?} lies beyond the body");
        assert!(!fault.message.contains('\n'), "{fault:?} has several lines");
        assert!(fault.message.len() < 4_000, "{} bytes of message", fault.message.len());
    }
}

/// The counter: agrees with the vendor's algorithm, keeps its limit, and never weighs more than there is.
pub(crate) fn counted(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (vocabulary, theirs) in [
        (Vocabulary::Cl100k, tiktoken_rs::cl100k_base_singleton()),
        (Vocabulary::O200k, tiktoken_rs::o200k_base_singleton()),
    ] {
        let ours = exact::count(vocabulary, &text);
        // The other one takes quadratic time on some texts.
        if text.len() < 2_000 {
            assert_eq!(ours, theirs.count_ordinary(&text), "{}", vocabulary.name());
        }
        assert_eq!(exact::count_till_limit(vocabulary, &text, ours), Some(ours));
        if ours > 0 {
            assert_eq!(exact::count_till_limit(vocabulary, &text, ours - 1), None);
        }
        assert!(ours <= text.len(), "a token is at least a byte");
        estimate::tokens(Some(vocabulary), bytes);
    }
    for model in ["gpt-4o", "gpt-4", "another"] {
        let (Ok(count), weighed) =
            (request::count(bytes, Some(model)), request::weigh(bytes, model, 1_000_000))
        else {
            continue;
        };
        if let Some((least, most)) = count.range {
            assert!((least..=most).contains(&count.prompt()), "{count:?}");
        }
        if let Some(weighed) = weighed {
            assert!(weighed.at_least <= count.prompt(), "{weighed:?} of {count:?}");
        }
    }
}
