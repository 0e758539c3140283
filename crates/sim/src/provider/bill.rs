//! What a vendor would bill for an answer: counted from what was asked and what is said, never read from
//! the answer, so that whoever reads answers can be held against it.

use crate::provider::request::{Api, Call, Special};
use crate::provider::speech::Speech;
use crate::provider::{audio, chat};
use serde::Serialize;

/// Quantities that were billed; what they cost is the price list's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Bill {
    /// Answers that cost something.
    pub(crate) answers: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Pictures.
    pub(crate) images: u64,
    /// Milliseconds of sound that was heard, where it is billed by time.
    pub(crate) sound_ms: u64,
    /// Characters that were spoken.
    pub(crate) characters: u64,
}

impl Bill {
    /// Adds another.
    pub(crate) fn add(&mut self, other: &Bill) {
        self.answers += other.answers;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.images += other.images;
        self.sound_ms += other.sound_ms;
        self.characters += other.characters;
    }
}

/// The bill for a sound answer, should it be sent to its end. A run is billed by nobody here: its work
/// goes on after the answer.
pub(crate) fn of(api: Api, call: &Call, speech: &Speech) -> Bill {
    let tokens = |input, output| Bill {
        answers: 1,
        input_tokens: input,
        output_tokens: output,
        ..Bill::default()
    };
    match api {
        Api::Chat | Api::Completions => {
            let (input, output, _) = chat::usage(call, speech);
            tokens(input, output)
        }
        Api::Responses => tokens(call.prompt_tokens, speech.len() as u64),
        Api::Embeddings => tokens(call.prompt_tokens, 0),
        Api::Images | Api::ImageEdits | Api::ImageVariations => {
            let images = u64::from(call.n);
            Bill { images, ..tokens(call.prompt_tokens, 100 * images) }
        }
        Api::Speech | Api::Transcriptions | Api::Translations => {
            let Special::Sound(sound) = &call.special else { return Bill::default() };
            audio::bill(call, sound, speech)
        }
        Api::Runs | Api::Moderations | Api::Stored(_) => Bill::default(),
    }
}
