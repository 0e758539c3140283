//! The quick look at a whole JSON answer: whether it is an error, and what it used, in one pass.
//!
//! It knows the answers that nearly all are; of anything else it says nothing, and a slower reading
//! decides.

use super::json::{Reader, Syntax, Type};
use super::usage::{self, Usage};

/// What a sound JSON object says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// It has an `error` that is neither `null` nor `false`.
    pub error: bool,
    /// Tokens used, where it names them.
    pub usage: Option<Usage>,
}

/// Reads a whole answer. `None`: it is no JSON object, or says something twice.
pub fn look(answer: &str) -> Option<Told> {
    read(answer).ok().flatten()
}

fn read(answer: &str) -> Result<Option<Told>, Syntax> {
    let mut reader = Reader::new(answer);
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let (mut error, mut used, mut first) = (None, None, true);
    while let Some(key) = reader.key(&mut first)? {
        let twice = if key.is("error") {
            error.replace(reader.raw()?).is_some()
        } else if key.is("usage") {
            used.replace(usage::of_next(&mut reader)?).is_some()
        } else {
            reader.skip()?;
            false
        };
        if twice {
            return Ok(None);
        }
    }
    reader.end()?;
    let error = error.is_some_and(|error| !matches!(error, "null" | "false"));
    Ok(Some(Told { error, usage: used.flatten() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_it_is_an_error_and_what_it_used() {
        let usage = Some(Usage { input: 3, output: 4, cached: 0 });
        let told = |error, usage| Some(Told { error, usage });
        for (answer, wanted) in [
            (
                r#"{"choices":[{"error":1}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
                told(false, usage),
            ),
            (r#" {"error":null, "usage":null} "#, told(false, None)),
            (r#"{"error":false}"#, told(false, None)),
            (r#"{"error":{"message":"no"}}"#, told(true, None)),
            (r#"{"err\u006fr":"no"}"#, told(true, None)),
            (r#"{"error":null,"error":{}}"#, None),
            ("[]", None),
            (r#"{"a":1"#, None),
            (r#"{"a":1} x"#, None),
            ("", None),
        ] {
            assert_eq!(look(answer), wanted, "{answer}");
        }
    }
}
