//! One call as a front hands it in, and what comes back: an answer that streams, or a
//! [`Refusal`] that says why there is none. Gateway, client and runner all speak these types.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use mainstay_core::failure::{Failure, Kind};
pub use mainstay_core::rules::breaker::{Advice, Effect, State as Circuit, Word};
pub use mainstay_core::rules::pacer::{LimitSnapshot, PacerSnapshot};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::notes::Told;
use mainstay_core::wire::traceparent::TraceContext;
use mainstay_core::wire::usage::Usage;

use crate::fields::Fields;
use crate::upstream::BodyBroken;

/// What the caller asks for, from the door to the last byte.
#[derive(Debug)]
pub struct Call {
    /// Our own id of the call, `req_…`.
    pub id: String,
    /// The method.
    pub method: Method,
    /// What follows `/v1` in the caller's path, with the query: `/chat/completions?x=y`.
    pub path: String,
    /// Which endpoint that is.
    pub endpoint: Endpoint,
    /// The caller's headers. Credentials, cookies, hop-by-hop and `x-mainstay-*` / `x-sim-*`
    /// headers may be among them; the walk forwards none of those.
    pub headers: Fields,
    /// The caller's own `Authorization`, sent upstream in place of ours (`auth = "pass"`).
    pub credential: Option<HeaderValue>,
    /// The body.
    pub body: CallBody,
    /// The model named in the body, when there is one.
    pub model: Option<Arc<str>>,
    /// Where the model's value stands in a buffered JSON body, quotes included: a byte range.
    pub model_span: Option<std::ops::Range<usize>>,
    /// What asks for the tokens used in a buffered JSON body, and the part that it takes the place of: a
    /// byte range ([`Peek::usage_ask`](mainstay_core::wire::request::Peek::usage_ask)). `None`: it is
    /// found out when it is needed.
    pub usage_ask: Option<(std::ops::Range<usize>, &'static str)>,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Tokens the call may use: prompt estimate and largest output. 0 when unknown.
    pub tokens: u64,
    /// When the call arrived, on the engine's clock.
    pub arrived: Moment,
    /// The caller's total time limit (`x-mainstay-timeout-ms`); may only shorten the route's.
    pub timeout: Option<Duration>,
    /// The caller's bound on silence (`x-stainless-read-timeout`); may only shorten the route's.
    pub read_timeout: Option<Duration>,
    /// How long the caller waits for the beginning of a stream, or for the whole of another answer
    /// (`x-stainless-timeout`); may only shorten the route's.
    pub answer_within: Option<Duration>,
    /// `x-stainless-retry-count`: how often the caller's own SDK has sent this already.
    pub sdk_retry: u32,
    /// Ask the provider for the tokens used (`stream_options.include_usage`) though the caller did
    /// not, and take the event that tells them out again. Has an effect on streamed chat and
    /// legacy completions with a buffered body; set it where calls are metered.
    pub add_usage: bool,
    /// Who keeps account of what the call's attempts use.
    pub account: Option<Arc<dyn Account>>,
    /// The one place that may be asked, whatever routes say: what the call is about is there.
    pub pin: Option<Pin>,
    /// The call's own span of a trace, whose attempts say so upstream in `traceparent`. `None`: the
    /// caller's header passes on as it came.
    pub traced: Option<TraceContext>,
    /// A streamed body has been handed to an attempt and cannot be sent again. Starts `false`.
    pub body_gone: bool,
}

/// Who keeps account of what a call's attempts use, and may refuse one more.
pub trait Account: Send + Sync + fmt::Debug {
    /// Asked before each attempt is sent: may it be? `trace` has the attempts before it, `live` of
    /// which are still under way. When not, the call goes on with what is under way, or ends with
    /// [`Kind::InsufficientQuota`].
    fn may_start(&self, trace: &Trace, live: usize) -> bool;
    /// The call is over, with the tokens of all its attempts; `whole` when its answer is complete.
    /// Told exactly once for each call that was handed to an engine, also when its caller left.
    fn over(&self, trace: &Trace, whole: bool);
    /// The caller left before an answer began; told after [`Account::over`], with what the call took
    /// until then.
    fn left(&self, trace: Trace) {
        drop(trace);
    }
}

/// A provider and one of its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The provider's name.
    pub provider: String,
    /// Which of its credentials, from 0. One that does not exist any more stands for all of them.
    pub credential: usize,
}

/// The body of a call.
pub enum CallBody {
    /// None.
    Empty,
    /// Held in memory: can be sent again.
    Buffered(Bytes),
    /// Passed through once as it arrives: multipart and binary bodies over `replay_max`.
    Streamed {
        /// The source.
        body: http_body_util::combinators::UnsyncBoxBody<Bytes, BodyBroken>,
        /// `content-length`, when known.
        length: Option<u64>,
    },
}

impl fmt::Debug for CallBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallBody::Empty => f.write_str("Empty"),
            CallBody::Buffered(bytes) => write!(f, "Buffered({} bytes)", bytes.len()),
            CallBody::Streamed { length, .. } => write!(f, "Streamed(length {length:?})"),
        }
    }
}

/// Head of an answer that will be delivered; its body follows as a stream of bytes, and knows who
/// answered and what it took ([`AnswerBody::trace`](crate::answer::AnswerBody::trace)).
#[derive(Debug)]
pub struct AnswerHead {
    /// The provider's status: 2xx or 3xx.
    pub status: StatusCode,
    /// The provider's headers without hop-by-hop ones and `content-length`.
    pub headers: Fields,
    /// `content-length`, when the whole answer is in hand or will pass unchanged.
    pub length: Option<u64>,
}

/// Tokens of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The tokens.
    pub usage: Usage,
    /// The provider told none: `output` is counted from what came, `input` is 0 for unknown.
    pub counted: bool,
}

/// Who answered a call and what it took.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What was asked for; set when the call is over.
    pub asked: Asked,
    /// The provider's name, when one was asked.
    pub provider: Option<Arc<str>>,
    /// Which of that provider's credentials was used, from 0.
    pub credential: usize,
    /// The model it was asked for.
    pub model: Option<Arc<str>>,
    /// Attempts sent, hedges and probes included.
    pub attempts: u32,
    /// Time spent waiting for limits, backoff and circuit breakers.
    pub waited: Duration,
    /// Tokens of the answer as the caller got it; `None` until its end, and when nothing is known.
    pub used: Option<Used>,
    /// Each attempt, in order of start. At most [`Trace::ATTEMPTS_MAX`].
    pub records: Vec<AttemptRecord>,
}

impl Trace {
    /// Longest list of attempts kept; a call that waits out many refusals may make more.
    pub const ATTEMPTS_MAX: usize = 64;
}

/// What a call asked for, for whoever tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model as the caller named it.
    pub model: Option<Arc<str>>,
    /// A stream was asked for.
    pub stream: bool,
    /// How often the caller's own SDK had sent it already.
    pub sdk_retry: u32,
}

/// What was sent to us, given back at the end of a call that failed.
#[derive(Debug, Default)]
pub struct Sent {
    /// Its headers, as they were handed in.
    pub headers: Fields,
    /// Its body; empty when there was none, or it was passed on as it came.
    pub body: Bytes,
}

/// What is known of a target at one moment.
#[derive(Clone, Debug)]
pub struct TargetLook {
    /// The circuit breaker.
    pub circuit: Circuit,
    /// Attempts under way.
    pub in_flight: u32,
    /// What is left of the retry budget.
    pub retry_budget: u32,
    /// The pacer.
    pub pacer: PacerSnapshot,
}

/// One attempt on record.
#[derive(Clone, Debug, Default)]
pub struct AttemptRecord {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Which of that provider's credentials was used, from 0.
    pub credential: usize,
    /// The model asked for.
    pub model: Option<Arc<str>>,
    /// What was waited for before it, and how long.
    pub waited: Duration,
    /// The wait's cause (`limit`, `backoff`, `hint`, `circuit`, or empty).
    pub wait_cause: &'static str,
    /// When it was sent, on the engine's clock.
    pub started: Moment,
    /// How long it took; until the first content for an answer that is still streaming.
    pub took: Duration,
    /// When it ended, on the engine's clock; `None` while it is under way.
    pub ended: Option<Moment>,
    /// The status that came, when one came.
    pub status: Option<u16>,
    /// What went wrong; `None` when it answered.
    pub kind: Option<Kind>,
    /// Bytes received.
    pub bytes: u64,
    /// Events of its stream that could not be read and were left out.
    pub dropped: u32,
    /// Tokens used, losers and broken streams included; `None` when nothing is known of them.
    pub used: Option<Used>,
    /// Length of the sound that was heard, in milliseconds, as the provider told it. Only
    /// transcriptions and translations have it.
    pub sound_ms: Option<u64>,
    /// What its answer told of itself. Only calls that are traced have it ([`Call::traced`]).
    pub told: Option<Box<Told>>,
    /// What was known of its target: when it failed, else when it was sent after a wait. `None` for
    /// one that was sent at once and did not fail.
    pub state: Option<Box<TargetLook>>,
}

/// A call that gets no answer.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub failure: Failure,
    /// When it is worth trying again, when that is known.
    pub retry_after: Option<Duration>,
    /// What happened, why and what to do, in one line with numbers; set when the failure is our
    /// own finding and not the provider's answer.
    pub message: Option<String>,
    /// The provider's last answer, to be passed on as it came.
    pub provider_answer: Option<ProviderAnswer>,
    /// What it took.
    pub trace: Trace,
    /// What was sent to us.
    pub sent: Sent,
}

/// A provider's error answer, body and all (at most 64 KiB of it).
#[derive(Debug)]
pub struct ProviderAnswer {
    /// The status.
    pub status: StatusCode,
    /// All its headers.
    pub headers: Fields,
    /// Its body as it came.
    pub body: Bytes,
}

/// The answer broke after its first byte was delivered. The connection to the caller must be cut
/// so that it cannot take the half for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {}", kind.name())]
pub struct Cut {
    /// What happened.
    pub kind: Kind,
}
