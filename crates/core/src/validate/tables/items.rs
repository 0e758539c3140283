//! What the `input` of `POST /responses` may hold. Items that a caller only hands back (calls, outputs,
//! reasoning) are checked for what names them; what is inside was made by the vendor.

use super::common::{BREAKPOINT, MANY, TEXT_OR_NULL};
use super::response_tools::TOOL;
use super::responses::{REASONING, TEXT_CONFIG};
use crate::validate::schema::{
    ANY, BOOL, FREE, Fields, Need, Shape, TEXT, Tagged, WORD, at_least, fields, list, may, need,
    one_of, only, tagged, text,
};

const STATUS: Shape = one_of(&["in_progress", "completed", "incomplete"]).or_null();
const PHASE: Shape = one_of(&["commentary", "final_answer"]).or_null();

const INPUT_TEXT: Fields =
    only(&[need("type", TEXT), need("text", TEXT), may("prompt_cache_breakpoint", BREAKPOINT)]);
/// Clients leave `detail` out though the description wants it.
const INPUT_IMAGE: Fields = only(&[
    need("type", TEXT),
    may("detail", one_of(&["low", "high", "auto", "original"]).or_null()),
    may("file_id", TEXT_OR_NULL),
    may("image_url", TEXT_OR_NULL),
    may("prompt_cache_breakpoint", BREAKPOINT),
]);
const INPUT_FILE: Fields = only(&[
    need("type", TEXT),
    may("detail", one_of(&["auto", "low", "high"])),
    may("file_data", TEXT_OR_NULL),
    may("file_id", TEXT_OR_NULL),
    may("file_url", TEXT_OR_NULL),
    may("filename", TEXT_OR_NULL),
    may("prompt_cache_breakpoint", BREAKPOINT),
]);

pub(super) const PART_INPUT: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[("input_text", INPUT_TEXT), ("input_image", INPUT_IMAGE), ("input_file", INPUT_FILE)],
    untagged: None,
    need: Need::Strict,
});

/// A message holds what a user or the model said.
const PART: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("input_text", INPUT_TEXT),
        ("input_image", INPUT_IMAGE),
        ("input_file", INPUT_FILE),
        (
            "output_text",
            only(&[
                need("type", TEXT),
                need("text", TEXT),
                may("annotations", list(&FREE, 0, MANY)),
                may("logprobs", list(&FREE, 0, MANY)),
            ]),
        ),
        ("refusal", only(&[need("type", TEXT), need("refusal", TEXT)])),
    ],
    untagged: None,
    need: Need::Strict,
});

const MESSAGE: Fields = only(&[
    may("type", TEXT),
    need("role", one_of(&["user", "assistant", "system", "developer"])),
    need("content", TEXT.or(list(&PART, 0, MANY))),
    may("id", TEXT_OR_NULL),
    may("status", STATUS),
    may("phase", PHASE),
]);

/// 1 to 64 characters, from the field's description.
const CALL_ID: Shape = text(1, 64);
/// 10 MiB of characters, from the field's description.
const OUTPUT: Shape = text(0, 10_485_760).or(list(&PART_INPUT, 0, MANY));

const CALL: Fields = only(&[
    need("type", TEXT),
    need("call_id", CALL_ID),
    need("name", text(1, 128)),
    need("arguments", TEXT),
    may("id", TEXT_OR_NULL),
    may("status", STATUS),
    may("async", BOOL),
    may("caller", FREE.or_null()),
    may("namespace", TEXT_OR_NULL),
]);
const CALL_OUTPUT: Fields = only(&[
    need("type", TEXT),
    need("call_id", CALL_ID.or_null()),
    need("output", OUTPUT),
    may("id", TEXT_OR_NULL),
    may("status", STATUS),
    may("caller", FREE.or_null()),
    may("name", TEXT_OR_NULL),
    may("namespace", TEXT_OR_NULL),
]);
const REASONED: Fields = at_least(&[
    need("type", TEXT),
    need("id", TEXT),
    need("summary", list(&FREE, 0, MANY)),
    may("content", list(&FREE, 0, MANY).or_null()),
    may("encrypted_content", TEXT_OR_NULL),
    may("status", STATUS),
]);

const WITH_ID: Fields = at_least(&[need("type", TEXT), need("id", WORD)]);
const WITH_CALL_ID: Fields =
    at_least(&[need("type", TEXT), need("call_id", CALL_ID), may("id", TEXT_OR_NULL)]);

pub(super) const ITEM: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("message", MESSAGE),
        ("function_call", CALL),
        ("function_call_output", CALL_OUTPUT),
        ("reasoning", REASONED),
        ("item_reference", only(&[need("type", TEXT), need("id", WORD)])),
        ("file_search_call", WITH_ID),
        (
            "computer_call",
            at_least(&[need("type", TEXT), need("id", TEXT), need("call_id", CALL_ID)]),
        ),
        (
            "computer_call_output",
            at_least(&[need("type", TEXT), need("call_id", CALL_ID), need("output", FREE)]),
        ),
        ("web_search_call", WITH_ID),
        ("tool_search_call", at_least(&[need("type", TEXT), need("arguments", ANY)])),
        (
            "tool_search_output",
            at_least(&[need("type", TEXT), need("tools", list(&TOOL, 0, MANY))]),
        ),
        ("additional_tools", at_least(&[need("type", TEXT), need("tools", list(&TOOL, 0, MANY))])),
        (
            "configuration_update",
            at_least(&[
                need("type", TEXT),
                may("reasoning", REASONING),
                may("text", fields(&TEXT_CONFIG)),
            ]),
        ),
        ("compaction", at_least(&[need("type", TEXT), need("encrypted_content", TEXT)])),
        ("compaction_trigger", at_least(&[need("type", TEXT)])),
        ("image_generation_call", WITH_ID),
        ("code_interpreter_call", WITH_ID),
        (
            "local_shell_call",
            at_least(&[need("type", TEXT), need("id", TEXT), need("call_id", CALL_ID)]),
        ),
        (
            "local_shell_call_output",
            at_least(&[need("type", TEXT), need("id", TEXT), need("output", TEXT)]),
        ),
        ("shell_call", WITH_CALL_ID),
        (
            "shell_call_output",
            at_least(&[
                need("type", TEXT),
                need("call_id", CALL_ID),
                need("output", list(&FREE, 0, MANY)),
            ]),
        ),
        ("apply_patch_call", WITH_CALL_ID),
        ("apply_patch_call_output", WITH_CALL_ID),
        (
            "mcp_list_tools",
            at_least(&[
                need("type", TEXT),
                need("id", TEXT),
                need("server_label", TEXT),
                need("tools", list(&FREE, 0, MANY)),
            ]),
        ),
        (
            "mcp_approval_request",
            at_least(&[
                need("type", TEXT),
                need("id", TEXT),
                need("name", TEXT),
                need("arguments", TEXT),
            ]),
        ),
        (
            "mcp_approval_response",
            only(&[
                need("type", TEXT),
                need("approval_request_id", TEXT),
                need("approve", BOOL),
                may("id", TEXT_OR_NULL),
                may("reason", TEXT_OR_NULL),
            ]),
        ),
        (
            "mcp_call",
            at_least(&[
                need("type", TEXT),
                need("id", TEXT),
                need("name", TEXT),
                need("arguments", TEXT),
            ]),
        ),
        (
            "custom_tool_call",
            at_least(&[
                need("type", TEXT),
                need("call_id", CALL_ID),
                need("name", WORD),
                need("input", TEXT),
            ]),
        ),
        (
            "custom_tool_call_output",
            at_least(&[need("type", TEXT), need("call_id", CALL_ID), need("output", OUTPUT)]),
        ),
        (
            "program",
            at_least(&[
                need("type", TEXT),
                need("id", TEXT),
                need("call_id", CALL_ID),
                need("code", TEXT),
            ]),
        ),
        (
            "program_output",
            at_least(&[
                need("type", TEXT),
                need("id", TEXT),
                need("call_id", CALL_ID),
                need("result", TEXT),
            ]),
        ),
    ],
    // A message needs no type, nor does a reference (`{"id": …}`).
    untagged: Some(UNTAGGED),
    need: Need::Never,
});

/// What a message or a reference has; rules between fields ask for one or the other.
const UNTAGGED: Fields = only(&[
    may("type", TEXT_OR_NULL),
    may("role", one_of(&["user", "assistant", "system", "developer"])),
    may("content", TEXT.or(list(&PART, 0, MANY))),
    may("id", TEXT_OR_NULL),
    may("status", STATUS),
    may("phase", PHASE),
]);
