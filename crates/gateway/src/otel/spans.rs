//! A finished call as spans: one server span for the call, one client span for each attempt. Names
//! and attributes are those of OpenTelemetry's conventions for generative AI; no prompt, no answer and
//! no message of a provider is in them.
//!
//! Source: open-telemetry/semantic-conventions-genai, "Generative AI client spans", and
//! semantic-conventions, "HTTP spans" and "Recording errors", read 2026-11. All of the former are
//! experimental there.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay::call::Trace;
use mainstay_core::store::{AttemptNote, RequestRecord};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::notes::{Told, Wishes};
use mainstay_core::wire::traceparent::TraceContext;

use super::attributes::Attributes;
use super::proto::{Kind, Span};

/// What makes a call part of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traced {
    /// The call's own span.
    pub(crate) context: TraceContext,
    /// The caller's span, when he brought one.
    pub(crate) parent: Option<u64>,
    /// When the call arrived, on the engine's clock.
    pub(crate) arrived: Moment,
    /// What its request asked for; only of one that is sampled.
    pub(crate) wishes: Option<Wishes>,
    /// What the answer of each attempt told of itself, once the call is over.
    pub(crate) told: Vec<Option<Box<Told>>>,
}

impl Traced {
    /// Takes what answers told of themselves out of the call's trace.
    pub(crate) fn with_notes(mut self: Box<Traced>, trace: &mut Trace) -> Box<Traced> {
        self.told = trace.records.iter_mut().map(|record| record.told.take()).collect();
        self
    }

    /// What the answer that the caller got told of itself: that of the last attempt which did not fail.
    /// One that lost a race has no end.
    fn answer(&self, call: &RequestRecord) -> Option<&Told> {
        let all = self.told.iter().zip(&call.attempts);
        let sound = all.filter(|(_, attempt)| attempt.kind.is_none());
        let told: Vec<&Told> = sound.filter_map(|(told, _)| told.as_deref()).collect();
        let ended = told.iter().rfind(|told| told.finished().next().is_some());
        ended.or_else(|| told.last()).copied()
    }
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
    with.flag("gen_ai.request.stream", call.stream);
    with.wishes(call.endpoint, traced.wishes.as_ref());
    with.usage(call.usage);
    with.told(traced.answer(call), call.served.as_deref());
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
    with.wishes(call.endpoint, traced.wishes.as_ref());
    with.usage(attempt.usage);
    let told = usize::try_from(number).ok().and_then(|number| traced.told.get(number));
    with.told(told.and_then(Option::as_deref), None);
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

/// What conventions call a provider, by its host; `None` where they have no name for it. Source: the
/// list of `gen_ai.provider.name`, read 2026-11.
pub(crate) fn provider_at(host: &str) -> Option<&'static str> {
    const HOSTS: [(&str, &str); 17] = [
        ("api.openai.com", "openai"),
        ("openai.azure.com", "azure.ai.openai"),
        ("services.ai.azure.com", "azure.ai.inference"),
        ("api.anthropic.com", "anthropic"),
        ("api.deepseek.com", "deepseek"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        // Regions stand before it with a hyphen: `us-central1-aiplatform.googleapis.com`.
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("amazonaws.com", "aws.bedrock"),
        ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
        ("api.cohere.com", "cohere"),
        ("api.cohere.ai", "cohere"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.moonshot.ai", "moonshot_ai"),
        ("api.moonshot.cn", "moonshot_ai"),
        ("api.perplexity.ai", "perplexity"),
        ("api.x.ai", "x_ai"),
    ];
    let fits = |end: &str| {
        let before = host.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']))
    };
    HOSTS.iter().find(|(end, _)| fits(end)).map(|(_, name)| *name)
}
