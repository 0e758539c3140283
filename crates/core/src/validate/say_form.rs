//! What is told about forms and files.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::Fault;
use super::schema::FileRule;
use crate::failure::Kind;

fn body(kind: Kind, message: impl Into<Cow<'static, str>>) -> Fault {
    let message = message.into().into_owned();
    Fault { kind, openai_code: None, param: None, message, offset: 0 }
}

fn field(code: &'static str, name: &str, message: String) -> Fault {
    let kind = Kind::InvalidValue;
    Fault { kind, openai_code: Some(code), param: Some(name.to_string()), message, offset: 0 }
}

pub(super) fn empty() -> Fault {
    body(
        Kind::InvalidRequest,
        "The body is empty, but this endpoint takes a form with a file: send it as `multipart/form-data`.",
    )
}

pub(super) fn no_form(content_type: Option<&str>) -> Fault {
    let is = content_type.map_or_else(
        || "there is none".to_string(),
        |text| format!("it is '{}'", text.chars().take(60).collect::<String>()),
    );
    body(
        Kind::InvalidRequest,
        format!(
            "The content type must be `multipart/form-data` with a boundary, but {is}. Send the body as a form."
        ),
    )
}

pub(super) fn no_boundary() -> Fault {
    body(
        Kind::InvalidRequest,
        "The content type says `multipart/form-data` without a `boundary`, so nobody can tell where the fields of \
         the form begin. Let the HTTP client set the content type by itself: it knows the boundary it writes.",
    )
}

pub(super) fn no_parts() -> Fault {
    body(
        Kind::InvalidRequest,
        "The body does not have the boundary that its content type names, so it is no form. Let one HTTP client \
         write both the content type and the body.",
    )
}

pub(super) fn broken(at: usize) -> Fault {
    body(
        Kind::InvalidRequest,
        format!(
            "The form cannot be read beyond byte {at}: a boundary must be followed by a line end, headers and a blank line."
        ),
    )
}

pub(super) fn unclosed() -> Fault {
    body(
        Kind::InvalidRequest,
        "The form does not end with its closing boundary: it was probably cut off. Send it again.",
    )
}

pub(super) fn body_too_large(size: u64, max: u64) -> Fault {
    let over = size - max;
    body(
        Kind::RequestTooLarge,
        format!(
            "The request has {size} bytes, the vendor takes {max} here: {over} too many. Compress the file or split it."
        ),
    )
}

pub(super) fn missing_file(rule: &FileRule) -> Fault {
    let name = rule.name;
    Fault {
        kind: Kind::MissingRequiredField,
        openai_code: Some("missing_required_parameter"),
        param: Some(name.to_string()),
        message: format!(
            "Missing required parameter '{name}': the form has no such file. Add a part named '{name}' with a file name."
        ),
        offset: 0,
    }
}

pub(super) fn too_many(rule: &FileRule, count: usize) -> Fault {
    let (name, max) = (rule.name, rule.count_max);
    let over = count - max;
    let files = if max == 1 { "file is" } else { "files are" };
    let message = format!(
        "Invalid '{name}': the form has {count} of it, at most {max} {files} allowed. Remove {over}."
    );
    field("array_above_max_length", name, message)
}

pub(super) fn not_a_file(rule: &FileRule) -> Fault {
    let name = rule.name;
    let message = format!(
        "Invalid type for '{name}': it must be a file, but is a text. Send it with a file name."
    );
    field("invalid_type", name, message)
}

pub(super) fn empty_file(rule: &FileRule) -> Fault {
    let name = rule.name;
    field(
        "invalid_value",
        name,
        format!("Invalid '{name}': the file is empty. Check how it is opened and read."),
    )
}

pub(super) fn file_too_large(rule: &FileRule, size: u64) -> Fault {
    let (name, max) = (rule.name, rule.bytes_max);
    let message = format!(
        "Invalid '{name}': the file has {size} bytes or more, at most {max} are allowed. Compress or split it."
    );
    field("invalid_value", name, message)
}

pub(super) fn not_text(path: String) -> Fault {
    let message = format!("Invalid '{path}': the value is not UTF-8 text. Encode it as UTF-8.");
    field("invalid_value", &path, message)
}

pub(super) fn nameless() -> Fault {
    body(
        Kind::InvalidRequest,
        "A part of the form has no name. Give each a `content-disposition` with `name`.",
    )
}
