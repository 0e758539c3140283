//! Calls that are over, kept for a while so that each can be explained.
//!
//! A record holds who called, what was asked for, every attempt with what was known of its target at
//! that time, and how it ended. No key, prompt or answer: texts of a request stand as their lengths,
//! unless the operator asked to keep contents of failed calls.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::{ReservationId, StoreError, UnixMillis};
use crate::failure::{Kind, Origin, Scope};
use crate::money::Usd;
use crate::wire::endpoint::Endpoint;
use crate::wire::usage::Usage;

/// A request's id: `req_` and 32 hexadecimal digits. Its reservation has the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub [u8; 16]);

impl RequestId {
    /// Reads an id as it was told; `None` when the text is none.
    pub fn parse(text: &str) -> Option<RequestId> {
        ReservationId::of_request(text).map(|ReservationId(bytes)| RequestId(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ReservationId(self.0).fmt(f)
    }
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRecord {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub at: UnixMillis,
    /// The key's id; `None` where no key was given, asked for or known.
    pub key: Option<Box<str>>,
    /// The key's name at that time; empty without a key.
    pub key_name: Box<str>,
    /// The organization's id; empty when it was not known who called.
    pub org: Box<str>,
    /// The project's id; empty when it was not known who called.
    pub project: Box<str>,
    /// What was asked for.
    pub endpoint: Endpoint,
    /// The model as the caller named it.
    pub model: Option<Box<str>>,
    /// The model that was asked last, as its provider names it.
    pub served: Option<Box<str>>,
    /// The provider that was asked last.
    pub provider: Option<Box<str>>,
    /// A stream was asked for.
    pub stream: bool,
    /// The status sent; 499 when the caller left before the end.
    pub status: u16,
    /// What went wrong; `None` when it was answered, or its caller left.
    pub failed: Option<FailureNote>,
    /// From its arrival to its end.
    pub took: Duration,
    /// Of that, waits for limits, backoff, hints and circuits.
    pub waited: Duration,
    /// From its arrival to the first content of the answer.
    pub first_content: Option<Duration>,
    /// Time spent here, waits and providers left out.
    pub overhead: Duration,
    /// Attempts sent; more than [`RequestRecord::attempts`] has when they were very many.
    pub attempts_sent: u32,
    /// Tokens of the answer.
    pub usage: Option<Usage>,
    /// Those tokens were counted here, because the provider told none.
    pub counted: bool,
    /// What it cost; `None` when nobody counts.
    pub cost: Option<Usd>,
    /// How often the caller's own SDK had sent it already.
    pub sdk_retry: u32,
    /// The attempts, in order of start.
    pub attempts: Vec<AttemptNote>,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureNote {
    /// What happened.
    pub kind: Kind,
    /// Whose side it was on.
    pub origin: Origin,
    /// What must change; `None` for an answer that broke off.
    pub scope: Option<Scope>,
    /// `error.code` as the caller got it.
    pub code: Option<Box<str>>,
    /// `error.param` as the caller got it.
    pub param: Option<Box<str>>,
    /// `error.message`, keys and echoes of the request masked; at most [`FailureNote::MESSAGE_MAX`]
    /// bytes.
    pub message: Option<Box<str>>,
    /// The provider's own request id.
    pub upstream_id: Option<Box<str>>,
    /// The wait that the caller was told.
    pub retry_after: Option<Duration>,
    /// Headers of the request that are on the list of those that may be kept.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The request's body with every text replaced by its length; at most
    /// [`FailureNote::SHAPE_MAX`] bytes.
    pub shape: Option<Box<str>>,
    /// The request's body with keys masked, where the operator keeps contents.
    pub content: Option<Box<str>>,
}

impl FailureNote {
    /// Longest message, in bytes.
    pub const MESSAGE_MAX: usize = 512;
    /// Longest shape, in bytes.
    pub const SHAPE_MAX: usize = 4_096;
    /// Longest content, in bytes.
    pub const CONTENT_MAX: usize = 65_536;

    /// A failure that nothing further is known of.
    pub fn new(kind: Kind, origin: Origin) -> FailureNote {
        FailureNote {
            kind,
            origin,
            scope: None,
            code: None,
            param: None,
            message: None,
            upstream_id: None,
            retry_after: None,
            headers: Vec::new(),
            shape: None,
            content: None,
        }
    }
}

/// One attempt of a call that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptNote {
    /// The provider's name.
    pub provider: Box<str>,
    /// Which of its credentials, from 0.
    pub credential: u32,
    /// The model it was asked for.
    pub model: Option<Box<str>>,
    /// When it was sent, from the call's arrival.
    pub start: Duration,
    /// What was waited before it.
    pub waited: Duration,
    /// What for: `limit`, `backoff`, `hint`, `circuit`, `budget`, or empty.
    pub cause: Box<str>,
    /// From its start to the first content of its answer; to its end without any.
    pub took: Duration,
    /// From its start to its end.
    pub lasted: Duration,
    /// The status that came.
    pub status: Option<u16>,
    /// What went wrong; `None` when it answered, or another was faster.
    pub kind: Option<Kind>,
    /// Bytes received.
    pub bytes: u64,
    /// Tokens it used.
    pub usage: Option<Usage>,
    /// What was known of its target.
    pub state: Option<StateNote>,
}

/// What was known of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct StateNote {
    /// Read at the moment it matters: when the attempt failed, or was sent after a wait. Otherwise
    /// read at the call's end, or for another call a hundredth of a second before it.
    pub exact: bool,
    /// The circuit breaker: `closed`, `open` or `half_open`.
    pub circuit: Box<str>,
    /// Attempts under way there.
    pub in_flight: u32,
    /// Calls in its queue.
    pub queued: u32,
    /// Most calls at once, where a ceiling is known.
    pub ceiling: Option<u32>,
    /// What is left of its retry budget.
    pub retry_budget: u32,
    /// What the provider asked to wait, as far as it was not over.
    pub hold: Duration,
    /// Its limits, as far as they are known.
    pub limits: Vec<LimitNote>,
}

/// A limit of a target as it was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitNote {
    /// Its stable name, such as `requests` or `tokens_day`.
    pub name: Box<str>,
    /// Units a minute.
    pub per_minute: f64,
    /// Units that could be spent; negative is a debt.
    pub level: f64,
    /// The provider or the configuration named it; otherwise it was found by trying.
    pub told: bool,
}

/// How much is kept. What is older or more is forgotten, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestsKept {
    /// Records at most.
    pub count_max: u64,
    /// How long a record is kept.
    pub age_max: Duration,
}

impl Default for RequestsKept {
    fn default() -> Self {
        RequestsKept { count_max: 100_000, age_max: Duration::from_secs(24 * 7 * 3600) }
    }
}

/// Which status is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Exactly this one.
    Exactly(u16),
    /// All of a class: 4 for 4xx.
    Class(u16),
}

impl StatusFilter {
    /// Reads `429` or `5xx`; `None` when the text is neither.
    pub fn parse(text: &str) -> Option<StatusFilter> {
        if let Some(class) = text.strip_suffix("xx") {
            return class.parse().ok().filter(|n| (1..=5).contains(n)).map(StatusFilter::Class);
        }
        text.parse().ok().filter(|n| (100..=599).contains(n)).map(StatusFilter::Exactly)
    }

    fn fits(self, status: u16) -> bool {
        match self {
            StatusFilter::Exactly(wanted) => status == wanted,
            StatusFilter::Class(class) => status / 100 == class,
        }
    }
}

/// Which records are asked for; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only of the key with this id.
    pub key: Option<String>,
    /// Only of the project with this id.
    pub project: Option<String>,
    /// Only of the organization with this id.
    pub org: Option<String>,
    /// Only of this model, as the caller named it or as the provider does.
    pub model: Option<String>,
    /// Only those that this provider was asked for last.
    pub provider: Option<String>,
    /// Only those that failed in this way.
    pub kind: Option<Kind>,
    /// Only with this status.
    pub status: Option<StatusFilter>,
    /// Only those that arrived then or later.
    pub since: Option<UnixMillis>,
    /// Only those that stand behind this one.
    pub after: Option<RequestId>,
}

impl RequestFilter {
    /// Whether a record is asked for; [`RequestFilter::after`] is the reader's business.
    pub fn fits(&self, record: &RequestRecord) -> bool {
        fn is(wanted: Option<&String>, value: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| value == Some(wanted))
        }
        let model = self.model.as_ref();
        is(self.key.as_ref(), record.key.as_deref())
            && is(self.project.as_ref(), Some(&record.project))
            && is(self.org.as_ref(), Some(&record.org))
            && is(self.provider.as_ref(), record.provider.as_deref())
            && (is(model, record.model.as_deref()) || is(model, record.served.as_deref()))
            && self
                .kind
                .is_none_or(|kind| record.failed.as_ref().is_some_and(|note| note.kind == kind))
            && self.status.is_none_or(|status| status.fits(record.status))
            && self.since.is_none_or(|since| record.at >= since)
    }
}

/// Records on their way to a store, one behind the other as bytes: what waits to be written is the
/// smallest there is of it, and is not made again when it is written. The stores know the form.
#[derive(Debug, Default)]
pub struct RequestBatch {
    count: u64,
    latest: UnixMillis,
    bytes: Vec<u8>,
}

impl RequestBatch {
    /// Takes a record of a call that arrived then; `write` adds its bytes.
    pub fn add(&mut self, at: UnixMillis, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.count += 1;
        self.latest = self.latest.max(at);
    }

    /// Takes all records of another batch behind its own.
    pub fn append(&mut self, other: &RequestBatch) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
        self.latest = self.latest.max(other.latest);
    }

    /// How many records it has.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The latest arrival of any that was taken.
    pub fn latest(&self) -> UnixMillis {
        self.latest
    }

    /// The records.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives up the first `count` records, which are so many bytes.
    pub fn give_up(&mut self, count: u64, bytes: usize) {
        self.bytes.drain(..bytes.min(self.bytes.len()));
        self.count = self.count.saturating_sub(count);
    }

    /// Forgets all of them and keeps the memory, as far as `keep` bytes.
    pub fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.count = 0;
        self.latest = UnixMillis::default();
    }
}

/// Where calls that are over are kept.
pub trait RequestStore {
    /// Keeps these, in the order of their ends, and forgets what `kept` no longer allows.
    ///
    /// # Errors
    ///
    /// The store failed; nothing of it is kept.
    fn keep_requests(
        &self,
        batch: &RequestBatch,
        kept: RequestsKept,
        now: UnixMillis,
    ) -> Result<(), StoreError>;

    /// Records that fit, newest first, at most `limit` of them. Empty when
    /// [`RequestFilter::after`] names none that is kept.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn requests(
        &self,
        filter: &RequestFilter,
        limit: usize,
    ) -> Result<Vec<RequestRecord>, StoreError>;

    /// One record, while it is kept.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn request(&self, id: RequestId) -> Result<Option<RequestRecord>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_status_filters_read_back() {
        let text = "req_00112233445566778899aabbccddeeff";
        assert_eq!(RequestId::parse(text).map(|id| alloc::format!("{id}")).as_deref(), Some(text));
        assert_eq!(RequestId::parse("req_zz"), None);
        assert_eq!(StatusFilter::parse("429"), Some(StatusFilter::Exactly(429)));
        assert_eq!(StatusFilter::parse("5xx"), Some(StatusFilter::Class(5)));
        for none in ["", "xx", "9xx", "42", "4x", "1000", "ok"] {
            assert_eq!(StatusFilter::parse(none), None, "{none}");
        }
        assert!(StatusFilter::Class(5).fits(503) && !StatusFilter::Class(5).fits(499));
    }
}
