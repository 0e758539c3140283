//! Settings that make sense together, with their defaults. Reading them from a file, and refusing
//! what cannot hold together, is the configuration's work; nothing here reads anything.
//!
//! Every default is the design's; ranges are checked where a file is read.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::validate::Level;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// All policies of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Attempts, waits and patience.
    pub retry: RetryPolicy,
    /// Circuit breaker.
    pub breaker: BreakerPolicy,
    /// Pacing before the 429.
    pub pacer: PacerPolicy,
    /// When the next target is taken.
    pub fallback: FallbackPolicy,
    /// Timers of an attempt and of the call.
    pub timeouts: TimeoutPolicy,
    /// What happens to a stream that breaks.
    pub stream: StreamPolicy,
    /// Checks before sending.
    pub validate: ValidatePolicy,
    /// A second attempt beside a slow one.
    pub hedge: HedgePolicy,
}

/// Attempts, waits and patience.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts on one target while another is ready, the first included. 1 to 10. Default 3.
    pub attempts_max: u32,
    /// Attempts of a call over all targets. `attempts_max` to 20. Default 6.
    pub attempts_per_call_max: u32,
    /// The same in a brown-out: when the target that failed the call fails others as well and answers
    /// most of them. `attempts_per_call_max` to 40. `None`: see [`RetryPolicy::brown_out_max`].
    pub attempts_brown_out_max: Option<u32>,
    /// Longest single wait for a limit or a hint. 0 to 1 h. Default 120 s.
    pub wait_max: Duration,
    /// Longest wait for a circuit breaker's probe when no other target is left. 0 to 1 h. Default 30 s.
    pub patience: Duration,
    /// First wait after a transient failure; doubles. 1 ms to 1 min. Default 100 ms (full jitter).
    pub transient_base: Duration,
    /// Longest wait after a transient failure. Default 8 s.
    pub transient_cap: Duration,
    /// First wait after a throttled attempt without a hint; doubles. Default 1 s (equal jitter).
    pub throttled_base: Duration,
    /// Longest wait after a throttled attempt without a hint. Default 60 s.
    pub throttled_cap: Duration,
    /// Capacity of the retry budget of a target. Default 500.
    pub budget_capacity: u32,
    /// Cost of a retry after a transient failure. Default 14.
    pub budget_transient: u32,
    /// Cost of coming back to a target that was left for its rate limit. Default 5.
    pub budget_throttled: u32,
    /// Retries in flight on a target stay at or below the larger of this and
    /// `in_flight_share`. Default 3.
    pub in_flight_min: u32,
    /// Share of the calls in flight that may be retries. 0.0 to 1.0. Default 0.2.
    pub in_flight_share: f64,
}

const ATTEMPTS_PER_CALL: u32 = 6;

impl RetryPolicy {
    /// Attempts of a call in a brown-out. Where nobody has chosen a number of attempts, twice as many;
    /// a number that was chosen holds always.
    pub fn brown_out_max(&self) -> u32 {
        let all = self.attempts_per_call_max;
        let unset = if all == ATTEMPTS_PER_CALL { 2 * all } else { all };
        self.attempts_brown_out_max.unwrap_or(unset).max(all)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts_max: 3,
            attempts_per_call_max: ATTEMPTS_PER_CALL,
            attempts_brown_out_max: None,
            wait_max: secs(120),
            patience: secs(30),
            transient_base: Duration::from_millis(100),
            transient_cap: secs(8),
            throttled_base: secs(1),
            throttled_cap: secs(60),
            budget_capacity: 500,
            budget_transient: 14,
            budget_throttled: 5,
            in_flight_min: 3,
            in_flight_share: 0.2,
        }
    }
}

/// How long a circuit stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    /// The time of ten recent first attempts, 0.5 s to 5 s; doubling up to 120 s while probes time out.
    Adaptive,
    /// Always this long.
    Fixed(Duration),
}

/// Circuit breaker of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Whether there is one. Default yes.
    pub enabled: bool,
    /// Failures in a row that open it. 1 to 1000. Default 5.
    pub failures: u32,
    /// Share of failures in the window that opens it. 0.0 to 1.0. Default 0.5.
    pub ratio: f64,
    /// Fewest outcomes in the window for the share to count. Default 20.
    pub ratio_min: u32,
    /// Length of the window. Default 30 s.
    pub window: Duration,
    /// How long it stays open. Default adaptive.
    pub open: OpenFor,
    /// Longest time an adaptive circuit stays open. Default 120 s.
    pub open_max: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        BreakerPolicy {
            enabled: true,
            failures: 5,
            ratio: 0.5,
            ratio_min: 20,
            window: secs(30),
            open: OpenFor::Adaptive,
            open_max: secs(120),
        }
    }
}

/// Pacing before the 429.
#[derive(Clone, Debug, PartialEq)]
pub struct PacerPolicy {
    /// Whether there is any. Default yes. Without it nothing queues and no cap is kept, and a
    /// refusal by a rate limit is an attempt like any other, with the backoff of throttled ones.
    pub enabled: bool,
}

impl Default for PacerPolicy {
    fn default() -> Self {
        PacerPolicy { enabled: true }
    }
}

/// When the next target is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct FallbackPolicy {
    /// With another target ready, a wait longer than this moves on. 0 to 1 h. Default 5 s.
    pub wait_max: Duration,
}

impl Default for FallbackPolicy {
    fn default() -> Self {
        FallbackPolicy { wait_max: secs(5) }
    }
}

/// Timers. `None` means no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeoutPolicy {
    /// DNS, TCP, proxy and TLS together. Default 5 s.
    pub connect: Duration,
    /// Stream: without content for this long another target is started beside. The larger of this
    /// and three times the model's learnt 95th percentile holds. Default 10 s.
    pub first_content_soft: Duration,
    /// Stream: an attempt without content for this long has failed. Default 60 s.
    pub first_content: Duration,
    /// Stream: longest silence between two contents; comments do not count. Default 30 s.
    pub idle: Duration,
    /// Not streamed: longest time to the answer's headers. Default 300 s.
    pub headers: Duration,
    /// The whole call. Default 600 s; `None` only for background jobs.
    pub total: Option<Duration>,
}

impl Default for TimeoutPolicy {
    fn default() -> Self {
        TimeoutPolicy {
            connect: secs(5),
            first_content_soft: secs(10),
            first_content: secs(60),
            idle: secs(30),
            headers: secs(300),
            total: Some(secs(600)),
        }
    }
}

/// What happens to a stream that breaks after its first delivered byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Replay once and deliver only what continues exactly what was delivered.
    #[default]
    Verified,
    /// A target that declares it is sent what was delivered as a partial assistant message, and goes
    /// on from there; others, and what cannot be gone on from, as [`Recovery::Verified`].
    Continue,
    /// End with a typed error event.
    Error,
}

/// Streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamPolicy {
    /// After the first delivered byte.
    pub recovery: Recovery,
}

/// Checks before sending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValidatePolicy {
    /// How much.
    pub level: Level,
}

/// A second attempt beside a slow one, before the first content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HedgePolicy {
    /// Whether it is done. Default no.
    pub enabled: bool,
    /// Fixed delay before it; `None`: the learnt 95th percentile of time to first content.
    pub delay: Option<Duration>,
}

/// Which names our own refusals carry in `error.code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeSet {
    /// The unified names (`invalid_api_key`, `rate_limit_exceeded`, …).
    #[default]
    Unified,
    /// The vendor's names.
    OpenAi,
}

/// What kind of server a provider is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderKind {
    /// The vendor.
    OpenAi,
    /// Azure: `api-key`, `api-version`, deployments in the path.
    Azure,
    /// Anything that speaks the same protocol.
    #[default]
    Compatible,
}

/// Caps on what we send to a provider; the rest is learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Calls at once.
    pub concurrency: Option<u32>,
}

/// Which of a provider's keys and models count against one limit, and so wait in one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// How far limits are shared.
    pub shared: Shared,
    /// Providers of the same pool are one account: their keys count together, model by model.
    pub pool: Option<String>,
    /// Models that count together, by the provider's names for them. The first group that fits holds.
    pub groups: Vec<LimitGroup>,
}

/// How far a provider's limits are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shared {
    /// Each key and model has limits of its own, but for keys whose answers name the same
    /// organization and project: those count together.
    #[default]
    Told,
    /// Each key and model has limits of its own, whatever answers name.
    Apart,
    /// All keys count together, each model by itself.
    Keys,
    /// All models of a key count together.
    Models,
    /// All keys and models count together.
    All,
}

/// Models under one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitGroup {
    /// The provider's names for them; `*` at the end matches any rest.
    pub models: Vec<String>,
    /// Caps of the group; what is absent is the provider's.
    pub limits: Limits,
}

/// How a route chooses among its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first that is ready, in the order written.
    #[default]
    Order,
    /// By chance, by weight.
    Weighted,
    /// The one with the fewest calls in flight.
    LeastBusy,
    /// The one with the lowest recent time to first content.
    LowestLatency,
}

/// A route's target as written: `provider/model` or a provider alone (the caller's model is kept).
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTarget {
    /// The provider's name.
    pub provider: String,
    /// The model to ask it for; `None`: the model the caller named.
    pub model: Option<String>,
    /// Weight under [`Strategy::Weighted`]. Default 1.
    pub weight: u32,
}

/// Which targets answer for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The model as the caller names it; `*` at the end matches any rest.
    pub model: String,
    /// Its targets, in order.
    pub targets: Vec<RouteTarget>,
    /// How one is chosen.
    pub strategy: Strategy,
    /// Its policies.
    pub policy: Policy,
}
