//! Words for people that code chooses: the menu, what was done, why something was not. Words that
//! stand on a page whatever happens are in its template.

use std::time::Duration;

use http::StatusCode;

use crate::admin::Problem;

use super::format::{count, span};

/// An entry of the menu.
pub(super) struct Entry {
    /// The page's name in code.
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) text: &'static str,
    /// A heading before it.
    pub(super) heading: &'static str,
    /// What is in its icon of 20 by 20.
    pub(super) icon: &'static str,
}

const fn entry(
    name: &'static str,
    path: &'static str,
    text: &'static str,
    heading: &'static str,
    icon: &'static str,
) -> Entry {
    Entry { name, path, text, heading, icon }
}

/// The menu.
#[rustfmt::skip]
pub(super) const MENU: &[Entry] = &[
    entry("overview", "/", "Overview", "", r#"<path d="M3 17V9m5 8V4m5 13v-6m4 6H2"/>"#),
    entry("requests", "/requests", "Requests", "", r#"<path d="M3 5h9M3 10h14M3 15h6"/>"#),
    entry("providers", "/providers", "Providers", "", r#"<path d="M4 4h12v5H4zM4 11h12v5H4zM7 6.500h.01M7 13.500h.01"/>"#),
    entry("alerts", "/alerts", "Alerts", "", r#"<path d="M5 14V9a5 5 0 0 1 10 0v5l1.500 1.500h-13zM8.500 18h3"/>"#),
    entry("usage", "/usage", "Usage", "Money", r#"<path d="M3 14l4-5 4 3 6-8M3 17h14"/>"#),
    entry("budgets", "/budgets", "Budgets", "", r#"<circle cx="10" cy="10" r="7"/><path d="M10 10V3m0 7l5 5"/>"#),
    entry("keys", "/keys", "Keys", "Access", r#"<circle cx="7" cy="13" r="3.500"/><path d="M9.500 10.500L17 3m-3 3l2.500 2.500"/>"#),
    entry("organizations", "/organizations", "Organizations", "", r#"<path d="M3 17V5l7-2v14M10 8h7v9M2 17h16M6 8h1m-1 3h1m-1 3h1m6-3h1m-1 3h1"/>"#),
    entry("limits", "/limits", "Limits", "", r#"<path d="M3 15a7 7 0 0 1 14 0M10 15l4-5M3 17.500h14"/>"#),
    entry("errors", "/errors", "Error catalogue", "Reference", r#"<path d="M5 3h10v14H5zM8 7h4m-4 3h4m-4 3h2"/>"#),
    entry("settings", "/settings", "Settings", "", r#"<path d="M3 6h8m4 0h2M3 14h2m4 0h8"/><circle cx="13" cy="6" r="2"/><circle cx="7" cy="14" r="2"/>"#),
];

/// Statuses to choose from.
pub(super) const STATUSES: [(&str, &str); 8] = [
    ("2xx", "answered (2xx)"),
    ("4xx", "refused (4xx)"),
    ("5xx", "failed (5xx)"),
    ("401", "401 unauthorized"),
    ("429", "429 too many requests"),
    ("499", "499 caller left"),
    ("502", "502 bad gateway"),
    ("503", "503 unavailable"),
];

/// Times to choose from.
pub(super) const SINCES: [(&str, &str); 5] =
    [("5m", "5 minutes"), ("1h", "hour"), ("24h", "day"), ("7d", "7 days"), ("30d", "30 days")];

/// What limits of callers measure: the name in the API, and in words.
pub(super) const MEASURES: [(&str, &str); 4] = [
    ("rpm", "requests a minute"),
    ("tpm", "tokens a minute"),
    ("rpd", "requests a day"),
    ("concurrency", "calls at once"),
];

/// What was done, by the name that comes back after a form.
pub(super) fn done(name: &str) -> Option<&'static str> {
    Some(match name {
        "key-revoked" => "The key is revoked. Calls with it are refused within a second.",
        "org-made" => "The organization is there.",
        "project-made" => "The project is there. Keys can be made for it.",
        "budget-set" => "The budget holds. A running gateway takes it within a second.",
        "budget-raised" => "The credit is added.",
        "budget-removed" => "The budget is gone.",
        "limit-set" => "The limit holds. A running gateway takes it within a second.",
        "limit-removed" => "The limit is gone.",
        "tier-given" => {
            "The limits of the tier hold. A running gateway takes them within a second."
        }
        "user-made" => "The user is there. Make it a member of an organization.",
        "member-set" => "The membership holds. Running gateways notice it within a second.",
        "member-removed" => {
            "The membership is over. Keys of that user here stop working within a second."
        }
        _ => return None,
    })
}

/// The title of a page that says why there is no other.
pub(super) fn title_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "There is nothing here",
        403 => "This form was not taken",
        405 => "This cannot be done here",
        503 => "The store does not answer",
        400..500 => "This cannot be done",
        _ => "Something went wrong here",
    }
}

/// A token was wrong.
pub(super) fn wrong_token(left: u32) -> String {
    let tries = if left == 1 { "1 more try".to_owned() } else { format!("{left} more tries") };
    format!(
        "This is not the administration token. It is `admin.token` of the configuration, or was shown or \
         written to a file at the first start. {tries} before you have to wait."
    )
}

/// Too many tokens were wrong.
pub(super) fn too_many_tries(wait: Duration) -> String {
    let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
    format!(
        "Too many wrong tokens came from your address. The next try is possible in {}; until then even the \
         right token is not looked at.",
        span(seconds)
    )
}

/// A form came from elsewhere.
pub(super) fn foreign_form() -> Problem {
    let message = "The form came from another page, so nothing was done. Open the console in a tab of its own \
                   and send the form from there.";
    Problem::new(StatusCode::FORBIDDEN, "permission_denied", message)
}

/// A form of another session.
pub(super) fn stale_form() -> Problem {
    let message = "The page with this form was made for an earlier session, so nothing was done. Load the page \
                   again and send the form from there.";
    Problem::new(StatusCode::FORBIDDEN, "permission_denied", message)
}

/// A path that leads nowhere, or not in this way.
pub(super) fn no_page(other_method: bool) -> Problem {
    if other_method {
        let message = "This address takes forms only, or no forms. Go on with the menu.";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    }
    let message = "There is no page at this address. Go on with the menu.";
    Problem::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// A page could not be made.
pub(super) fn broken_page() -> Problem {
    let message = "The page could not be made; the log says why. The JSON API tells the same.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
}

/// How a state is shown: its word, and its colour by meaning.
#[derive(Clone, Debug)]
pub(super) struct Badge {
    pub(super) text: String,
    pub(super) tone: &'static str,
}

fn badge(text: impl Into<String>, tone: &'static str) -> Badge {
    Badge { text: text.into(), tone }
}

/// A key's state.
pub(super) fn key_state(name: &str) -> Badge {
    match name {
        "active" => badge("active", "good"),
        "grace" => badge("replaced, in grace", "warn"),
        "rotated" => badge("replaced", ""),
        "expired" => badge("expired", "warn"),
        "revoked" => badge("revoked", "bad"),
        other => badge(other, ""),
    }
}

/// A circuit's state.
pub(super) fn circuit(name: &str) -> Badge {
    match name {
        "closed" => badge("closed", "good"),
        "half_open" => badge("half-open: one probe", "warn"),
        "open" => badge("open: no calls pass", "bad"),
        other => badge(other, ""),
    }
}

/// An answer's status.
pub(super) fn status(status: u64) -> Badge {
    match status {
        200..400 => badge(status.to_string(), "good"),
        499 => badge("499 left", ""),
        400..500 => badge(status.to_string(), "warn"),
        500.. => badge(status.to_string(), "bad"),
        _ => badge(status.to_string(), ""),
    }
}

/// How grave an alert is.
pub(super) fn severity(name: &str) -> Badge {
    match name {
        "critical" => badge("critical", "bad"),
        "warning" => badge("warning", "warn"),
        other => badge(other, ""),
    }
}

/// What became of an alert.
pub(super) fn alert_change(name: &str) -> Badge {
    match name {
        "raised" => badge("raised", "bad"),
        "repeated" => badge("still there", "warn"),
        "recovered" => badge("over", "good"),
        other => badge(other, ""),
    }
}

/// A provider's limit.
pub(super) fn limit_name(name: &str) -> String {
    match name {
        "requests" => "requests a minute",
        "requests_day" => "requests a day",
        "tokens" => "tokens a minute",
        "tokens_day" => "tokens a day",
        "project_tokens" => "tokens a minute, of the project",
        "configured_requests" => "requests a minute, configured",
        "configured_tokens" => "tokens a minute, configured",
        other => other,
    }
    .to_owned()
}

/// What a wait was for.
pub(super) fn wait_cause(name: &str) -> &str {
    match name {
        "limit" => "waited for a rate limit",
        "backoff" => "backoff before a retry",
        "hint" => "the provider asked to wait",
        "circuit" => "waited for an open circuit",
        "budget" => "waited for the retry budget",
        "" => "waited",
        other => other,
    }
}

/// Whose side a failure was on.
pub(super) fn origin(name: &str) -> &str {
    match name {
        "caller" => "the caller's request or account",
        "network" => "the network on the way",
        "mainstay" => "Mainstay or its limits",
        "provider" => "the provider",
        other => other,
    }
}

/// `1 request`, `12 requests`.
pub(super) fn many(number: u64, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {several}", count(number)) }
}
