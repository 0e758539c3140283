//! Callers of gateways, over connections that are kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::process::{Gateway, TOKEN};

const CHAT: &str =
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;

impl Gateway {
    /// A number on its page of metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut caller = Caller::to(self.admin);
        let head = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        let (_, _, body) = caller.ask(&head);
        let line = body
            .lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

/// A connection that is kept.
pub(crate) struct Caller(BufReader<TcpStream>);

impl Caller {
    pub(crate) fn to(port: u16) -> Caller {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Caller(BufReader::new(stream))
    }

    /// The status, the head and the body of the answer.
    pub(crate) fn ask(&mut self, request: &str) -> (u16, String, String) {
        self.0.get_mut().write_all(request.as_bytes()).expect("it reads");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).expect("a line") > 0, "it hung up: {head}");
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.expect("a length")];
        self.0.read_exact(&mut body).expect("the body");
        (status, head, String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) fn chat(&mut self, key: &str) -> (u16, String, String) {
        let length = CHAT.len();
        self.ask(&format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{CHAT}"
        ))
    }
}
