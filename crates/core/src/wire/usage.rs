//! Tokens used, as an answer tells them.

use serde::Deserialize;

use super::json::{Reader, Syntax, Type, skim};

/// Tokens of one call, as the provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// Prompt tokens that came from a cache.
    pub cached: u64,
}

impl Usage {
    /// Prompt and answer together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// `usage` of chat completions (`prompt_tokens`), of responses and assistants (`input_tokens`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageWire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
}

impl UsageWire {
    /// `None` when it names no number at all.
    pub(super) fn usage(&self) -> Option<Usage> {
        let input = self.prompt_tokens.or(self.input_tokens);
        let output = self.completion_tokens.or(self.output_tokens);
        let (input, output) = match (input, output, self.total_tokens) {
            (Some(input), Some(output), _) => (input, output),
            (Some(input), None, total) => (input, total.unwrap_or(input).saturating_sub(input)),
            (None, Some(output), total) => (total.unwrap_or(output).saturating_sub(output), output),
            (None, None, Some(total)) => (total, 0),
            (None, None, None) => return None,
        };
        let details = self.prompt_tokens_details.as_ref().or(self.input_tokens_details.as_ref());
        let cached = details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Some(Usage { input, output, cached })
    }
}

/// Reads the value of an answer's `usage` member. `None` when it is null, names no number, or
/// is nothing like usage.
pub fn of_member(usage: &str) -> Option<Usage> {
    wire_of(usage)?.usage()
}

/// The same of the value that comes next, read where it stands.
pub(super) fn of_next(reader: &mut Reader<'_>) -> Result<Option<Usage>, Syntax> {
    let mut ahead = reader.clone();
    if let Ok(Some(usage)) = object(&mut ahead) {
        *reader = ahead;
        return Ok(usage.usage());
    }
    Ok(of_member(reader.raw()?))
}

/// The same of what is next from `at` on, where it is written as nearly all usage is; and the place
/// behind it.
pub(super) fn skimmed(bytes: &[u8], at: usize) -> Option<(Option<Usage>, usize)> {
    let Some(mut at) = skim::object(bytes, at) else {
        return Some((None, skim::null(bytes, at)?));
    };
    let mut usage = UsageWire::default();
    loop {
        let (key, value) = skim::key(bytes, at)?;
        let behind = match key {
            b"prompt_tokens" => skim::count(bytes, value, &mut usage.prompt_tokens)?,
            b"completion_tokens" => skim::count(bytes, value, &mut usage.completion_tokens)?,
            b"input_tokens" => skim::count(bytes, value, &mut usage.input_tokens)?,
            b"output_tokens" => skim::count(bytes, value, &mut usage.output_tokens)?,
            b"total_tokens" => skim::count(bytes, value, &mut usage.total_tokens)?,
            b"prompt_tokens_details" => {
                skimmed_details(bytes, value, &mut usage.prompt_tokens_details)?
            }
            b"input_tokens_details" => {
                skimmed_details(bytes, value, &mut usage.input_tokens_details)?
            }
            _ => skim::value(bytes, value)?,
        };
        let (goes_on, behind) = skim::comma(bytes, behind)?;
        if !goes_on {
            return Some((usage.usage(), behind));
        }
        at = behind;
    }
}

fn skimmed_details(bytes: &[u8], at: usize, to: &mut Option<Details>) -> Option<usize> {
    let Some(mut at) = skim::object(bytes, at) else { return skim::null(bytes, at) };
    let mut found = Details::default();
    loop {
        let (key, value) = skim::key(bytes, at)?;
        let behind = if key == b"cached_tokens" {
            skim::count(bytes, value, &mut found.cached_tokens)?
        } else {
            skim::value(bytes, value)?
        };
        let (goes_on, behind) = skim::comma(bytes, behind)?;
        if !goes_on {
            *to = Some(found);
            return Some(behind);
        }
        at = behind;
    }
}

/// The same, as it is written.
pub(super) fn wire_of(usage: &str) -> Option<UsageWire> {
    let mut reader = Reader::new(usage);
    let found = object(&mut reader).ok().flatten()?;
    reader.end().ok().map(|()| found)
}

/// `None` when it is not of the form that [`UsageWire`] describes.
fn object(reader: &mut Reader<'_>) -> Result<Option<UsageWire>, Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let mut usage = UsageWire::default();
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        let decoded = if key.escaped { key.text() } else { None };
        let known = match decoded.as_deref().unwrap_or(key.raw) {
            "prompt_tokens" => count(reader, &mut usage.prompt_tokens)?,
            "completion_tokens" => count(reader, &mut usage.completion_tokens)?,
            "input_tokens" => count(reader, &mut usage.input_tokens)?,
            "output_tokens" => count(reader, &mut usage.output_tokens)?,
            "total_tokens" => count(reader, &mut usage.total_tokens)?,
            "prompt_tokens_details" => details(reader, &mut usage.prompt_tokens_details)?,
            "input_tokens_details" => details(reader, &mut usage.input_tokens_details)?,
            _ => reader.skip().map(|()| true)?,
        };
        if !known {
            return Ok(None);
        }
    }
    Ok(Some(usage))
}

/// Reads a count or `null`; `false` when it is something else.
fn count(reader: &mut Reader<'_>, to: &mut Option<u64>) -> Result<bool, Syntax> {
    match reader.next_type()? {
        Type::Null => reader.null()?,
        Type::Number => {
            *to = reader.number()?.parse().ok();
            return Ok(to.is_some());
        }
        Type::Bool | Type::String | Type::Array | Type::Object => return Ok(false),
    }
    Ok(true)
}

/// Reads details or `null`; `false` when it is something else.
fn details(reader: &mut Reader<'_>, to: &mut Option<Details>) -> Result<bool, Syntax> {
    match reader.next_type()? {
        Type::Null => reader.null().map(|()| true),
        Type::Object => {
            let (mut found, mut first) = (Details::default(), true);
            while let Some(key) = reader.key(&mut first)? {
                if !key.is("cached_tokens") {
                    reader.skip()?;
                } else if !count(reader, &mut found.cached_tokens)? {
                    return Ok(false);
                }
            }
            *to = Some(found);
            Ok(true)
        }
        Type::Bool | Type::Number | Type::String | Type::Array => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_in_every_familys_words() {
        let chat = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
            "prompt_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(of_member(chat), Some(Usage { input: 10, output: 5, cached: 4 }));
        let responses = r#"{"input_tokens":7,"output_tokens":3}"#;
        assert_eq!(of_member(responses), Some(Usage { input: 7, output: 3, cached: 0 }));
        let embeddings = r#"{"prompt_tokens":9,"total_tokens":9}"#;
        assert_eq!(of_member(embeddings), Some(Usage { input: 9, output: 0, cached: 0 }));
        let partly = r#"{"x":[1,{}],"prompt_tokens":2,"completion_tokens":null,"total_tokens":6,"prompt_tokens_details":null}"#;
        assert_eq!(of_member(partly), Some(Usage { input: 2, output: 4, cached: 0 }));
        let odd = [r#"{"prompt_tokens":-1}"#, r#"{"prompt_tokens":1.5}"#, r#"{"prompt_tokens":1"#];
        for nothing in odd {
            assert_eq!(of_member(nothing), None, "{nothing}");
        }
        for nothing in ["null", "{}", "7", r#"{"prompt_tokens":"many"}"#, "not json"] {
            assert_eq!(of_member(nothing), None, "{nothing}");
        }
    }
}
