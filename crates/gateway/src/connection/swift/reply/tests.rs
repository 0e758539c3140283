use std::task::Waker;

use http::HeaderValue;
use mainstay::Fields;

use super::*;
use crate::answer::rewritten;
use crate::headers::{ATTEMPTS, Made, REQUEST_ID};
use crate::settings::Expose;

/// What a caller gets of a whole answer, less its date.
fn told(response: Response<ReplyBody>, bodiless: bool, last: bool) -> String {
    let mut reply = Reply::new(response, Vec::new(), bodiless, last, UnixMillis(784_111_777_000));
    let mut out = Vec::new();
    let sent = reply.poll(
        &mut Sink(&mut out),
        &Cohort::default(),
        &mut Context::from_waker(Waker::noop()),
    );
    assert!(matches!(sent, Poll::Ready(Ok(()))), "{sent:?}");
    assert!(reply.into_memory().is_empty());
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n").count(), 1, "{text}");
    text.replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
}

/// Takes three bytes at a time.
struct Sink<'a>(&'a mut Vec<u8>);

impl AsyncWrite for Sink<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = buf.len().min(3);
        self.get_mut().0.extend_from_slice(&buf[..most]);
        Poll::Ready(Ok(most))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn answer(status: u16, body: Bytes) -> Response<ReplyBody> {
    Response::builder().status(status).header("x-a", "b").body(ReplyBody::whole(body)).unwrap()
}

#[test]
fn an_answer_states_its_length_and_whether_it_is_the_last() {
    let ok = "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!(told(answer(200, Bytes::from_static(b"ok")), false, false), ok);
    let last = "HTTP/1.1 404 Not Found\r\nx-a: b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(told(answer(404, Bytes::new()), false, true), last);
}

#[test]
fn an_answer_without_a_body_has_none() {
    let head = "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(told(answer(200, Bytes::from_static(b"ok")), true, false), head);
    let none = "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n";
    assert_eq!(told(answer(204, Bytes::new()), false, false), none);
}

#[test]
fn a_chunk_begins_with_its_size() {
    for size in [0, 1, 9, 10, 255, 4_096, 65_537, usize::MAX] {
        let mut line = Vec::new();
        push_size(&mut line, size);
        assert_eq!(line, format!("{size:x}\r\n").as_bytes());
    }
}

#[test]
fn a_large_body_arrives_as_it_is() {
    let body: Vec<u8> = (0..3 * COPIED).map(|at| b"abcdefg"[at % 7]).collect();
    let text = told(answer(200, Bytes::from(body.clone())), false, false);
    assert_eq!(text.split_once("\r\n\r\n").unwrap().1.as_bytes(), body);
}

/// An answer of a provider as it is before its headers are rewritten.
fn provided(headers: &[(&str, &str)], expose: Expose) -> Response<ReplyBody> {
    let (mut head, mut lines) = (String::new(), Vec::new());
    for (name, value) in headers {
        let start = head.len();
        let ends = [start, start + name.len(), start + name.len() + 2];
        head.extend([*name, ": ", *value, "\r\n"]);
        let line = [ends[0], ends[1], ends[2], head.len() - 2];
        lines.push(line.map(|at| u32::try_from(at).unwrap()));
    }
    let theirs = Fields::of_head(Bytes::from(head), lines);
    let mut made = Made::new();
    made.value(REQUEST_ID, &HeaderValue::from_static("req_ours"));
    made.number(ATTEMPTS, 1);
    let mut response = Response::new(ReplyBody::whole(Bytes::from_static(b"ok")));
    let rewrite = Rewrite { theirs, expose, made, length: Some(2) };
    response.body_mut().rewrite_later(rewrite);
    response
}

#[test]
fn headers_that_are_rewritten_as_they_leave_are_those_of_the_map() {
    let theirs = [
        ("content-type", "application/json"),
        ("content-length", "700"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-request-id", "req_theirs"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-ratelimit-reset-project-tokens", "1s"),
        ("set-cookie", "a=b"),
        ("openai-processing-ms", "12"),
        ("vary", "a"),
        ("vary", "b"),
        ("x-mainstay-kind", "forged"),
        ("access-control-allow-origin", "*"),
    ];
    for expose in [Expose::All, Expose::Minimal] {
        let lines = |response: Response<ReplyBody>| {
            let told = told(response, false, false);
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
            lines.sort();
            (lines, body.to_owned())
        };
        let at_once = lines(provided(&theirs, expose));
        assert_eq!(at_once, lines(rewritten(provided(&theirs, expose))));
        let has = |line: &str| at_once.0.iter().any(|one| one == line);
        assert!(has("x-request-id: req_ours") && has("content-length: 2") && has("vary: b"));
        assert_eq!(has("x-mainstay-upstream-request-id: req_theirs"), expose == Expose::All);
        assert!(!at_once.0.iter().any(|line| line.contains("forged") || line.contains("hop")));
    }
}

#[test]
fn a_date_of_the_provider_stays() {
    let response = Response::builder().header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    told(response.body(ReplyBody::whole(Bytes::new())).unwrap(), false, false);
}
