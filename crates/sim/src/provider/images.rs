//! Pictures: generated, edited, varied; whole and as a stream. Each is the same one pixel.
//!
//! Source: OpenAI API description of 2026-08, images and their stream events.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::chat::CREATED;
use crate::provider::request::{Call, Special};
use serde_json::{Value, json};

/// A PNG of one pixel, in base64.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// What a request for pictures asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whether it edits a picture that it brings.
    pub(crate) edits: bool,
    /// As an address instead of the data.
    pub(crate) as_url: bool,
    /// Unfinished pictures in a stream before the finished one.
    pub(crate) partial: u32,
    pub(crate) size: String,
    pub(crate) quality: String,
    pub(crate) format: String,
    pub(crate) background: String,
}

fn tokens(call: &Call) -> Value {
    let output = 100 * u64::from(call.n);
    let input = call.prompt_tokens;
    json!({
        "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        "input_tokens_details": { "text_tokens": input, "image_tokens": 0 },
        "output_tokens_details": { "text_tokens": 0, "image_tokens": output },
    })
}

/// The pictures, or the stream of one's making.
pub(crate) fn answer(call: &Call, number: u64) -> Answer {
    let Special::Pictures(wanted) = &call.special else { return Answer::json(200, "{}".into()) };
    if call.stream { stream(call, wanted) } else { whole(call, wanted, number) }
}

fn whole(call: &Call, wanted: &Wanted, number: u64) -> Answer {
    let picture = |at: u32| {
        if wanted.as_url {
            json!({ "url": format!("https://sim.invalid/images/{number}-{at}.png") })
        } else {
            json!({ "b64_json": PIXEL })
        }
    };
    let data: Vec<Value> = (0..call.n).map(picture).collect();
    let mut body = json!({ "created": CREATED, "data": data, "usage": tokens(call) });
    let known = [
        ("background", &wanted.background, &["transparent", "opaque"][..]),
        ("output_format", &wanted.format, &["png", "webp", "jpeg", "gif", "svg"]),
        ("quality", &wanted.quality, &["low", "medium", "high", "xhigh", "max"]),
    ];
    for (name, value, told) in known {
        if told.contains(&value.as_str()) {
            body[name] = value.clone().into();
        }
    }
    if !matches!(wanted.size.as_str(), "" | "auto") {
        body["size"] = wanted.size.clone().into();
    }
    Answer::told(body)
}

fn stream(call: &Call, wanted: &Wanted) -> Answer {
    let family = if wanted.edits { "image_edit" } else { "image_generation" };
    let or = |value: &str, other: &str| if value.is_empty() { other } else { value }.to_owned();
    let event = |name: &str| {
        json!({
            "type": name, "b64_json": PIXEL, "created_at": CREATED, "size": or(&wanted.size, "1024x1024"),
            "quality": or(&wanted.quality, "high"), "background": or(&wanted.background, "opaque"),
            "output_format": or(&wanted.format, "png"),
        })
    };
    let mut reel = Reel::with_room(1_024);
    let mut say = |mark, name: &str, data: &Value| {
        reel.event(mark, |out| {
            out.extend(["event: ", name, "\ndata: ", &data.to_string(), "\n\n"]);
        });
    };
    for index in 0..wanted.partial {
        let name = format!("{family}.partial_image");
        let mut data = event(&name);
        data["partial_image_index"] = index.into();
        say(Mark::Content, &name, &data);
    }
    let name = format!("{family}.completed");
    let mut data = event(&name);
    data["usage"] = tokens(call);
    say(Mark::Done, &name, &data);
    Answer::stream(Shape::Media, reel.finish())
}
