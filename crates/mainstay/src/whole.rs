//! A whole answer in memory: for callers who do not read piece by piece.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use mainstay_core::failure::{Failure, Kind, Next, Origin, ProviderSaid, Scope};

use crate::call::{Refusal, Sent, Trace};
use crate::upstream::Upstream;
use crate::walk::Walk;

/// A call's answer, all of it.
#[derive(Debug)]
pub struct Whole {
    /// The provider's status: 2xx or 3xx.
    pub status: StatusCode,
    /// The provider's headers without hop-by-hop ones and `content-length`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Who answered, what it took and what it cost.
    pub trace: Trace,
}

impl Whole {
    /// The provider's own id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.headers.get("x-request-id")?.to_str().ok()
    }
}

impl<U: Upstream> Walk<U> {
    /// Goes on to the end of the answer and keeps all of it, `bytes_max` at most. Cancelled by
    /// dropping it, like the walk itself.
    ///
    /// # Errors
    ///
    /// There is no answer, it broke off, or it is longer than `bytes_max`.
    pub async fn whole(self, bytes_max: usize) -> Result<Whole, Box<Refusal>> {
        let (head, mut body) = self.answer().await?;
        let mut pieces = Pieces::default();
        loop {
            match body.frame().await {
                None => break,
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    if pieces.length + bytes.len() > bytes_max {
                        return Err(too_long(body.trace().clone(), bytes_max));
                    }
                    pieces.push(bytes);
                }
                Some(Err(cut)) => return Err(broken(body.trace().clone(), cut.kind)),
            }
        }
        let (status, headers) = (head.status, head.headers.to_map());
        Ok(Whole { status, headers, body: pieces.join(), trace: body.trace().clone() })
    }
}

/// Most answers come in one piece, which is kept as it is.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    rest: BytesMut,
    length: usize,
}

impl Pieces {
    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = bytes;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&bytes);
    }

    fn join(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

fn broken(trace: Trace, kind: Kind) -> Box<Refusal> {
    let provider = trace.provider.as_deref().unwrap_or("the provider");
    let message = format!("the answer of {provider} broke off ({}); send it again", kind.name());
    refusal(kind, Origin::Provider, message, trace)
}

fn too_long(trace: Trace, max: usize) -> Box<Refusal> {
    let message = format!("the answer has more than the {max} bytes that are kept; ask for less");
    refusal(Kind::MalformedResponse, Origin::Mainstay, message, trace)
}

fn refusal(kind: Kind, origin: Origin, message: String, trace: Trace) -> Box<Refusal> {
    let failure = Failure {
        kind,
        origin,
        scope: Scope::None,
        next: Next::Nobody,
        provider: ProviderSaid::default(),
        attempts: trace.attempts,
    };
    Box::new(Refusal {
        failure,
        retry_after: None,
        message: Some(message),
        provider_answer: None,
        trace,
        sent: Sent::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_order_and_one_is_not_copied() {
        let one = Bytes::from_static(b"whole");
        let mut pieces = Pieces::default();
        pieces.push(one.clone());
        assert_eq!(pieces.join().as_ptr(), one.as_ptr());
        let mut pieces = Pieces::default();
        for part in [&b"a"[..], b"bc", b"d"] {
            pieces.push(Bytes::copy_from_slice(part));
        }
        assert_eq!((pieces.length, pieces.join()), (4, Bytes::from_static(b"abcd")));
    }
}
