//! Speech made of text, and text heard in speech; whole and as a stream.
//!
//! Source: OpenAI API description of 2026-08, audio and its stream events.

use crate::provider::answer::{Answer, Mark, Reel, Shape, TEXT};
use crate::provider::bill::Bill;
use crate::provider::encode::base64;
use crate::provider::request::{Call, Special};
use crate::provider::speech::Speech;
use serde_json::{Value, json};

/// Samples in a second of the speech.
const RATE: u32 = 8_000;
/// Samples of a spoken word: a hundredth of a second.
const WORD: usize = 80;

/// What is to be done with sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// A text is spoken, in this format.
    Spoken(String),
    /// A recording is written down, in this format.
    Heard {
        format: String,
        /// Into English, whatever was said.
        translated: bool,
    },
}

/// The answer to a call about sound.
pub(crate) fn answer(call: &Call, speech: &Speech) -> Answer {
    match (&call.special, call.stream) {
        (Special::Sound(Sound::Spoken(format)), false) => spoken(&call.ask.text, format),
        (Special::Sound(Sound::Spoken(_)), true) => spoken_stream(call),
        (Special::Sound(Sound::Heard { format, translated }), false) => {
            heard(call, speech, format, *translated)
        }
        (Special::Sound(Sound::Heard { .. }), true) => heard_stream(call, speech),
        _ => Answer::json(200, "{}".into()),
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count().max(1)
}

/// A sound WAV file (mono, 8 bits) for every format: its length follows from the text.
fn spoken(text: &str, format: &str) -> Answer {
    let content_type = match format {
        "wav" => "audio/wav",
        "opus" => "audio/opus",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "pcm" => "audio/pcm",
        _ => "audio/mpeg",
    };
    Answer::bytes(200, content_type, wav(words(text) * WORD).into())
}

/// A triangle wave of so many samples in a WAV file.
fn wav(samples: usize) -> Vec<u8> {
    let length = u32::try_from(samples).unwrap_or(u32::MAX - 36);
    let mut file = Vec::with_capacity(44 + samples);
    file.extend(b"RIFF");
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    // PCM, one channel; bytes in a second; bytes and bits of a sample.
    file.extend([1, 0, 1, 0]);
    file.extend(RATE.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend([1, 0, 8, 0]);
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend((0..samples).map(|at| u8::try_from(at % 32 * 8).unwrap_or(0)));
    file
}

/// Whether what was heard is billed by its length: always of the older model, and where the answer has
/// the times of what was said.
fn is_timed(call: &Call, format: &str) -> bool {
    let has_times = matches!(format, "verbose_json" | "diarized_json");
    !call.stream && (call.model.starts_with("whisper") || has_times)
}

/// The vendor's bill for an answer about sound.
pub(crate) fn bill(call: &Call, sound: &Sound, speech: &Speech) -> Bill {
    let one = Bill { answers: 1, ..Bill::default() };
    match sound {
        Sound::Spoken(_) => Bill { characters: call.ask.text.chars().count() as u64, ..one },
        Sound::Heard { format, .. } if is_timed(call, format) => {
            Bill { sound_ms: 1_000 * speech.len() as u64, ..one }
        }
        Sound::Heard { .. } => {
            let output_tokens = speech.len() as u64;
            Bill { input_tokens: call.prompt_tokens, output_tokens, ..one }
        }
    }
}

fn usage(call: &Call, output: u64) -> Value {
    json!({
        "input_tokens": call.prompt_tokens, "output_tokens": output,
        "total_tokens": call.prompt_tokens + output,
    })
}

/// Writes typed events without names, as the audio endpoints do.
fn say(reel: &mut Reel, mark: Mark, data: &Value) {
    reel.event(mark, |out| out.extend(["data: ", &data.to_string(), "\n\n"]));
}

fn spoken_stream(call: &Call) -> Answer {
    let mut reel = Reel::with_room(1_024);
    let sound = wav(words(&call.ask.text) * WORD);
    for piece in sound.chunks(WORD) {
        let event = json!({ "type": "speech.audio.delta", "audio": base64(piece) });
        say(&mut reel, Mark::Content, &event);
    }
    let output = words(&call.ask.text) as u64;
    let done = json!({ "type": "speech.audio.done", "usage": usage(call, output) });
    say(&mut reel, Mark::Done, &done);
    Answer::stream(Shape::Media, reel.finish())
}

fn heard(call: &Call, speech: &Speech, format: &str, translated: bool) -> Answer {
    let text = speech.text.as_str();
    let seconds = speech.len() as f64;
    match format {
        "text" => Answer::bytes(200, TEXT, format!("{text}\n").into()),
        "srt" => {
            let lines = format!("1\n00:00:00,000 --> {}\n{text}\n\n", stamp(speech.len(), ','));
            Answer::bytes(200, TEXT, lines.into())
        }
        "vtt" => {
            let lines =
                format!("WEBVTT\n\n00:00:00.000 --> {}\n{text}\n\n", stamp(speech.len(), '.'));
            Answer::bytes(200, TEXT, lines.into())
        }
        "verbose_json" => Answer::told(verbose(text, seconds, translated)),
        "diarized_json" => {
            let segment = json!({
                "type": "transcript.text.segment", "id": "seg_1", "start": 0.0, "end": seconds,
                "speaker": "A", "text": text,
            });
            Answer::told(json!({
                "task": "transcribe", "duration": seconds, "text": text, "segments": [segment],
                "usage": { "type": "duration", "seconds": seconds },
            }))
        }
        _ if translated => Answer::told(json!({ "text": text })),
        _ if is_timed(call, format) => Answer::told(json!({
            "text": text, "usage": { "type": "duration", "seconds": seconds },
        })),
        _ => {
            let mut used = usage(call, speech.len() as u64);
            used["type"] = "tokens".into();
            used["input_token_details"] =
                json!({ "text_tokens": 0, "audio_tokens": call.prompt_tokens });
            Answer::told(json!({ "text": text, "usage": used }))
        }
    }
}

/// One second a word.
fn stamp(seconds: usize, point: char) -> String {
    format!("{:02}:{:02}:{:02}{point}000", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn verbose(text: &str, seconds: f64, translated: bool) -> Value {
    let segment = json!({
        "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [1, 2, 3],
        "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.01,
    });
    let mut told = json!({
        "task": if translated { "translate" } else { "transcribe" }, "language": "english",
        "duration": seconds, "text": text, "segments": [segment],
    });
    if !translated {
        told["usage"] = json!({ "type": "duration", "seconds": seconds });
    }
    told
}

fn heard_stream(call: &Call, speech: &Speech) -> Answer {
    let mut reel = Reel::with_room(1_024);
    for token in speech.tokens() {
        let event = json!({ "type": "transcript.text.delta", "delta": token });
        say(&mut reel, Mark::Content, &event);
    }
    let mut used = usage(call, speech.len() as u64);
    used["type"] = "tokens".into();
    used["input_token_details"] = json!({ "text_tokens": 0, "audio_tokens": call.prompt_tokens });
    let done = json!({ "type": "transcript.text.done", "text": speech.text, "usage": used });
    say(&mut reel, Mark::Done, &done);
    Answer::stream(Shape::Media, reel.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_file_tells_its_own_length() {
        let file = wav(160);
        assert_eq!(file.len(), 44 + 160);
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(file[40..44], 160_u32.to_le_bytes());
        assert_eq!(stamp(3_725, ','), "01:02:05,000");
    }
}
