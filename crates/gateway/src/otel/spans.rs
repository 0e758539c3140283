//! A finished call as spans: one server span for the call, one client span for each attempt. Names
//! and attributes are those of OpenTelemetry's conventions for generative AI; no prompt, no answer and
//! no message of a provider is in them.
//!
//! Source: open-telemetry/semantic-conventions-genai, "Generative AI client spans", and
//! semantic-conventions, "HTTP spans" and "Recording errors", read 2026-11. All of the former are
//! experimental there.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::store::{AttemptNote, RequestRecord};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::traceparent::TraceContext;
use mainstay_core::wire::usage::Usage;

use super::proto::{Kind, Span, Value};

/// What makes a call part of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traced {
    /// The call's own span.
    pub(crate) context: TraceContext,
    /// The caller's span, when he brought one.
    pub(crate) parent: Option<u64>,
    /// When the call arrived, on the engine's clock.
    pub(crate) arrived: Moment,
}

/// Where a provider is, and what conventions call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The spans of a call. `zero`: nanoseconds since 1970 at which the engine's clock stood at zero.
pub(crate) fn of(
    call: &RequestRecord,
    traced: &Traced,
    places: &BTreeMap<String, Place>,
    zero: u64,
) -> Vec<Span> {
    let start = zero.saturating_add(traced.arrived.as_nanos());
    let operation = operation(call.endpoint);
    let mut spans = vec![server(call, traced, operation, start)];
    for (number, attempt) in (0..).zip(&call.attempts) {
        let context = traced.context.attempt(number);
        let place = places.get(&*attempt.provider);
        spans.push(client(call, attempt, (number, context, traced), place, operation, start));
    }
    spans
}

fn server(call: &RequestRecord, traced: &Traced, operation: &str, start: u64) -> Span {
    let mut with = Attributes::default();
    with.text("gen_ai.operation.name", operation);
    with.optional("gen_ai.request.model", call.model.as_deref());
    with.optional("gen_ai.response.model", call.served.as_deref());
    with.flag("gen_ai.request.stream", call.stream);
    with.usage(call.usage);
    with.whole("http.response.status_code", u64::from(call.status));
    with.text("mainstay.request.id", &call.id.to_string());
    with.whole("mainstay.attempts", u64::from(call.attempts_sent));
    with.seconds("mainstay.waited", call.waited);
    with.seconds("mainstay.overhead", call.overhead);
    with.optional("mainstay.key.id", call.key.as_deref());
    with.optional("mainstay.project.id", Some(&*call.project).filter(|id| !id.is_empty()));
    with.optional("mainstay.cost.usd", call.cost.map(|cost| cost.to_string()).as_deref());
    if let Some(first) = call.first_content {
        with.seconds("mainstay.time_to_first_content", first);
    }
    let failed = call.failed.as_ref().map(|note| note.kind.name());
    with.optional("error.type", failed);
    // A mistake of the caller is no error of a server span: "HTTP spans", status of server spans.
    let error = failed.filter(|_| call.status >= 500 || call.status < 400);
    Span {
        trace_id: traced.context.trace_id,
        id: traced.context.span_id,
        parent: traced.parent,
        name: named(operation, call.model.as_deref()),
        kind: Kind::Server,
        start,
        end: start.saturating_add(nanos(call.took)),
        attributes: with.0,
        error: error.map(str::to_owned),
    }
}

fn client(
    call: &RequestRecord,
    attempt: &AttemptNote,
    (number, context, traced): (u32, TraceContext, &Traced),
    place: Option<&Place>,
    operation: &str,
    start: u64,
) -> Span {
    let mut with = Attributes::default();
    with.text("gen_ai.operation.name", operation);
    with.text("gen_ai.provider.name", place.map_or(&*attempt.provider, |place| &place.name));
    with.optional("gen_ai.request.model", attempt.model.as_deref());
    with.flag("gen_ai.request.stream", call.stream);
    with.optional("server.address", place.map(|place| &*place.host));
    if let Some(place) = place {
        with.whole("server.port", u64::from(place.port));
    }
    if let Some(status) = attempt.status {
        with.whole("http.response.status_code", u64::from(status));
    }
    with.usage(attempt.usage);
    if call.stream && attempt.kind.is_none() && attempt.status.is_some() {
        with.seconds("gen_ai.response.time_to_first_chunk", attempt.took);
    }
    with.text("mainstay.provider", &attempt.provider);
    with.whole("mainstay.credential", u64::from(attempt.credential) + 1);
    with.whole("http.request.resend_count", u64::from(number));
    with.seconds("mainstay.waited", attempt.waited);
    with.optional("mainstay.wait.cause", Some(&*attempt.cause).filter(|cause| !cause.is_empty()));
    let failed = attempt.kind.map(mainstay_core::failure::Kind::name);
    with.optional("error.type", failed);
    let start = start.saturating_add(nanos(attempt.start));
    Span {
        trace_id: context.trace_id,
        id: context.span_id,
        parent: Some(traced.context.span_id),
        name: named(operation, attempt.model.as_deref()),
        kind: Kind::Client,
        start,
        end: start.saturating_add(nanos(attempt.lasted)),
        attributes: with.0,
        error: failed.map(str::to_owned),
    }
}

/// `gen_ai.operation.name`; the conventions' names where they have one, else our own of the endpoint.
fn operation(endpoint: Endpoint) -> &'static str {
    const KNOWN: [(Endpoint, &str); 4] = [
        (Endpoint::Chat, "chat"),
        (Endpoint::Responses, "chat"),
        (Endpoint::Completions, "text_completion"),
        (Endpoint::Embeddings, "embeddings"),
    ];
    let known = KNOWN.iter().find(|(known, _)| *known == endpoint);
    known.map_or_else(|| endpoint.name(), |(_, name)| name)
}

fn named(operation: &str, model: Option<&str>) -> String {
    match model {
        Some(model) => format!("{operation} {model}"),
        None => operation.to_owned(),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    fn text(&mut self, key: &'static str, text: &str) {
        self.0.push((key, Value::Text(text.to_owned())));
    }

    fn optional(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn flag(&mut self, key: &'static str, flag: bool) {
        self.0.push((key, Value::Flag(flag)));
    }

    fn whole(&mut self, key: &'static str, number: u64) {
        self.0.push((key, Value::Whole(i64::try_from(number).unwrap_or(i64::MAX))));
    }

    fn seconds(&mut self, key: &'static str, time: Duration) {
        self.0.push((key, Value::Real(time.as_secs_f64())));
    }

    fn usage(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        self.whole("gen_ai.usage.input_tokens", usage.input);
        self.whole("gen_ai.usage.output_tokens", usage.output);
        self.whole("gen_ai.usage.cache_read.input_tokens", usage.cached);
    }
}

/// What conventions call a provider, by its host; `None` where they have no name for it. Source: the
/// list of `gen_ai.provider.name`, read 2026-11.
pub(crate) fn provider_at(host: &str) -> Option<&'static str> {
    const HOSTS: [(&str, &str); 8] = [
        ("api.openai.com", "openai"),
        ("openai.azure.com", "azure.ai.openai"),
        ("api.anthropic.com", "anthropic"),
        ("api.deepseek.com", "deepseek"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.x.ai", "x_ai"),
    ];
    let fits = |end: &str| host == end || host.strip_suffix(end).is_some_and(|b| b.ends_with('.'));
    HOSTS.iter().find(|(end, _)| fits(end)).map(|(_, name)| *name)
}
