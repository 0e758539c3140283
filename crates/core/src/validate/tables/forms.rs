//! Multipart forms: which files they hold. Their other fields are those of the JSON tables.
//!
//! Sizes are the vendor's: 25 MiB for a whole audio request (observed, 413), 50 MB for a picture to
//! edit and 16 of them, 4 MB for one to vary, 512 MB for a stored file. Source: API reference, read 2026-11.

use super::small;
use crate::validate::schema::{FREE, Fields, FileRule, FormRules, may, need, one_of, only};

const MB: u64 = 1_000_000;
const AUDIO_MAX: u64 = 25 * 1024 * 1024;
/// No bound but the gateway's own.
const ANY_SIZE: u64 = u64::MAX;

const fn file(name: &'static str, bytes_max: u64) -> FileRule {
    FileRule { name, needed: true, count_max: 1, bytes_max }
}

pub(in crate::validate) const TRANSCRIPTIONS: FormRules = FormRules {
    files: &[file("file", AUDIO_MAX)],
    fields: &small::TRANSCRIPTIONS,
    body_max: AUDIO_MAX,
};

pub(in crate::validate) const TRANSLATIONS: FormRules = FormRules {
    files: &[file("file", AUDIO_MAX)],
    fields: &small::TRANSLATIONS,
    body_max: AUDIO_MAX,
};

pub(in crate::validate) const IMAGE_EDITS: FormRules = FormRules {
    files: &[
        FileRule { count_max: 16, ..file("image", 50 * MB) },
        FileRule { needed: false, ..file("mask", 50 * MB) },
    ],
    fields: &small::IMAGE_EDITS,
    body_max: ANY_SIZE,
};

pub(in crate::validate) const IMAGE_VARIATIONS: FormRules = FormRules {
    files: &[file("image", 4 * MB)],
    fields: &small::IMAGE_VARIATIONS,
    body_max: ANY_SIZE,
};

pub(in crate::validate) const FILES: FormRules =
    FormRules { files: &[file("file", 512 * MB)], fields: &FILE_FIELDS, body_max: ANY_SIZE };

const FILE_FIELDS: Fields = only(&[
    need("purpose", one_of(&["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])),
    may("expires_after", FREE),
]);
