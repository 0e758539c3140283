//! `mainstay doctor`, the looking: this machine first, then each provider by the very transport
//! that calls take. What is seen becomes findings; nothing here decides for a call.
//!
//! ```text
//!  local: config, database, disk
//!  provider: key ─▶ proxy ─▶ dns ─▶ tcp ─▶ (tunnel) ─▶ tls ─▶ answer ─▶ auth, models, clock,
//!            latency ─▶ (call, limits, stream: with a model)
//! ```
//!
//! Every check has the same time limit, keys asked about are counted, and providers are looked at
//! several at once: the whole ends in a known time.

mod finding;
mod keys;
mod local;
mod stream;
mod talk;
mod way;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mainstay::http::{HttpSettings, HttpUpstream, Trust};
use mainstay::probe::{Exchange, Question, ask};
use mainstay::spec::ProviderSpec;
use mainstay_gateway::config::{Config, ConfigFault, Environment, ProviderConfig, Upstream};
use mainstay_gateway::engine_spec;

use crate::clock::now;

pub(crate) use finding::{Finding, State, exit};

/// Keys of one provider that are tried; more are not.
const KEYS_TRIED: usize = 8;

/// What is asked of a look at providers.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// How long each check may take.
    pub(crate) limit: Duration,
    /// The model to make a small call to; `None`: no call that costs anything.
    pub(crate) model: Option<String>,
}

/// A provider, ready to be looked at.
pub(crate) struct Patient {
    config: ProviderConfig,
    spec: Arc<ProviderSpec>,
    /// Models that the configuration says it has, by its own names.
    models: Vec<String>,
    /// Its name for the wished model, when it answers for that.
    called: Option<String>,
}

/// Findings about a configuration that cannot be used.
pub(crate) fn refused(faults: &[ConfigFault]) -> Vec<Finding> {
    local::refused(faults)
}

/// Findings about this machine. Takes a few times the limit at most.
pub(crate) fn machine(config: &Config, limit: Duration) -> Vec<Finding> {
    let mut found = local::config(config);
    found.extend(local::store(config, limit));
    found
}

/// The providers of a configuration; with a name that one only.
pub(crate) fn patients(config: &Config, only: Option<&str>, wish: &Wish) -> Vec<Patient> {
    let spec = engine_spec(config, None);
    let engine = mainstay::Engine::new(spec.clone());
    let answers = wish.model.as_deref().map(|model| engine.resolve(model)).unwrap_or_default();
    let chosen = config.providers.iter().zip(spec.providers);
    let chosen = chosen.filter(|(one, _)| only.is_none_or(|name| name == one.name));
    chosen
        .map(|(one, spec)| {
            let called = answers.iter().find(|(name, _)| *name == one.name);
            Patient {
                models: named_models(config, one),
                called: called.map(|(_, model)| model.clone()),
                config: one.clone(),
                spec: Arc::new(spec),
            }
        })
        .collect()
}

/// The models that lists, maps and routes name for a provider, by its own names.
fn named_models(config: &Config, provider: &ProviderConfig) -> Vec<String> {
    let listed = provider.models.iter().flatten();
    let routed = config.routes.iter().flat_map(|one| &one.route.targets);
    let routed = routed.filter(|target| target.provider == provider.name);
    let routed = routed.filter_map(|target| target.model.as_ref());
    let asked = listed.chain(routed).filter(|model| !model.ends_with('*'));
    let mut models: Vec<String> = asked.map(|model| provider.model(model).to_owned()).collect();
    models.extend(provider.model_map.values().cloned());
    models.sort();
    models.dedup();
    models
}

impl Patient {
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.config.upstream {
            Upstream::Url(url) => url.to_string(),
            Upstream::Simulator => "the built-in simulator".to_owned(),
        }
    }

    /// Looks at it from the key to the stream.
    pub(crate) async fn look(&self, environment: &Environment, wish: &Wish) -> Vec<Finding> {
        let Upstream::Url(url) = &self.config.upstream else {
            let what = "the built-in simulator answers calls";
            let cause = "No provider's key is set, or the configuration says so.";
            let fix = ["Set OPENAI_API_KEY, or name a provider: `mainstay config init`."];
            return vec![Finding::warning("provider", what, cause, &fix)];
        };
        let mut found = keys::look(&self.config.api_keys, url.https() && !url.is_loopback());
        found.push(way::proxy(&self.spec.destination, environment));
        let upstream = HttpUpstream::with_trust(HttpSettings::default(), Trust::default());
        let seen = upstream.inspect(&self.spec.destination, wish.limit).await;
        let on_the_way = way::findings(&seen, &self.spec.destination, now());
        let open = on_the_way.iter().all(|finding| finding.state != State::Failed);
        found.extend(on_the_way);
        if open {
            self.talk(&upstream, wish, &mut found).await;
        } else {
            let behind =
                ["answer", "auth", "models", "clock", "latency", "call", "limits", "stream"];
            found.extend(behind.map(|check| Finding::skipped(check, "the way is not open")));
        }
        found
    }

    async fn talk(&self, upstream: &HttpUpstream, wish: &Wish, found: &mut Vec<Finding>) {
        let list = Question {
            method: Method::GET,
            path: "/models",
            model: None,
            body: bytes::Bytes::new(),
        };
        let first = ask(upstream, &self.spec, 0, &list, wish.limit).await;
        let came = now();
        found.push(talk::answered(&first));
        found.push(talk::auth(1, &first));
        for key in 1..self.spec.credentials.len().min(KEYS_TRIED) {
            let answer = ask(upstream, &self.spec, key, &list, wish.limit).await;
            found.push(talk::auth(key + 1, &answer));
        }
        let untried = self.spec.credentials.len().saturating_sub(KEYS_TRIED);
        if untried > 0 {
            found.push(Finding::skipped(
                "auth",
                format!("{untried} more keys: {KEYS_TRIED} are tried"),
            ));
        }
        found.push(talk::models(&first, &self.models));
        if first.status.is_none() {
            found.extend(
                ["clock", "latency"].map(|check| Finding::skipped(check, "no answer came")),
            );
        } else {
            found.push(talk::clock(&first, came));
            found.push(talk::latency(&first));
        }
        self.call(upstream, wish, found).await;
    }

    async fn call(&self, upstream: &HttpUpstream, wish: &Wish, found: &mut Vec<Finding>) {
        let Some(model) = &self.called else {
            let why = match &wish.model {
                Some(model) => format!("calls for `{model}` do not come here"),
                None => format!(
                    "needs a call that costs up to {} tokens: add `--model NAME`",
                    stream::TOKENS_MAX
                ),
            };
            found.extend(["call", "limits", "stream"].map(|check| Finding::skipped(check, &*why)));
            return;
        };
        let mut answer = self.streamed(upstream, model, "max_tokens", wish).await;
        if stream::wants_other_field(&answer) {
            answer = self.streamed(upstream, model, "max_completion_tokens", wish).await;
        }
        let call = stream::call(&answer, model);
        let worked = call.state == State::Ok;
        found.push(call);
        if answer.status.is_some() {
            found.push(talk::limits(&answer));
        } else {
            found.push(Finding::skipped("limits", "no answer came"));
        }
        found.push(if worked {
            stream::stream(&answer)
        } else {
            Finding::skipped("stream", "the call did not work")
        });
    }

    async fn streamed(
        &self,
        upstream: &HttpUpstream,
        model: &str,
        field: &str,
        wish: &Wish,
    ) -> Exchange {
        // A call takes longer than a look: models think.
        ask(upstream, &self.spec, 0, &stream::question(model, field), wish.limit * 3).await
    }
}
