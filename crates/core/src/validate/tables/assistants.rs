//! Assistants, threads, messages and runs.

use super::common::{
    EFFORT, FLAG, FUNCTION_DEFINITION, MANY, METADATA, RESPONSE_FORMAT, TEMPERATURE, TEXT_OR_NULL,
    TOOL_MODES, TOP_P,
};
use crate::validate::schema::{
    BOOL, Field, Fields, Need, Shape, TEXT, Tagged, WORD, fields, int, list, may, must, name, need,
    number, one_of, only, tagged, text,
};

const DESCRIPTION: Field = may("description", text(0, 512).or_null());
const INSTRUCTIONS: Field = may("instructions", text(0, 256_000).or_null());
const METADATA_FIELD: Field = may("metadata", METADATA);
const NAME: Field = may("name", text(0, 256).or_null());
const EFFORT_FIELD: Field = may("reasoning_effort", EFFORT);
const FORMAT: Field = may("response_format", one_of(&["auto"]).or(RESPONSE_FORMAT).or_null());
const TEMPERATURE_FIELD: Field = may("temperature", TEMPERATURE);
const TOP_P_FIELD: Field = may("top_p", TOP_P);
const ASSISTANT_TOOLS: Field = may("tools", list(&TOOL, 0, 128));
const RUN_TOOLS: Field = may("tools", list(&TOOL, 0, 20).or_null());
const RESOURCES_FIELD: Field = may("tool_resources", fields(&RESOURCES).or_null());

pub(super) const CREATE: Fields = only(&[
    must("model", WORD),
    DESCRIPTION,
    INSTRUCTIONS,
    METADATA_FIELD,
    NAME,
    EFFORT_FIELD,
    FORMAT,
    TEMPERATURE_FIELD,
    TOP_P_FIELD,
    ASSISTANT_TOOLS,
    RESOURCES_FIELD,
]);

pub(super) const UPDATE: Fields = only(&[
    may("model", WORD),
    DESCRIPTION,
    INSTRUCTIONS,
    METADATA_FIELD,
    NAME,
    EFFORT_FIELD,
    FORMAT,
    TEMPERATURE_FIELD,
    TOP_P_FIELD,
    ASSISTANT_TOOLS,
    RESOURCES_FIELD,
]);

pub(super) const THREAD: Fields =
    only(&[may("messages", list(&MESSAGE_SHAPE, 0, MANY)), METADATA_FIELD, RESOURCES_FIELD]);
pub(super) const THREAD_UPDATE: Fields = only(&[METADATA_FIELD, RESOURCES_FIELD]);

const MESSAGE_SHAPE: Shape = fields(&MESSAGE);
pub(super) const MESSAGE: Fields = only(&[
    must("role", one_of(&["user", "assistant"])),
    must("content", TEXT.or(list(&PART, 1, MANY))),
    may("attachments", list(&ATTACHMENT, 0, MANY).or_null()),
    METADATA_FIELD,
]);

const ASSISTANT_ID: Field = must("assistant_id", WORD);
const STREAM: Field = may("stream", FLAG);
const MODEL: Field = may("model", WORD.or_null());
const PARALLEL: Field = may("parallel_tool_calls", BOOL);
/// At least 256, from the description.
const COMPLETION_MAX: Field = may("max_completion_tokens", int(256, i64::MAX).or_null());
const PROMPT_MAX: Field = may("max_prompt_tokens", int(256, i64::MAX).or_null());
const CHOICE_FIELD: Field = may("tool_choice", TOOL_MODES.or(CHOICE).or_null());
const TRUNCATION_FIELD: Field = may("truncation_strategy", TRUNCATION.or_null());

pub(super) const RUN: Fields = only(&[
    ASSISTANT_ID,
    STREAM,
    MODEL,
    may("instructions", TEXT_OR_NULL),
    may("additional_instructions", TEXT_OR_NULL),
    may("additional_messages", list(&MESSAGE_SHAPE, 0, MANY).or_null()),
    COMPLETION_MAX,
    PROMPT_MAX,
    METADATA_FIELD,
    PARALLEL,
    EFFORT_FIELD,
    FORMAT,
    TEMPERATURE_FIELD,
    TOP_P_FIELD,
    CHOICE_FIELD,
    RUN_TOOLS,
    TRUNCATION_FIELD,
]);

pub(super) const THREAD_AND_RUN: Fields = only(&[
    ASSISTANT_ID,
    STREAM,
    MODEL,
    may("instructions", TEXT_OR_NULL),
    may("thread", fields(&THREAD)),
    COMPLETION_MAX,
    PROMPT_MAX,
    METADATA_FIELD,
    PARALLEL,
    FORMAT,
    TEMPERATURE_FIELD,
    TOP_P_FIELD,
    CHOICE_FIELD,
    RUN_TOOLS,
    RESOURCES_FIELD,
    TRUNCATION_FIELD,
]);

pub(super) const TOOL_OUTPUTS: Fields =
    only(&[must("tool_outputs", list(&OUTPUT, 0, MANY)), STREAM]);
const OUTPUT: Shape = fields(&only(&[may("tool_call_id", TEXT), may("output", TEXT)]));

const PLAIN: Fields = only(&[need("type", TEXT)]);
const RANKING: Fields = only(&[
    need("score_threshold", number(0.0, 1.0)),
    may("ranker", one_of(&["auto", "default_2024_08_21"])),
]);
const FILE_SEARCH: Fields =
    only(&[may("max_num_results", int(1, 50)), may("ranking_options", fields(&RANKING))]);
const TOOL: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("code_interpreter", PLAIN),
        ("file_search", only(&[need("type", TEXT), may("file_search", fields(&FILE_SEARCH))])),
        ("function", only(&[need("type", TEXT), need("function", FUNCTION_DEFINITION)])),
    ],
    untagged: None,
    need: Need::Strict,
});

const CHOICE_NAME: Shape = fields(&only(&[need("name", name(64))]));
const CHOICE: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("function", only(&[need("type", TEXT), may("function", CHOICE_NAME)])),
        ("code_interpreter", PLAIN),
        ("file_search", PLAIN),
    ],
    untagged: None,
    need: Need::Strict,
});

const TRUNCATION: Shape = fields(&only(&[
    need("type", one_of(&["auto", "last_messages"])),
    may("last_messages", int(1, i64::MAX).or_null()),
]));

const DETAIL: Field = may("detail", one_of(&["auto", "low", "high"]));
const PART: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT), need("text", TEXT)])),
        (
            "image_url",
            only(&[
                need("type", TEXT),
                need("image_url", fields(&only(&[need("url", WORD), DETAIL]))),
            ]),
        ),
        (
            "image_file",
            only(&[
                need("type", TEXT),
                need("image_file", fields(&only(&[need("file_id", WORD), DETAIL]))),
            ]),
        ),
    ],
    untagged: None,
    need: Need::Strict,
});
const ATTACHMENT_TOOL: Shape =
    fields(&only(&[need("type", one_of(&["code_interpreter", "file_search"]))]));
const ATTACHMENT: Shape =
    fields(&only(&[may("file_id", TEXT), may("tools", list(&ATTACHMENT_TOOL, 0, MANY))]));

const STATIC_CHUNKS: Fields = only(&[
    // 100 to 4096, overlap at most half of it; from the description.
    need("max_chunk_size_tokens", int(100, 4096)),
    need("chunk_overlap_tokens", int(0, 2048)),
]);
const CHUNKING: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("auto", PLAIN),
        ("static", only(&[need("type", TEXT), need("static", fields(&STATIC_CHUNKS))])),
    ],
    untagged: None,
    need: Need::Strict,
});
const NEW_STORE: Shape = fields(&only(&[
    may("file_ids", list(&TEXT, 0, 10_000)),
    may("chunking_strategy", CHUNKING),
    may("metadata", METADATA),
]));
const RESOURCES: Fields = only(&[
    may("code_interpreter", fields(&only(&[may("file_ids", list(&TEXT, 0, 20))]))),
    may(
        "file_search",
        fields(&only(&[
            may("vector_store_ids", list(&TEXT, 0, 1)),
            may("vector_stores", list(&NEW_STORE, 0, 1)),
        ])),
    ),
]);
