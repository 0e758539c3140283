//! `POST /v1/chat/completions`: the answer whole, and as a stream.
//!
//! Source: OpenAI API description of 2026-08, chat completions. A stream opens with `delta.role`, and
//! each choice ends with a finish reason: the helpers of the official SDKs insist on both.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::encode::quoted;
use crate::provider::request::{Call, Task};
use crate::provider::speech::Speech;
use std::fmt::Write as _;

/// The time every answer claims to be made at, in seconds since 1970: answers depend on the request alone.
pub(crate) const CREATED: u64 = 1_790_000_000;

/// The id that an answer has.
pub(crate) fn id(number: u64) -> String {
    format!("chatcmpl-sim{number:08}")
}

/// Tokens used: prompt, answer, both.
pub(crate) fn usage(call: &Call, speech: &Speech) -> (u64, u64, u64) {
    let answer = speech.len() as u64 * u64::from(call.n);
    (call.prompt_tokens, answer, call.prompt_tokens + answer)
}

fn usage_json(call: &Call, speech: &Speech) -> String {
    let (prompt, answer, total) = usage(call, speech);
    format!(
        r#"{{"prompt_tokens":{prompt},"completion_tokens":{answer},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
    )
}

/// The id a tool call has.
pub(crate) fn tool_call_id(number: u64) -> String {
    format!("call_sim{number:08}")
}

/// The whole answer.
pub(crate) fn whole(call: &Call, speech: &Speech, number: u64) -> Answer {
    let mut body = format!(
        r#"{{"id":"chatcmpl-sim{number:08}","object":"chat.completion","created":{CREATED},"model":{},"choices":["#,
        quoted(&call.model)
    );
    let (message, finish) = match &call.task {
        Task::Text | Task::Json(_) => {
            let content = quoted(&speech.text);
            (
                format!(r#""content":{content},"refusal":null,"annotations":[]"#),
                speech.finish_reason(),
            )
        }
        Task::Tool { name, arguments } => {
            let call = format!(
                r#"{{"id":"{}","type":"function","function":{{"name":{},"arguments":{}}}}}"#,
                tool_call_id(number),
                quoted(name),
                quoted(arguments)
            );
            (
                format!(r#""content":null,"tool_calls":[{call}],"refusal":null,"annotations":[]"#),
                "tool_calls",
            )
        }
    };
    for index in 0..call.n {
        let comma = if index == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"index":{index},"message":{{"role":"assistant",{message}}},"logprobs":null,"finish_reason":"{finish}"}}"#
        )
        .expect("writing to a string cannot fail");
    }
    write!(
        body,
        r#"],"usage":{},"service_tier":"default","system_fingerprint":"fp_sim"}}"#,
        usage_json(call, speech)
    )
    .expect("writing to a string cannot fail");
    Answer { shape: Shape::Plain, ..Answer::json(200, body) }
}

/// The same answer as a stream.
pub(crate) fn stream(call: &Call, speech: &Speech, number: u64) -> Answer {
    let head = format!(
        r#"data: {{"id":"chatcmpl-sim{number:08}","object":"chat.completion.chunk","created":{CREATED},"model":{},"service_tier":"default","system_fingerprint":"fp_sim","choices":["#,
        quoted(&call.model)
    );
    let tail = if call.include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" };
    let mut reel = Reel::with_room((speech.len() * call.n as usize + 4) * (head.len() + 96));
    let mut chunk = |mark, index: u32, delta: std::fmt::Arguments<'_>, finish: &str| {
        reel.event(mark, |out| {
            write!(
                out,
                r#"{head}{{"index":{index},"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}{tail}"#
            )
            .expect("writing to a string cannot fail");
        });
    };
    let finish = match &call.task {
        Task::Text | Task::Json(_) => format!("\"{}\"", speech.finish_reason()),
        Task::Tool { .. } => "\"tool_calls\"".into(),
    };
    for index in 0..call.n {
        match &call.task {
            Task::Text | Task::Json(_) => {
                let role = format_args!(r#""role":"assistant","content":"","refusal":null"#);
                chunk(Mark::Open, index, role, "null");
            }
            Task::Tool { name, .. } => {
                let (id, name) = (tool_call_id(number), quoted(name));
                let opening = format_args!(
                    r#""role":"assistant","content":null,"tool_calls":[{{"index":0,"id":"{id}","type":"function","function":{{"name":{name},"arguments":""}}}}],"refusal":null"#
                );
                chunk(Mark::Open, index, opening, "null");
            }
        }
    }
    for token in speech.tokens().map(quoted) {
        for index in 0..call.n {
            match &call.task {
                Task::Text | Task::Json(_) => {
                    chunk(Mark::Content, index, format_args!(r#""content":{token}"#), "null");
                }
                Task::Tool { .. } => {
                    let part = format_args!(
                        r#""tool_calls":[{{"index":0,"function":{{"arguments":{token}}}}}]"#
                    );
                    chunk(Mark::Content, index, part, "null");
                }
            }
        }
    }
    for index in 0..call.n {
        chunk(Mark::Finish, index, format_args!(""), &finish);
    }
    if call.include_usage {
        let usage = usage_json(call, speech);
        reel.event(Mark::Usage, |out| {
            write!(out, "{head}],\"usage\":{usage}}}\n\n")
                .expect("writing to a string cannot fail");
        });
    }
    reel.event(Mark::Done, |out| out.push_str("data: [DONE]\n\n"));
    Answer::stream(Shape::Chat, reel.finish())
}
