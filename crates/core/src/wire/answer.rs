//! The quick look at a whole JSON answer: whether it is an error, and what it used, in one pass.
//!
//! It knows the answers that nearly all are; of anything else it says nothing, and a slower reading
//! decides.

use super::json::{Reader, Syntax, Type, skim};
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
    skimmed(answer.as_bytes()).or_else(|| read(answer).ok().flatten())
}

/// The same of an answer that is written as nearly all are.
fn skimmed(answer: &[u8]) -> Option<Told> {
    let mut at = skim::object(answer, 0)?;
    let (mut said_error, mut used) = (false, None);
    loop {
        let (key, value) = skim::key(answer, at)?;
        let behind = match key {
            b"error" if !said_error => {
                said_error = true;
                skim::null(answer, value)?
            }
            b"usage" if used.is_none() => {
                let (usage, behind) = usage::skimmed(answer, value)?;
                used = Some(usage);
                behind
            }
            b"error" | b"usage" => return None,
            _ => skim::value(answer, value)?,
        };
        let (goes_on, behind) = skim::comma(answer, behind)?;
        if !goes_on {
            let told = Told { error: false, usage: used.flatten() };
            return skim::is_end(answer, behind).then_some(told);
        }
        at = behind;
    }
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

    /// Bodies as providers send them, and everything that may stand in one.
    const BODIES: [&str; 4] = [
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"He said \"no\",\n\u00e9 and that was more than sixteen bytes é.","refusal":null,"annotations":[],"tool_calls":{}},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":16,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}"#,
        r#"{"id":"resp_1","error":null,"temperature":-1.5e+3,"store":true,"parallel":false,"usage":{"input_tokens":70,"input_tokens_details":{"cached_tokens":5},"output_tokens":3,"output_tokens_details":null,"total_tokens":73}}"#,
        "{\n  \"object\": \"list\",\n  \"data\" : [ { \"embedding\": [0.1, -2E-7, 0, 10] } , {} ],\r\n\t\"usage\": { \"prompt_tokens\": 9, \"total_tokens\" : null }\n}\n",
        r#"{"usage":null,"a":{"error":1,"b":[[],[true]]}}"#,
    ];

    #[test]
    fn usual_answers_are_read_in_one_quick_pass() {
        for body in BODIES {
            let quick = skimmed(body.as_bytes());
            assert!(quick.is_some(), "{body}");
            assert_eq!(quick, read(body).unwrap(), "{body}");
        }
        for odd in [r#"{"error":{}}"#, r#"{"usage":{},"usage":{}}"#, r#"{"err\u006fr":1}"#, "{}"] {
            assert_eq!(skimmed(odd.as_bytes()), None, "{odd}");
        }
    }

    /// Each body with one or two bytes changed, left out or put in, in each place; and cut short.
    #[test]
    fn the_quick_pass_says_what_the_slow_one_says_or_nothing() {
        const PIECES: [&str; 26] = [
            "",
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\n",
            "\t",
            "0",
            "1",
            "-",
            ".",
            "e",
            "+",
            "n",
            "u",
            "\u{1}",
            "\u{1f}",
            "\u{7f}",
            "é",
            "\"error\":null,",
            "\"usage\":{\"prompt_tokens\":2},",
        ];
        let mut taken = 0;
        for body in BODIES {
            for at in (0..=body.len()).filter(|at| body.is_char_boundary(*at)) {
                for behind in [at, at + 1, at + 2] {
                    let Some(rest) = body.get(behind..) else { continue };
                    for piece in PIECES {
                        let changed = [&body[..at], piece, rest].concat();
                        let Some(quick) = skimmed(changed.as_bytes()) else { continue };
                        assert_eq!(Ok(Some(quick)), read(&changed), "{changed}");
                        taken += 1;
                    }
                }
                assert_eq!(skimmed(&body.as_bytes()[..at]).is_some(), body[at..].trim().is_empty());
            }
        }
        assert!(taken > 10_000, "{taken}");
    }
}
