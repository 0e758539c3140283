//! The members of events that matter here, read leniently: a member of an unexpected kind counts
//! as absent, so that a foreign `usage` or `id` never costs the text beside it.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::wire::transcript::{Shape, Transcript};
use crate::wire::usage::UsageWire;
use crate::wire::verify::{TEXTS, TOOL_TEXTS, item_place, item_words};

pub(super) mod quick;

/// A member as `T`, or `None` when it is of another kind.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(parsed(raw))
}

/// What a raw value is as `T`, or `None` when it is of another kind.
fn parsed<'de, T: Deserialize<'de>>(raw: &'de RawValue) -> Option<T> {
    // The usual absence, and by far the cheaper way to find it out: a failed reading tells why.
    if raw.get() == "null" {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// A list that nearly always has one item, which then takes no memory of its own.
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    /// Its item, when it has one and no more.
    pub(super) fn only(&self) -> Option<&T> {
        self.first.as_ref().filter(|_| self.rest.is_empty())
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { first: None, rest: Vec::new() }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
        let mut few = Few { first: items.next_element()?, rest: Vec::new() };
        while let Some(item) = items.next_element()? {
            few.rest.push(item);
        }
        Ok(few)
    }
}

/// A string that is borrowed where it holds no escape.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The text of a value.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw<'a>, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
    }
}

/// A chunk of chat or legacy completions.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Few<Choice<'a>>>,
    #[serde(borrow, default)]
    pub(super) error: Option<Raw<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<UsageWire>,
}

impl Chunk<'_> {
    /// Notes the stream's id, which is read once.
    pub(super) fn note_id(&self, transcript: &mut Transcript) {
        if transcript.id.is_none()
            && let Some(id) = self.id.and_then(|id| serde_json::from_str::<Text<'_>>(id.0).ok())
        {
            transcript.note_id(&id.0);
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    text: Option<Raw<'a>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Raw<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Raw<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Raw<'a>>,
    #[serde(borrow, default)]
    function_call: Option<Raw<'a>>,
    #[serde(borrow, default)]
    audio: Option<Raw<'a>>,
    // Reasoning text, as DeepSeek, vLLM (`reasoning_content`) and OpenRouter (`reasoning`) name it.
    #[serde(borrow, default)]
    reasoning_content: Option<Raw<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    function: Option<Called<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    custom: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    name: Option<Raw<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Raw<'a>>,
    #[serde(borrow, default)]
    input: Option<Raw<'a>>,
}

fn filled(value: Option<Raw<'_>>) -> Option<Raw<'_>> {
    value.filter(|value| !matches!(value.0, "null" | "\"\"" | "[]" | "{}"))
}

impl Choice<'_> {
    pub(super) fn index(&self) -> u64 {
        self.index.unwrap_or(0)
    }

    /// The finish reason. Some servers send an empty one with every chunk; that is none.
    pub(super) fn finish(&self) -> Option<&str> {
        self.finish_reason.as_ref().map(|reason| reason.0.as_ref()).filter(|r| !r.is_empty())
    }

    fn texts(&self) -> [(&'static str, Option<Raw<'_>>); 5] {
        let delta = self.delta.as_ref();
        let [content, refusal, reasoning_content, reasoning] = TEXTS;
        [
            (content, filled(delta.and_then(|delta| delta.content))),
            (refusal, filled(delta.and_then(|delta| delta.refusal))),
            (reasoning_content, filled(delta.and_then(|delta| delta.reasoning_content))),
            (reasoning, filled(delta.and_then(|delta| delta.reasoning))),
            ("text", filled(self.text)),
        ]
    }

    /// Whether it shows the caller anything.
    pub(super) fn has_content(&self) -> bool {
        let delta = self.delta.as_ref();
        let others = delta.is_some_and(|delta| {
            let others = [delta.tool_calls, delta.function_call, delta.audio];
            others.into_iter().any(|value| filled(value).is_some())
        });
        others || self.texts().iter().any(|(_, text)| text.is_some())
    }

    /// Its number and its text as it stands, when it shows that, goes on, and shows nothing else.
    pub(super) fn only_content(&self) -> Option<(u64, &str)> {
        let delta = self.delta.as_ref()?;
        let others = [
            delta.refusal,
            delta.tool_calls,
            delta.function_call,
            delta.audio,
            delta.reasoning_content,
            delta.reasoning,
            self.text,
        ];
        let alone = others.into_iter().all(|other| filled(other).is_none());
        let content = filled(delta.content)?;
        (alone && self.finish().is_none()).then_some((self.index(), content.0))
    }

    /// Notes the parts that a caller can see.
    pub(super) fn note(&self, transcript: &mut Transcript) {
        let index = self.index();
        for (kind, text) in self.texts() {
            if let Some(text) = text {
                transcript.note(index, kind, 0, text.0);
            }
        }
        if let Some(delta) = &self.delta {
            delta.note_calls(index, transcript);
        }
        if self.finish().is_some() {
            transcript.note_finish(index);
        }
    }
}

impl Delta<'_> {
    fn note_calls(&self, index: u64, transcript: &mut Transcript) {
        if let Some(tools) = filled(self.tool_calls) {
            match serde_json::from_str::<Vec<ToolCall<'_>>>(tools.0) {
                Ok(calls) => calls.iter().for_each(|call| call.note(index, transcript)),
                Err(_) => transcript.note_incomparable(),
            }
        }
        if let Some(call) = filled(self.function_call) {
            match serde_json::from_str::<Called<'_>>(call.0) {
                Ok(call) => {
                    let (name, arguments) = ("function name", "function arguments");
                    note_all(
                        transcript,
                        index,
                        0,
                        [(name, call.name), (arguments, call.arguments)],
                    );
                }
                Err(_) => transcript.note_incomparable(),
            }
        }
        if filled(self.audio).is_some() {
            transcript.note_incomparable();
        }
    }
}

impl ToolCall<'_> {
    fn note(&self, choice: u64, transcript: &mut Transcript) {
        let at = self.index.unwrap_or(0);
        let [(_, name), (_, arguments), (_, custom), (_, input)] = TOOL_TEXTS;
        if let Some(call) = &self.function {
            note_all(transcript, choice, at, [(name, call.name), (arguments, call.arguments)]);
        }
        if let Some(call) = &self.custom {
            note_all(transcript, choice, at, [(custom, call.name), (input, call.input)]);
        }
    }
}

fn note_all<const N: usize>(
    transcript: &mut Transcript,
    index: u64,
    part: u64,
    texts: [(&str, Option<Raw<'_>>); N],
) {
    for (kind, text) in texts {
        if let Some(text) = text {
            transcript.note(index, kind, part, text.0);
        }
    }
}

/// An event of a typed stream.
#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient")]
    kind: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) sequence_number: Option<u64>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    output_index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    content_index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    summary_index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    item: Option<Item<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub(super) response: Option<Response<'a>>,
    /// Images and audio.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<UsageWire>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    call_id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    role: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<UsageWire>,
}

fn text<'t>(text: Option<&'t Text<'_>>) -> &'t str {
    text.map_or("", |text| text.0.as_ref())
}

impl Typed<'_> {
    /// The event's type; empty when it has none.
    pub(super) fn kind(&self) -> &str {
        text(self.kind.as_ref())
    }

    /// Notes what the event shows or builds.
    pub(super) fn note(&self, transcript: &mut Transcript) {
        if let Some(delta) = self.delta.filter(|delta| delta.get().starts_with('"')) {
            let index = |index: Option<u64>| index.unwrap_or(0);
            let part = index(self.content_index).max(index(self.summary_index));
            transcript.note(index(self.output_index), self.kind(), part, delta.get());
            return;
        }
        if let Some(id) = self.response.as_ref().and_then(|response| response.id.as_ref()) {
            transcript.note_item_id("response".to_string(), &id.0);
        }
        let item = self.item.as_ref();
        if let (Some(item), Some(output)) = (item, self.output_index) {
            for (member, id) in [("id", &item.id), ("call_id", &item.call_id)] {
                if let Some(id) = id {
                    transcript.note_item_id(item_place(output, member), &id.0);
                }
            }
        }
        transcript.note_shape(Shape {
            kind: self.kind().to_string(),
            output: self.output_index,
            part: self.content_index.or(self.summary_index),
            item: item.map_or_else(
                || item_words("", "", ""),
                |item| {
                    item_words(
                        text(item.kind.as_ref()),
                        text(item.role.as_ref()),
                        text(item.name.as_ref()),
                    )
                },
            ),
        });
    }
}

/// An event of an assistants' run.
#[derive(Deserialize)]
pub(super) struct Run<'a> {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<UsageWire>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) last_error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    delta: Option<MessageDelta<'a>>,
}

/// What a message of a thread grows by.
#[derive(Deserialize)]
struct MessageDelta<'a> {
    #[serde(borrow, default)]
    content: Few<MessagePart<'a>>,
}

#[derive(Deserialize)]
struct MessagePart<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    text: Option<MessageText<'a>>,
}

#[derive(Deserialize)]
struct MessageText<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl Run<'_> {
    /// Notes the text that a caller can see, so that its tokens can be counted.
    pub(super) fn note(&self, transcript: &mut Transcript) {
        for part in self.delta.iter().flat_map(|delta| delta.content.iter()) {
            if let Some(value) = part.text.as_ref().and_then(|text| text.value) {
                transcript.note(part.index, "value", 0, value.get());
            }
        }
    }
}

/// An `error` member that is there and neither null, false nor empty.
pub(super) fn is_error(error: Option<&str>) -> bool {
    error.is_some_and(|error| !matches!(error, "null" | "false" | "\"\"" | "{}"))
}
