use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::mpsc::{Sender, channel};
use std::task::Waker;

use http::HeaderValue;
use http_body::Frame;
use mainstay::Fields;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::yield_now;

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

/// A stream's events as they come; what is done with them is told.
struct Events {
    name: &'static str,
    coming: mpsc::UnboundedReceiver<&'static str>,
    log: Sender<String>,
    /// Where something comes when this has "all".
    other: Option<mpsc::UnboundedSender<&'static str>>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = this.coming.poll_recv(cx);
        let what = match &next {
            Poll::Pending => "nothing",
            Poll::Ready(next) => next.unwrap_or("the end"),
        };
        this.log.send(format!("{} has {what}", this.name)).unwrap();
        if let (Some(other), "all") = (&this.other, what) {
            other.send("too").unwrap();
        }
        next.map(|next| next.map(|event| Ok(Frame::data(Bytes::from_static(event.as_bytes())))))
    }
}

/// Tells when a stream's bytes are written.
struct Told(&'static str, Sender<String>);

impl AsyncWrite for Told {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let text = String::from_utf8_lossy(buf).replace("\r\n", " ");
        self.1.send(format!("{} writes {text}", self.0)).unwrap();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whoever is written to is woken once for what is written in one go, and a body is not asked again
/// when nothing has woken it.
#[test]
fn events_that_came_together_are_written_one_right_behind_the_other() {
    let (log, told) = channel();
    Builder::new_current_thread().build().unwrap().block_on(async {
        let cohort = Cohort::default();
        tokio::spawn(cohort.clone().conduct());
        let mut other = None;
        let streams = ["a", "b"].map(|name| {
            let (events, coming) = mpsc::unbounded_channel();
            let other = other.replace(events.clone());
            let mut reply = Reply {
                out: Vec::new(),
                left: 0,
                piece: Bytes::new(),
                tail: b"",
                body: Some(Events { name, coming, log: log.clone(), other }),
                framing: Framing::Chunks,
                broken: false,
                unflushed: false,
                waits: false,
                writes: Turn::default(),
            };
            let (mut io, calls) = (Told(name, log.clone()), cohort.clone());
            cohort.spawn(async move {
                poll_fn(|cx| reply.poll(&mut io, &calls, cx)).await.unwrap();
            });
            events
        });
        let happens = async |events: [Option<&'static str>; 2]| {
            for (stream, event) in streams.iter().zip(events) {
                if let Some(event) = event {
                    stream.send(event).unwrap();
                }
            }
            for _ in 0..20 {
                yield_now().await;
            }
            told.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(happens([None, None]).await, ["a has nothing", "b has nothing"]);
        for (one, two) in [("one", "two"), ("six", "ten")] {
            let together = [
                format!("a has {one}"),
                "a has nothing".to_owned(),
                format!("b has {two}"),
                "b has nothing".to_owned(),
                format!("a writes 3 {one} "),
                format!("b writes 3 {two} "),
            ];
            assert_eq!(happens([Some(one), Some(two)]).await, together);
        }
        let alone = ["b has one", "b has nothing", "b writes 3 one "];
        assert_eq!(happens([None, Some("one")]).await, alone);
        let woken_while_it_halts = [
            "a has one",
            "a has nothing",
            "b has all",
            "b has nothing",
            "a writes 3 one ",
            "b writes 3 all ",
            "a has too",
            "a has nothing",
            "a writes 3 too ",
        ];
        assert_eq!(happens([Some("one"), Some("all")]).await, woken_while_it_halts);
    });
}
