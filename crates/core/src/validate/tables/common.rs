//! Shapes that several endpoints share.

use crate::validate::schema::Need;
use crate::validate::schema::{
    BOOL, FREE, Fields, INT, Shape, TEXT, Tagged, WORD, fields, int, list, map, may, name, need,
    number, one_of, only, tagged, text,
};
use crate::wire::json::Type;

/// Unlimited.
pub(super) const MANY: usize = usize::MAX;

pub(super) const TEMPERATURE: Shape = number(0.0, 2.0).or_null();
pub(super) const TOP_P: Shape = number(0.0, 1.0).or_null();
pub(super) const PENALTY: Shape = number(-2.0, 2.0).or_null();
pub(super) const FLAG: Shape = BOOL.or_null();
pub(super) const COUNT: Shape = int(0, i64::MAX).or_null();
pub(super) const TEXT_OR_NULL: Shape = TEXT.or_null();
pub(super) const TEXTS: Shape = list(&TEXT, 0, MANY);
pub(super) const STOP: Shape = TEXT.or(list(&TEXT, 1, 4)).or_null();
pub(super) const EFFORT: Shape =
    one_of(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]).or_null();
pub(super) const LEVELS: Shape = one_of(&["low", "medium", "high"]);
/// The service counts characters; 16 pairs, keys to 64, values to 512, from the field's description.
pub(super) const METADATA: Shape = map(&text(0, 512), 16, 64).or_null();
/// -100 to 100, from the field's description; token ids as keys.
pub(super) const LOGIT_BIAS: Shape = map(&int(-100, 100), MANY, MANY).or_null();
pub(super) const SAFETY_IDENTIFIER: Shape = text(0, 64).or_null();
pub(super) const CACHE_RETENTION: Shape = one_of(&["in_memory", "24h"]).or_null();
pub(super) const TOOL_MODES: Shape = one_of(&["none", "auto", "required"]);

pub(super) const STREAM_OPTIONS: Shape =
    fields(&only(&[may("include_usage", BOOL), may("include_obfuscation", BOOL)])).or_null();

const VOICE_ID: Fields = only(&[need("id", WORD)]);
/// Voices are open: custom and new ones have names of their own.
pub(super) const VOICE: Shape = TEXT.or(fields(&VOICE_ID));

const POLICY_MODE: Fields = only(&[need("mode", one_of(&["score", "block"]))]);
const POLICY: Fields = only(&[
    may("input", fields(&POLICY_MODE).or_null()),
    may("output", fields(&POLICY_MODE).or_null()),
]);
const MODERATION_FIELDS: Fields =
    only(&[need("model", TEXT), may("policy", fields(&POLICY).or_null())]);
pub(super) const MODERATION: Shape = fields(&MODERATION_FIELDS).or_null();

const BREAKPOINT_FIELDS: Fields =
    only(&[may("mode", one_of(&["explicit"])), may("ttl", one_of(&["30m", "12h"]))]);
pub(super) const BREAKPOINT: Shape = fields(&BREAKPOINT_FIELDS).or_null();

const APPROXIMATE_FIELDS: &[crate::validate::schema::Field] = &[
    may("city", TEXT_OR_NULL),
    may("country", TEXT_OR_NULL),
    may("region", TEXT_OR_NULL),
    may("timezone", TEXT_OR_NULL),
];
pub(super) const APPROXIMATE: Shape = fields(&only(APPROXIMATE_FIELDS));

/// A JSON schema of the caller's is passed on as it is.
const JSON_SCHEMA: Fields = only(&[
    need("name", name(64)),
    may("description", TEXT),
    may("schema", FREE),
    may("strict", FLAG),
]);
const FORMATS: Tagged = Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT)])),
        ("json_object", only(&[need("type", TEXT)])),
        ("json_schema", only(&[need("type", TEXT), need("json_schema", fields(&JSON_SCHEMA))])),
    ],
    untagged: None,
    need: Need::Strict,
};
pub(super) const RESPONSE_FORMAT: Shape = tagged(&FORMATS);

const FUNCTION: Fields = only(&[
    need("name", name(64)),
    may("description", TEXT),
    may("parameters", FREE),
    may("strict", FLAG),
]);
/// A function as chat and assistants define it.
pub(super) const FUNCTION_DEFINITION: Shape = fields(&FUNCTION);

const GRAMMAR: Fields =
    only(&[need("definition", TEXT), need("syntax", one_of(&["lark", "regex"]))]);
const CUSTOM_FORMATS: Tagged = Tagged {
    tag: "type",
    cases: &[
        ("text", only(&[need("type", TEXT)])),
        ("grammar", only(&[need("type", TEXT), need("grammar", fields(&GRAMMAR))])),
    ],
    untagged: None,
    need: Need::Strict,
};
pub(super) const CUSTOM_FORMAT: Shape = tagged(&CUSTOM_FORMATS);

/// A count of tokens to make. Some servers take -1 for "no limit", which `lenient` lets pass.
pub(super) const OUTPUT_MAX: Shape = COUNT;
/// Any whole number of 64 bits.
pub(super) const SEED: Shape = INT.or_null();
/// What some servers take in place of a text: a list of parts as bare strings, or nothing.
pub(super) const NULL: &[Type] = &[Type::Null];
