//! The 37 kinds of failure, each as a provider shows it.
//!
//! Source of statuses, types, codes and texts: OpenAI error guide, rate limit guide, API description
//! of 2026-08 and bodies in public issue trackers, read 2026-11, unless a row says otherwise. The names
//! `expired_api_key`, `revoked_api_key`, `concurrent_limit_exceeded` and `service_unavailable` come
//! from a gateway's published error format.

use crate::fault::Fault;
use crate::provider::answer::{Answer, HTML};
use crate::provider::encode::{go_duration, quoted};
use std::time::Duration;

/// How the provider shows one kind of failure.
#[derive(Clone, Copy, Debug)]
pub struct KindSpec {
    /// The stable name; `sim-<name>` is the model that answers with it.
    pub name: &'static str,
    /// What comes back.
    pub acts: Acts,
}

/// What comes back for a kind.
#[derive(Clone, Copy, Debug)]
pub enum Acts {
    /// A status with an error body as JSON.
    Json {
        /// HTTP status.
        status: u16,
        /// `error.type`.
        kind: &'static str,
        /// `error.code`; `None` is written as `null`.
        code: Option<&'static str>,
        /// `error.param`; `None` is written as `null`.
        param: Option<&'static str>,
        /// `error.message`; `{model}`, `{wait}`, `{path}`, `{method}` and `{id}` are filled in.
        message: &'static str,
        /// Whether `retry-after` and `retry-after-ms` are sent.
        hint: bool,
    },
    /// A status with a web page, as a proxy in front of a provider sends it.
    Page {
        /// HTTP status.
        status: u16,
        /// Title of the page.
        title: &'static str,
    },
    /// No sound answer at all.
    Wire(Fault),
}

/// Every kind, in the order of the documentation.
pub fn kinds() -> &'static [KindSpec] {
    &KINDS
}

const fn json(
    name: &'static str,
    status: u16,
    kind: &'static str,
    code: &'static str,
    param: &'static str,
    message: &'static str,
) -> KindSpec {
    let hint = status == 429 && message_has_wait(message);
    let (code, param) = (absent_if_empty(code), absent_if_empty(param));
    KindSpec { name, acts: Acts::Json { status, kind, code, param, message, hint } }
}

const fn wire(name: &'static str, fault: Fault) -> KindSpec {
    KindSpec { name, acts: Acts::Wire(fault) }
}

const fn page(name: &'static str, status: u16, title: &'static str) -> KindSpec {
    KindSpec { name, acts: Acts::Page { status, title } }
}

const fn absent_if_empty(text: &'static str) -> Option<&'static str> {
    if text.is_empty() { None } else { Some(text) }
}

const fn message_has_wait(message: &str) -> bool {
    let bytes = message.as_bytes();
    let mut at = 0;
    while at + 6 <= bytes.len() {
        if bytes[at] == b'{' && bytes[at + 1] == b'w' && bytes[at + 2] == b'a' {
            return true;
        }
        at += 1;
    }
    false
}

/// The type that most refusals carry.
pub(crate) const INVALID: &str = "invalid_request_error";

pub(crate) const NO_KEY: &str = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.";

pub(crate) const NOT_JSON: &str = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)";

#[rustfmt::skip]
static KINDS: [KindSpec; 37] = [
    json("invalid_authentication", 401, INVALID, "", "", NO_KEY),
    json("incorrect_api_key", 401, INVALID, "invalid_api_key", "",
        "Incorrect API key provided: sk-sim-************0000. You can find your API key at https://platform.openai.com/account/api-keys."),
    json("expired_api_key", 401, INVALID, "expired_api_key", "",
        "The API key provided has expired. Create a new key at https://platform.openai.com/account/api-keys."),
    json("revoked_api_key", 401, INVALID, "revoked_api_key", "",
        "The API key provided has been revoked. Create a new key at https://platform.openai.com/account/api-keys."),
    json("not_organization_member", 401, INVALID, "", "",
        "You must be a member of an organization to use the API."),
    json("ip_not_authorized", 401, INVALID, "ip_not_authorized", "",
        "Your IP is not authorized to access this project. Ask a project owner to add it to the allowlist."),
    json("unsupported_region", 403, "request_forbidden", "unsupported_country_region_territory", "",
        "Country, region, or territory not supported"),
    json("permission_denied", 403, INVALID, "missing_scope", "",
        "You have insufficient permissions for this operation. Missing scopes: model.request."),
    json("model_access_denied", 403, INVALID, "model_not_found", "",
        "Project `proj_sim` does not have access to model `{model}`"),
    json("rate_limit_requests", 429, "requests", "rate_limit_exceeded", "",
        "Rate limit reached for {model} in organization org-sim on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in {wait}. Visit https://platform.openai.com/account/rate-limits to learn more."),
    json("rate_limit_tokens", 429, "tokens", "rate_limit_exceeded", "",
        "Rate limit reached for {model} in organization org-sim on tokens per min (TPM): Limit 30000, Used 29912, Requested 588. Please try again in {wait}. Visit https://platform.openai.com/account/rate-limits to learn more."),
    json("rate_limit_other", 429, "rate_limit_error", "rate_limit_exceeded", "",
        "Rate limit reached for {model} in organization org-sim. Please try again in {wait}."),
    json("concurrent_limit", 429, "rate_limit_error", "concurrent_limit_exceeded", "",
        "Too many concurrent requests. Please try again later."),
    json("insufficient_quota", 429, "insufficient_quota", "insufficient_quota", "",
        "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."),
    json("billing_limit", 429, "billing_not_active", "billing_not_active", "",
        "Your account is not active, please check your billing details on our website."),
    json("invalid_request", 400, INVALID, "", "", NOT_JSON),
    json("missing_required_field", 400, INVALID, "missing_required_parameter", "messages",
        "Missing required parameter: 'messages'."),
    json("invalid_value", 400, INVALID, "invalid_value", "messages[0].role",
        "Invalid value: 'usr'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."),
    json("unsupported_parameter", 400, INVALID, "unsupported_parameter", "max_tokens",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
    json("model_not_found", 404, INVALID, "model_not_found", "",
        "The model `{model}` does not exist or you do not have access to it."),
    json("context_length_exceeded", 400, INVALID, "context_length_exceeded", "messages",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 202868 tokens. Please reduce the length of the messages."),
    json("content_policy", 400, INVALID, "invalid_prompt", "",
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt: https://platform.openai.com/docs/guides/reasoning#advice-on-prompting"),
    json("request_too_large", 413, "server_error", "", "",
        "Maximum content size limit (26214400) exceeded (26228340 bytes read)"),
    json("not_found", 404, INVALID, "", "", "Invalid URL ({method} {path})"),
    json("conflict", 409, INVALID, "", "", "The resource was updated by another request."),
    json("unprocessable_entity", 422, INVALID, "", "",
        "The request was well-formed but could not be processed."),
    json("method_not_allowed", 405, INVALID, "method_not_supported", "",
        "Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"),
    json("internal_error", 500, "server_error", "", "",
        "The server had an error processing your request. Sorry about that! You can retry your request, or contact us through our help center at help.openai.com if you keep seeing this error. (Please include the request ID {id} in your email.)"),
    json("overloaded", 503, "service_unavailable_error", "server_is_overloaded", "",
        "Our servers are currently overloaded. Please try again later."),
    json("service_unavailable", 503, "server_error", "service_unavailable", "",
        "The service is temporarily unavailable. Please try again later."),
    page("bad_gateway", 502, "502 Bad Gateway"),
    page("gateway_timeout", 504, "504 Gateway Time-out"),
    wire("request_timeout", Fault::Hang),
    wire("connection", Fault::ResetBeforeHeaders),
    wire("stream_interrupted", Fault::CutFin),
    wire("malformed_response", Fault::MalformedEvent),
    // No documented status fits here; HTTP defines none above 599, and some walls against robots send 999.
    json("unknown", 999, "unknown_error", "", "", "The simulator was asked for a failure of no documented kind."),
];

/// What fills the places in a message.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) model: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) id: &'a str,
    /// How long the provider asks to wait, and what it writes where that must look odd.
    pub(crate) wait: &'a Wait,
}

/// The wait that an error on demand asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A sound one.
    For(Duration),
    /// Any text, sent as it is in `retry-after`: dates, negative and absurd values.
    Odd(String),
}

impl KindSpec {
    /// The kind with this name; `-` and `_` are the same.
    pub(crate) fn named(name: &str) -> Option<&'static KindSpec> {
        let same = |spec: &&KindSpec| {
            spec.name.len() == name.len()
                && spec
                    .name
                    .bytes()
                    .zip(name.bytes())
                    .all(|(a, b)| a == b || (a == b'_' && b == b'-'))
        };
        KINDS.iter().find(same)
    }

    /// The HTTP status; `None` where no sound answer comes.
    pub fn status(&self) -> Option<u16> {
        match self.acts {
            Acts::Json { status, .. } | Acts::Page { status, .. } => Some(status),
            Acts::Wire(_) => None,
        }
    }

    /// The body as sent for a model named `sim-<name>`; `None` where no sound answer comes.
    pub fn body(&self) -> Option<String> {
        let model = format!("sim-{}", self.name);
        let facts = Facts {
            model: &model,
            method: "POST",
            path: "/v1/chat/completions",
            id: "req_sim",
            wait: &Wait::For(Duration::from_secs(1)),
        };
        self.text(&facts)
    }

    /// The names and values of headers beside the usual ones.
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.acts {
            Acts::Json { hint: true, .. } => &[("retry-after", "1"), ("retry-after-ms", "1000")],
            Acts::Json { hint: false, .. } | Acts::Page { .. } | Acts::Wire(_) => &[],
        }
    }

    fn text(&self, facts: &Facts<'_>) -> Option<String> {
        match self.acts {
            Acts::Json { kind, code, param, message, .. } => {
                Some(error_body(&filled(message, facts), Some(kind), param, code))
            }
            Acts::Page { title, .. } => Some(page_body(title)),
            Acts::Wire(_) => None,
        }
    }

    /// The answer, where the kind has a sound one.
    pub(crate) fn answer(&self, facts: &Facts<'_>) -> Option<Answer> {
        let mut answer = Answer::json(self.status()?, self.text(facts)?);
        match self.acts {
            Acts::Json { hint: true, .. } => answer.headers = wait_headers(facts.wait),
            Acts::Page { .. } => answer.content_type = HTML,
            Acts::Json { hint: false, .. } | Acts::Wire(_) => {}
        }
        Some(answer)
    }
}

/// `retry-after` in whole seconds, at least 1, and `retry-after-ms`, both rounded up.
///
/// Source: OpenAI API description, `TooManyRequests`, header `Retry-After` ≥ 1, read 2026-11.
pub(crate) fn wait_headers(wait: &Wait) -> Vec<(&'static str, String)> {
    match wait {
        Wait::For(wait) => {
            let ms = wait.as_nanos().div_ceil(1_000_000).max(1);
            let seconds = ms.div_ceil(1_000);
            vec![("retry-after", seconds.to_string()), ("retry-after-ms", ms.to_string())]
        }
        Wait::Odd(text) => vec![("retry-after", text.clone())],
    }
}

fn filled(message: &str, facts: &Facts<'_>) -> String {
    let wait = match facts.wait {
        Wait::For(wait) => go_duration(*wait),
        Wait::Odd(text) => text.clone(),
    };
    message
        .replace("{model}", facts.model)
        .replace("{method}", facts.method)
        .replace("{path}", facts.path)
        .replace("{id}", facts.id)
        .replace("{wait}", &wait)
}

/// An error body with all four keys.
pub(crate) fn error_body(
    message: &str,
    kind: Option<&str>,
    param: Option<&str>,
    code: Option<&str>,
) -> String {
    let or_null = |text: Option<&str>| text.map_or_else(|| "null".into(), quoted);
    format!(
        r#"{{"error":{{"message":{},"type":{},"param":{},"code":{}}}}}"#,
        quoted(message),
        or_null(kind),
        or_null(param),
        or_null(code)
    )
}

/// A page as a common reverse proxy writes it.
pub(crate) fn page_body(title: &str) -> String {
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_own_name() {
        let names: BTreeSet<_> = kinds().iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), 37);
        for name in names {
            assert_eq!(KindSpec::named(name).map(|spec| spec.name), Some(name));
            assert_eq!(KindSpec::named(&name.replace('_', "-")).map(|spec| spec.name), Some(name));
        }
    }

    #[test]
    fn bodies_are_json_with_all_four_keys_and_no_place_left_open() {
        for spec in kinds() {
            let Acts::Json { .. } = spec.acts else { continue };
            let body = spec.body().unwrap();
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            let keys: BTreeSet<_> = value["error"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["code", "message", "param", "type"]);
            assert!(!value["error"]["message"].as_str().unwrap().contains('{'), "{body}");
        }
    }

    #[test]
    fn a_hint_is_sent_only_where_waiting_helps() {
        let hinted: Vec<_> = kinds()
            .iter()
            .filter(|spec| !spec.headers().is_empty())
            .map(|spec| spec.name)
            .collect();
        assert_eq!(hinted, ["rate_limit_requests", "rate_limit_tokens", "rate_limit_other"]);
    }

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        let of = |ms| wait_headers(&Wait::For(Duration::from_micros(ms)));
        let pair = |s: &str, ms: &str| {
            vec![("retry-after", s.to_owned()), ("retry-after-ms", ms.to_owned())]
        };
        assert_eq!(of(0), pair("1", "1"));
        assert_eq!(of(1_000_001), pair("2", "1001"));
        assert_eq!(of(20_000_000), pair("20", "20000"));
    }
}
