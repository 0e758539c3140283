//! A streamed call, straight and behind something that holds it back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::world::{answer, look, models, provider, request, server};

const EVENTS: &str = "content-type: text/event-stream\r\n";

/// An API that streams six pieces over 1.2 seconds.
fn streaming() -> SocketAddr {
    server(|mut stream| {
        while let Some(asked) = request(&mut stream) {
            if asked.starts_with("GET") {
                if stream.write_all(models("").as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            let limits =
                "x-ratelimit-limit-requests: 500\r\nx-ratelimit-remaining-requests: 499\r\n";
            let head =
                format!("HTTP/1.1 200 OK\r\n{EVENTS}{limits}transfer-encoding: chunked\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            for number in 1..=6 {
                std::thread::sleep(Duration::from_millis(200));
                let event = format!(
                    "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{number}\\n\"}},\"finish_reason\":null}}]}}\n\n"
                );
                let _ = chunk(&mut stream, &event);
            }
            let end = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            let _ = chunk(&mut stream, end);
            let _ = stream.write_all(b"0\r\n\r\n");
        }
    })
}

fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

/// A middlebox: it hands on what it got once it has all of it.
fn collecting(upstream: SocketAddr) -> SocketAddr {
    server(move |mut caller| {
        let Ok(mut up) = TcpStream::connect(upstream) else { return };
        up.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        while let Some(asked) = request(&mut caller) {
            let _ = up.write_all(asked.as_bytes());
            let (mut collected, mut buffer) = (Vec::new(), [0; 4096]);
            // A list of models, or a stream.
            let whole = |all: &[u8]| all.ends_with(b"]}") || all.ends_with(b"\r\n0\r\n\r\n");
            while !whole(&collected)
                && let Ok(read @ 1..) = up.read(&mut buffer)
            {
                collected.extend_from_slice(&buffer[..read]);
            }
            if caller.write_all(&collected).is_err() {
                return;
            }
        }
    })
}

fn with_a_call(address: SocketAddr) -> crate::world::Said {
    let config = provider(&format!("http://{address}/v1"), "");
    look(&config, &["--model", "gpt-4o", "--timeout", "20s"])
}

#[test]
fn a_stream_that_flows_is_told_with_the_limits_seen() {
    let mut said = with_a_call(streaming());
    // A machine that sees to nobody for as long as the stream takes is a middlebox, too.
    for _ in 0..2 {
        if said.of("stream").0 == "ok" {
            break;
        }
        said = with_a_call(streaming());
    }
    said.check("call", "ok", "`gpt-4o` answered");
    said.check("stream", "ok", "pieces within");
    said.check("limits", "ok", "499 of 500 requests left");
    assert_eq!(said.code, 0, "{said:#?}");
}

#[test]
fn a_middlebox_that_collects_a_stream_is_found() {
    let said = with_a_call(collecting(streaming()));
    said.check("call", "ok", "`gpt-4o` answered");
    said.check("stream", "warning", "all of it came at once");
    assert_eq!(said.code, 0, "{said:#?}");
}

#[test]
fn a_call_that_is_refused_is_explained() {
    let address = server(|mut stream| {
        while let Some(asked) = request(&mut stream) {
            let body = r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
            let json = "content-type: application/json\r\n";
            let refused = answer("429 Too Many Requests", json, body);
            let given = if asked.starts_with("GET") { models("") } else { refused };
            if stream.write_all(given.as_bytes()).is_err() {
                return;
            }
        }
    });
    let said = with_a_call(address);
    said.check("auth", "ok", "accepted");
    said.check("call", "failed", "insufficient_quota");
    said.check("stream", "skipped", "did not work");
    assert_eq!(said.code, 1);
}
