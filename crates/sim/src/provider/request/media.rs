//! The bodies of the endpoints for pictures, sound and judgements.

use super::wire::{Failure, inputs, tokens_of, within};
use crate::provider::audio::Sound;
use crate::provider::form::Form;
use crate::provider::images::Wanted;
use crate::provider::refusal::Refusal;
use crate::provider::request::{Ask, Call, Special, Task};
use serde::Deserialize;
use serde_json::Value;

/// The most pictures one request may ask for. Source: OpenAI API description of 2026-08.
const PICTURES_MAX: f64 = 10.0;
/// The longest text to be spoken, in characters. Source: OpenAI API description of 2026-08.
const SPOKEN_MAX: usize = 4_096;
/// The largest recording, in bytes. Source: body of a 413 in public issue trackers, read 2026-11.
const RECORDING_MAX: u64 = 26_214_400;

const VOICED: [&str; 6] = ["mp3", "opus", "aac", "flac", "wav", "pcm"];
const WRITTEN: [&str; 6] = ["json", "text", "srt", "verbose_json", "vtt", "diarized_json"];

fn call(model: String, text: &str, special: Special) -> Call {
    Call {
        model,
        stream: false,
        include_usage: true,
        n: 1,
        max_tokens: None,
        user: None,
        prompt_tokens: tokens_of(text.len()),
        ask: Ask { heard: text.len(), text: text.to_owned() },
        task: Task::Text,
        special,
        keep: false,
    }
}

#[derive(Deserialize)]
struct Moderations {
    model: Option<String>,
    input: Option<Value>,
}

pub(super) fn moderations(body: &[u8]) -> Result<Call, Failure> {
    let asked: Moderations = serde_json::from_slice(body)?;
    let input = asked.input.ok_or_else(|| Refusal::missing("input"))?;
    let parts = input.as_array().filter(|parts| parts.iter().any(Value::is_object));
    let texts = match parts {
        Some(parts) => {
            let text = |part: &Value| part["text"].as_str().unwrap_or_default().to_owned();
            // The parts of one thing: it gets one judgement.
            vec![parts.iter().map(text).collect::<Vec<_>>().join(" ")]
        }
        None => inputs(&input, "input")?,
    };
    let model = asked.model.unwrap_or_else(|| "omni-moderation-latest".into());
    let text = texts.concat();
    Ok(Call { max_tokens: Some(0), ..call(model, &text, Special::Judged(texts)) })
}

#[derive(Default, Deserialize)]
struct Images {
    model: Option<String>,
    prompt: Option<String>,
    n: Option<i64>,
    stream: Option<bool>,
    #[serde(rename = "partial_images")]
    partial: Option<u32>,
    response_format: Option<String>,
    size: Option<String>,
    quality: Option<String>,
    output_format: Option<String>,
    background: Option<String>,
    user: Option<String>,
}

pub(super) fn images(body: &[u8], form: Option<&Form>, edits: bool) -> Result<Call, Failure> {
    let asked = match form {
        Some(form) => from_form(form),
        None => serde_json::from_slice(body)?,
    };
    let prompt = asked.prompt.clone().ok_or_else(|| Refusal::missing("prompt"))?;
    if edits && form.is_some_and(|form| form.file("image").is_none()) {
        return Err(Refusal::missing("image").into());
    }
    pictures(asked, &prompt, edits)
}

pub(super) fn variations(form: Option<&Form>) -> Result<Call, Failure> {
    let form = form.ok_or_else(|| Refusal::missing("image"))?;
    form.file("image").ok_or_else(|| Refusal::missing("image"))?;
    pictures(from_form(form), "", false)
}

fn from_form(form: &Form) -> Images {
    let text = |name: &str| form.text(name).map(str::to_owned);
    Images {
        model: text("model"),
        prompt: text("prompt"),
        n: text("n").and_then(|n| n.parse().ok()),
        stream: text("stream").map(|stream| stream == "true"),
        partial: text("partial_images").and_then(|n| n.parse().ok()),
        response_format: text("response_format"),
        size: text("size"),
        quality: text("quality"),
        output_format: text("output_format"),
        background: text("background"),
        user: text("user"),
    }
}

fn pictures(asked: Images, prompt: &str, edits: bool) -> Result<Call, Failure> {
    within("n", asked.n.map(|n| n as f64), 1.0, PICTURES_MAX, true)?;
    let partial = asked.partial.unwrap_or(0);
    within("partial_images", Some(f64::from(partial)), 0.0, 3.0, true)?;
    let model = asked.model.unwrap_or_else(|| "dall-e-2".into());
    // The models before gpt-image give an address unless data is asked for.
    let as_url = match asked.response_format.as_deref() {
        Some(format) => format == "url",
        None => model.starts_with("dall-e"),
    };
    let wanted = Wanted {
        edits,
        as_url,
        partial,
        size: asked.size.unwrap_or_default(),
        quality: asked.quality.unwrap_or_default(),
        format: asked.output_format.unwrap_or_default(),
        background: asked.background.unwrap_or_default(),
    };
    Ok(Call {
        stream: asked.stream.unwrap_or(false),
        n: asked.n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        user: asked.user,
        max_tokens: Some(100),
        ..call(model, prompt, Special::Pictures(wanted))
    })
}

#[derive(Deserialize)]
struct Speech {
    model: Option<String>,
    input: Option<String>,
    voice: Option<Value>,
    response_format: Option<String>,
    stream_format: Option<String>,
}

pub(super) fn speech(body: &[u8]) -> Result<Call, Failure> {
    let asked: Speech = serde_json::from_slice(body)?;
    let model = asked.model.ok_or_else(|| Refusal::missing("model"))?;
    let input = asked.input.ok_or_else(|| Refusal::missing("input"))?;
    asked.voice.ok_or_else(|| Refusal::missing("voice"))?;
    if input.chars().count() > SPOKEN_MAX {
        let length = input.chars().count();
        let message = format!(
            "Invalid 'input': string too long. Expected a string with maximum length {SPOKEN_MAX}, but got a string with length {length} instead."
        );
        let refusal = Refusal::new(400, message);
        return Err(Refusal {
            code: Some("string_above_max_length"),
            param: Some("input".into()),
            ..refusal
        }
        .into());
    }
    let format = asked.response_format.unwrap_or_else(|| "mp3".into());
    if !VOICED.contains(&format.as_str()) {
        return Err(Refusal::no_choice("response_format", &format, &VOICED).into());
    }
    let stream = asked.stream_format.as_deref() == Some("sse");
    let special = Special::Sound(Sound::Spoken(format));
    Ok(Call { stream, max_tokens: Some(0), ..call(model, &input, special) })
}

/// What is heard in a recording; `translated` into English.
pub(super) fn heard(form: Option<&Form>, translated: bool) -> Result<Call, Failure> {
    let form = form.ok_or_else(|| Refusal::missing("file"))?;
    let model = form.text("model").ok_or_else(|| Refusal::missing("model"))?;
    let file = form.file("file").ok_or_else(|| Refusal::missing("file"))?;
    if file.size > RECORDING_MAX {
        return Err(Refusal::too_large(RECORDING_MAX, file.size).into());
    }
    let format = form.text("response_format").unwrap_or("json").to_owned();
    if !WRITTEN.contains(&format.as_str()) {
        return Err(Refusal::no_choice("response_format", &format, &WRITTEN).into());
    }
    let heard = usize::try_from(file.size).unwrap_or(usize::MAX);
    let prompt = form.text("prompt").unwrap_or_default();
    let special = Special::Sound(Sound::Heard { format, translated });
    Ok(Call {
        stream: form.text("stream") == Some("true"),
        ask: Ask { heard, text: prompt.to_owned() },
        ..call(model.to_owned(), prompt, special)
    })
}
