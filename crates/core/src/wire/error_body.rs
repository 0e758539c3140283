//! Reads what an error answer says, in any of the shapes that providers send.
//!
//! Shapes: an `error` object, string or array; a flat object; FastAPI's `detail` (text or list);
//! JSON inside a string; Python text of a dictionary; pages of HTML; plain text; nothing; and any
//! of these cut short. Only the first [`BODY_MAX`] bytes are looked at, nesting is bounded, and
//! no input panics. What is kept are names, messages and delays, never the rest of the body.

mod gather;
mod html;
mod scan;
mod sse;

use crate::words::Words;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::Value;

pub(crate) use sse::{Ending, read_stream};

/// Most bytes of a body that are looked at.
pub const BODY_MAX: usize = 64 * 1024;
/// Most messages and names kept of one body.
const KEPT_MAX: usize = 48;

/// How a body looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Nothing, or white space.
    #[default]
    Empty,
    /// JSON that could be read to its end.
    Json,
    /// Begins like JSON and cannot be read to its end.
    BrokenJson,
    /// A web page.
    Html,
    /// Anything else.
    Text,
}

/// What an error body says.
#[derive(Clone, Debug, Default)]
pub struct ErrorBody {
    /// How the body looked.
    pub shape: Shape,
    /// The outermost `type`.
    pub r#type: Option<String>,
    /// The outermost `code`, numbers as text.
    pub code: Option<String>,
    /// The outermost `param`.
    pub param: Option<String>,
    /// The outermost message; for pages and plain text what a reader would see first.
    pub message: Option<String>,
    /// A request id in the body.
    pub request_id: Option<String>,
    /// An HTTP status that the body names: of all of them the innermost, nearest to the cause.
    pub status: Option<u16>,
    /// The longest delay in a field such as `retryDelay` or `resets_in_seconds`.
    pub delay: Option<Duration>,
    /// A point in time (since 1970) at which the limit is lifted.
    pub until: Option<Duration>,
    /// An object that can only be an error: `error`, `"object":"error"`, a non-zero status code
    /// of an envelope. Decides whether a 200 is sound.
    pub is_error: bool,
    /// Every type, code, status word, reason and exception name, outermost first.
    pub(crate) names: Vec<String>,
    /// Class names seen inside prose (`litellm.RateLimitError: …`): weaker than [`Self::names`].
    pub(crate) classes: Vec<String>,
    /// Every message, outermost first, for delays in prose.
    pub(crate) texts: Vec<String>,
    /// The words of all messages and quota names.
    pub(crate) words: Words,
}

impl ErrorBody {
    /// Reads a whole body that is not a stream.
    pub fn read(body: &[u8]) -> ErrorBody {
        let cut = body.len() > BODY_MAX;
        let head = body.get(..BODY_MAX).unwrap_or(body);
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut said = ErrorBody::default();
        match text.bytes().next() {
            None => return said,
            Some(b'{' | b'[' | b'"') => said.read_json(text, cut),
            Some(b'<') => {
                said.shape = Shape::Html;
                said.hear(&html::visible(text));
            }
            Some(_) => {
                said.shape = Shape::Text;
                said.prose(text, 0);
            }
        }
        said.finish();
        said
    }

    fn read_json(&mut self, text: &str, cut: bool) {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            self.shape = Shape::Json;
            self.gather(&value);
        } else {
            self.shape = if cut { Shape::Json } else { Shape::BrokenJson };
            self.scan(text);
            if self.texts.is_empty() {
                self.hear(text);
            }
        }
    }

    /// Takes what only follows from everything together: words and class names.
    pub(crate) fn finish(&mut self) {
        let texts = core::mem::take(&mut self.texts);
        for text in &texts {
            self.words.add(text);
            scan::class_names(text, &mut self.classes);
            if self.status.is_none() {
                self.status = scan::status_in_text(text);
            }
        }
        self.texts = texts;
        self.classes.truncate(KEPT_MAX);
    }

    /// Keeps a message; what looks like data inside it is read too.
    pub(crate) fn hear(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.texts.len() >= KEPT_MAX || self.texts.iter().any(|t| t == text) {
            return;
        }
        let kept = cut_at(text, crate::failure::ProviderSaid::MESSAGE_MAX);
        if self.message.is_none() {
            self.message = Some(kept.into());
        }
        self.texts.push(kept.into());
    }

    /// Keeps a name from `type`, `code`, `status` and their like.
    pub(crate) fn name(&mut self, name: &str) {
        // AWS: "com.amazon.coral#ThrottlingException", "ThrottlingException:http://…".
        let name = name.split(':').next().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default().trim();
        if name.is_empty() || name.len() > 120 || self.names.len() >= KEPT_MAX {
            return;
        }
        if !self.names.iter().any(|kept| kept == name) {
            self.names.push(name.into());
        }
    }
}

/// The start of `text`, at most `most` bytes, cut at a character's edge.
pub(crate) fn cut_at(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
