//! What of a stream was delivered, kept small: the text itself, and where in the answer it stands.
//!
//! Text is kept as the escaped JSON it came in (no decoding while all is well), one run for as long
//! as the same place of the answer goes on; so a transcript is about as large as the delivered
//! text. [`super::verify::Verifier`] holds a second telling against it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most bytes kept of one stream; a longer one cannot be recovered.
pub const TRANSCRIPT_MAX: usize = 4 << 20;
/// Most places of one answer; one with more cannot be recovered.
const CHANNELS_MAX: usize = 1024;
/// Most structural events kept.
const SHAPES_MAX: usize = 4096;

/// Where in an answer a stretch of text stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Channel {
    /// The choice, or the output item.
    pub(super) index: u64,
    /// The member or the type of the event.
    pub(super) kind: String,
    /// The tool call within a choice, or the content part within an item.
    pub(super) part: u64,
}

/// A structural event of typed streams, as far as two tellings can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) kind: String,
    pub(super) output: Option<u64>,
    pub(super) part: Option<u64>,
    /// Type, role and name of the item it introduces.
    pub(super) item: String,
}

/// What was delivered of one stream.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Escaped text of all runs, without quotes.
    pieces: Vec<u8>,
    /// Channel and start of each run.
    runs: Vec<(u16, u32)>,
    channels: Vec<Channel>,
    /// Choices whose end was told.
    pub(super) finished: Vec<u64>,
    pub(super) shapes: Vec<Shape>,
    /// Ids by their place in the answer.
    pub(super) ids: Vec<(String, String)>,
    pub(super) id: Option<String>,
    hopeless: bool,
}

impl Transcript {
    /// The stream's id, from its first event.
    pub(super) fn note_id(&mut self, id: &str) {
        if self.id.is_none() {
            self.id = Some(id.to_string());
        }
    }

    /// A piece of text; `raw` is the JSON string with its quotes. What is no string cannot be
    /// compared with a second telling.
    pub(super) fn note(&mut self, index: u64, kind: &str, part: u64, raw: &str) {
        if raw == "null" || raw == "\"\"" {
            return;
        }
        let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        let Some(text) = text else {
            self.hopeless = true;
            return;
        };
        if self.hopeless || self.pieces.len() + text.len() > TRANSCRIPT_MAX {
            self.hopeless = true;
            return;
        }
        let last = self.runs.last().map(|(channel, _)| *channel);
        let goes_on = last
            .and_then(|channel| self.channels.get(usize::from(channel)))
            .is_some_and(|last| last.index == index && last.part == part && last.kind == kind);
        if !goes_on {
            let Some(channel) = self.channel(index, kind, part) else {
                self.hopeless = true;
                return;
            };
            let start = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
            self.runs.push((channel, start));
        }
        self.pieces.extend_from_slice(text.as_bytes());
    }

    fn channel(&mut self, index: u64, kind: &str, part: u64) -> Option<u16> {
        let same = |c: &Channel| c.index == index && c.part == part && c.kind == kind;
        let at = self.channels.iter().position(same).unwrap_or(self.channels.len());
        if at == self.channels.len() {
            if at >= CHANNELS_MAX {
                return None;
            }
            self.channels.push(Channel { index, kind: kind.to_string(), part });
        }
        u16::try_from(at).ok()
    }

    /// Content of a kind that two tellings cannot be compared in (audio).
    pub(super) fn note_incomparable(&mut self) {
        self.hopeless = true;
    }

    /// A choice's end.
    pub(super) fn note_finish(&mut self, index: u64) {
        if !self.finished.contains(&index) {
            self.finished.push(index);
        }
    }

    /// A structural event of a typed stream.
    pub(super) fn note_shape(&mut self, shape: Shape) {
        if self.shapes.len() >= SHAPES_MAX {
            self.hopeless = true;
            return;
        }
        self.shapes.push(shape);
    }

    /// An id that an event introduces at a place of the answer.
    pub(super) fn note_item_id(&mut self, place: String, id: &str) {
        if self.ids.len() < SHAPES_MAX && !self.ids.iter().any(|(known, _)| *known == place) {
            self.ids.push((place, id.to_string()));
        }
    }

    /// Whether a second telling can be held against it.
    pub fn is_comparable(&self) -> bool {
        !self.hopeless
    }

    /// The delivered text, as escaped JSON: what its tokens are counted from.
    pub fn text(&self) -> &[u8] {
        &self.pieces
    }

    /// The text, when there is nothing but the text of one chat choice that has not ended.
    pub(super) fn plain_text(&self) -> Option<String> {
        let plain = |c: &Channel| c.index == 0 && c.part == 0 && c.kind == "content";
        let all = self.finished.is_empty() && self.channels.iter().all(plain);
        if self.hopeless || !all || self.runs.len() > 1 {
            return None;
        }
        decode(&self.pieces)
    }

    /// Bytes of memory it keeps for text and its places.
    pub fn bytes(&self) -> usize {
        self.pieces.capacity() + self.runs.capacity() * size_of::<(u16, u32)>()
    }

    /// Each run: where it stands, and its text decoded; `None` when it cannot be.
    pub(super) fn runs(&self) -> impl Iterator<Item = (&Channel, Option<String>)> {
        self.runs.iter().enumerate().filter_map(|(at, (channel, start))| {
            let end = self.runs.get(at + 1).map_or(self.pieces.len(), |(_, next)| *next as usize);
            let raw = self.pieces.get(*start as usize..end)?;
            Some((self.channels.get(usize::from(*channel))?, decode(raw)))
        })
    }
}

/// The text behind escaped JSON without its quotes.
fn decode(raw: &[u8]) -> Option<String> {
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_about_as_large_as_the_text_however_small_its_pieces() {
        let mut transcript = Transcript::default();
        for _ in 0..10_000 {
            transcript.note(0, "content", 0, "\"abcd\"");
        }
        assert_eq!(transcript.text().len(), 40_000);
        assert!(transcript.bytes() < 2 * 40_000 + 256, "{} bytes", transcript.bytes());
    }

    #[test]
    fn runs_of_one_place_are_one_text_and_pairs_of_escapes_may_be_cut_in_two() {
        let mut transcript = Transcript::default();
        transcript.note(0, "content", 0, r#""a\ud83d""#);
        transcript.note(0, "content", 0, r#""\ude00b""#);
        transcript.note(1, "content", 0, r#""c""#);
        let runs: Vec<_> = transcript.runs().map(|(c, text)| (c.index, text.unwrap())).collect();
        assert_eq!(runs, [(0, "a😀b".to_string()), (1, "c".to_string())]);
    }

    #[test]
    fn what_is_no_text_cannot_be_compared() {
        let mut transcript = Transcript::default();
        transcript.note(0, "content", 0, "null");
        assert!(transcript.is_comparable());
        transcript.note(0, "content", 0, "[{}]");
        assert!(!transcript.is_comparable());
    }
}
