//! A streamed answer as events: each whole, in order, and an error where the answer was cut.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::Body as _;
use mainstay_core::classify::{Answer, classify};
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::headers::NoHeaders;
use mainstay_core::wire::sse::{self, Splitter};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::AnswerBody;
use crate::call::{AnswerHead, Trace, Used};
use crate::error::Error;
use crate::http::HttpUpstream;
use crate::upstream::Upstream;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Its name, where the endpoint names events: `response.output_text.delta`.
    pub event: Option<String>,
    /// Its data.
    pub data: Value,
}

impl Chunk {
    /// The data as any type.
    ///
    /// # Errors
    ///
    /// It does not have that form.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }

    /// The new text of this event, in chat and completions, and in responses.
    pub fn text(&self) -> Option<&str> {
        let choice = &self.data["choices"][0];
        let chat = choice["delta"]["content"].as_str().or_else(|| choice["text"].as_str());
        let response = || {
            let delta = self.event.as_deref() == Some("response.output_text.delta");
            self.data["delta"].as_str().filter(|_| delta)
        };
        chat.or_else(response)
    }
}

/// A stream of events. It is whole only when it ends without an error: an answer that broke off
/// ends in an [`Error`], after which nothing comes. Dropping it cancels the call.
pub struct Events<U: Upstream = HttpUpstream> {
    headers: HeaderMap,
    body: AnswerBody<U>,
    splitter: Splitter,
    ready: VecDeque<Bytes>,
    /// The error event that announces the end.
    last_words: Option<Bytes>,
    over: bool,
}

impl<U: Upstream> Events<U> {
    pub(super) fn new(head: AnswerHead, body: AnswerBody<U>) -> Events<U> {
        let (splitter, ready) = (Splitter::default(), VecDeque::new());
        Events {
            headers: head.headers.to_map(),
            body,
            splitter,
            ready,
            last_words: None,
            over: false,
        }
    }

    /// The provider's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The provider's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.headers.get("x-request-id")?.to_str().ok()
    }

    /// What the call took; final after the last event.
    pub fn trace(&self) -> &Trace {
        self.body.trace()
    }

    /// Tokens so far: as the provider tells them, else counted from what came.
    pub fn used(&self) -> Option<Used> {
        self.body.used()
    }

    /// The next event; `None` when the answer is whole.
    pub async fn next(&mut self) -> Option<Result<Chunk, Error>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// All text that is still to come.
    ///
    /// # Errors
    ///
    /// The answer broke off; what came of it is gone.
    pub async fn text(mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(chunk) = self.next().await {
            text.push_str(chunk?.text().unwrap_or_default());
        }
        Ok(text)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Error>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            while let Some(event) = self.ready.pop_front() {
                if self.last_words.is_some() {
                    continue;
                }
                if let Some(found) = self.event(event) {
                    self.over = found.is_err();
                    return Poll::Ready(Some(found));
                }
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => frame,
            };
            match frame {
                None => {
                    self.over = true;
                    let last = self.last_words.take();
                    return Poll::Ready(last.map(|event| Err(self.told(&event, None))));
                }
                Some(Err(cut)) => {
                    self.over = true;
                    let last = self.last_words.take();
                    let error = match last {
                        Some(event) => self.told(&event, Some(cut.kind)),
                        None => self.broken(cut.kind),
                    };
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    let mut events = Vec::new();
                    if self.splitter.feed(&bytes, &mut events).is_err() {
                        self.over = true;
                        return Poll::Ready(Some(Err(self.broken(Kind::MalformedResponse))));
                    }
                    self.ready.extend(events);
                }
            }
        }
    }

    /// What an event means to the caller; `None` for comments, closing marks, and an error: what
    /// that is worth is known when the connection has ended too.
    fn event(&mut self, event: Bytes) -> Option<Result<Chunk, Error>> {
        let fields = sse::fields(&event);
        let data = fields.data?;
        if data.starts_with(b"[DONE]") {
            return None;
        }
        let name = fields.name.map(|name| String::from_utf8_lossy(name).into_owned());
        let Ok(value) = serde_json::from_slice::<Value>(&data) else {
            return Some(Err(self.broken(Kind::MalformedResponse)));
        };
        let is_error = name.as_deref() == Some("error")
            || value["type"] == "error"
            || value.get("error").is_some_and(Value::is_object) && value.get("choices").is_none();
        if is_error && value["object"] != "response" {
            self.last_words = Some(event);
            return None;
        }
        Some(Ok(Chunk { event: name, data: value }))
    }

    /// An error that was told inside the stream; `kind`: what the walk found it to be.
    fn told(&self, event: &[u8], kind: Option<Kind>) -> Error {
        let answer = Answer { status: Some(200), headers: &NoHeaders, body: event, stream: true };
        match classify(&answer) {
            Some(verdict) => {
                let failure = verdict.failure;
                let trace = self.trace().clone();
                let kind = kind.unwrap_or(failure.kind);
                Error::said_in_stream(kind, failure.origin, failure.provider, trace)
            }
            None => self.broken(kind.unwrap_or(Kind::StreamInterrupted)),
        }
    }

    fn broken(&self, kind: Kind) -> Error {
        let name = self.trace().provider.as_deref().unwrap_or("the provider");
        let message = format!("the answer of {name} broke off; what came before is incomplete");
        Error::own(kind, Origin::Provider, message, self.trace().clone())
    }
}

impl<U: Upstream> Stream for Events<U> {
    type Item = Result<Chunk, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, Error>>> {
        self.poll(cx)
    }
}

impl<U: Upstream> Unpin for Events<U> {}

impl<U: Upstream> fmt::Debug for Events<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("over", &self.over).finish_non_exhaustive()
    }
}
