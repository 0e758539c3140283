//! Every policy as a tower layer, around an HTTP client of one's own.
//!
//! A [`Stack`] is the walk of a call with another service below it: any
//! `Service<http::Request<B>>`. [`StackLayer`] has every rule; [`RetryLayer`], [`BreakerLayer`],
//! [`PacerLayer`], [`TimeoutLayer`], [`FallbackLayer`] and [`ValidateLayer`] are the same walk with
//! the other rules off, and can be stacked.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::{BodyExt, Full};
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use mainstay::call::Trace;
//! use mainstay::tower::StackLayer;
//! use tower_layer::Layer;
//! use tower_service::Service;
//! # use mainstay_sim::{Scenario, Sim, SimConfig};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scenario = "[[fault]]\nstatus = 503\nfirst = 1\n";
//! # let scenario = Scenario::from_toml(scenario).map_err(|error| error.what)?;
//! # let sim = Sim::start(SimConfig { listen: "127.0.0.1:0".parse()?, scenario }).await?;
//! # let url = format!("{}/chat/completions", sim.base_url());
//!
//! let own = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//! let mut stack = StackLayer::new().layer(own);
//!
//! let body = r#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}"#;
//! let request = http::Request::post(&url)
//!     .header("content-type", "application/json")
//!     .header("authorization", "Bearer sk-any")
//!     .body(Full::from(body))?;
//! let answer = stack.call(request).await?; // the first attempt meets a 503
//! assert_eq!(answer.extensions().get::<Trace>().map(|trace| trace.attempts), Some(2));
//! let body = answer.into_body().collect().await?.to_bytes();
//! assert!(body.starts_with(b"{"));
//! # Ok(())
//! # }
//! ```
//!
//! What a caller gets is the provider's answer, byte for byte, an error answer included: then with
//! `Arc<`[`Error`](crate::Error)`>` in its extensions, which says what it means. Where no answer
//! can be passed on, because none came or because the request was not sent, there is a typed
//! [`Error`](crate::Error). Every answer has its [`Trace`](crate::call::Trace) in its extensions.
//!
//! - A stack is always ready. What must wait, waits in its queue; each attempt asks its own clone
//!   of the service below for readiness, so that a service with a bound of its own is not held by
//!   calls that are not being sent.
//! - Clones share what was learnt. Dropping the future, or the body, cancels what is below.
//! - Without providers a request goes where it says, with the headers it has; each scheme and
//!   authority has limits and a circuit of its own. With providers it goes where routes say, with
//!   their keys, and its own authority and `authorization` are not used.
//! - Requests are read whole, up to [`StackLayer::body_max`], so that they can be sent again.
//! - The service below must not retry and must not follow redirects: attempts are the plan's.

mod attempt;
mod body;
mod over;
mod stack;

use mainstay_core::policy::{
    BreakerPolicy, FallbackPolicy, Limits, PacerPolicy, Policy, Recovery, RetryPolicy, Route,
    RouteTarget, Strategy, StreamPolicy, TimeoutPolicy, ValidatePolicy,
};
use mainstay_core::validate::Level;
use std::time::Duration;
use tower_layer::Layer;

pub use attempt::ServiceAttempt;
pub use body::StackBody;
pub use over::OverService;
pub use stack::Stack;

use crate::spec::ProviderSpec;

/// Any error, as services have them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Longer than anything: what stands for "no limit" in a rule that is off.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// All rules around a service.
#[derive(Clone, Debug)]
pub struct StackLayer {
    policy: Policy,
    limits: Limits,
    providers: Vec<ProviderSpec>,
    routes: Vec<Route>,
    body_max: usize,
}

impl StackLayer {
    /// All rules with their defaults.
    pub fn new() -> StackLayer {
        StackLayer {
            policy: Policy::default(),
            limits: Limits::default(),
            providers: Vec::new(),
            routes: Vec::new(),
            body_max: 64 << 20,
        }
    }

    /// The policies of requests without a route.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> StackLayer {
        self.policy = policy;
        self
    }

    /// Caps on what is sent to each place, for each model; the rest is learnt. With providers,
    /// theirs hold instead.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> StackLayer {
        self.limits = limits;
        self
    }

    /// One more provider. With any, requests go where providers and routes say.
    #[must_use]
    pub fn provider(mut self, provider: ProviderSpec) -> StackLayer {
        self.providers.push(provider);
        self
    }

    /// One more route: which providers answer for a model, in which order.
    #[must_use]
    pub fn route(mut self, route: Route) -> StackLayer {
        self.routes.push(route);
        self
    }

    /// Longest request body, in bytes. Default 64 MiB. A longer one is refused and not sent.
    #[must_use]
    pub fn body_max(mut self, bytes: usize) -> StackLayer {
        self.body_max = bytes;
        self
    }
}

impl Default for StackLayer {
    fn default() -> StackLayer {
        StackLayer::new()
    }
}

impl<S> Layer<S> for StackLayer {
    type Service = Stack<S>;

    /// A stack that has learnt nothing yet.
    fn layer(&self, service: S) -> Stack<S> {
        Stack::new(self.clone(), service)
    }
}

/// Every rule off: one attempt, no clock, no memory.
fn nothing() -> Policy {
    Policy {
        retry: RetryPolicy {
            attempts_max: 1,
            attempts_per_call_max: 1,
            wait_max: Duration::ZERO,
            patience: Duration::ZERO,
            ..RetryPolicy::default()
        },
        breaker: BreakerPolicy { enabled: false, ..BreakerPolicy::default() },
        pacer: PacerPolicy { enabled: false },
        timeouts: TimeoutPolicy {
            connect: NEVER,
            first_content_soft: NEVER,
            first_content: NEVER,
            idle: NEVER,
            headers: NEVER,
            total: None,
        },
        stream: StreamPolicy { recovery: Recovery::Error },
        validate: ValidatePolicy { level: Level::Off },
        ..Policy::default()
    }
}

macro_rules! single_rules {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name(StackLayer);

        impl<S> Layer<S> for $name {
            type Service = Stack<S>;

            fn layer(&self, service: S) -> Stack<S> {
                self.0.layer(service)
            }
        }
    )*};
}

single_rules! {
    /// Attempts and the waits between them, under a retry budget. A refusal by a rate limit is a
    /// failed attempt, waited out as long as the provider asks or with backoff.
    RetryLayer;
    /// A circuit breaker for each place and model. While it is open a call ends at once, with the
    /// time of the next probe.
    BreakerLayer;
    /// Limits learnt from answers, a queue, and caps. A refusal by a rate limit is waited out at the
    /// head of the queue, up to 120 s.
    PacerLayer;
    /// Time limits of the call and of its parts. `connect` is the service's own.
    TimeoutLayer;
    /// The next provider when one does not answer; one attempt each, in the order given.
    FallbackLayer;
    /// What a provider would refuse is not sent.
    ValidateLayer;
}

impl RetryLayer {
    /// With these attempts and waits.
    pub fn new(retry: RetryPolicy) -> RetryLayer {
        RetryLayer(StackLayer::new().policy(Policy { retry, ..nothing() }))
    }
}

impl BreakerLayer {
    /// With this breaker.
    pub fn new(breaker: BreakerPolicy) -> BreakerLayer {
        BreakerLayer(StackLayer::new().policy(Policy { breaker, ..nothing() }))
    }
}

impl PacerLayer {
    /// With these caps.
    pub fn new(limits: Limits) -> PacerLayer {
        let wait_max = RetryPolicy::default().wait_max;
        let retry = RetryPolicy { wait_max, ..nothing().retry };
        let policy = Policy { pacer: PacerPolicy::default(), retry, ..nothing() };
        PacerLayer(StackLayer::new().policy(policy).limits(limits))
    }
}

impl TimeoutLayer {
    /// With these time limits.
    pub fn new(timeouts: TimeoutPolicy) -> TimeoutLayer {
        TimeoutLayer(StackLayer::new().policy(Policy { timeouts, ..nothing() }))
    }
}

impl FallbackLayer {
    /// To these providers, in this order; for every model.
    pub fn new(providers: Vec<ProviderSpec>) -> FallbackLayer {
        let target = |provider: &ProviderSpec| {
            let provider = provider.name.clone();
            RouteTarget { provider, model: None, weight: 1 }
        };
        let attempts = u32::try_from(providers.len()).unwrap_or(u32::MAX).max(1);
        let retry = RetryPolicy { attempts_per_call_max: attempts, ..nothing().retry };
        let fallback = FallbackPolicy::default();
        let policy = Policy { retry, fallback, ..nothing() };
        let route = Route {
            model: "*".to_owned(),
            targets: providers.iter().map(target).collect(),
            strategy: Strategy::Order,
            policy: policy.clone(),
        };
        let layer = StackLayer { providers, ..StackLayer::new() };
        FallbackLayer(layer.policy(policy).route(route))
    }
}

impl ValidateLayer {
    /// At this level.
    pub fn new(level: Level) -> ValidateLayer {
        let validate = ValidatePolicy { level };
        ValidateLayer(StackLayer::new().policy(Policy { validate, ..nothing() }))
    }
}
