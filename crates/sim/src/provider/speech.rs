//! What the simulator says: an answer that follows from the request alone.
//!
//! The text is `Heard 12 bytes: w4 w5 … w16`: the size of the last user message, then words numbered
//! by their place, so that a gap, a repetition or a cut in a stream shows. One word is one token.
//! A request sent to two simulators gets the same text from both.

use crate::provider::request::{Ask, Call, Special, Task};

/// Text cut into tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Speech {
    /// The whole text.
    pub(crate) text: String,
    ends: Vec<usize>,
    /// Whether the limit on tokens cut it.
    pub(crate) cut: bool,
}

impl Speech {
    /// The tokens, in order; together they are the text.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }

    /// How many tokens it has.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Why the answer ended, in the words of the chat API.
    pub(crate) fn finish_reason(&self) -> &'static str {
        if self.cut { "length" } else { "stop" }
    }
}

/// What a scenario says about answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Words in an answer when the request does not ask for a number.
    pub(crate) words: usize,
    /// A text to answer with, in place of the numbered words.
    pub(crate) text: Option<String>,
    /// What becomes of a chat that ends with the assistant's own words.
    pub(crate) prefill: Prefill,
}

/// What becomes of a chat that ends with the assistant's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Prefill {
    /// A new answer from its start, as the vendor's models give.
    #[default]
    Ignore,
    /// The answer goes on from there.
    Continue,
    /// Refused with 400.
    Refuse,
}

/// Says the answer to a call.
pub(crate) fn speak(call: &Call, manner: &Manner) -> Speech {
    let limit = call.max_tokens.map_or(usize::MAX, |max| max as usize);
    if let (Special::Partial(partial), Prefill::Continue) = (&call.special, manner.prefill) {
        let unlimited = Call { max_tokens: None, special: Special::None, ..call.clone() };
        return gone_on(&speak(&unlimited, manner), partial, limit);
    }
    match (&call.task, &manner.text) {
        (Task::Text, Some(text)) => cut_at_words(text, limit),
        (Task::Text, None) => {
            numbered(call.ask.heard, words_asked_for(&call.ask).unwrap_or(manner.words), limit)
        }
        (Task::Json(json), _) => cut_at_bytes(json, limit),
        (Task::Tool { arguments, .. }, _) => cut_at_bytes(arguments, usize::MAX),
    }
}

/// What follows `partial` in a text; all of it when it does not begin so.
fn gone_on(whole: &Speech, partial: &str, limit: usize) -> Speech {
    let from = if whole.text.starts_with(partial) { partial.len() } else { 0 };
    let ends = whole.ends.iter().filter(|end| **end > from).map(|end| end - from);
    keep(&whole.text[from..], ends, limit)
}

/// The most words a request may ask for.
pub(crate) const WORDS_MAX: usize = 100_000;

/// Reads "in 40 words" in the last user message.
fn words_asked_for(ask: &Ask) -> Option<usize> {
    let before = ask.text.strip_suffix('.').unwrap_or(&ask.text).strip_suffix(" words")?;
    let number = before.rsplit(' ').next()?;
    before.strip_suffix(number)?.strip_suffix("in ")?;
    number.parse().ok().filter(|words| (1..=WORDS_MAX).contains(words))
}

fn numbered(heard: usize, words: usize, limit: usize) -> Speech {
    use std::fmt::Write as _;
    let said = words.min(limit);
    let mut speech = Speech {
        text: String::with_capacity(16 + said * 5),
        ends: Vec::with_capacity(said),
        cut: limit < words,
    };
    for place in 1..=said {
        let written = match place {
            1 => write!(speech.text, "Heard"),
            2 => write!(speech.text, " {heard}"),
            3 => write!(speech.text, " bytes:"),
            _ => write!(speech.text, " w{place}"),
        };
        written.expect("writing to a string cannot fail");
        speech.ends.push(speech.text.len());
    }
    speech
}

fn cut_at_words(text: &str, limit: usize) -> Speech {
    let spaces = text.match_indices(' ').map(|(at, _)| at).filter(|&at| at > 0);
    keep(text, spaces.chain([text.len()]), limit)
}

fn cut_at_bytes(text: &str, limit: usize) -> Speech {
    let every_fourth = text.char_indices().map(|(at, _)| at).step_by(4).skip(1);
    keep(text, every_fourth.chain([text.len()]), limit)
}

fn keep(text: &str, ends: impl Iterator<Item = usize>, limit: usize) -> Speech {
    let mut ends: Vec<usize> = ends.collect();
    let cut = ends.len() > limit;
    ends.truncate(limit);
    let text = text[..ends.last().copied().unwrap_or(0)].to_owned();
    Speech { text, ends, cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(speech: &Speech, text: &str, tokens: usize, cut: bool) {
        assert_eq!(speech.text, text);
        assert_eq!(speech.len(), tokens);
        assert_eq!(speech.tokens().collect::<String>(), text);
        assert_eq!(speech.cut, cut);
    }

    #[test]
    fn answers_are_as_long_as_asked_and_never_longer_than_allowed() {
        check(&numbered(5, 6, usize::MAX), "Heard 5 bytes: w4 w5 w6", 6, false);
        check(&numbered(5, 6, 4), "Heard 5 bytes: w4", 4, true);
        check(&numbered(5, 6, 6), "Heard 5 bytes: w4 w5 w6", 6, false);
        check(&numbered(5, 6, 0), "", 0, true);
        check(&cut_at_words("一 二 三", 2), "一 二", 2, true);
        check(&cut_at_bytes("{\"a\":1}", 9), "{\"a\":1}", 2, false);
    }

    #[test]
    fn a_request_may_say_how_many_words_it_wants() {
        let asked = |text: &str| words_asked_for(&Ask { text: text.into(), heard: 0 });
        assert_eq!(asked("Tell me a story in 40 words"), Some(40));
        assert_eq!(asked("in 3 words."), Some(3));
        assert_eq!(asked("in 0 words"), None);
        assert_eq!(asked("these are words"), None);
        assert_eq!(asked("in 999999999 words"), None);
    }
    #[test]
    fn a_text_goes_on_from_any_place_within_it() {
        let whole = numbered(5, 6, usize::MAX);
        check(&gone_on(&whole, "Heard 5 by", usize::MAX), "tes: w4 w5 w6", 4, false);
        check(&gone_on(&whole, "Heard 5 bytes:", 2), " w4 w5", 2, true);
        check(&gone_on(&whole, "else", usize::MAX), "Heard 5 bytes: w4 w5 w6", 6, false);
        check(&gone_on(&whole, "Heard 5 bytes: w4 w5 w6", 9), "", 0, false);
    }
}
