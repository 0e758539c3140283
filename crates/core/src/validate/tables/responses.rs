//! `POST /responses`.

use super::common::{
    CACHE_RETENTION, COUNT, EFFORT, FLAG, LEVELS, MANY, METADATA, MODERATION, SAFETY_IDENTIFIER,
    TEMPERATURE, TEXT_OR_NULL, TOOL_MODES, TOP_P,
};
use super::items::{ITEM, PART_INPUT};
use super::response_tools::TOOL;
use crate::validate::schema::{
    BOOL, FREE, Fields, Need, Shape, TEXT, Tagged, WORD, fields, int, list, map, may, name, need,
    one_of, only, tagged,
};

/// Nothing is required by the description: a stored prompt may bring model and input. Rules between
/// fields ask for a model where there is an input and no prompt.
pub(super) const RESPONSES: Fields = only(&[
    may("model", WORD),
    may("input", TEXT.or(list(&ITEM, 0, MANY))),
    may("instructions", TEXT_OR_NULL),
    may("stream", FLAG),
    may("stream_options", fields(&only(&[may("include_obfuscation", BOOL)])).or_null()),
    may("max_output_tokens", int(16, i64::MAX).or_null()),
    may("max_tool_calls", COUNT),
    may("temperature", TEMPERATURE),
    may("top_p", TOP_P),
    may("top_logprobs", int(0, 20).or_null()),
    may("tools", list(&TOOL, 0, MANY)),
    may("tool_choice", TOOL_CHOICE),
    may("parallel_tool_calls", FLAG),
    may("text", fields(&TEXT_CONFIG)),
    may("reasoning", REASONING.or_null()),
    may("previous_response_id", TEXT_OR_NULL),
    may("conversation", TEXT.or(fields(&only(&[need("id", WORD)]))).or_null()),
    may("store", FLAG),
    may("background", FLAG),
    may("metadata", METADATA),
    may("include", list(&one_of(INCLUDE), 0, MANY).or_null()),
    may("truncation", one_of(&["auto", "disabled"]).or_null()),
    may("user", TEXT),
    may(
        "service_tier",
        one_of(&["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]).or_null(),
    ),
    may("prompt", fields(&PROMPT).or_null()),
    may("prompt_cache_key", TEXT_OR_NULL),
    may("prompt_cache_options", fields(&CACHE_OPTIONS)),
    may("prompt_cache_retention", CACHE_RETENTION),
    may("safety_identifier", SAFETY_IDENTIFIER),
    may("moderation", MODERATION),
    may("context_management", list(&CONTEXT, 1, MANY).or_null()),
    may("access_programs", FREE.or_null()),
    may("image", fields(&IMAGE)),
    may("multi_agent", FREE.or_null()),
]);

const INCLUDE: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

const IMAGE: Fields = only(&[may("context_compression", one_of(&["auto", "enabled", "disabled"]))]);
const CONTEXT: Shape = fields(&only(&[need("type", TEXT), may("compact_threshold", COUNT)]));
const CACHE_OPTIONS: Fields = only(&[
    may("comparison_response_id", TEXT_OR_NULL),
    may("mode", one_of(&["implicit", "explicit"])),
    may("prewarm", BOOL),
    may("ttl", one_of(&["30m", "12h"])),
]);
const PROMPT: Fields = only(&[
    need("id", WORD),
    may("version", TEXT_OR_NULL),
    may("variables", map(&VARIABLE, MANY, MANY).or_null()),
]);
const VARIABLE: Shape = TEXT.or(PART_INPUT);

const SUMMARY: Shape = one_of(&["auto", "concise", "detailed"]).or_null();
pub(super) const REASONING: Shape = fields(&only(&[
    may("effort", EFFORT),
    may("summary", SUMMARY),
    may("generate_summary", SUMMARY),
    may("context", one_of(&["auto", "current_turn", "all_turns"]).or_null()),
    may("mode", TEXT),
]));

pub(super) const TEXT_CONFIG: Fields =
    only(&[may("format", FORMAT), may("verbosity", LEVELS.or_null())]);
const FORMAT: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT)])),
        ("json_object", only(&[need("type", TEXT)])),
        (
            "json_schema",
            only(&[
                need("type", TEXT),
                need("name", name(64)),
                need("schema", FREE),
                may("description", TEXT),
                may("strict", FLAG),
            ]),
        ),
    ],
    untagged: None,
    need: Need::Strict,
});

const PLAIN: Fields = only(&[need("type", TEXT)]);
const NAMED: Fields = only(&[need("type", TEXT), need("name", WORD)]);
const TOOL_CHOICE: Shape = TOOL_MODES.or(tagged(&Tagged {
    tag: "type",
    cases: &[
        ("function", NAMED),
        ("custom", NAMED),
        ("mcp", only(&[need("type", TEXT), need("server_label", WORD), may("name", TEXT_OR_NULL)])),
        (
            "allowed_tools",
            only(&[
                need("type", TEXT),
                need("mode", one_of(&["auto", "required"])),
                need("tools", list(&FREE, 0, MANY)),
            ]),
        ),
        ("file_search", PLAIN),
        ("web_search", PLAIN),
        ("web_search_preview", PLAIN),
        ("web_search_preview_2025_03_11", PLAIN),
        ("computer", PLAIN),
        ("computer_use", PLAIN),
        ("computer_use_preview", PLAIN),
        ("image_generation", PLAIN),
        ("code_interpreter", PLAIN),
        ("programmatic_tool_calling", PLAIN),
        ("apply_patch", PLAIN),
        ("shell", PLAIN),
    ],
    untagged: None,
    need: Need::Strict,
}));
