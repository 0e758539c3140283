//! Keys, organizations, places and permissions.

use super::{Entry, OnBreaker, OnBudget, OnPacer, codes};
use crate::failure::Kind;

pub(super) const INVALID_AUTHENTICATION: Entry = Entry {
    kind: Kind::InvalidAuthentication,
    class: Kind::InvalidAuthentication.class(),
    retryable: Kind::InvalidAuthentication.retryable(),
    status: 401,
    cause: "No usable credential came with the request, or the service could not accept the one that did.",
    steps: &[
        "Send the key in the header `Authorization: Bearer <key>`; check that the client library really reads it from OPENAI_API_KEY.",
        "Check that key, organization and project belong together: a key works only for the organization or project it was made in.",
        "If you are not sure that the key is good, make a new one and replace the old one everywhere.",
    ],
    retry_advice: "Do not retry: the same request fails the same way until the credential is put right.",
    guide: &["401 - Invalid Authentication", "AuthenticationError"],
    unified: codes("invalid_request_error", Some("invalid_api_key")),
    openai: codes("invalid_request_error", None),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const INCORRECT_API_KEY: Entry = Entry {
    kind: Kind::IncorrectApiKey,
    class: Kind::IncorrectApiKey.class(),
    retryable: Kind::IncorrectApiKey.retryable(),
    status: 401,
    cause: "The key is not one the service knows: a typo, a blank at an end, a deleted key, or a key of another organization, project or provider.",
    steps: &[
        "Compare the key with the one in the dashboard, character by character at both ends; take out blanks, quotes and line breaks.",
        "Check that no older key is used from a cache: environment, shell profile, container secret, browser storage.",
        "Check that the key belongs to this address: keys of one provider do not work at another (`mainstay doctor` tests it).",
        "Make a new key and put it in place of the old one.",
    ],
    retry_advice: "Do not retry: a wrong key stays wrong.",
    guide: &[
        "401 - Incorrect API key provided",
        "invalid_api_key: API Key invalid",
        "AuthenticationError",
    ],
    unified: codes("invalid_request_error", Some("invalid_api_key")),
    openai: codes("invalid_request_error", Some("invalid_api_key")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const EXPIRED_API_KEY: Entry = Entry {
    kind: Kind::ExpiredApiKey,
    class: Kind::ExpiredApiKey.class(),
    retryable: Kind::ExpiredApiKey.retryable(),
    status: 401,
    cause: "The key or token was good and its time is over.",
    steps: &[
        "Make a new key (`mainstay key rotate ID` for keys of this gateway) or renew the token.",
        "Replace it wherever it is stored, and note the next expiry.",
        "For short-lived cloud credentials check that their renewal runs and that the clock is right.",
    ],
    retry_advice: "Do not retry with the same key.",
    guide: &["expired_api_key: API Key expired", "AuthenticationError"],
    unified: codes("invalid_request_error", Some("expired_api_key")),
    openai: codes("invalid_request_error", Some("invalid_api_key")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const REVOKED_API_KEY: Entry = Entry {
    kind: Kind::RevokedApiKey,
    class: Kind::RevokedApiKey.class(),
    retryable: Kind::RevokedApiKey.retryable(),
    status: 401,
    cause: "The key was withdrawn, blocked or reported as leaked, or the account behind it was deactivated.",
    steps: &[
        "Find out why: somebody revoked it, it was found in public, or the account has a notice by mail.",
        "Make a new key and replace the old one everywhere; if it leaked, look for calls that were not yours.",
        "If the account itself is deactivated, only the provider can open it again.",
    ],
    retry_advice: "Do not retry: a revoked key does not come back.",
    guide: &[
        "revoked_api_key: API Key revoked",
        "You are using a revoked API key",
        "AuthenticationError",
    ],
    unified: codes("invalid_request_error", Some("revoked_api_key")),
    openai: codes("invalid_request_error", Some("invalid_api_key")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const NOT_ORGANIZATION_MEMBER: Entry = Entry {
    kind: Kind::NotOrganizationMember,
    class: Kind::NotOrganizationMember.class(),
    retryable: Kind::NotOrganizationMember.retryable(),
    status: 401,
    cause: "The key's owner is not, or no longer, a member of the organization or project that the request names.",
    steps: &[
        "Check the headers OpenAI-Organization and OpenAI-Project; leave them out to use the key's own.",
        "Ask an owner of the organization or project to invite you (here: `mainstay org member add`).",
        "If you left it, use a key of an organization you are in.",
    ],
    retry_advice: "Do not retry until the membership is changed.",
    guide: &["401 - You must be a member of an organization to use the API"],
    unified: codes("invalid_request_error", Some("invalid_organization")),
    openai: codes("invalid_request_error", Some("invalid_organization")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const IP_NOT_AUTHORIZED: Entry = Entry {
    kind: Kind::IpNotAuthorized,
    class: Kind::IpNotAuthorized.class(),
    retryable: Kind::IpNotAuthorized.retryable(),
    status: 401,
    cause: "The network address that the call came from is not on the list of allowed addresses.",
    steps: &[
        "Look up the address that leaves your network: proxies, VPNs and cloud gateways change it.",
        "Have it added to the allow-list of the key, project or resource, or call from an allowed place.",
        "Behind a virtual network use the private endpoint instead of the public one.",
    ],
    retry_advice: "Do not retry from the same address.",
    guide: &["401 - IP not authorized"],
    unified: codes("invalid_request_error", Some("ip_not_authorized")),
    openai: codes("invalid_request_error", Some("ip_not_authorized")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const UNSUPPORTED_REGION: Entry = Entry {
    kind: Kind::UnsupportedRegion,
    class: Kind::UnsupportedRegion.class(),
    retryable: Kind::UnsupportedRegion.retryable(),
    status: 403,
    cause: "The call comes from a country, region or territory that the service does not serve, or that a rule here denies.",
    steps: &[
        "Compare your place with the provider's list of supported countries.",
        "Check where the call really leaves: a VPN, proxy or cloud region may be elsewhere.",
        "Run the program from a supported place.",
    ],
    retry_advice: "Do not retry from the same place.",
    guide: &["403 - Country, region, or territory not supported"],
    unified: codes("request_forbidden", Some("unsupported_country_region_territory")),
    openai: codes("request_forbidden", Some("unsupported_country_region_territory")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: false,
};

pub(super) const PERMISSION_DENIED: Entry = Entry {
    kind: Kind::PermissionDenied,
    class: Kind::PermissionDenied.class(),
    retryable: Kind::PermissionDenied.retryable(),
    status: 403,
    cause: "The key is good and lacks the right to this operation or object.",
    steps: &[
        "Check that key, organization id and object id belong together.",
        "Look at the scopes or role of the key and have the missing one granted.",
        "If a whole account or organization is restricted, write to the provider.",
    ],
    retry_advice: "Do not retry until the rights are changed.",
    guide: &["PermissionDeniedError: no access to the requested resource", "PermissionError (403)"],
    unified: codes("invalid_request_error", Some("permission_denied")),
    openai: codes("invalid_request_error", Some("missing_scope")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const MODEL_ACCESS_DENIED: Entry = Entry {
    kind: Kind::ModelAccessDenied,
    class: Kind::ModelAccessDenied.class(),
    retryable: Kind::ModelAccessDenied.retryable(),
    status: 400,
    cause: "The model exists, and this key, project, plan or route may not use it.",
    steps: &[
        "See which models the key may use: `GET /v1/models` lists them.",
        "Have the model allowed for the project, or finish what the provider asks for: verification, terms, plan.",
        "Use another model, or a route with a fallback.",
    ],
    retry_advice: "Do not retry with the same key and model.",
    guide: &["model_not_supported: Unsupported model", "PermissionDeniedError"],
    unified: codes("invalid_request_error", Some("model_not_supported")),
    openai: codes("invalid_request_error", Some("model_not_found")),
    param: Some("model"),
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};
