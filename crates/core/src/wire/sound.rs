//! How long the sound was that an answer was made from, as the provider tells it.
//!
//! Source: the vendor's description of its API of 2026-08: `usage` of a transcription is either tokens
//! or `{"type": "duration", "seconds": 9}`; a verbose answer has `duration` in seconds.

use super::json::{Reader, Syntax, Type};

/// Milliseconds of sound that a whole answer, or the last event of a stream, tells: `usage.seconds`,
/// else `duration`. A part of a millisecond counts as a whole one.
///
/// `None` when it tells nothing that is a plain decimal number of seconds: then the length is to be
/// estimated. Numbers may stand in quotes, as some servers write them.
pub fn told_ms(answer: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(core::str::from_utf8(answer).ok()?);
    let (mut used, mut whole) = (None, None);
    let read = members(&mut reader, &mut |name, value| match name {
        "usage" => {
            let _no_object = members(&mut Reader::new(value), &mut |name, value| {
                if name == "seconds" {
                    used = millis(value);
                }
            });
        }
        "duration" => whole = millis(value),
        _ => {}
    });
    read.ok()?;
    used.or(whole)
}

/// Each member of an object, as it is written. Nothing of what is no object.
pub(super) fn members<'a>(
    reader: &mut Reader<'a>,
    visit: &mut dyn FnMut(&'a str, &'a str),
) -> Result<(), Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(());
    }
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        let value = reader.raw()?;
        visit(key.raw, value);
    }
    reader.end()
}

/// Seconds in milliseconds, rounded up.
fn millis(value: &str) -> Option<u64> {
    let text = value.trim_matches('"');
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let digit = |at: usize| part.as_bytes().get(at).map_or(0, |c| u64::from(c - b'0'));
    let rest = part.bytes().skip(3).any(|c| c != b'0');
    let part = digit(0) * 100 + digit(1) * 10 + digit(2) + u64::from(rest);
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_where_providers_tell_them() {
        for (answer, ms) in [
            (r#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#, Some(9_000)),
            (r#"{"usage":{"seconds":8.470},"duration":99}"#, Some(8_470)),
            (
                r#"{"task":"transcribe","duration":8.470000267,"segments":[{"duration":1}]}"#,
                Some(8_471),
            ),
            (r#"{"duration":"0.5","usage":{"type":"tokens","input_tokens":3}}"#, Some(500)),
            (r#"{"usage":{"seconds":"many"},"duration":2.0}"#, Some(2_000)),
            (r#"{"usage":{"seconds":0},"text":"duration"}"#, Some(0)),
            (r#"{"usage":{"seconds":1},"usage":{"seconds":2}}"#, Some(2_000)),
        ] {
            assert_eq!(told_ms(answer.as_bytes()), ms, "{answer}");
        }
    }

    #[test]
    fn what_is_no_length_is_none() {
        for answer in [
            r#"{"text":"hi"}"#,
            r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#,
            r#"{"usage":{"seconds":-1}}"#,
            r#"{"usage":{"seconds":1e3}}"#,
            r#"{"usage":{"seconds":null},"duration":null}"#,
            r#"{"usage":[{"seconds":1}]}"#,
            r#"{"usage":{"seconds":18446744073709551615}}"#,
            r#"{"usage":{"seconds":99999999999999999999999}}"#,
            r#"{"duration":7"#,
            r#"{"duration":7} x"#,
            r#"[{"duration":7}]"#,
            "1\n00:00:00,000 --> 00:00:09,000\nhi\n",
            "",
        ] {
            assert_eq!(told_ms(answer.as_bytes()), None, "{answer}");
        }
        assert_eq!(told_ms(b"{\"duration\":7,\"text\":\"\xff\"}"), None);
    }
}
