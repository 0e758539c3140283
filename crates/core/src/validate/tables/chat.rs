//! `POST /chat/completions`.

use super::common::{
    APPROXIMATE, BREAKPOINT, CACHE_RETENTION, CUSTOM_FORMAT, EFFORT, FLAG, FUNCTION_DEFINITION,
    LEVELS, LOGIT_BIAS, MANY, METADATA, MODERATION, NULL, OUTPUT_MAX, PENALTY, RESPONSE_FORMAT,
    SAFETY_IDENTIFIER, SEED, STOP, STREAM_OPTIONS, TEMPERATURE, TEXT_OR_NULL, TOOL_MODES, TOP_P,
    VOICE,
};
use crate::validate::schema::{
    BOOL, FREE, Fields, Need, Shape, TEXT, Tagged, WORD, fields, int, list, may, must, name, need,
    one_of, only, tagged,
};
use crate::wire::json::Type;

pub(super) const CHAT: Fields = only(&[
    must("model", WORD),
    must("messages", list(&MESSAGE, 1, MANY).never_empty()),
    may("stream", FLAG),
    may("stream_options", STREAM_OPTIONS),
    may("temperature", TEMPERATURE),
    may("top_p", TOP_P),
    may("max_tokens", OUTPUT_MAX),
    may("max_completion_tokens", OUTPUT_MAX),
    may("n", int(1, 128).or_null()),
    may("stop", STOP),
    // The service refuses an empty array and more than 128 (its answers, seen 2026-09).
    may("tools", list(&TOOL, 1, 128)),
    may("tool_choice", TOOL_CHOICE),
    may("parallel_tool_calls", BOOL),
    may("response_format", RESPONSE_FORMAT),
    may("user", TEXT),
    may("seed", SEED),
    may("frequency_penalty", PENALTY),
    may("presence_penalty", PENALTY),
    may("logit_bias", LOGIT_BIAS),
    may("logprobs", FLAG),
    may("top_logprobs", int(0, 20).or_null()),
    may("metadata", METADATA),
    may("store", FLAG),
    may(
        "service_tier",
        one_of(&["auto", "default", "flex", "scale", "priority", "fast"]).or_null(),
    ),
    may("reasoning_effort", EFFORT),
    may("verbosity", LEVELS.or_null()),
    may("modalities", list(&one_of(&["text", "audio"]), 0, MANY).or_null()),
    may("audio", AUDIO.or_null()),
    may("prediction", PREDICTION.or_null()),
    may("web_search_options", fields(&WEB_SEARCH)),
    may("functions", list(&FUNCTION_DEFINITION, 1, 128)),
    may("function_call", one_of(&["none", "auto"]).or(NAMED)),
    may("moderation", MODERATION),
    may("prompt_cache_key", TEXT_OR_NULL),
    may("prompt_cache_options", fields(&CACHE_OPTIONS)),
    may("prompt_cache_retention", CACHE_RETENTION),
    may("safety_identifier", SAFETY_IDENTIFIER),
]);

const CACHE_OPTIONS: Fields =
    only(&[may("mode", one_of(&["implicit", "explicit"])), may("ttl", one_of(&["30m", "12h"]))]);

const MESSAGE: Shape = tagged(&Tagged {
    tag: "role",
    cases: &[
        ("user", USER),
        ("assistant", ASSISTANT),
        ("system", PLAIN),
        ("tool", ANSWER),
        ("developer", PLAIN),
        ("function", FUNCTION),
    ],
    untagged: None,
    need: Need::Always,
});

/// Bare strings among the parts, and no content at all, are taken by some servers.
const PARTS_ALSO: &[Type] = &[Type::String];

const PLAIN: Fields = only(&[need("role", TEXT), need("content", CONTENT_TEXT), may("name", TEXT)]);
const USER: Fields = only(&[need("role", TEXT), need("content", CONTENT_USER), may("name", TEXT)]);
const ANSWER: Fields =
    only(&[need("role", TEXT), need("content", CONTENT_TEXT), need("tool_call_id", WORD)]);
const FUNCTION: Fields =
    only(&[need("role", TEXT), need("content", TEXT_OR_NULL), need("name", TEXT)]);
const ASSISTANT: Fields = only(&[
    need("role", TEXT),
    may("content", TEXT.or(list(&PART_ASSISTANT, 1, MANY)).or_null()),
    may("tool_calls", list(&TOOL_CALL, 1, 128)),
    may("refusal", TEXT_OR_NULL),
    may("name", TEXT),
    may("audio", fields(&only(&[need("id", TEXT)])).or_null()),
    may("function_call", fields(&CALLED).or_null()),
]);

const CONTENT_TEXT: Shape = TEXT.or(list(&PART_TEXT, 1, MANY)).also(NULL);
const CONTENT_USER: Shape = TEXT.or(list(&PART_USER, 1, MANY)).also(NULL);

const TEXT_PART: Fields =
    only(&[need("type", TEXT), need("text", TEXT), may("prompt_cache_breakpoint", BREAKPOINT)]);
const PART_TEXT: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[("text", TEXT_PART)],
    untagged: None,
    need: Need::Strict,
})
.also(PARTS_ALSO);
const PART_ASSISTANT: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[("text", TEXT_PART), ("refusal", only(&[need("type", TEXT), need("refusal", TEXT)]))],
    untagged: None,
    need: Need::Strict,
})
.also(PARTS_ALSO);
const PART_USER: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("text", TEXT_PART),
        (
            "image_url",
            only(&[
                need("type", TEXT),
                // Some servers take the address itself.
                need("image_url", fields(&IMAGE).also(&[Type::String])),
                may("prompt_cache_breakpoint", BREAKPOINT),
            ]),
        ),
        (
            "input_audio",
            only(&[
                need("type", TEXT),
                need("input_audio", fields(&SOUND)),
                may("prompt_cache_breakpoint", BREAKPOINT),
            ]),
        ),
        (
            "file",
            only(&[
                need("type", TEXT),
                need("file", fields(&FILE)),
                may("prompt_cache_breakpoint", BREAKPOINT),
            ]),
        ),
    ],
    untagged: None,
    need: Need::Strict,
})
.also(PARTS_ALSO);
const IMAGE: Fields =
    only(&[need("url", WORD), may("detail", one_of(&["auto", "low", "high", "original"]))]);
const SOUND: Fields = only(&[need("data", TEXT), need("format", one_of(&["wav", "mp3"]))]);
const FILE: Fields = only(&[may("file_data", TEXT), may("file_id", TEXT), may("filename", TEXT)]);

/// The arguments are JSON in a string; some servers take the object too.
const CALLED: Fields = only(&[need("name", TEXT), need("arguments", TEXT.also(&[Type::Object]))]);
const TOOL_CALL: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        (
            "function",
            only(&[need("id", WORD), need("type", TEXT), need("function", fields(&CALLED))]),
        ),
        (
            "custom",
            only(&[
                need("id", WORD),
                need("type", TEXT),
                need("custom", fields(&only(&[need("name", TEXT), need("input", TEXT)]))),
            ]),
        ),
    ],
    untagged: None,
    need: Need::Strict,
});

const CUSTOM: Fields =
    only(&[need("name", WORD), may("description", TEXT), may("format", CUSTOM_FORMAT)]);
const TOOL: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("function", only(&[need("type", TEXT), need("function", FUNCTION_DEFINITION)])),
        ("custom", only(&[need("type", TEXT), need("custom", fields(&CUSTOM))])),
    ],
    untagged: None,
    need: Need::Strict,
});

const NAMED: Shape = fields(&only(&[need("name", name(64))]));
const ALLOWED: Fields =
    only(&[need("mode", one_of(&["auto", "required"])), need("tools", list(&FREE, 0, MANY))]);
const TOOL_CHOICE: Shape = TOOL_MODES.or(tagged(&Tagged {
    tag: "type",
    cases: &[
        ("function", only(&[need("type", TEXT), need("function", NAMED)])),
        (
            "custom",
            only(&[need("type", TEXT), need("custom", fields(&only(&[need("name", WORD)])))]),
        ),
        ("allowed_tools", only(&[need("type", TEXT), need("allowed_tools", fields(&ALLOWED))])),
    ],
    untagged: None,
    need: Need::Strict,
}));

const AUDIO: Shape = fields(&only(&[
    need("voice", VOICE),
    need("format", one_of(&["wav", "aac", "mp3", "flac", "opus", "pcm16"])),
]));
const PREDICTION: Shape = fields(&only(&[
    need("type", one_of(&["content"])),
    need("content", TEXT.or(list(&PART_TEXT, 1, MANY))),
]));
const WEB_SEARCH: Fields = only(&[
    may("search_context_size", LEVELS),
    may(
        "user_location",
        fields(&only(&[need("type", one_of(&["approximate"])), need("approximate", APPROXIMATE)]))
            .or_null(),
    ),
]);
