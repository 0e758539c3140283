//! What kind of answer a request asks for: a text, JSON, or a call of a tool.

use crate::provider::request::{Ask, Task};
use crate::provider::sample;
use serde_json::Value;

/// A tool is called if it must be, or if the user says "call the tool".
pub(super) fn tool_task(
    tools: Option<&[Value]>,
    choice: Option<&Value>,
    ask: &Ask,
) -> Option<Task> {
    let tools = tools?;
    let named = choice.and_then(|choice| {
        choice.pointer("/function/name").or_else(|| choice.get("name")).and_then(Value::as_str)
    });
    let must = named.is_some() || choice.and_then(Value::as_str) == Some("required");
    let never = choice.and_then(Value::as_str) == Some("none");
    let asked = ask.text.to_ascii_lowercase().contains("call the tool");
    if never || !(must || asked) {
        return None;
    }
    let function = |tool: &Value| tool.get("function").unwrap_or(tool).clone();
    let fits = |tool: &Value| {
        let name = tool.get("name").and_then(Value::as_str);
        name.is_some() && (named.is_none() || name == named)
    };
    let tool = tools.iter().map(function).find(fits)?;
    let arguments =
        tool.get("parameters").map_or_else(|| "{}".into(), |schema| sample::of(schema).to_string());
    Some(Task::Tool { name: tool.get("name")?.as_str()?.to_owned(), arguments })
}

/// What a run is to do, by what it repeats of its request.
pub(crate) fn task_of_run(fields: &Value, ask: &Ask) -> Task {
    let tools = fields.get("tools").and_then(Value::as_array).map(Vec::as_slice);
    let task = tool_task(tools, fields.get("tool_choice"), ask);
    let format = fields.get("response_format").map(|format| (format, "/json_schema/schema"));
    task.unwrap_or_else(|| json_task(format))
}

/// JSON is answered if the format asks for it; `schema` is where the format keeps its schema.
pub(super) fn json_task(format: Option<(&Value, &str)>) -> Task {
    let Some((format, schema)) = format else { return Task::Text };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Task::Json(r#"{"answer":"simulated"}"#.into()),
        Some("json_schema") => Task::Json(
            format.pointer(schema).map_or_else(|| "{}".into(), |s| sample::of(s).to_string()),
        ),
        Some(_) | None => Task::Text,
    }
}
