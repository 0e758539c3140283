//! The catalogue is whole, consistent, and found by what people have in hand.

use super::*;

fn kinds(query: &str) -> Vec<Kind> {
    find(query).entries().iter().map(|entry| entry.kind).collect()
}

#[test]
fn every_kind_has_a_cause_steps_and_a_guide() {
    for kind in Kind::ALL {
        let entry = entry(kind);
        assert_eq!(entry.kind, kind);
        assert!(entry.cause.ends_with('.') && entry.retry_advice.ends_with('.'), "{kind}");
        assert!(entry.steps.len() >= 3, "{kind}: three steps at least");
        assert!(entry.steps.iter().all(|step| step.ends_with('.')), "{kind}");
        assert!(!entry.guide.is_empty(), "{kind}");
    }
}

#[test]
fn what_is_worth_repeating_has_a_price_and_nothing_else_has() {
    for kind in Kind::ALL {
        let entry = entry(kind);
        assert_eq!(entry.retryable, entry.budget != OnBudget::NoRepeat, "{kind}");
        // Client faults and limits say nothing about the target's health.
        let sick = entry.breaker == OnBreaker::Failure;
        assert_eq!(sick, entry.budget == OnBudget::Transient, "{kind}");
        assert_eq!(entry.pacer != OnPacer::Nothing, entry.budget == OnBudget::Throttled, "{kind}");
    }
}

#[test]
fn the_class_follows_the_status_but_for_the_known_exceptions() {
    for kind in Kind::ALL {
        let entry = entry(kind);
        let raised = class_of_status(entry.status);
        let exceptions = [
            (Kind::ModelAccessDenied, Some(Class::BadRequestError)),
            (Kind::RequestTooLarge, None),
            (Kind::MethodNotAllowed, None),
            (Kind::RequestTimeout, None),
            // We answered; the caller's connection to us is sound.
            (Kind::Connection, Some(Class::InternalServerError)),
            (Kind::StreamInterrupted, Some(Class::InternalServerError)),
        ];
        let exception = exceptions.into_iter().find(|(of, _)| *of == kind);
        assert_eq!(raised, exception.map_or(Some(entry.class), |(_, class)| class), "{kind}");
    }
}

#[test]
fn the_twelve_unified_codes_are_all_used_with_their_statuses() {
    let rows = [
        ("invalid_api_key", 401),
        ("expired_api_key", 401),
        ("revoked_api_key", 401),
        ("missing_required_field", 400),
        ("invalid_value", 400),
        ("model_not_supported", 400),
        ("context_length_exceeded", 400),
        ("rate_limit_exceeded", 429),
        ("insufficient_quota", 429),
        ("concurrent_limit_exceeded", 429),
        ("internal_error", 500),
        ("service_unavailable", 503),
    ];
    for (code, status) in rows {
        let used = Kind::ALL.into_iter().map(entry);
        let used = used.filter(|entry| entry.unified.code == Some(code) && entry.status == status);
        assert!(used.count() >= 1, "{code} {status}");
    }
}

#[test]
fn what_people_have_in_hand_leads_to_the_right_entry() {
    for (query, kind) in [
        ("insufficient_quota", Kind::InsufficientQuota),
        ("Insufficient Quota", Kind::InsufficientQuota),
        ("Incorrect API key provided", Kind::IncorrectApiKey),
        ("invalid_api_key", Kind::InvalidAuthentication),
        ("RateLimitError", Kind::RateLimitRequests),
        ("openai.APITimeoutError", Kind::RequestTimeout),
        ("APIConnectionTimeoutError", Kind::RequestTimeout),
        ("404", Kind::ModelNotFound),
        ("HTTP 503", Kind::Overloaded),
        ("529", Kind::Overloaded),
        ("402", Kind::InsufficientQuota),
        ("overloaded_error", Kind::Overloaded),
        ("slow_down", Kind::RateLimitOther),
        ("You must be a member of an organization to use the API", Kind::NotOrganizationMember),
        ("Country, region, or territory not supported", Kind::UnsupportedRegion),
        ("The engine is currently overloaded, please try again later", Kind::Overloaded),
        ("getaddrinfo ENOTFOUND api.openai.com", Kind::Connection),
        ("read ECONNRESET while streaming: socket hang up", Kind::Connection),
        (
            "You exceeded your current quota, please check your plan and billing details",
            Kind::InsufficientQuota,
        ),
        ("We could not parse the JSON body of your request", Kind::InvalidRequest),
        (r#"{"error":{"code":"context_length_exceeded"}}"#, Kind::ContextLengthExceeded),
    ] {
        assert_eq!(kinds(query).first(), Some(&kind), "{query}: {:?}", kinds(query));
    }
    let of_429 = kinds("429");
    for kind in [Kind::RateLimitRequests, Kind::RateLimitTokens, Kind::InsufficientQuota] {
        assert!(of_429.contains(&kind), "{kind}");
    }
    assert!(kinds("invalid_api_key").contains(&Kind::IncorrectApiKey));
}

#[test]
fn typos_get_suggestions_and_nonsense_gets_none() {
    for (typo, meant) in [
        ("insuficient_qouta", "insufficient_quota"),
        ("overloded", "overloaded"),
        ("RateLimitEror", "RateLimitError"),
        ("context_lenght_exceeded", "context_length_exceeded"),
    ] {
        let Found::Nothing(near) = find(typo) else { panic!("{typo} was taken for something") };
        assert_eq!(near.first().map(String::as_str), Some(meant));
    }
    assert_eq!(find("xyzzy"), Found::Nothing(Vec::new()));
    assert_eq!(find(""), Found::Nothing(Vec::new()));
}
