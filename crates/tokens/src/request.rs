//! Whole request bodies to tokens.
//!
//! Rules for messages and functions: the vendor's cookbook, "How to count tokens with tiktoken" (known
//! as of 2026-11): 3 for each message and 1 for a name, 3 to begin the answer; functions as below. What
//! the vendor has not published (calls of tools, response formats, audio, items of responses) is counted
//! as the text it holds with 3 for each piece, and the count says that it is not exact.

use serde_json::Value;

use crate::estimate;
use crate::image::{self, Detail};
use crate::models::Vocabulary;

mod weigh;

pub use weigh::{Weighed, weigh};

const PER_MESSAGE: u64 = 3;
const PER_NAME: u64 = 1;
const PER_ANSWER: u64 = 3;

/// What a request costs before it is answered, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Messages, prompts or inputs, with what frames them.
    pub messages: u64,
    /// Definitions of tools and functions.
    pub tools: u64,
    /// A schema for the answer.
    pub format: u64,
    /// Pictures and sound.
    pub media: u64,
    /// The most output that the request asks for, over all answers; `None` when it does not say.
    pub asked: Option<u64>,
    /// The most output that it asks for in one answer, which shares the window with the prompt.
    pub asked_each: Option<u64>,
    /// Whether every part follows a published rule and an exact vocabulary.
    pub exact: bool,
    /// Between how many tokens the prompt is: twice the same when it is exact, a range where the
    /// vocabulary is not known; `None` where texts were counted and what frames them has no
    /// published rule.
    pub range: Option<(u64, u64)>,
}

impl Count {
    /// The prompt: everything but the output.
    pub fn prompt(&self) -> u64 {
        self.messages + self.tools + self.format + self.media
    }
}

/// Counts a request body. The model of the body decides on vocabulary and pictures unless `model`
/// names another one (the one that a route leads to).
///
/// # Errors
///
/// The body is not JSON; nothing is counted.
pub fn count(body: &[u8], model: Option<&str>) -> Result<Count, serde_json::Error> {
    let text = body;
    let body: Value = serde_json::from_slice(text)?;
    let model = model.or_else(|| body["model"].as_str()).unwrap_or("");
    let mut counter = Counter::new(model);
    let counted = counter.count.exact;
    counter.body(&body);
    let Counter { mut count, vocabulary, .. } = counter;
    let prompt = count.prompt();
    count.range = match (count.exact, counted) {
        (true, _) => Some((prompt, prompt)),
        (false, true) => None,
        (false, false) => Some(ranged(prompt, vocabulary, text)),
    };
    Ok(count)
}

/// An estimate with the range of its text around it.
fn ranged(likely: u64, vocabulary: Option<Vocabulary>, text: &[u8]) -> (u64, u64) {
    let (least, most) = estimate::range(text);
    let of_text = estimate::tokens(vocabulary, text).max(1);
    let scaled = |bound: u64| u128::from(likely) * u128::from(bound) / u128::from(of_text);
    let whole = |scaled: u128| u64::try_from(scaled).unwrap_or(u64::MAX);
    (whole(scaled(least)).min(likely), whole(scaled(most)).max(likely))
}

/// Counts text with a model's vocabulary, or estimates where that is not known; and between how many
/// tokens it is.
pub fn count_text(model: &str, text: &str) -> (u64, (u64, u64)) {
    let counter = Counter::new(model);
    let tokens = counter.text(text);
    let range = if counter.count.exact {
        (tokens, tokens)
    } else {
        ranged(tokens, counter.vocabulary, text.as_bytes())
    };
    (tokens, range)
}

struct Counter<'m> {
    model: &'m str,
    vocabulary: Option<Vocabulary>,
    count: Count,
    /// Tokens of what is said, without anything that frames it.
    said: u64,
    /// Beyond so many said ones the rest is estimated.
    cap: u64,
}

impl<'m> Counter<'m> {
    fn new(model: &'m str) -> Counter<'m> {
        let vocabulary = Vocabulary::of(model);
        let exact = vocabulary.is_some() && cfg!(feature = "exact");
        let count = Count { exact, ..Count::default() };
        Counter { model, vocabulary, count, said: 0, cap: u64::MAX }
    }

    fn body(&mut self, body: &Value) {
        self.count.asked_each = asked_each(body);
        self.count.asked = self.count.asked_each.map(|each| each.saturating_mul(answers(body)));
        if let Some(messages) = body["messages"].as_array() {
            for message in messages {
                self.message(message);
            }
            self.count.messages += PER_ANSWER;
        }
        // The instructions of a response are its system message.
        if let Some(text) = body["instructions"].as_str() {
            self.count.messages += PER_MESSAGE + self.text("system") + self.said(text);
            self.count.exact = false;
        }
        self.input(
            &body["input"],
            body["model"].as_str().is_some_and(|model| model.contains("embed")),
        );
        self.plain(&body["prompt"]);
        self.tools(body);
        for schema in [&body["response_format"]["json_schema"], &body["text"]["format"]["schema"]] {
            if !schema.is_null() {
                self.count.format += self.text(&schema.to_string());
                self.count.exact = false;
            }
        }
    }

    /// A string, strings, or token ids; nothing frames them.
    fn plain(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.count.messages += self.said(text),
            Value::Number(_) => {
                self.count.messages += 1;
                self.said += 1;
            }
            Value::Array(items) if items.first().is_some_and(Value::is_number) => {
                for item in items {
                    self.plain(item);
                }
            }
            Value::Array(items) => self.each_alone(items),
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
    }

    /// Prompts that are answered apart: the window holds each of them, so the longest is what is said.
    fn each_alone(&mut self, items: &[Value]) {
        let (before, mut longest) = (self.said, 0);
        for item in items {
            self.said = 0;
            self.plain(item);
            longest = longest.max(self.said);
        }
        self.said = before + longest;
    }

    fn input(&mut self, input: &Value, embedding: bool) {
        match input {
            Value::String(text) if !embedding => {
                self.count.messages +=
                    PER_MESSAGE + PER_ANSWER + self.text("user") + self.said(text);
                self.count.exact = false;
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    self.message(item);
                }
                self.count.messages += PER_ANSWER;
                self.count.exact = false;
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => self.plain(input),
        }
    }

    fn message(&mut self, message: &Value) {
        let Some(fields) = message.as_object() else { return };
        self.count.messages += PER_MESSAGE;
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("name", Value::String(name)) => self.count.messages += PER_NAME + self.text(name),
                ("role", Value::String(role)) => self.count.messages += self.text(role),
                ("content" | "refusal", Value::String(text)) => {
                    self.count.messages += self.said(text);
                }
                ("content", Value::Array(parts)) => {
                    for part in parts {
                        self.part(part);
                    }
                    // Where two parts meet, two tokens may become one.
                    self.said = self.said.saturating_sub(parts.len().saturating_sub(1) as u64);
                }
                // Ids and states are not shown to the model.
                ("id" | "type" | "status" | "tool_call_id" | "call_id", _) | (_, Value::Null) => {}
                (_, value) => {
                    self.count.messages += PER_MESSAGE + self.strings(value);
                    self.count.exact = false;
                }
            }
        }
    }

    fn part(&mut self, part: &Value) {
        if let Some(text) =
            part.as_str().or_else(|| part["text"].as_str()).or_else(|| part["refusal"].as_str())
        {
            self.count.messages += self.said(text);
            return;
        }
        let address = part["image_url"].as_str().or_else(|| part["image_url"]["url"].as_str());
        if address.is_some() || part["type"] == "input_image" {
            let detail = part["detail"].as_str().or_else(|| part["image_url"]["detail"].as_str());
            let detail = if detail == Some("low") { Detail::Low } else { Detail::High };
            let size = address.and_then(picture_head).and_then(|head| image::size_of(&head));
            let (tokens, known) = image::tokens(self.model, size, detail);
            self.count.media += tokens;
            self.count.exact &= known;
            return;
        }
        self.count.exact = false;
        if let Some(data) = part["input_audio"]["data"].as_str() {
            self.count.media += sound(data.len());
        } else {
            self.count.messages += self.strings(part);
        }
    }

    fn tools(&mut self, body: &Value) {
        let tools = body["tools"].as_array().into_iter().flatten();
        let functions = body["functions"].as_array().into_iter().flatten();
        let mut any = false;
        for tool in tools.chain(functions) {
            let function = match (&tool["function"], tool["name"].is_string()) {
                (function @ Value::Object(_), _) => function,
                (_, true) => tool,
                (_, false) => {
                    self.count.tools += self.strings(tool);
                    self.count.exact = false;
                    continue;
                }
            };
            any = true;
            self.count.tools += self.function(function);
        }
        if any {
            self.count.tools += FUNCTIONS_END;
        }
    }

    /// A function's name and description, then each of its parameters.
    fn function(&mut self, function: &Value) -> u64 {
        let first = match self.vocabulary {
            Some(Vocabulary::Cl100k) => FUNCTION_BEGIN_CL100K,
            Some(Vocabulary::O200k) | None => FUNCTION_BEGIN_O200K,
        };
        let name = function["name"].as_str().unwrap_or("");
        let about = function["description"].as_str().unwrap_or("");
        let mut count = first + self.text(&format!("{name}:{}", about.trim_end_matches('.')));
        let Some(parameters) = function["parameters"]["properties"].as_object() else {
            return count;
        };
        if parameters.is_empty() {
            return count;
        }
        count += PARAMETERS_BEGIN;
        for (name, parameter) in parameters {
            count += PARAMETER;
            let kind = parameter["type"].as_str().unwrap_or("");
            let about = parameter["description"].as_str().unwrap_or("").trim_end_matches('.');
            if let Some(values) = parameter["enum"].as_array() {
                let values: u64 = values.iter().map(|value| ENUM_VALUE + self.strings(value)).sum();
                count = (count + values).saturating_sub(ENUM_LESS);
            }
            // What is nested deeper has no published rule.
            if parameter.get("properties").is_some() || parameter.get("items").is_some() {
                count += self.strings(&parameter["properties"]) + self.strings(&parameter["items"]);
                self.count.exact = false;
            }
            count += self.text(&format!("{name}:{kind}:{about}"));
        }
        count
    }

    /// Every string and key inside.
    fn strings(&self, value: &Value) -> u64 {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().map(|item| self.strings(item)).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(key, inner)| self.text(key) + self.strings(inner)).sum()
            }
            Value::Null => 0,
            Value::Bool(_) | Value::Number(_) => 1,
        }
    }

    fn text(&self, text: &str) -> u64 {
        #[cfg(feature = "exact")]
        if let Some(vocabulary) = self.vocabulary {
            return crate::exact::count(vocabulary, text) as u64;
        }
        estimate::tokens(self.vocabulary, text.as_bytes())
    }
}

// Source: the cookbook named above; a function of GPT-4o begins with 7, of GPT-4 and GPT-3.5 with 10.
const FUNCTION_BEGIN_O200K: u64 = 7;
const FUNCTION_BEGIN_CL100K: u64 = 10;
const PARAMETERS_BEGIN: u64 = 3;
const PARAMETER: u64 = 3;
const ENUM_LESS: u64 = 3;
const ENUM_VALUE: u64 = 3;
const FUNCTIONS_END: u64 = 12;

/// What the request asks for at most in one answer.
fn asked_each(body: &Value) -> Option<u64> {
    ["max_completion_tokens", "max_output_tokens", "max_tokens"]
        .into_iter()
        .filter_map(|name| body[name].as_u64())
        .min()
}

/// How many answers are made.
fn answers(body: &Value) -> u64 {
    body["n"].as_u64().unwrap_or(1).max(body["best_of"].as_u64().unwrap_or(1)).max(1)
}

/// About ten tokens a second; a second of the usual 16 kHz, 16 bit sound is 32,000 bytes, and base64
/// writes four characters for three bytes.
fn sound(base64: usize) -> u64 {
    (base64 as u64 * 3 / 4).div_ceil(3_200)
}

/// The first bytes of a picture in a `data:` address.
fn picture_head(address: &str) -> Option<Vec<u8>> {
    /// A JPEG's frame header stands behind its metadata, which may hold a preview.
    const HEAD_MAX: usize = 256 * 1024;
    let data = address.strip_prefix("data:")?.split_once(";base64,")?.1.as_bytes();
    let mut head = Vec::with_capacity(data.len().min(HEAD_MAX) / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &letter in data.iter().take(HEAD_MAX) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            head.push((bits >> held & 0xff) as u8);
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests;
