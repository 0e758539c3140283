//! The bodies of the text endpoints as types, and what the simulator takes from them.

use crate::provider::refusal::Refusal;
use crate::provider::request::task::{json_task, tool_task};
use crate::provider::request::{Ask, Call, Special, Task};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Why a body gave no call.
#[derive(Debug)]
pub(super) enum Failure {
    /// It does not fit the types; what is wrong has to be found out.
    Unreadable,
    Refused(Box<Refusal>),
}

impl From<serde_json::Error> for Failure {
    fn from(_: serde_json::Error) -> Failure {
        Failure::Unreadable
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(Box::new(refusal))
    }
}

/// The most answers one request may ask for.
///
/// Source: OpenAI API description, chat, `n`, read 2026-11.
const ANSWERS_MAX: f64 = 128.0;

#[derive(Deserialize)]
struct Chat {
    model: Option<String>,
    messages: Option<Vec<Message>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<i64>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    user: Option<String>,
    safety_identifier: Option<String>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    response_format: Option<Value>,
    store: Option<bool>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: Option<String>,
    content: Option<Text>,
    /// What a tool gave back, in the Responses API.
    output: Option<Text>,
}

pub(super) fn chat(body: &[u8]) -> Result<Call, Failure> {
    let chat: Chat = serde_json::from_slice(body)?;
    let model = chat.model.ok_or_else(|| Refusal::missing("model"))?;
    let messages = chat.messages.ok_or_else(|| Refusal::missing("messages"))?;
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Refusal {
            code: Some("empty_array"),
            param: Some("messages".into()),
            ..Refusal::new(400, message)
        }
        .into());
    }
    for (place, message) in messages.iter().enumerate() {
        known_role(message.role.as_deref(), &format!("messages[{place}].role"))?;
    }
    within("temperature", chat.temperature, 0.0, 2.0, false)?;
    within("top_p", chat.top_p, 0.0, 1.0, false)?;
    let max = chat.max_completion_tokens.or(chat.max_tokens);
    let (prompt_tokens, ask, answered) = heard(&messages, "");
    let task = if answered {
        None
    } else {
        tool_task(chat.tools.as_deref(), chat.tool_choice.as_ref(), &ask)
    };
    let schema = chat.response_format.as_ref().map(|format| (format, "/json_schema/schema"));
    Ok(Call {
        model,
        stream: chat.stream.unwrap_or(false),
        include_usage: chat
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
        n: answers(chat.n)?,
        max_tokens: token_limit("max_tokens", max, 1.0)?,
        user: chat.user.or(chat.safety_identifier),
        prompt_tokens,
        task: task.unwrap_or_else(|| json_task(schema)),
        ask,
        special: partial(&messages),
        keep: chat.store.unwrap_or(false),
    })
}

/// A last message of the assistant's is one that he may be asked to go on with.
fn partial(messages: &[Message]) -> Special {
    let last = messages.last().filter(|message| message.role.as_deref() == Some("assistant"));
    let text = last.and_then(|message| message.content.as_ref());
    text.map_or(Special::None, |text| Special::Partial(text.0.clone()))
}

#[derive(Deserialize)]
struct Responses {
    model: Option<String>,
    input: Option<Input>,
    instructions: Option<Text>,
    stream: Option<bool>,
    max_output_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    user: Option<String>,
    safety_identifier: Option<String>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    text: Option<Value>,
    metadata: Option<Value>,
    parallel_tool_calls: Option<bool>,
    previous_response_id: Option<String>,
    store: Option<bool>,
    background: Option<bool>,
    conversation: Option<Value>,
    prompt: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Message>),
}

pub(super) fn responses(body: &[u8]) -> Result<Call, Failure> {
    let asked: Responses = serde_json::from_slice(body)?;
    let model = asked.model.clone().ok_or_else(|| Refusal::missing("model"))?;
    within("temperature", asked.temperature, 0.0, 2.0, false)?;
    within("top_p", asked.top_p, 0.0, 1.0, false)?;
    let items = match &asked.input {
        Some(Input::Items(items)) => items.as_slice(),
        Some(Input::Text(_)) => &[],
        // A stored prompt may bring it.
        None if asked.prompt.as_ref().is_some_and(Value::is_object) => &[],
        None => return Err(Refusal::missing("input").into()),
    };
    let instructions = asked.instructions.as_ref().map_or("", |text| text.0.as_str());
    let (mut prompt_tokens, mut ask, answered) = heard(items, instructions);
    if let Some(Input::Text(text)) = &asked.input {
        prompt_tokens = tokens_of(text.len() + instructions.len());
        ask = Ask { heard: text.len(), text: text.clone() };
    }
    let task = if answered {
        None
    } else {
        tool_task(asked.tools.as_deref(), asked.tool_choice.as_ref(), &ask)
    };
    let schema =
        asked.text.as_ref().and_then(|text| text.get("format")).map(|format| (format, "/schema"));
    Ok(Call {
        model,
        stream: asked.stream.unwrap_or(false),
        include_usage: true,
        n: 1,
        // Source: OpenAI API description, `max_output_tokens`, at least 16, read 2026-11.
        max_tokens: token_limit("max_output_tokens", asked.max_output_tokens, 16.0)?,
        user: asked.user.clone().or_else(|| asked.safety_identifier.clone()),
        prompt_tokens,
        task: task.unwrap_or_else(|| json_task(schema)),
        ask,
        keep: asked.store.unwrap_or(true),
        special: Special::Repeat(repeated(asked)),
    })
}

fn repeated(asked: Responses) -> serde_json::Map<String, Value> {
    let conversation = asked
        .conversation
        .filter(|one| !one.is_null())
        .map(|one| if one.is_string() { serde_json::json!({ "id": one }) } else { one });
    let fields = [
        ("background", asked.background.map(Value::from)),
        ("conversation", conversation),
        ("instructions", asked.instructions.map(|text| text.0.into())),
        ("max_output_tokens", asked.max_output_tokens.map(Value::from)),
        ("metadata", asked.metadata),
        ("parallel_tool_calls", asked.parallel_tool_calls.map(Value::from)),
        ("previous_response_id", asked.previous_response_id.map(Value::from)),
        ("store", asked.store.map(Value::from)),
        ("temperature", asked.temperature.map(Value::from)),
        ("text", asked.text),
        ("tool_choice", asked.tool_choice),
        ("tools", asked.tools.map(Value::from)),
        ("top_p", asked.top_p.map(Value::from)),
        ("user", asked.user.map(Value::from)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[derive(Deserialize)]
struct Completions {
    model: Option<String>,
    prompt: Option<Value>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<i64>,
    max_tokens: Option<i64>,
    echo: Option<bool>,
    user: Option<String>,
}

pub(super) fn completions(body: &[u8]) -> Result<Call, Failure> {
    let asked: Completions = serde_json::from_slice(body)?;
    let model = asked.model.ok_or_else(|| Refusal::missing("model"))?;
    let prompts = inputs(&asked.prompt.ok_or_else(|| Refusal::missing("prompt"))?, "prompt")?;
    let text = prompts.concat();
    // Source: OpenAI API description, completions, `max_tokens` 16 where absent, read 2026-11.
    let max = token_limit("max_tokens", asked.max_tokens, 0.0)?.unwrap_or(16);
    let answers = u64::from(answers(asked.n)?) * prompts.len() as u64;
    if answers as f64 > ANSWERS_MAX {
        return Err(Refusal::out_of_range("n", answers as f64, 1.0, ANSWERS_MAX, true).into());
    }
    Ok(Call {
        model,
        stream: asked.stream.unwrap_or(false),
        include_usage: asked
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
        n: u32::try_from(answers).unwrap_or(1),
        max_tokens: Some(max),
        user: asked.user,
        prompt_tokens: tokens_of(text.len()),
        ask: Ask { heard: text.len(), text: text.clone() },
        task: Task::Text,
        special: Special::Echo(asked.echo.unwrap_or(false).then_some(text)),
        keep: false,
    })
}

#[derive(Deserialize)]
struct Embeddings {
    model: Option<String>,
    input: Option<Value>,
    encoding_format: Option<String>,
    dimensions: Option<i64>,
    user: Option<String>,
}

/// The longest vector the simulator makes; the largest known model has 3,072 places.
const DIMENSIONS_MAX: f64 = 16_384.0;

pub(super) fn embeddings(body: &[u8]) -> Result<Call, Failure> {
    let asked: Embeddings = serde_json::from_slice(body)?;
    let model = asked.model.ok_or_else(|| Refusal::missing("model"))?;
    let inputs = inputs(&asked.input.ok_or_else(|| Refusal::missing("input"))?, "input")?;
    within("dimensions", asked.dimensions.map(|places| places as f64), 1.0, DIMENSIONS_MAX, true)?;
    let base64 = match asked.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message =
                format!("Invalid value: '{other}'. Supported values are: 'float' and 'base64'.");
            let refusal = Refusal::new(400, message);
            return Err(Refusal {
                code: Some("invalid_value"),
                param: Some("encoding_format".into()),
                ..refusal
            }
            .into());
        }
    };
    Ok(Call {
        model,
        stream: false,
        include_usage: false,
        n: 1,
        max_tokens: Some(0),
        user: asked.user,
        prompt_tokens: tokens_of(inputs.iter().map(String::len).sum()),
        ask: Ask::default(),
        task: Task::Text,
        special: Special::Vectors {
            inputs,
            base64,
            dimensions: asked.dimensions.and_then(|places| u32::try_from(places).ok()),
        },
        keep: false,
    })
}

/// One text, a list of texts, a list of tokens or a list of such lists.
pub(super) fn inputs(value: &Value, param: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::wrong_type(param, "a string or an array", "something else");
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) if items.is_empty() => {
            let message = format!(
                "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
            );
            Err(Refusal {
                code: Some("empty_array"),
                param: Some(param.into()),
                ..Refusal::new(400, message)
            })
        }
        // Each token counts as four bytes, so that the token rule gives their number.
        Value::Array(items) if items.iter().all(Value::is_number) => {
            Ok(vec!["tokn".repeat(items.len())])
        }
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Array(tokens) => Ok("tokn".repeat(tokens.len())),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
    }
}

/// Text that may come as a string, as parts with a `text` each, or not at all.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
        let mut whole = String::new();
        while let Some(Text(part)) = parts.next_element()? {
            whole.push_str(&part);
        }
        Ok(Text(whole))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Text, A::Error> {
        let mut text = Text(String::new());
        while let Some(key) = part.next_key::<String>()? {
            if key == "text" {
                text = part.next_value()?;
            } else {
                part.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}

/// Tokens of the prompt, the last message of the user, and whether a tool has answered after it.
fn heard(messages: &[Message], instructions: &str) -> (u64, Ask, bool) {
    let said = |message: &Message| {
        let size = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.0.len());
        size(&message.content) + size(&message.output)
    };
    let bytes = instructions.len() + messages.iter().map(said).sum::<usize>();
    let last = messages.iter().rev().find(|message| message.role.as_deref() == Some("user"));
    let text = last.and_then(|message| message.content.as_ref()).map_or("", |text| &text.0);
    let answered = messages
        .last()
        .is_some_and(|message| message.role.as_deref() == Some("tool") || message.output.is_some());
    (tokens_of(bytes), Ask { heard: text.len(), text: text.to_owned() }, answered)
}

pub(super) fn tokens_of(bytes: usize) -> u64 {
    bytes.div_ceil(4).max(1) as u64
}

fn known_role(role: Option<&str>, param: &str) -> Result<(), Refusal> {
    match role {
        Some("system" | "assistant" | "user" | "function" | "tool" | "developer") => Ok(()),
        Some(role) => {
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            );
            Err(Refusal {
                code: Some("invalid_value"),
                param: Some(param.into()),
                ..Refusal::new(400, message)
            })
        }
        None => Err(Refusal::missing(param)),
    }
}

pub(super) fn within(
    param: &str,
    value: Option<f64>,
    low: f64,
    high: f64,
    whole: bool,
) -> Result<(), Refusal> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(Refusal::out_of_range(param, value, low, high, whole))
        }
        Some(_) | None => Ok(()),
    }
}

fn answers(n: Option<i64>) -> Result<u32, Refusal> {
    within("n", n.map(|n| n as f64), 1.0, ANSWERS_MAX, true)?;
    Ok(n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1))
}

fn token_limit(param: &str, max: Option<i64>, low: f64) -> Result<Option<u32>, Refusal> {
    within(param, max.map(|max| max as f64), low, f64::from(u32::MAX), true)?;
    Ok(max.and_then(|max| u32::try_from(max).ok()))
}
