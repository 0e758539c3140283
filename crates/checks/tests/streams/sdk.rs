//! A model of how both official SDKs read a stream: what the program behind them gets, and whether
//! an exception is raised.
//!
//! Source: `_streaming.py` of openai-python 3.52 and `core/streaming.ts` of openai-node 7.55, read
//! and run 2026-11.

use std::collections::BTreeMap;

use serde_json::Value;

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    Python,
    Node,
}

pub(crate) const SDKS: [Sdk; 2] = [Sdk::Python, Sdk::Node];

/// What a program got.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Text by choice or output item, and tool calls with them.
    pub(crate) texts: BTreeMap<String, String>,
    /// Ids of the answer, in order of appearance.
    pub(crate) ids: Vec<String>,
    /// Models named, in order of appearance.
    pub(crate) models: Vec<String>,
    /// The terminal event came.
    pub(crate) finished: bool,
    /// Totals of usage told.
    pub(crate) usage: Option<u64>,
    /// The exception.
    pub(crate) raised: Option<&'static str>,
    /// The closing marker came.
    pub(crate) marker: bool,
    /// A run was said to have failed.
    pub(crate) failed: bool,
}

impl Read {
    /// The text of the first choice.
    pub(crate) fn text(&self) -> &str {
        self.texts.get("0").map_or("", String::as_str)
    }

    /// The program takes it for a whole answer.
    pub(crate) fn looks_whole(&self) -> bool {
        self.finished && self.raised.is_none()
    }
}

/// Reads a body as `sdk` does; `cut` tells that the connection broke instead of ending.
pub(crate) fn read(sdk: Sdk, body: &[u8], cut: bool) -> Read {
    let mut read = Read::default();
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n").replace('\r', "\n");
    let (whole, rest) = match text.rfind("\n\n") {
        Some(end) => text.split_at(end + 2),
        None => ("", text.as_str()),
    };
    // One drops what is not ended by a blank line, the other flushes it.
    let last = (sdk == Sdk::Node && !cut).then_some(rest);
    for event in whole.split("\n\n").chain(last) {
        if read.event(sdk, event) {
            return read;
        }
    }
    if cut {
        read.raised = Some(if sdk == Sdk::Python { "APIConnectionError" } else { "terminated" });
    }
    read
}

impl Read {
    /// Takes one event; `true` when the SDK reads no further.
    fn event(&mut self, sdk: Sdk, event: &str) -> bool {
        let (mut name, mut data) = (None, Vec::new());
        for line in event.lines() {
            if let Some(value) = line.strip_prefix("data:") {
                data.push(value.strip_prefix(' ').unwrap_or(value));
            } else if let Some(value) = line.strip_prefix("event:") {
                name = Some(value.trim());
            }
        }
        if data.is_empty() {
            return false;
        }
        let data = data.join("\n");
        let marker = if sdk == Sdk::Python { data.starts_with("[DONE]") } else { data == "[DONE]" };
        if marker {
            self.marker = true;
            return true;
        }
        let Ok(value) = serde_json::from_str::<Value>(&data) else {
            self.raised = Some("not JSON");
            return true;
        };
        let thread = name.is_some_and(|name| name.starts_with("thread."));
        let error = value.get("error").is_some_and(|error| !error.is_null() && *error != false);
        let named = sdk == Sdk::Node && name == Some("error");
        if !thread && (error || named) {
            self.raised = Some("APIError");
            return true;
        }
        match name {
            Some(name) if thread => self.thread(name, &value),
            Some(_) | None => self.item(&value),
        }
        false
    }

    /// Events of a run: what is in them is the program's business, errors too.
    fn thread(&mut self, name: &str, value: &Value) {
        for part in value["delta"]["content"].as_array().into_iter().flatten() {
            self.say(part["index"].to_string(), &part["text"]["value"]);
        }
        let run = value["object"] == "thread.run";
        if run {
            self.named(value);
        }
        self.finished |=
            run && matches!(value["status"].as_str(), Some("completed" | "incomplete"));
        self.failed |= name == "thread.run.failed";
    }

    fn item(&mut self, value: &Value) {
        if let Some(kind) = value.get("type").and_then(Value::as_str) {
            return self.typed(kind, value);
        }
        self.named(value);
        for choice in value["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or(0);
            let delta = &choice["delta"];
            for text in [&delta["content"], &choice["text"]] {
                self.say(index.to_string(), text);
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let place = format!("{index} tool {}", call["index"]);
                self.say(format!("{place} id"), &call["id"]);
                self.say(format!("{place} name"), &call["function"]["name"]);
                self.say(format!("{place} arguments"), &call["function"]["arguments"]);
            }
            self.finished |= choice["finish_reason"].is_string();
        }
    }

    fn typed(&mut self, kind: &str, value: &Value) {
        self.named(&value["response"]);
        if kind.rsplit('.').next() == Some("delta") {
            self.say(value["output_index"].to_string(), &value["delta"]);
        }
        self.finished |= kind == "response.completed" || kind == "response.incomplete";
    }

    fn named(&mut self, value: &Value) {
        for (member, list) in [("id", &mut self.ids), ("model", &mut self.models)] {
            if let Some(name) = value[member].as_str()
                && list.last().is_none_or(|last| last != name)
            {
                list.push(name.to_owned());
            }
        }
        if let Some(total) = value["usage"]["total_tokens"].as_u64() {
            self.usage = Some(total);
        }
    }

    fn say(&mut self, place: String, text: &Value) {
        if let Some(text) = text.as_str() {
            self.texts.entry(place).or_default().push_str(text);
        }
    }
}
