//! Talking to a provider: whether an API answers, whether each key is taken, which models there
//! are, and what headers tell of limits and time. From exchanges to findings, by pure functions.

use std::time::Duration;

use mainstay::probe::Exchange;
use mainstay_core::catalogue::entry;
use mainstay_core::classify::{TransportFault, Verdict};
use mainstay_core::failure::{Concern, Kind};
use mainstay_core::hints::{Dimension, http_date};
use mainstay_core::mask;
use mainstay_core::store::UnixMillis;
use serde_json::Value;

use super::finding::Finding;
use super::way::millis;

/// A first byte that takes longer is told; a list of models is no work.
const ANSWER_SLOW: Duration = Duration::from_secs(3);
/// A clock that differs more is told. `Date` has whole seconds, and the answer was on its way.
const SKEW_TOLD: u64 = 30;
/// A clock that differs more makes certificates and signed tokens fail.
const SKEW_MAX: u64 = 300;
/// Longest words of a provider that are shown, in characters.
const SAID_MAX: usize = 160;
/// Most models named in one line.
const MODELS_SHOWN: usize = 5;

/// Whether what answers is an API and no web page; `None` when it is.
pub(super) fn portal(exchange: &Exchange) -> Option<Finding> {
    let status = exchange.status?.as_u16();
    let page = exchange.media_type() == "text/html";
    let away = (300..400).contains(&status);
    if !(page || away || status == 511) {
        return None;
    }
    let what = match exchange.header("location").filter(|_| away) {
        Some(to) => format!("the answer is a redirect ({status}) to {}", cut(to)),
        None => format!("the answer is a web page ({status}){}", title(&exchange.body)),
    };
    let cause = "A captive portal, a block page of a proxy or firewall, or a wrong `base_url` answers in the provider's place.";
    let fix = [
        "Open the address in a browser on this network: a portal asks for a login there.",
        "Check `base_url`: it usually ends in /v1.",
        "Check proxies and firewalls on the way, and what they allow.",
    ];
    Some(Finding::failed("answer", what, cause, &fix).around())
}

/// Whether any answer came.
pub(super) fn answered(exchange: &Exchange) -> Finding {
    match (exchange.fault, exchange.status) {
        (Some(fault), None) => no_answer("answer", exchange, fault),
        (Some(fault), Some(status)) => {
            let what = format!("the answer ({status}) broke off after {}", millis(exchange.took));
            Finding::fault("answer", what, fault)
        }
        (None, _) => portal(exchange).unwrap_or_else(|| {
            let status = exchange.status.map_or(0, |status| status.as_u16());
            Finding::ok("answer", format!("GET /models gave {status} ({})", exchange.media_type()))
        }),
    }
}

fn no_answer(check: &'static str, exchange: &Exchange, fault: TransportFault) -> Finding {
    let what = if fault == TransportFault::HeadersTimeout {
        format!("connected, and no answer came in {}", millis(exchange.took))
    } else {
        format!("no answer came ({})", fault.failure().kind.name())
    };
    Finding::fault(check, what, fault)
}

/// Whether a key was taken.
pub(super) fn auth(number: usize, exchange: &Exchange) -> Finding {
    if let Some(fault) = exchange.fault {
        return no_answer("auth", exchange, fault);
    }
    if exchange.media_type() == "text/html" || exchange.status.is_some_and(|s| s.is_redirection()) {
        return Finding::skipped("auth", format!("key {number}: no API answered"));
    }
    let Some(verdict) = exchange.verdict(false) else {
        return Finding::ok("auth", format!("key {number} is accepted"));
    };
    refused(number, &verdict)
}

fn refused(number: usize, verdict: &Verdict) -> Finding {
    let kind = verdict.failure.kind;
    let status = verdict.failure.provider.status.unwrap_or_default();
    let what = format!("key {number}: {kind} ({status}){}", said(verdict));
    let finding = Finding::kind("auth", what, entry(kind));
    match kind.concern() {
        Concern::Address => {
            let what = format!("key {number} could not be tried: GET /models gave {status}");
            let cause = "This server has no list of models, or `base_url` has another path.";
            let fix = [
                "Check `base_url`: it usually ends in /v1.",
                "Try a call: `mainstay doctor --model NAME`.",
            ];
            Finding::warning("auth", what, cause, &fix)
        }
        Concern::Limit => finding.only_a_warning(),
        Concern::Target => finding.around(),
        Concern::Account | Concern::Request | Concern::Nobody => finding,
    }
}

/// What the provider said, without anything shaped like a secret.
pub(super) fn said(verdict: &Verdict) -> String {
    match verdict.failure.provider.message.clone().filter(|text| !text.is_empty()) {
        Some(text) => format!(": {}", cut(&mask::text(text))),
        None => String::new(),
    }
}

/// A text on one line, cut.
fn cut(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().take(SAID_MAX).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// The title of a page, after a colon.
fn title(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page.get(..16 * 1024).unwrap_or(page)).to_string();
    let lower = page.to_ascii_lowercase();
    let inside = lower.find("<title").and_then(|at| Some(at + lower[at..].find('>')? + 1));
    let title = inside.and_then(|from| {
        let to = from + lower[from..].find('<')?;
        page.get(from..to)
    });
    title
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map_or(String::new(), |t| format!(": {}", cut(t)))
}

/// Whether the models that the configuration names are in the provider's list.
pub(super) fn models(exchange: &Exchange, wanted: &[String]) -> Finding {
    let Some(listed) = list(exchange) else {
        return Finding::skipped("models", "no list of models came");
    };
    let known = |model: &&String| {
        listed.iter().any(|id| id == *model || id.rsplit('/').next() == Some(model.as_str()))
    };
    let missing: Vec<&str> =
        wanted.iter().filter(|model| !known(model)).map(String::as_str).collect();
    if missing.is_empty() {
        let named = match wanted.len() {
            0 => String::new(),
            n => format!(", with the {n} that the configuration names"),
        };
        return Finding::ok("models", format!("{} are listed{named}", listed.len()));
    }
    let shown = missing.iter().take(MODELS_SHOWN).map(|model| format!("`{}`", cut(model)));
    let shown: Vec<String> = shown.collect();
    let more = missing.len().saturating_sub(MODELS_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!("not in the provider's list: {}{more}", shown.join(", "));
    let cause = entry(Kind::ModelNotFound).cause;
    let fix = [
        "Check the spelling in `models`, `model_map` and `targets`.",
        "Check that the key's project may use the model.",
        "Some providers list fewer models than they serve: try `mainstay doctor --model NAME`.",
    ];
    Finding::warning("models", what, cause, &fix)
}

fn list(exchange: &Exchange) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(&exchange.body).ok()?;
    let items = body.get("data").or_else(|| body.get("models")).unwrap_or(&body).as_array()?;
    let id =
        |item: &Value| item.get("id").or_else(|| item.get("name"))?.as_str().map(str::to_owned);
    Some(items.iter().filter_map(id).collect())
}

/// How far this machine's clock is from the provider's. `came` is when the head was there.
pub(super) fn clock(exchange: &Exchange, came: UnixMillis) -> Finding {
    // An answer that a cache kept has the time at which it was made.
    let date = exchange.header("date").filter(|_| exchange.header("age").is_none());
    let Some(theirs) = date.and_then(http_date) else {
        return Finding::skipped("clock", "the answer tells no time");
    };
    let (ours, theirs) = (came.0 / 1_000, theirs.as_secs());
    let skew = ours.abs_diff(theirs);
    let way = if ours > theirs { "ahead of" } else { "behind" };
    if skew <= SKEW_TOLD {
        return Finding::ok("clock", format!("{skew} s from the provider's"));
    }
    let what = format!("this machine's clock is {skew} s {way} the provider's");
    let cause = "A wrong clock makes sound certificates look expired, ends keys and budgets at the wrong time, and misreads hints that are dates.";
    let fix = ["Set the clock: `timedatectl set-ntp true`, or the host's clock for a container."];
    let finding = Finding::failed("clock", what, cause, &fix).around();
    if skew > SKEW_MAX { finding } else { finding.only_a_warning() }
}

/// How long the first byte of a short answer took.
pub(super) fn latency(exchange: &Exchange) -> Finding {
    let answer = exchange.head.saturating_sub(exchange.connected);
    let what = format!("{} to connect, {} to answer", millis(exchange.connected), millis(answer));
    let finding = if answer <= ANSWER_SLOW {
        Finding::ok("latency", what)
    } else {
        let cause = "A loaded provider, a slow network, or a proxy that holds answers up.";
        let fix = [
            "Look at the provider's status page.",
            "Check the network: other programs, proxies, a weak link.",
        ];
        Finding::warning("latency", what, cause, &fix).around()
    };
    finding.within(exchange.head)
}

/// What headers tell of rate limits.
pub(super) fn limits(exchange: &Exchange) -> Finding {
    let rates = exchange.rates();
    let requests = rates.request_dimensions().map(|dimension| (dimension, "requests"));
    let tokens = rates.token_dimensions().map(|dimension| (dimension, "tokens"));
    let all: Vec<(Dimension, &str)> = requests.chain(tokens).collect();
    if all.is_empty() {
        return Finding::ok("limits", "none are told; they are learnt from refusals");
    }
    let shown: Vec<String> = all.iter().map(|(one, unit)| dimension(one, unit)).collect();
    let shown = shown.join(", ");
    if all.iter().any(|(one, _)| one.remaining == Some(0)) {
        let cause = entry(Kind::RateLimitRequests).cause;
        let fix = [
            "Look for other programs that use the same organization: limits are counted for all of it.",
            "Wait until the limit is full again, or ask the provider for a higher one.",
        ];
        return Finding::warning("limits", format!("nothing is left: {shown}"), cause, &fix);
    }
    Finding::ok("limits", shown)
}

fn dimension(one: &Dimension, unit: &str) -> String {
    let left = one.remaining.map_or_else(|| "?".to_owned(), |left| left.to_string());
    let limit = one.limit.map_or_else(|| "?".to_owned(), |limit| limit.to_string());
    let reset = one.reset.map_or(String::new(), |reset| format!(" (full in {})", millis(reset)));
    format!("{left} of {limit} {unit} left{reset}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::{Side, State};
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue, StatusCode};

    fn came(status: u16, headers: &[(&'static str, &str)], body: &str) -> Exchange {
        let mut exchange = Exchange {
            status: Some(StatusCode::from_u16(status).unwrap()),
            body: Bytes::copy_from_slice(body.as_bytes()),
            ..Exchange::default()
        };
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            exchange.headers.insert(HeaderName::from_static(name), value);
        }
        exchange
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn a_portal_is_told_from_an_api() {
        let html = [("content-type", "text/html; charset=utf-8")];
        let page = came(200, &html, "<html><TITLE>Hotel\nWi-Fi</TITLE>");
        let found = answered(&page);
        assert_eq!((found.state, found.side), (State::Failed, Side::Surroundings));
        assert!(found.found.ends_with("(200): Hotel Wi-Fi"), "{}", found.found);
        let moved = came(302, &[("location", "http://login.test/?u=1")], "");
        assert!(answered(&moved).found.contains("redirect (302) to http://login.test/"));
        assert_eq!(answered(&came(200, &[JSON], "{\"data\":[]}")).state, State::Ok);
        assert_eq!(auth(1, &page).state, State::Skipped);
    }

    #[test]
    fn a_refused_key_is_explained_by_the_catalogue_and_not_shown() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-abcdefgh1234. You can find your API key at https://x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
        let found = auth(2, &came(401, &[JSON], body));
        assert_eq!((found.state, found.side), (State::Failed, Side::Setup));
        assert_eq!(found.cause, entry(Kind::IncorrectApiKey).cause);
        assert!(found.found.starts_with("key 2: incorrect_api_key (401)"), "{}", found.found);
        assert!(!found.text().contains("abcdefgh1234"), "{}", found.text());
    }

    #[test]
    fn what_is_the_providers_side_is_the_surroundings() {
        let body = r#"{"error":{"message":"The server is overloaded","type":"server_error"}}"#;
        assert_eq!(auth(1, &came(503, &[JSON], body)).side, Side::Surroundings);
        let limited = r#"{"error":{"message":"Rate limit reached for requests","type":"requests","code":"rate_limit_exceeded"}}"#;
        assert_eq!(auth(1, &came(429, &[JSON], limited)).state, State::Warning);
        assert_eq!(auth(1, &came(404, &[JSON], "{}")).state, State::Warning);
    }

    #[test]
    fn a_skewed_clock_is_told_and_a_kept_answer_tells_no_time() {
        // Sat, 28 Nov 2026 10:00:00 GMT.
        let then = 1_795_860_000_000;
        let date = ("date", "Sat, 28 Nov 2026 10:00:00 GMT");
        let state = |headers: &[(&'static str, &str)], ours: u64| {
            clock(&came(200, headers, ""), UnixMillis(ours)).state
        };
        assert_eq!(state(&[date], then + 30_999), State::Ok);
        assert_eq!(state(&[date], then - 31_000), State::Warning);
        assert_eq!(state(&[date], then + 301_000), State::Failed);
        assert_eq!(state(&[date, ("age", "900")], then + 900_000), State::Skipped);
        assert_eq!(state(&[], then), State::Skipped);
    }

    #[test]
    fn models_that_nobody_lists_are_named() {
        let body = r#"{"data":[{"id":"gpt-4o"},{"id":"org/llama"}]}"#;
        let wanted = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let exchange = came(200, &[JSON], body);
        assert_eq!(models(&exchange, &wanted(&["gpt-4o", "llama"])).state, State::Ok);
        let found = models(&exchange, &wanted(&["gpt-4o", "gpt-5o"]));
        assert_eq!(found.state, State::Warning);
        assert!(found.found.contains("`gpt-5o`") && !found.found.contains("`gpt-4o`"));
    }

    #[test]
    fn a_slow_answer_is_a_warning_and_a_slow_connection_is_not_counted_twice() {
        let state = |connected: Duration, head: Duration| {
            latency(&Exchange { connected, head, ..came(200, &[], "") }).state
        };
        let way = Duration::from_secs(9);
        assert_eq!(state(way, way + ANSWER_SLOW), State::Ok);
        assert_eq!(state(way, way + ANSWER_SLOW + Duration::from_millis(1)), State::Warning);
    }

    #[test]
    fn an_exhausted_limit_is_a_warning() {
        let headers = [
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "12ms"),
        ];
        let found = limits(&came(200, &headers, ""));
        assert_eq!(found.state, State::Warning);
        assert!(found.found.contains("0 of 500 requests left (full in 12 ms)"), "{}", found.found);
        assert_eq!(limits(&came(200, &[], "")).state, State::Ok);
    }
}
