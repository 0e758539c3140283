//! The quick reading of a chunk of completions, which nearly all events of a stream are: one pass
//! over the text, in place. It says nothing of what is out of the ordinary; the lenient reading
//! beside it decides there, and both mean the same by what they read.

use alloc::vec::Vec;

use super::{Choice, Chunk, Delta, Few, Raw, Text};
use crate::wire::json::{Reader, Syntax, Type};
use crate::wire::usage;

/// Reads a chunk. `None`: it is not written as chunks usually are.
pub(in crate::wire::stream) fn chunk(data: &[u8]) -> Option<Chunk<'_>> {
    let text = core::str::from_utf8(data).ok()?;
    let mut reader = Reader::new(text);
    let found = read_chunk(&mut reader).ok()??;
    reader.end().ok()?;
    Some(found)
}

fn read_chunk<'a>(reader: &mut Reader<'a>) -> Result<Option<Chunk<'a>>, Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let mut chunk = Chunk { id: None, choices: None, error: None, usage: None };
    let (mut first, mut once) = (true, Once::default());
    while let Some(key) = reader.key(&mut first)? {
        let sound = match key.raw {
            "choices" => {
                chunk.choices = choices(reader)?;
                once.is_first(0) && chunk.choices.is_some()
            }
            "id" => once.is_first(1) && place(&mut chunk.id, reader)?,
            "error" => once.is_first(2) && place(&mut chunk.error, reader)?,
            "usage" => {
                let mut told = None;
                let sound = once.is_first(3) && place(&mut told, reader)?;
                chunk.usage = told.and_then(|Raw(told)| usage::wire_of(told));
                sound
            }
            _ => other(reader, key.escaped)?,
        };
        if !sound {
            return Ok(None);
        }
    }
    Ok(Some(chunk))
}

fn choices<'a>(reader: &mut Reader<'a>) -> Result<Option<Few<Choice<'a>>>, Syntax> {
    if reader.next_type()? != Type::Array {
        return Ok(None);
    }
    let mut few = Few { first: None, rest: Vec::new() };
    let mut first = true;
    while reader.item(&mut first)? {
        let Some(choice) = choice(reader)? else { return Ok(None) };
        match few.first {
            None => few.first = Some(choice),
            Some(_) => few.rest.push(choice),
        }
    }
    Ok(Some(few))
}

fn choice<'a>(reader: &mut Reader<'a>) -> Result<Option<Choice<'a>>, Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let mut choice = Choice { index: None, finish_reason: None, delta: None, text: None };
    let (mut first, mut once) = (true, Once::default());
    while let Some(key) = reader.key(&mut first)? {
        let sound = match key.raw {
            "index" => {
                let mut index = None;
                let sound = once.is_first(0) && place(&mut index, reader)?;
                choice.index = index.and_then(|Raw(index)| index.parse().ok());
                sound
            }
            "finish_reason" => once.is_first(1) && reason(&mut choice.finish_reason, reader)?,
            "delta" => {
                choice.delta = delta(reader)?;
                once.is_first(2) && choice.delta.is_some()
            }
            "text" => once.is_first(3) && place(&mut choice.text, reader)?,
            _ => other(reader, key.escaped)?,
        };
        if !sound {
            return Ok(None);
        }
    }
    Ok(Some(choice))
}

fn reason<'a>(to: &mut Option<Text<'a>>, reader: &mut Reader<'a>) -> Result<bool, Syntax> {
    if reader.next_type()? == Type::String {
        *to = reader.string()?.text().map(Text);
        return Ok(to.is_some());
    }
    let mut none = None;
    Ok(place(&mut none, reader)? && none.is_none())
}

fn delta<'a>(reader: &mut Reader<'a>) -> Result<Option<Delta<'a>>, Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let mut delta = Delta::default();
    let (mut first, mut once) = (true, Once::default());
    while let Some(key) = reader.key(&mut first)? {
        let (number, to) = match key.raw {
            "content" => (0, &mut delta.content),
            "refusal" => (1, &mut delta.refusal),
            "tool_calls" => (2, &mut delta.tool_calls),
            "function_call" => (3, &mut delta.function_call),
            "audio" => (4, &mut delta.audio),
            "reasoning_content" => (5, &mut delta.reasoning_content),
            "reasoning" => (6, &mut delta.reasoning),
            _ if other(reader, key.escaped)? => continue,
            _ => return Ok(None),
        };
        if !(once.is_first(number) && place(to, reader)?) {
            return Ok(None);
        }
    }
    Ok(Some(delta))
}

/// Reads a value as it stands; `null` is none.
fn place<'a>(to: &mut Option<Raw<'a>>, reader: &mut Reader<'a>) -> Result<bool, Syntax> {
    let value = reader.raw()?;
    *to = (value != "null").then_some(Raw(value));
    Ok(true)
}

/// Passes a member that is of no interest; one whose name is written with escapes may be.
fn other(reader: &mut Reader<'_>, escaped: bool) -> Result<bool, Syntax> {
    reader.skip()?;
    Ok(!escaped)
}

/// Which members were there: one that stands twice has no meaning here.
#[derive(Default)]
struct Once(u8);

impl Once {
    fn is_first(&mut self, number: u8) -> bool {
        let before = self.0;
        self.0 |= 1 << number;
        before != self.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn told(chunk: &Chunk<'_>) -> String {
        let choices: Vec<String> = chunk
            .choices
            .iter()
            .flat_map(Few::iter)
            .map(|choice| {
                let texts: Vec<_> =
                    choice.texts().iter().map(|(kind, text)| (*kind, text.map(|t| t.0))).collect();
                let tools = choice.delta.as_ref().and_then(|delta| delta.tool_calls).map(|t| t.0);
                format!("{:?} {:?} {texts:?} {tools:?}", choice.index, choice.finish())
            })
            .collect();
        let (id, error) = (chunk.id.map(|id| id.0), chunk.error.map(|error| error.0));
        format!("{id:?} {error:?} {:?} {choices:?}", chunk.usage)
    }

    const USUAL: [&str; 8] = [
        r#"{"id":"c-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
        r#" { "choices" : [ { "delta" : { "content" : "a\"\u00e9" } , "index" : 1 } , {} ] } "#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"choices":[{"text":"x","finish_reason":"stop","index":"odd"}],"error":null}"#,
        r#"{"error":{"message":"m"},"choices":[]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0}],"reasoning":"r","audio":null}}]}"#,
        r#"{"choices":[{"delta":{"content":null,"refusal":"no"},"finish_reason":""}],"usage":7}"#,
        r#"{"id":7,"choices":[{"finish_reason":"len\u0067th","logprobs":{"content":[]}}]}"#,
    ];

    #[test]
    fn both_readings_mean_the_same() {
        for text in USUAL {
            let quick = chunk(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let slow: Chunk<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(told(&quick), told(&slow), "{text}");
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_the_other_reading() {
        for text in [
            r#"{"choices":null}"#,
            r#"{"choices":[{"delta":null}]}"#,
            r#"{"choices":[],"choices":[]}"#,
            r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#,
            r#"{"choices":[{"d\u0065lta":{"content":"a"}}]}"#,
            r#"{"choices":[[]]}"#,
            r#"{"choices":[{"finish_reason":7}]}"#,
            r#"{"choices":[]"#,
            r#"{"choices":[]} x"#,
            "[]",
            "",
        ] {
            assert!(chunk(text.as_bytes()).is_none(), "{text}");
        }
        assert!(chunk(b"{\"id\":\"\xff\"}").is_none());
    }
}
