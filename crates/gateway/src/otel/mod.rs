//! Traces by OpenTelemetry: one server span a call, one client span an attempt, sent over HTTP.
//!
//! ```text
//!  call ─▶ traceparent read, span and sampling decided ─▶ attempts carry their own traceparent
//!    └─ its end ─▶ teller's thread ─▶ spans ─▶ bounded queue ─▶ exporter's thread ─▶ receiver
//! ```
//!
//! Spans are made from the record of the finished call, so that they tell what logs and records tell.
//! Without an endpoint in the environment nothing of this runs, and a caller's `traceparent` passes on
//! untouched.

mod attributes;
mod export;
mod proto;
pub(crate) mod settings;
mod spans;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::store::RequestRecord;
use mainstay_core::time::Moment;
use mainstay_core::wire::traceparent::TraceContext;

use crate::config::{Config, Upstream};
use crate::fault::ServeError;
use crate::finished::Ear;
use crate::shared::Shared;
use export::Exporter;
use spans::Place;

pub(crate) use export::Sent;
use settings::OtelSettings;
pub(crate) use spans::Traced;

/// What traces need of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Otel {
    pub(crate) settings: Arc<OtelSettings>,
    places: BTreeMap<String, Place>,
}

impl Otel {
    /// Of a configuration; `None` when no traces are sent.
    pub(crate) fn of(config: &Config) -> Option<Arc<Otel>> {
        let settings = Arc::new(config.otel.clone()?);
        let place = |one: &crate::config::ProviderConfig| {
            let Upstream::Url(url) = &one.upstream else { return None };
            let name = spans::provider_at(url.host()).unwrap_or(&one.name).to_owned();
            let (host, port) = (url.host().to_owned(), url.port());
            Some((one.name.clone(), Place { name, host, port }))
        };
        let places = config.providers.iter().filter_map(place).collect();
        Some(Arc::new(Otel { settings, places }))
    }

    /// The place of a call in a trace: its caller's, else one of its own. `id` is `req_` and 32
    /// hexadecimal digits.
    pub(crate) fn trace(&self, id: &str, header: Option<&str>, arrived: Moment) -> Traced {
        let own = id.get(4..).and_then(|hex| u128::from_str_radix(hex, 16).ok()).unwrap_or(1);
        let parent = header.and_then(TraceContext::parse);
        let context = self.settings.sampler.context(own, parent);
        let parent = parent.map(|parent| parent.span_id);
        Traced { context, parent, arrived, wishes: None, told: Vec::new() }
    }
}

/// Makes spans of finished calls, on the teller's thread.
pub(crate) struct SpanEar {
    shared: Arc<Shared>,
    exporter: Exporter,
}

impl SpanEar {
    /// Starts the exporter's thread; `None` when no traces are sent.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Option<SpanEar>, ServeError> {
        let Some(otel) = shared.settings().otel.clone() else { return Ok(None) };
        let exporter = Exporter::start(Arc::clone(&otel.settings), Arc::clone(&shared.spans))?;
        Ok(Some(SpanEar { shared: Arc::clone(shared), exporter }))
    }

    /// Nanoseconds since 1970 at which the engine's clock stood at zero, by the system's clock as it is
    /// at present.
    fn zero(&self) -> u64 {
        let unix = mainstay::clock::unix_now().unwrap_or(Duration::ZERO);
        let unix = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        unix.saturating_sub(self.shared.engine.now().as_nanos())
    }
}

impl Ear for SpanEar {
    fn traced(&mut self, call: &RequestRecord, traced: &Traced) {
        let settings = self.shared.settings();
        let Some(otel) = settings.otel.as_ref().filter(|_| traced.context.sampled) else { return };
        self.exporter.export(spans::of(call, traced, &otel.places, self.zero()));
    }
}

#[cfg(test)]
mod tests;
