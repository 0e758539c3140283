//! Endpoints with few fields: completions, embeddings, moderations, images and audio.

use super::common::{
    COUNT, EFFORT, FLAG, LEVELS, LOGIT_BIAS, MANY, NULL, OUTPUT_MAX, PENALTY, SAFETY_IDENTIFIER,
    SEED, STOP, STREAM_OPTIONS, TEMPERATURE, TEXT_OR_NULL, TEXTS, TOP_P, VOICE,
};
use crate::validate::schema::{
    ANY, FREE, Fields, INT, NUMBER, Need, Shape, TEXT, Tagged, WORD, at_least, fields, int, list,
    may, must, need, number, one_of, only, tagged, text,
};

/// One prompt, several, or one or several as token ids.
const IDS: Shape = list(&INT, 1, MANY);
const PROMPT: Shape = TEXT.or(list(&PROMPT_ITEM, 1, MANY).alike()).or_null();
const PROMPT_ITEM: Shape = TEXT.or(INT).or(IDS);

pub(super) const COMPLETIONS: Fields = only(&[
    must("model", WORD),
    must("prompt", PROMPT),
    may("stream", FLAG),
    may("stream_options", STREAM_OPTIONS),
    may("max_tokens", OUTPUT_MAX),
    may("temperature", TEMPERATURE),
    may("top_p", TOP_P),
    may("n", int(1, 128).or_null()),
    may("best_of", int(0, 20).or_null()),
    may("stop", STOP),
    may("echo", FLAG),
    may("frequency_penalty", PENALTY),
    may("presence_penalty", PENALTY),
    may("logit_bias", LOGIT_BIAS),
    may("logprobs", int(0, 5).or_null()),
    may("seed", SEED),
    may("suffix", TEXT_OR_NULL),
    may("user", TEXT),
]);

/// Empty texts are refused, from the field's description.
const EMBEDDED: Shape = WORD.or(INT).or(IDS);
pub(super) const EMBEDDINGS: Fields = only(&[
    must("model", WORD),
    must("input", WORD.or(list(&EMBEDDED, 1, 2048).alike())),
    may("dimensions", int(1, i64::MAX)),
    may("encoding_format", one_of(&["float", "base64"])),
    may("user", TEXT),
]);

const ADDRESS: Shape = fields(&only(&[need("url", WORD)]));
const MODERATED: Shape = TEXT.or(tagged(&Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT), need("text", TEXT)])),
        ("image_url", only(&[need("type", TEXT), need("image_url", ADDRESS)])),
    ],
    untagged: None,
    need: Need::Strict,
}));
pub(super) const MODERATIONS: Fields =
    only(&[must("input", TEXT.or(list(&MODERATED, 0, MANY).alike())), may("model", TEXT)]);

const FORMAT: Shape = one_of(&["png", "jpeg", "webp", "gif", "svg"]).or_null();
const BACKGROUND: Shape = one_of(&["transparent", "opaque", "auto"]).or_null();
const QUALITY: Shape =
    one_of(&["standard", "hd", "low", "medium", "high", "xhigh", "max", "auto"]).or_null();
const WAY: Shape = one_of(&["url", "b64_json"]).or_null();
const COMPRESSION: Shape = int(0, 100).or_null();
const SVG: Shape = fields(&only(&[
    need("model", TEXT),
    may("reasoning", fields(&only(&[may("effort", EFFORT)])).or_null()),
]))
.or_null();

pub(super) const IMAGES: Fields = only(&[
    // 32,000 characters is the largest that any model takes, from the field's description.
    must("prompt", text(0, 32_000)),
    may("model", TEXT_OR_NULL),
    may("background", BACKGROUND),
    may("complexity", LEVELS.or_null()),
    may("frame_count", COUNT),
    may("frame_duration_ms", COUNT),
    may("moderation", one_of(&["low", "auto"]).or_null()),
    may("n", int(1, 10).or_null()),
    may("output_compression", COMPRESSION),
    may("output_format", FORMAT),
    may("partial_images", int(0, 3).or_null()),
    may("quality", QUALITY),
    may("response_format", WAY),
    may("safety_identifier", SAFETY_IDENTIFIER),
    may("size", TEXT_OR_NULL),
    may("stream", FLAG),
    may("style", one_of(&["vivid", "natural"]).or_null()),
    may("svg", SVG),
    may("user", TEXT),
]);

/// As JSON the pictures are references, as a form they are files.
pub(super) const IMAGE_EDITS: Fields = at_least(&[
    need("prompt", text(0, 32_000)),
    may("model", TEXT_OR_NULL),
    may("background", BACKGROUND),
    may("input_fidelity", one_of(&["high", "low"]).or_null()),
    may("n", int(1, 10).or_null()),
    may("output_compression", COMPRESSION),
    may("output_format", FORMAT),
    may("partial_images", int(0, 3).or_null()),
    may("quality", QUALITY),
    may("response_format", WAY),
    may("size", TEXT_OR_NULL),
    may("stream", FLAG),
    may("user", TEXT),
]);

pub(super) const IMAGE_VARIATIONS: Fields = only(&[
    need("image", ANY),
    may("model", TEXT),
    may("n", int(1, 10).or_null()),
    may("response_format", WAY),
    may("size", one_of(&["256x256", "512x512", "1024x1024"])),
    may("user", TEXT),
]);

pub(super) const SPEECH: Fields = only(&[
    must("model", WORD),
    must("input", text(0, 4096)),
    need("voice", VOICE.also(NULL)),
    may("instructions", text(0, 4096)),
    may("response_format", one_of(&["mp3", "opus", "aac", "flac", "wav", "pcm"])),
    may("speed", number(0.25, 4.0)),
    may("stream_format", one_of(&["sse", "audio"])),
]);

// Both are forms with the vendor; some servers take JSON with the sound in other fields.
pub(super) const TRANSCRIPTIONS: Fields = only(&[
    need("file", ANY),
    must("model", WORD),
    may("chunking_strategy", one_of(&["auto"]).or(FREE).or_null()),
    may("include", list(&one_of(&["logprobs"]), 0, MANY)),
    may("keywords", TEXTS),
    may("known_speaker_names", list(&TEXT, 0, 4)),
    may("known_speaker_references", list(&TEXT, 0, 4)),
    may("language", TEXT),
    may("languages", list(&TEXT, 1, MANY)),
    may("prompt", TEXT),
    may(
        "response_format",
        one_of(&["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]),
    ),
    may("stream", FLAG),
    // 0 to 1, from the field's description.
    may("temperature", number(0.0, 1.0)),
    may("timestamp_granularities", list(&one_of(&["word", "segment"]), 0, MANY)),
]);

pub(super) const TRANSLATIONS: Fields = only(&[
    need("file", ANY),
    must("model", WORD),
    may("prompt", TEXT),
    may("response_format", one_of(&["json", "text", "srt", "verbose_json", "vtt"])),
    may("temperature", NUMBER),
]);
