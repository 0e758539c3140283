//! Rules between fields: what one part of a body asks of another. Only for the strict level.
//!
//! The body is known to be JSON when these run. A value of another type than its own is passed over:
//! the walk has told of it.

use alloc::format;
use alloc::string::String;

use super::say;
use super::walk::Walk;
use crate::wire::endpoint::{Endpoint, Group};
use crate::wire::json::{Reader, Str, Syntax, Type};

/// Most calls of one message that are followed; the tables allow no more.
const CALLS_MAX: usize = 128;

/// Notes what the parts of a body ask of each other in vain.
pub(super) fn check(endpoint: Endpoint, text: &str, walk: &mut Walk<'_>) {
    let result = match endpoint.group() {
        Group::Chat if mentions(text, b"tool_call") => chat_tools(text, walk),
        Group::Responses => responses(text, walk),
        Group::Chat
        | Group::Completions
        | Group::Embeddings
        | Group::Moderations
        | Group::Images
        | Group::Audio
        | Group::Threads
        | Group::Runs
        | Group::Files
        | Group::Batches
        | Group::Models
        | Group::Other => Ok(()),
    };
    // The walk has read the same text to its end.
    debug_assert!(result.is_ok(), "text that was JSON is JSON");
}

fn mentions(text: &str, needle: &[u8]) -> bool {
    memchr::memmem::find(text.as_bytes(), needle).is_some()
}

fn told(walk: &mut Walk<'_>, offset: usize, param: String, why: &str) {
    walk.add(offset, |_| say::between(param, why));
}

/// Each call of a tool is answered, and each answer has its call.
fn chat_tools(text: &str, walk: &mut Walk<'_>) -> Result<(), Syntax> {
    let mut reader = Reader::new(text);
    let Some(()) = enter(&mut reader, "messages", Type::Array)? else { return Ok(()) };
    let (mut first, mut index, mut open) = (true, 0_usize, Calls::default());
    while reader.item(&mut first)? {
        if reader.next_type()? == Type::Object {
            let message = Message::read(&mut reader)?;
            if message.role.is_some_and(|role| role.is("tool")) {
                answered(&mut open, &message, index, walk);
            } else {
                unanswered(&open, walk);
                open.begin(index);
                if let Some(at) = message.calls {
                    open.read(at)?;
                }
            }
        } else {
            reader.skip()?;
        }
        index += 1;
    }
    unanswered(&open, walk);
    Ok(())
}

fn answered(open: &mut Calls<'_>, message: &Message<'_>, index: usize, walk: &mut Walk<'_>) {
    let Some(id) = message.call_id else { return };
    let known = open
        .ids
        .iter()
        .take(open.count)
        .position(|call| call.is_some_and(|call| call.raw == id.raw));
    if let Some(place) = known {
        open.answered |= 1 << place;
        return;
    }
    let why = if open.count == 0 {
        "a tool message must follow an assistant message with 'tool_calls', and here is none before it. Put that \
         message in front, or remove this one."
    } else {
        "the assistant message before it has no call with this id. Use the id of one of its 'tool_calls'."
    };
    told(walk, id.at, format!("messages[{index}].tool_call_id"), why);
}

fn unanswered(open: &Calls<'_>, walk: &mut Walk<'_>) {
    for (place, id) in open.ids.iter().take(open.count).enumerate() {
        if let (Some(id), 0) = (id, open.answered & (1 << place)) {
            let param = format!("messages[{}].tool_calls[{place}].id", open.message);
            let why = "no tool message answers this call before the next message or the end. Add one with this id as \
                       its 'tool_call_id' right behind the assistant message.";
            told(walk, id.at, param, why);
        }
    }
}

/// The calls of one assistant message.
struct Calls<'a> {
    message: usize,
    ids: [Option<Str<'a>>; CALLS_MAX],
    count: usize,
    answered: u128,
}

impl Default for Calls<'_> {
    fn default() -> Self {
        Calls { message: 0, ids: [None; CALLS_MAX], count: 0, answered: 0 }
    }
}

impl<'a> Calls<'a> {
    /// Forgets the calls of the message before; the places beyond the count are never read.
    fn begin(&mut self, message: usize) {
        self.message = message;
        self.count = 0;
        self.answered = 0;
    }

    fn read(&mut self, mut reader: Reader<'a>) -> Result<(), Syntax> {
        if reader.next_type()? != Type::Array {
            return Ok(());
        }
        let mut first = true;
        while reader.item(&mut first)? {
            let id = string_field(&mut reader, "id")?;
            if let Some(place) = self.ids.get_mut(self.count) {
                *place = id;
                self.count += 1;
            }
        }
        Ok(())
    }
}

/// What a message says about tools.
#[derive(Default)]
struct Message<'a> {
    role: Option<Str<'a>>,
    call_id: Option<Str<'a>>,
    /// A reader that stands before `tool_calls`.
    calls: Option<Reader<'a>>,
}

impl<'a> Message<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Message<'a>, Syntax> {
        let (mut first, mut message) = (true, Message::default());
        while let Some(key) = reader.key(&mut first)? {
            let is_string = reader.next_type()? == Type::String;
            if key.is("role") && is_string {
                message.role = Some(reader.string()?);
            } else if key.is("tool_call_id") && is_string {
                message.call_id = Some(reader.string()?);
            } else {
                if key.is("tool_calls") {
                    message.calls = Some(reader.clone());
                }
                reader.skip()?;
            }
        }
        Ok(message)
    }
}

/// A model is there unless a stored prompt brings it, and an item without a type is a message or a
/// reference.
fn responses(text: &str, walk: &mut Walk<'_>) -> Result<(), Syntax> {
    let mut reader = Reader::new(text);
    if reader.next_type()? != Type::Object {
        return Ok(());
    }
    let at = reader.offset();
    let (mut first, mut model, mut prompt, mut input) = (true, false, false, None);
    while let Some(key) = reader.key(&mut first)? {
        model |= key.is("model");
        prompt |= key.is("prompt");
        if key.is("input") {
            input = Some(reader.clone());
        }
        reader.skip()?;
    }
    let Some(input) = input else { return Ok(()) };
    if !model && !prompt {
        walk.add(at, |_| say::missing("model".into(), &super::schema::TEXT));
    }
    untyped_items(input, walk)
}

fn untyped_items(mut reader: Reader<'_>, walk: &mut Walk<'_>) -> Result<(), Syntax> {
    if reader.next_type()? != Type::Array {
        return Ok(());
    }
    let (mut first, mut index) = (true, 0_usize);
    while reader.item(&mut first)? {
        let at = reader.offset();
        let (mut typed, mut role, mut content, mut id) = (false, false, false, false);
        if reader.next_type()? == Type::Object {
            let mut first_key = true;
            while let Some(key) = reader.key(&mut first_key)? {
                typed |= key.is("type") && reader.next_type()? != Type::Null;
                role |= key.is("role");
                content |= key.is("content");
                id |= key.is("id");
                reader.skip()?;
            }
        } else {
            reader.skip()?;
            typed = true;
        }
        let reference = id && !role && !content;
        if !typed && !reference {
            for (there, name) in [(role, "role"), (content, "content")] {
                if !there {
                    walk.add(at, |_| {
                        say::missing(format!("input[{index}].{name}"), &super::schema::TEXT)
                    });
                }
            }
        }
        index += 1;
    }
    Ok(())
}

/// Moves to the value of a field of the body, if it is there and of this type.
fn enter(reader: &mut Reader<'_>, name: &str, wanted: Type) -> Result<Option<()>, Syntax> {
    if reader.next_type()? != Type::Object {
        return Ok(None);
    }
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key.is(name) {
            return Ok((reader.next_type()? == wanted).then_some(()));
        }
        reader.skip()?;
    }
    Ok(None)
}

/// Passes one value and gives the string under `name` if it is an object that has one.
fn string_field<'a>(reader: &mut Reader<'a>, name: &str) -> Result<Option<Str<'a>>, Syntax> {
    let mut found = None;
    if reader.next_type()? != Type::Object {
        reader.skip()?;
        return Ok(None);
    }
    let mut first = true;
    while let Some(key) = reader.key(&mut first)? {
        if key.is(name) && reader.next_type()? == Type::String {
            found = Some(reader.string()?);
        } else {
            reader.skip()?;
        }
    }
    Ok(found)
}
