//! What the environment says about traces, by OpenTelemetry's own names.
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry
//! Protocol Exporter", read 2026-11.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use mainstay::http_url::HttpUrl;
use mainstay_core::wire::traceparent::TraceContext;

use crate::config::{Environment, Secret};

/// Where traces go, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct OtelSettings {
    /// Scheme, host, port and path of the receiver of traces.
    pub endpoint: HttpUrl,
    /// Headers sent with each batch.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The proxy to go through.
    pub proxy: Option<Secret>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Which calls are recorded.
    pub sampler: Sampler,
    /// What describes this gateway: `service.name` and others.
    pub resource: Vec<(String, String)>,
    /// Spans in a batch at most.
    pub batch_max: usize,
    /// Spans that may wait; further calls are dropped and counted.
    pub queue_max: usize,
    /// How long a span waits for its batch to fill.
    pub delay: Duration,
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether the caller's decision counts, where he brings a trace.
    pub by_parent: bool,
    /// The share of other calls, 0 to 1.
    pub share: f64,
}

impl Default for Sampler {
    fn default() -> Self {
        Sampler { by_parent: true, share: 1.0 }
    }
}

impl Sampler {
    /// The span of a call, and whether it is recorded. `id` is the call's own.
    pub(crate) fn context(&self, id: u128, parent: Option<TraceContext>) -> TraceContext {
        let trace = parent.map_or(id, |parent| parent.trace_id);
        let own = TraceContext::is_among(trace, self.share);
        let mut context = TraceContext::of_call(id, parent, own);
        if !self.by_parent {
            context.sampled = own;
        }
        context
    }
}

/// What is wrong with a variable: its name, and what it must be.
pub(crate) type Wrong = (&'static str, &'static str);

/// Reads the environment; `None` when no endpoint is named or traces are switched off. What cannot be
/// used is told, and the default holds.
pub(crate) fn read(environment: &Environment) -> (Option<OtelSettings>, Vec<Wrong>) {
    let mut wrong = Vec::new();
    let get = |name: &str| environment.get(name).map(str::trim);
    let off = get("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || get("OTEL_TRACES_EXPORTER") == Some("none");
    let Some(url) = endpoint(&get, &mut wrong).filter(|_| !off) else { return (None, wrong) };
    let protocol =
        get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| get("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if protocol.is_some_and(|name| name != "http/protobuf") {
        let why = "only `http/protobuf` is spoken, and is used: point the endpoint at its port, usually 4318";
        wrong.push(("OTEL_EXPORTER_OTLP_PROTOCOL", why));
    }
    let mut number = |name: &'static str, default: u64| {
        let Some(text) = get(name) else { return default };
        text.parse().ok().filter(|number| *number > 0).unwrap_or_else(|| {
            wrong.push((name, "it must be a whole number above 0"));
            default
        })
    };
    let timeout = number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000).min(600_000);
    let queue_max = number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048).min(1_000_000);
    let batch_max = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).min(queue_max);
    let delay = number("OTEL_BSP_SCHEDULE_DELAY", 5_000).min(60_000);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let headers =
        get("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| get("OTEL_EXPORTER_OTLP_HEADERS"));
    let settings = OtelSettings {
        headers: headers.map(|text| read_headers(text, &mut wrong)).unwrap_or_default(),
        proxy: environment.proxy_for(&url),
        endpoint: url,
        timeout: Duration::from_millis(timeout),
        sampler: sampler(&get, &mut wrong),
        resource: resource(&get),
        batch_max: size(batch_max),
        queue_max: size(queue_max),
        delay: Duration::from_millis(delay),
    };
    (Some(settings), wrong)
}

fn endpoint<'e>(get: &impl Fn(&str) -> Option<&'e str>, wrong: &mut Vec<Wrong>) -> Option<HttpUrl> {
    const WHY: &str = "it must be a URL such as http://localhost:4318";
    if let Some(text) = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        let url = text.parse();
        return url.map_err(|_| wrong.push(("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", WHY))).ok();
    }
    let text = get("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let url = format!("{}/v1/traces", text.trim_end_matches('/')).parse();
    url.map_err(|_| wrong.push(("OTEL_EXPORTER_OTLP_ENDPOINT", WHY))).ok()
}

fn sampler<'e>(get: &impl Fn(&str) -> Option<&'e str>, wrong: &mut Vec<Wrong>) -> Sampler {
    let share = || {
        let text = get("OTEL_TRACES_SAMPLER_ARG").unwrap_or("1");
        text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))
    };
    let (by_parent, share) = match get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on") {
        "always_on" => (false, Some(1.0)),
        "always_off" => (false, Some(0.0)),
        "traceidratio" => (false, share()),
        "parentbased_always_on" => (true, Some(1.0)),
        "parentbased_always_off" => (true, Some(0.0)),
        "parentbased_traceidratio" => (true, share()),
        _ => {
            let known = "it must be always_on, always_off, traceidratio, or one of them after `parentbased_`";
            wrong.push(("OTEL_TRACES_SAMPLER", known));
            (true, Some(1.0))
        }
    };
    let share = share.unwrap_or_else(|| {
        wrong.push(("OTEL_TRACES_SAMPLER_ARG", "it must be a number from 0 to 1"));
        1.0
    });
    Sampler { by_parent, share }
}

fn resource<'e>(get: &impl Fn(&str) -> Option<&'e str>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = pairs(get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    if let Some(name) = get("OTEL_SERVICE_NAME") {
        all.retain(|(key, _)| key != "service.name");
        all.push(("service.name".to_owned(), name.to_owned()));
    }
    let has = |all: &[(String, String)], name: &str| all.iter().any(|(key, _)| key == name);
    for (name, value) in
        [("service.name", "mainstay"), ("service.version", env!("CARGO_PKG_VERSION"))]
    {
        if !has(&all, name) {
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    all
}

/// `key=value,key2=value2`, values percent-encoded; what is none is left out.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        (!key.trim().is_empty()).then(|| (key.trim().to_owned(), unescaped(value.trim())))
    };
    text.split(',').filter_map(pair).take(64).collect()
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.filter(|_| *byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn read_headers(text: &str, wrong: &mut Vec<Wrong>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in pairs(text) {
        let name = HeaderName::try_from(name.to_ascii_lowercase());
        match (name, HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.push((name, value));
            }
            _ => wrong.push(("OTEL_EXPORTER_OTLP_HEADERS", "it must be `name=value,name=value`")),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(pairs: &[(&str, &str)]) -> (Option<OtelSettings>, Vec<Wrong>) {
        read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn without_an_endpoint_or_switched_off_there_are_no_traces() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        assert_eq!(read_of(&[]), (None, vec![]));
        assert_eq!(read_of(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), (None, vec![]));
        assert_eq!(read_of(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), (None, vec![]));
    }

    #[test]
    fn variables_hold_as_specified() {
        let (settings, wrong) = read_of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=1"),
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=prod"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ]);
        let settings = settings.expect("an endpoint");
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(settings.endpoint.to_string(), "http://c:4318/v1/traces");
        assert_eq!(settings.headers[0].1, "a b");
        assert!(!format!("{settings:?}").contains("a b"));
        assert_eq!(settings.sampler, Sampler { by_parent: false, share: 0.25 });
        assert_eq!((settings.queue_max, settings.batch_max), (100, 100));
        let value = |name: &str| {
            let found: Vec<&str> = settings
                .resource
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, v)| &**v)
                .collect();
            found.join("|")
        };
        assert_eq!(
            (value("service.name"), value("deployment.environment.name")),
            ("edge".into(), "prod".into())
        );
        let own = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/x/")];
        assert_eq!(read_of(&own).0.expect("an endpoint").endpoint.to_string(), "https://c/x");
    }

    #[test]
    fn what_cannot_be_used_is_told_and_the_default_holds() {
        let (settings, wrong) = read_of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "bad name=1"),
        ]);
        let settings = settings.expect("an endpoint");
        assert_eq!(
            (settings.sampler, settings.delay),
            (Sampler::default(), Duration::from_secs(5))
        );
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(read_of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318")]).1.len() == 1);
    }

    #[test]
    fn the_callers_decision_counts_where_it_shall() {
        let parent = |sampled| Some(TraceContext { trace_id: 9, span_id: 9, sampled });
        let on = Sampler { by_parent: true, share: 0.0 };
        assert!(on.context(1, parent(true)).sampled && !on.context(1, None).sampled);
        let off = Sampler { by_parent: false, share: 0.0 };
        assert!(!off.context(1, parent(true)).sampled);
        assert!(!Sampler::default().context(1, parent(false)).sampled);
        assert!(Sampler::default().context(1, None).sampled);
    }
}
