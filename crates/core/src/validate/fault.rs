//! One thing that is wrong with a request, told so that its author can put it right.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::failure::Kind;
use crate::wire::json::{Str, Syntax};

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure it is: `invalid_request`, `missing_required_field`, `invalid_value` or
    /// `unsupported_parameter`.
    pub kind: Kind,
    /// The vendor's own code, when it has one for this.
    pub openai_code: Option<&'static str>,
    /// The place in the request, as `messages[3].content[0].type`; `None` for the body as a whole.
    pub param: Option<String>,
    /// What is wrong, why, and what to do; one line. Holds short values of settings, never text that
    /// a user wrote.
    pub message: String,
    /// Where the value begins, in bytes from the start of the body; for an absent field its parent.
    pub offset: usize,
}

impl Fault {
    /// The code of the unified error format.
    pub const fn code(&self) -> &'static str {
        self.kind.name()
    }

    /// The code in the vendor's own naming, or the unified one where the vendor has none.
    pub const fn vendor_code(&self) -> &'static str {
        match self.openai_code {
            Some(code) => code,
            None => self.code(),
        }
    }

    /// The body is not UTF-8.
    pub fn not_utf8(body: &[u8], error: core::str::Utf8Error) -> Fault {
        Fault::not_utf8_at(body, error, &Place::of(body, error.valid_up_to()))
    }

    /// The same of a body that is part of a larger text, in which it has its `place`.
    pub(crate) fn not_utf8_at(
        body: &[u8],
        error: core::str::Utf8Error,
        place: &dyn fmt::Display,
    ) -> Fault {
        let at = error.valid_up_to();
        let why = match body {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it begins like UTF-16",
            _ if error.error_len().is_none() => "its last character is cut off",
            _ => "it is probably in another encoding, such as Latin-1, Windows-1252 or GBK",
        };
        let byte = body.get(at).copied().unwrap_or_default();
        Fault {
            kind: Kind::InvalidRequest,
            openai_code: None,
            param: None,
            message: format!(
                "The body is not valid UTF-8 at {place} (0x{byte:02x}): {why}. Encode it as UTF-8 and send it again."
            ),
            offset: at,
        }
    }

    /// The body is not JSON.
    pub fn not_json(text: &str, syntax: Syntax) -> Fault {
        Fault::not_json_at(text, syntax, &Place::of(text.as_bytes(), syntax.at))
    }

    /// The same of a body that is part of a larger text, in which it has its `place`.
    pub(crate) fn not_json_at(text: &str, syntax: Syntax, place: &dyn fmt::Display) -> Fault {
        let rest = text.get(syntax.at..).unwrap_or_default();
        let found = match rest.chars().next() {
            None => "the end of the body".to_string(),
            Some(c) if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
            Some(c) => format!("`{c}`"),
        };
        Fault {
            kind: Kind::InvalidRequest,
            openai_code: None,
            param: None,
            message: format!(
                "The body is not valid JSON at {place}: expected {}, found {found}. {}",
                syntax.expected,
                hint(text, syntax)
            ),
            offset: syntax.at,
        }
    }

    /// There is no body where there must be one.
    pub(crate) fn empty_body() -> Fault {
        Fault {
            kind: Kind::InvalidRequest,
            openai_code: None,
            param: None,
            message: "The body is empty, but this endpoint takes a JSON object: send one with `content-type: \
                      application/json`."
                .to_string(),
            offset: 0,
        }
    }

    /// The body is JSON but not an object.
    pub(crate) fn not_an_object(found: &str, offset: usize) -> Fault {
        Fault {
            kind: Kind::InvalidRequest,
            openai_code: Some("invalid_type"),
            param: None,
            message: format!(
                "The body must be a JSON object, but is {found}: wrap the fields in `{{` and `}}`."
            ),
            offset,
        }
    }

    /// A key stands twice in one object; the offset is set by who knows it.
    pub(crate) fn duplicate_at(param: String) -> Fault {
        Fault::duplicate(param, 0)
    }

    /// A key differs from one that decides only in its case.
    pub(crate) fn other_case(key: Str<'_>, name: &str) -> Fault {
        let message = format!(
            "The key '{}' differs from '{name}' only in its case, and readers differ in whether it is the same. Write \
             '{name}'.",
            key.raw
        );
        let param = Some(name.to_string());
        Fault { kind: Kind::InvalidValue, openai_code: None, param, message, offset: key.at }
    }

    /// A key stands twice in one object.
    pub(crate) fn duplicate(param: String, offset: usize) -> Fault {
        let message = format!(
            "Duplicate key '{param}': it is in the object more than once, and readers differ in which one counts. \
             Send it once."
        );
        Fault { kind: Kind::InvalidValue, openai_code: None, param: Some(param), message, offset }
    }
}

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The offset in bytes, from 0.
    pub offset: usize,
}

impl Place {
    /// The place of the byte at `offset`; behind the end counts as the end.
    pub fn of(text: &[u8], offset: usize) -> Place {
        let offset = offset.min(text.len());
        let before = text.get(..offset).unwrap_or_default();
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Place {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: in_line.iter().filter(|byte| (**byte & 0xc0) != 0x80).count() + 1,
            offset,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {} (byte {})", self.line, self.column, self.offset)
    }
}

/// What to do about text that is not JSON, from what stands where it stops being JSON.
fn hint(text: &str, syntax: Syntax) -> &'static str {
    const PYTHON: &str =
        "This looks like a Python value printed with str(): write it with json.dumps().";
    let rest = text.get(syntax.at..).unwrap_or_default();
    let before = text.get(..syntax.at).unwrap_or_default().trim_end();
    if text.starts_with('\u{feff}') {
        return "The body begins with a byte order mark: save it as UTF-8 without BOM.";
    }
    if rest.is_empty() {
        return "The body ends too soon: it was probably cut off, or a bracket is not closed.";
    }
    let starts_with_any = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    match rest.as_bytes().first() {
        Some(b'}' | b']') if before.ends_with(',') => {
            "Remove the comma before it: JSON has no trailing commas."
        }
        Some(b'\'') => "JSON strings and keys take double quotes, not single ones.",
        _ if starts_with_any(&["True", "False", "None"]) => PYTHON,
        _ if starts_with_any(&["NaN", "nan", "Infinity", "inf", "-Infinity", "-inf"])
            || before.ends_with('-') =>
        {
            "JSON has no NaN or Infinity: send null or leave the field out."
        }
        _ if rest.starts_with("undefined") => {
            "JSON has no undefined: send null or leave the field out."
        }
        Some(b'/' | b'#') => "JSON has no comments: remove them.",
        Some(b'+' | b'.') => "Numbers begin with a digit or a minus: write 0.5, not .5 or +0.5.",
        Some(0..=0x1f) => "Inside strings write line breaks as \\n and tabs as \\t.",
        _ if before.ends_with('\\') => "Write a backslash in a string as \\\\.",
        _ if syntax.expected == "the end of the text" => {
            "Send one JSON value in a body, and nothing behind it."
        }
        Some(b'0'..=b'9') if before.ends_with('0') => "Numbers have no leading zeros.",
        Some(b'"' | b'{' | b'[') => "A comma or a colon is probably missing before it.",
        _ if syntax.expected.starts_with("a key") => "Keys take double quotes.",
        _ => "Build the body with a JSON library rather than by hand.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Reader;

    fn said(text: &str) -> String {
        let mut reader = Reader::new(text);
        let syntax = reader.skip().and_then(|()| reader.end()).unwrap_err();
        Fault::not_json(text, syntax).message
    }

    #[test]
    fn text_that_is_not_json_gets_its_place_and_a_hint() {
        let cases = [
            ("{\"a\": 1,}", "line 1, column 9 (byte 8)", "trailing commas"),
            ("[1,2,\n]", "line 2, column 1 (byte 6)", "trailing commas"),
            ("{'a': 1}", "line 1, column 2", "single ones"),
            ("{\"a\": NaN}", "line 1, column 7", "no NaN"),
            ("{\"a\": -Infinity}", "column 8", "no NaN"),
            ("{\"a\":\n  True}", "line 2, column 3", "json.dumps"),
            ("[None]", "column 2", "json.dumps"),
            ("\u{feff}{}", "column 1", "byte order mark"),
            ("{\"a\": \"x", "the end of the body", "cut off"),
            ("{\"a\": 1 \"b\": 2}", "column 9", "missing before"),
            ("{a: 1}", "column 2", "double quotes"),
            ("[1] [2]", "column 5", "nothing behind it"),
            ("[\"C:\\dir\"]", "column 6", "\\\\"),
            ("[\"a\nb\"]", "U+000A", "\\n"),
            ("[undefined]", "column 2", "undefined"),
            ("[1, // one\n2]", "column 5", "comments"),
            ("[.5]", "column 2", "0.5"),
            ("[007]", "column 3", "leading zeros"),
            ("{\"é\": é}", "line 1, column 7 (byte 7)", "JSON library"),
        ];
        for (text, place, hint) in cases {
            let said = said(text);
            assert!(said.contains(place) && said.contains(hint), "{text}: {said}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_get_their_place_and_a_reason() {
        let cases: [(&[u8], &str); 3] = [
            (
                b"{\"a\":\n\"caf\xe9\"}",
                "line 2, column 5 (byte 10) (0xe9): it is probably in another encoding",
            ),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"{\"a\":\"\xe4\xb8", "cut off"),
        ];
        for (body, expected) in cases {
            let fault = Fault::not_utf8(body, core::str::from_utf8(body).unwrap_err());
            assert!(fault.message.contains(expected), "{}", fault.message);
        }
    }
}
