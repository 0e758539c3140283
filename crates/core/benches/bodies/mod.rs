//! The chats that bounds are stated for: 21 KB of 50 messages and 20 tools, and 1 KB.

use serde_json::Value;

const PROSE: &str =
    "The boat left at dawn, and nobody asked where it was going; \"north\", said the pilot.\n";

/// Keys in the order in which people and SDKs write them.
fn chat(messages: usize, tools: usize, text: usize) -> Vec<u8> {
    let said = Value::from(PROSE.repeat(text));
    let messages: Vec<String> = (0..messages)
        .map(|i| match i % 4 {
            _ if i % 4 == 0 || i + 1 == messages => format!(r#"{{"role":"user","content":{said}}}"#),
            1 => format!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_{i}","type":"function","function":{{"name":"look_up","arguments":"{{\"word\":\"boat\"}}"}}}}]}}"#
            ),
            2 => format!(r#"{{"role":"tool","tool_call_id":"call_{}","content":"a vessel"}}"#, i - 1),
            _ => format!(r#"{{"role":"assistant","content":[{{"type":"text","text":{said}}}]}}"#),
        })
        .collect();
    let tools: Vec<String> = (0..tools)
        .map(|i| {
            format!(
                r#"{{"type":"function","function":{{"name":"tool_{i}","description":"Looks up one word.","parameters":{{"type":"object","properties":{{"word":{{"type":"string"}},"n":{{"type":"integer"}}}},"required":["word"],"additionalProperties":false}}}}}}"#
            )
        })
        .collect();
    let tools =
        if tools.is_empty() { String::new() } else { format!(r#","tools":[{}]"#, tools.join(",")) };
    let messages = messages.join(",");
    format!(r#"{{"model":"gpt-4o","messages":[{messages}],"temperature":0.5,"stream":true,"max_tokens":500{tools}}}"#)
        .into_bytes()
}

/// 50 messages, calls of tools and their answers among them, and 20 tools.
pub(crate) fn large() -> Vec<u8> {
    let body = chat(50, 20, 6);
    assert!((20_500..22_500).contains(&body.len()), "{} bytes", body.len());
    body
}

/// One message.
pub(crate) fn small() -> Vec<u8> {
    let body = chat(1, 0, 10);
    assert!((900..1_100).contains(&body.len()), "{} bytes", body.len());
    body
}
