//! The tools of `POST /responses`.

use super::common::{FLAG, LEVELS, MANY, TEXT_OR_NULL, TEXTS};
use crate::validate::schema::{
    ANY, BOOL, FREE, Fields, INT, Need, Shape, TEXT, Tagged, WORD, at_least, fields, int, list,
    map, may, name, need, number, one_of, only, tagged,
};

const CALLERS: Shape = list(&one_of(&["direct", "programmatic"]), 0, MANY).or_null();

/// Clients leave `strict` and `parameters` out though the description wants them.
const FUNCTION: Fields = only(&[
    need("type", TEXT),
    need("name", name(128)),
    may("description", TEXT_OR_NULL),
    may("parameters", FREE.or_null()),
    may("strict", FLAG),
    may("async", BOOL),
    may("allowed_callers", CALLERS),
    may("defer_loading", BOOL),
    may("output_schema", FREE.or_null()),
]);

const FILE_SEARCH: Fields = only(&[
    need("type", TEXT),
    need("vector_store_ids", TEXTS),
    may("filters", FREE.or_null()),
    may("max_num_results", int(1, 50)),
    may(
        "ranking_options",
        fields(&only(&[
            may("ranker", TEXT),
            may("score_threshold", number(0.0, 1.0)),
            may("hybrid_search", FREE),
        ])),
    ),
]);

const PLACE: Shape = APPROXIMATE_WITH_TYPE.or_null();
const APPROXIMATE_WITH_TYPE: Shape = fields(&only(&[
    may("type", one_of(&["approximate"])),
    may("city", TEXT_OR_NULL),
    may("country", TEXT_OR_NULL),
    may("region", TEXT_OR_NULL),
    may("timezone", TEXT_OR_NULL),
]));
const WEB_SEARCH: Fields = only(&[
    need("type", TEXT),
    may("external_web_access", BOOL),
    may("filters", fields(&at_least(&[may("allowed_domains", TEXTS.or_null())])).or_null()),
    may("search_context_size", LEVELS),
    may("search_content_types", list(&one_of(&["text", "image"]), 0, MANY)),
    may("user_location", PLACE),
]);

const MCP: Fields = only(&[
    need("type", TEXT),
    need("server_label", WORD),
    may("server_url", TEXT),
    may("server_description", TEXT),
    may("connector_id", TEXT),
    may("authorization", TEXT),
    may("headers", map(&TEXT, MANY, MANY).or_null()),
    may("allowed_tools", TEXTS.or(FREE).or_null()),
    may("require_approval", one_of(&["always", "never"]).or(FREE).or_null()),
    may("allowed_callers", CALLERS),
    may("defer_loading", BOOL),
    may("tunnel_id", TEXT),
]);

const IMAGE: Fields = only(&[
    need("type", TEXT),
    may("action", one_of(&["generate", "edit", "auto"])),
    may("background", one_of(&["transparent", "opaque", "auto"])),
    may("complexity", LEVELS),
    may("frame_count", INT),
    may("frame_duration_ms", INT),
    may("input_fidelity", one_of(&["high", "low"]).or_null()),
    may("input_image_mask", fields(&only(&[may("file_id", TEXT), may("image_url", TEXT)]))),
    may("model", TEXT),
    may("moderation", one_of(&["auto", "low"])),
    may("output_compression", int(0, 100)),
    may("output_format", one_of(&["png", "webp", "jpeg", "gif", "svg"])),
    may("partial_images", int(0, 3)),
    may("quality", one_of(&["low", "medium", "high", "xhigh", "max", "auto"])),
    may("size", TEXT),
    may("svg", FREE),
]);

const CUSTOM: Fields = only(&[
    need("type", TEXT),
    need("name", WORD),
    may("description", TEXT),
    may("format", CUSTOM_GRAMMAR),
    may("async", BOOL),
    may("allowed_callers", CALLERS),
    may("defer_loading", BOOL),
]);
/// Unlike in chat, the grammar's parts are not in an object of their own.
const CUSTOM_GRAMMAR: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT)])),
        (
            "grammar",
            only(&[
                need("type", TEXT),
                need("definition", TEXT),
                need("syntax", one_of(&["lark", "regex"])),
            ]),
        ),
    ],
    untagged: None,
    need: Need::Strict,
});

const COMPUTER: Fields = only(&[
    need("type", TEXT),
    need("display_height", INT),
    need("display_width", INT),
    need("environment", one_of(&["windows", "mac", "linux", "ubuntu", "browser"])),
]);
const TEXTSPACE: Fields = only(&[
    need("type", TEXT),
    need("name", WORD),
    need("description", TEXT),
    need("tools", list(&FREE, 0, MANY)),
]);
const SEARCH: Fields = only(&[
    need("type", TEXT),
    may("description", TEXT_OR_NULL),
    may("execution", one_of(&["server", "client"])),
    may("parameters", ANY),
]);
const INTERPRETER: Fields =
    only(&[need("type", TEXT), need("container", TEXT.or(FREE)), may("allowed_callers", CALLERS)]);
const SHELL: Fields = only(&[
    need("type", TEXT),
    may("environment", FREE.or_null()),
    may("allowed_callers", CALLERS),
]);
const PATCH: Fields = only(&[need("type", TEXT), may("allowed_callers", CALLERS)]);
const PLAIN: Fields = at_least(&[need("type", TEXT)]);

pub(super) const TOOL: Shape = tagged(&Tagged {
    tag: "type",
    cases: &[
        ("function", FUNCTION),
        ("file_search", FILE_SEARCH),
        ("web_search", WEB_SEARCH),
        ("web_search_2025_08_26", WEB_SEARCH),
        ("web_search_preview", WEB_SEARCH),
        ("web_search_preview_2025_03_11", WEB_SEARCH),
        ("mcp", MCP),
        ("code_interpreter", INTERPRETER),
        ("image_generation", IMAGE),
        ("computer", PLAIN),
        ("computer_use_preview", COMPUTER),
        ("local_shell", PLAIN),
        ("shell", SHELL),
        ("custom", CUSTOM),
        ("namespace", TEXTSPACE),
        ("tool_search", SEARCH),
        ("apply_patch", PATCH),
        ("programmatic_tool_calling", PLAIN),
    ],
    untagged: None,
    need: Need::Strict,
});
