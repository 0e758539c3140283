//! The way to the provider: the engine that the gateway has too, with the patience of a job that
//! nobody waits for.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use mainstay::call::{Call, Refusal};
use mainstay::compose::{call_id, fresh_dice};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::spec::{EngineSpec, ProviderSpec};
use mainstay::{Engine, Whole};
use mainstay_core::dice::Dice;
use mainstay_core::policy::Policy;
use mainstay_core::time::Moment;

use super::job::Job;
use super::settings::Settings;
use crate::exit::Exit;
use crate::trouble::Trouble;

/// Longest wait for a limit or a hint inside one walk; whoever waits longer is put off and asked
/// again.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Longest answer that is kept, in bytes.
pub(crate) const ANSWER_MAX: usize = 256 << 20;

/// Sends jobs.
#[derive(Debug)]
pub(crate) struct Lane {
    engine: Arc<Engine>,
    upstream: Arc<HttpUpstream>,
    deadline: Option<Moment>,
    dice: Dice,
}

/// What was learnt about the provider's limits, over all models.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Learnt {
    /// Requests a second.
    pub(crate) requests: Option<f64>,
    /// Tokens a second.
    pub(crate) tokens: Option<f64>,
    /// Attempts under way.
    pub(crate) in_flight: u32,
    /// Calls that wait for a limit.
    pub(crate) queued: u32,
}

impl Lane {
    /// A lane that has learnt nothing. Call it inside the runtime.
    pub(crate) fn new(settings: &Settings) -> Result<Lane, Trouble> {
        let proxy = settings.proxy.clone();
        let mut provider = ProviderSpec::at("openai", &settings.base_url, &settings.key, proxy);
        provider.limits = settings.limits;
        provider.model_map = settings.model_map.iter().cloned().collect();
        for (name, value) in &settings.owner {
            let value = HeaderValue::from_str(value).map_err(|_| {
                let why = "it has characters that no header can carry";
                Trouble::usage(format!("`{name}` cannot be sent"), why, "correct the variable")
            })?;
            provider.headers.push((HeaderName::from_static(name), value));
        }
        let policy = policy(settings.deadline);
        let spec = EngineSpec { providers: vec![provider], routes: Vec::new(), policy };
        let engine = Engine::new(spec);
        let deadline = settings.deadline.map(|deadline| engine.now() + deadline);
        let upstream = Arc::new(HttpUpstream::new(HttpSettings::default()));
        Ok(Lane { engine, upstream, deadline, dice: fresh_dice() })
    }

    /// The time on the engine's clock.
    pub(crate) fn now(&self) -> Moment {
        self.engine.now()
    }

    /// A moment as timers count it.
    pub(crate) fn instant(&self, moment: Moment) -> tokio::time::Instant {
        self.engine.clock().instant(moment)
    }

    /// When the run ends.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// Chance, for jitter.
    pub(crate) fn draw(&mut self) -> f64 {
        self.dice.draw()
    }

    /// Sends a job; gives our id of the call and what becomes of it.
    pub(crate) fn send(
        &mut self,
        job: &mut Job,
    ) -> Result<(String, impl Future<Output = Result<Whole, Box<Refusal>>> + Send + use<>), Trouble>
    {
        let id = call_id(&mut self.dice);
        job.started = self.now();
        let call =
            Call::json(id.clone(), Method::POST, job.path.clone(), job.body.clone(), job.started);
        // Each body was looked into before; a packed one is made of those.
        let mut call = call.map_err(|fault| {
            let fix = "report this; the same command goes on";
            Trouble::new(Exit::Surroundings, "a request could not be made", fault.message, fix)
        })?;
        call.timeout = self.deadline.map(|deadline| deadline.since(job.started));
        let walk = self.engine.call(&self.upstream, call);
        Ok((id, walk.whole(ANSWER_MAX)))
    }

    /// What was learnt so far.
    pub(crate) fn learnt(&self) -> Learnt {
        let mut learnt = Learnt::default();
        for target in self.engine.snapshot() {
            let limit = |names: &[&str]| {
                let limits = target.pacer.limits.iter().flatten();
                let named = limits.filter(|limit| names.contains(&limit.name));
                named.map(|limit| limit.per_minute / 60.0).reduce(f64::min)
            };
            let add = |sum: &mut Option<f64>, limit: Option<f64>| {
                if let Some(limit) = limit {
                    *sum = Some(sum.unwrap_or(0.0) + limit);
                }
            };
            add(&mut learnt.requests, limit(&["requests", "requests_day", "configured_requests"]));
            let tokens = ["tokens", "tokens_day", "project_tokens", "configured_tokens"];
            add(&mut learnt.tokens, limit(&tokens));
            learnt.in_flight += target.pacer.in_flight;
            learnt.queued += target.pacer.queued;
        }
        learnt
    }
}

/// Finds out whether anybody is there, so that a wrong address is told at once. With a deadline an
/// absent provider is waited for like any outage.
pub(crate) async fn knock(settings: &Settings) -> Result<(), Trouble> {
    const TRIES: u32 = 3;
    const PAUSE: Duration = Duration::from_millis(500);
    const TRY_MAX: Duration = Duration::from_secs(5);
    if settings.deadline.is_some() {
        return Ok(());
    }
    let (host, port) = match &settings.proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (settings.base_url.host(), settings.base_url.port()),
    };
    let mut why = String::new();
    for _ in 0..TRIES {
        let connecting = tokio::net::TcpStream::connect((host, port));
        match tokio::time::timeout(TRY_MAX, connecting).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("no connection within {} s", TRY_MAX.as_secs()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let fix = "check --base-url, the network and HTTPS_PROXY; with --deadline it is waited for";
    let what = format!("could not reach {host} on port {port}");
    Err(Trouble::new(Exit::Surroundings, what, why, fix))
}

/// The policies of the gateway, except where they are made for somebody who waits.
fn policy(deadline: Option<Duration>) -> Policy {
    let mut policy = Policy::default();
    policy.timeouts.total = None;
    policy.retry.wait_max = deadline.unwrap_or(WAIT_MAX).min(WAIT_MAX);
    if let Some(deadline) = deadline {
        policy.retry.patience = deadline;
    }
    policy
}
