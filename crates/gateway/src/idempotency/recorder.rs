//! Writes down an answer as it passes, for the requests that come again under its key.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay_core::store::{Replay, UnixMillis};

use super::Claim;
use crate::settings::IdempotencySettings;

/// An answer being written down. Dropped before [`Recorder::complete`] it frees the key.
#[derive(Debug)]
pub(crate) struct Recorder {
    claim: Claim,
    status: StatusCode,
    headers: Vec<(Box<str>, Box<[u8]>)>,
    /// The pieces so far, shared with what is sent; `None` once they are too much.
    body: Option<Vec<Bytes>>,
    bytes: u64,
    body_max: u64,
    keep: Duration,
}

impl Recorder {
    /// Begins with the head of an answer.
    pub(crate) fn new(
        claim: Claim,
        status: StatusCode,
        headers: &HeaderMap,
        settings: &IdempotencySettings,
    ) -> Recorder {
        let kept = headers.iter().filter(|(name, _)| told_again(name.as_str()));
        let pairs = kept.map(|(name, value)| (name.as_str().into(), value.as_bytes().into()));
        Recorder {
            claim,
            status,
            headers: pairs.collect(),
            body: Some(Vec::new()),
            bytes: 0,
            body_max: settings.body_max,
            keep: settings.keep,
        }
    }

    /// The next piece.
    pub(crate) fn piece(&mut self, piece: &Bytes) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > self.body_max {
            self.body = None;
        } else if let Some(body) = &mut self.body {
            body.push(piece.clone());
        }
    }

    /// The answer is whole: it is what everybody gets under this key from here on.
    pub(crate) fn complete(self, now: UnixMillis) {
        let Recorder { claim, status, headers, body, keep, .. } = self;
        let replay = Replay {
            fingerprint: claim.fingerprint,
            status: status.as_u16(),
            headers,
            body: body.map(|pieces| pieces.concat()),
            until: now.plus(keep),
        };
        claim.keep(replay, now);
    }
}

/// Headers of an answer that are as true the second time.
fn told_again(name: &str) -> bool {
    let of_this_answer = matches!(
        name,
        "x-request-id"
            | "date"
            | "content-length"
            | "x-mainstay-overhead-us"
            | "x-mainstay-attempts"
    );
    !of_this_answer && !name.starts_with("x-ratelimit-") && !name.starts_with("access-control-")
}
