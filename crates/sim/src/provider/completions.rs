//! `POST /v1/completions`: the legacy endpoint, whole and as a stream.
//!
//! Source: OpenAI API description of 2026-08, completions.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::chat::{CREATED, usage};
use crate::provider::encode::quoted;
use crate::provider::request::{Call, Special};
use crate::provider::speech::Speech;
use std::fmt::Write as _;

fn usage_json(call: &Call, speech: &Speech) -> String {
    let (prompt, answer, total) = usage(call, speech);
    format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{answer},"total_tokens":{total}}}"#)
}

fn head(call: &Call, number: u64) -> String {
    format!(
        r#"{{"id":"cmpl-sim{number:08}","object":"text_completion","created":{CREATED},"model":{},"system_fingerprint":"fp_sim","choices":["#,
        quoted(&call.model)
    )
}

fn echo(call: &Call) -> &str {
    match &call.special {
        Special::Echo(Some(prompt)) => prompt,
        Special::Echo(None)
        | Special::None
        | Special::Partial(_)
        | Special::Run(_)
        | Special::Vectors { .. }
        | Special::Judged(_)
        | Special::Pictures(_)
        | Special::Sound(_)
        | Special::Repeat(_) => "",
    }
}

/// The whole answer.
pub(crate) fn whole(call: &Call, speech: &Speech, number: u64) -> Answer {
    let text = quoted(&format!("{}{}", echo(call), speech.text));
    let finish = speech.finish_reason();
    let choice = |index| {
        format!(r#"{{"text":{text},"index":{index},"logprobs":null,"finish_reason":"{finish}"}}"#)
    };
    let choices: Vec<String> = (0..call.n).map(choice).collect();
    let body = format!(
        "{}{}],\"usage\":{}}}",
        head(call, number),
        choices.join(","),
        usage_json(call, speech)
    );
    Answer::json(200, body)
}

/// The same answer as a stream.
pub(crate) fn stream(call: &Call, speech: &Speech, number: u64) -> Answer {
    let head = head(call, number);
    let mut reel = Reel::with_room((speech.len() * call.n as usize + 4) * (head.len() + 80));
    let mut chunk = |mark, index: u32, text: &str, finish: &str| {
        let text = quoted(text);
        reel.event(mark, |out| {
            write!(
                out,
                "data: {head}{{\"text\":{text},\"index\":{index},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
            )
            .expect("writing to a string cannot fail");
        });
    };
    if !echo(call).is_empty() {
        (0..call.n).for_each(|index| chunk(Mark::Content, index, echo(call), "null"));
    }
    for token in speech.tokens() {
        (0..call.n).for_each(|index| chunk(Mark::Content, index, token, "null"));
    }
    let finish = format!("\"{}\"", speech.finish_reason());
    (0..call.n).for_each(|index| chunk(Mark::Finish, index, "", &finish));
    if call.include_usage {
        let usage = usage_json(call, speech);
        reel.event(Mark::Usage, |out| {
            write!(out, "data: {head}],\"usage\":{usage}}}\n\n")
                .expect("writing to a string cannot fail");
        });
    }
    reel.event(Mark::Done, |out| out.push_str("data: [DONE]\n\n"));
    Answer::stream(Shape::Chat, reel.finish())
}
