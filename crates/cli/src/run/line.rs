//! One line of the input: a Batch line, or a bare body whose fields tell the endpoint.

use std::ops::Range;

use mainstay_core::validate::check::guess;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::json::{Reader, Syntax, Type};
use mainstay_core::wire::request::peek;

/// A line that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its own, or `line-N` for a bare body.
    pub(crate) custom_id: String,
    /// What follows `/v1`.
    pub(crate) path: String,
    /// The endpoint of that path.
    pub(crate) endpoint: Endpoint,
    /// Where the body stands in the line.
    pub(crate) body: Range<usize>,
    /// The model it names.
    pub(crate) model: Option<String>,
}

/// Why a line cannot be sent, and what to do.
pub(crate) type Why = String;

/// Reads a line without its line end; `number` counts from 1.
pub(crate) fn read(bytes: &[u8], number: u64) -> Result<Line, Why> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!("byte {} is not UTF-8; save the file as UTF-8", error.valid_up_to())
    })?;
    let outer = Outer::read(text).map_err(|syntax| {
        format!("it is not JSON: at byte {} {} is expected", syntax.at, syntax.expected)
    })?;
    let line = match outer {
        Outer::Bare => bare(text, number)?,
        Outer::Batch { custom_id, method, url, body } => {
            let body = body.ok_or("`body` is missing; it holds the request")?;
            let custom_id = custom_id.ok_or(
                "`custom_id` is missing; answers are told apart by it, give each line its own",
            )?;
            if custom_id.len() > ID_MAX {
                return Err(format!(
                    "`custom_id` has {} bytes; {ID_MAX} is the most",
                    custom_id.len()
                ));
            }
            if method.as_deref().is_some_and(|method| method != "POST") {
                return Err("`method` is not \"POST\"; lines are sent with POST".to_owned());
            }
            let path = match url {
                Some(url) => path_of(&url)?,
                None => guessed(&text[body.clone()])?.to_owned(),
            };
            let endpoint = Endpoint::of("POST", &path);
            Line { custom_id, path, endpoint, body, model: None }
        }
    };
    looked_into(text, line)
}

/// Longest `custom_id`, in bytes.
const ID_MAX: usize = 1024;

/// The members of a line that matter.
enum Outer {
    Bare,
    Batch {
        custom_id: Option<String>,
        method: Option<String>,
        url: Option<String>,
        body: Option<Range<usize>>,
    },
}

impl Outer {
    fn read(text: &str) -> Result<Outer, Syntax> {
        let mut reader = Reader::new(text);
        let (mut custom_id, mut method, mut url, mut body) = (None, None, None, None);
        let (mut first, mut batch) = (true, false);
        while let Some(key) = reader.key(&mut first)? {
            let string = reader.next_type()? == Type::String;
            if key.is("body") && !string {
                let at = reader.offset();
                body = Some(at..at + reader.raw()?.len());
                batch = true;
            } else if string && (key.is("custom_id") || key.is("method") || key.is("url")) {
                let value = reader.string()?.text().map(std::borrow::Cow::into_owned);
                batch |= key.is("custom_id");
                let place = match () {
                    () if key.is("custom_id") => &mut custom_id,
                    () if key.is("method") => &mut method,
                    () => &mut url,
                };
                *place = value;
            } else {
                reader.skip()?;
            }
        }
        reader.end()?;
        Ok(if batch { Outer::Batch { custom_id, method, url, body } } else { Outer::Bare })
    }
}

fn bare(text: &str, number: u64) -> Result<Line, Why> {
    let path = guessed(text)?.to_owned();
    let endpoint = Endpoint::of("POST", &path);
    Ok(Line {
        custom_id: format!("line-{number}"),
        path,
        endpoint,
        body: 0..text.len(),
        model: None,
    })
}

/// The path whose fields a body has.
fn guessed(body: &str) -> Result<&'static str, Why> {
    let path = guess(body).and_then(|endpoint| match endpoint {
        Endpoint::Chat => Some("/chat/completions"),
        Endpoint::Responses => Some("/responses"),
        Endpoint::Completions => Some("/completions"),
        Endpoint::Embeddings => Some("/embeddings"),
        Endpoint::Moderations => Some("/moderations"),
        Endpoint::Images => Some("/images/generations"),
        Endpoint::Speech => Some("/audio/speech"),
        Endpoint::ThreadAndRun => Some("/threads/runs"),
        Endpoint::ImageEdits
        | Endpoint::ImageVariations
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Assistants
        | Endpoint::AssistantUpdate
        | Endpoint::Threads
        | Endpoint::ThreadUpdate
        | Endpoint::ThreadMessages
        | Endpoint::Runs
        | Endpoint::ToolOutputs
        | Endpoint::Files
        | Endpoint::Batches
        | Endpoint::Models
        | Endpoint::Other => None,
    });
    path.ok_or_else(|| {
        "its fields do not tell the endpoint; write a Batch line with `custom_id`, `method`, `url` and `body`"
            .to_owned()
    })
}

/// What follows `/v1` in a line's `url`, which may be a whole URL.
fn path_of(url: &str) -> Result<String, Why> {
    let local = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    let path = match local.find("/v1/") {
        Some(at) => &local[at + 3..],
        None => local,
    };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"' | '<' | '>');
    let sound = path.starts_with('/')
        && path.len() > 1
        && path.chars().all(plain)
        && !path.contains("//")
        && !path.split('/').any(|part| part == "..");
    if sound {
        return Ok(path.to_owned());
    }
    Err("`url` is not a path; write for example \"/v1/chat/completions\"".to_owned())
}

/// The body must be an object whose model and stream can be told, and no stream.
fn looked_into(text: &str, line: Line) -> Result<Line, Why> {
    let body = text.get(line.body.clone()).unwrap_or_default();
    let look = peek(body.as_bytes(), line.endpoint).map_err(|fault| fault.message)?;
    if look.stream {
        return Err("`stream` is true, and an answer is stored as one line; take it out".to_owned());
    }
    let model = look.model.map(std::borrow::Cow::into_owned);
    Ok(Line { model, ..line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_lines_name_their_endpoint_and_bare_bodies_are_guessed() {
        let cases = [
            (
                r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#,
                "a",
                "/chat/completions",
            ),
            (
                r#"{"body":{"model":"m","messages":[]},"custom_id":"\u0062"}"#,
                "b",
                "/chat/completions",
            ),
            (
                r#"{"custom_id":"c","url":"https://x.test/v1/rerank","body":{"model":"m"}}"#,
                "c",
                "/rerank",
            ),
            (r#"{"model":"m","messages":[]}"#, "line-7", "/chat/completions"),
            (r#"{"model":"text-embedding-3-small","input":"x"}"#, "line-7", "/embeddings"),
            (r#"{"model":"gpt-4o","input":"x"}"#, "line-7", "/responses"),
        ];
        for (text, id, path) in cases {
            let line = read(text.as_bytes(), 7).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((line.custom_id.as_str(), line.path.as_str()), (id, path), "{text}");
            assert!(text[line.body].starts_with('{'));
            assert!(line.model.is_some());
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why_and_what_to_do() {
        let cases = [
            ("{", "not JSON"),
            ("\u{7f}", "not JSON"),
            (r#"{"custom_id":"a","url":"/v1/chat/completions"}"#, "`body` is missing"),
            (r#"{"url":"/v1/chat/completions","body":{"model":"m"}}"#, "`custom_id` is missing"),
            (r#"{"custom_id":"a","method":"GET","url":"/v1/models","body":{}}"#, "POST"),
            (r#"{"custom_id":"a","url":"/v1/../admin","body":{}}"#, "not a path"),
            (r#"{"custom_id":"a","url":"nowhere","body":{}}"#, "not a path"),
            (
                r#"{"custom_id":"a","url":"/v1/chat/completions","body":{"model":"m","stream":true}}"#,
                "`stream` is true",
            ),
            (r#"{"custom_id":"a","url":"/v1/chat/completions","body":[]}"#, "object"),
            (r#"{"foo":1}"#, "do not tell the endpoint"),
        ];
        for (text, needle) in cases {
            let why = read(text.as_bytes(), 1).unwrap_err();
            assert!(why.contains(needle), "{text}: {why}");
        }
        assert!(read(b"\xff{}", 1).unwrap_err().contains("UTF-8"));
    }
}
