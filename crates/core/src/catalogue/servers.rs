//! The provider's side and the way there.

use super::{Entry, OnBreaker, OnBudget, OnPacer, codes};
use crate::failure::Kind;

pub(super) const INTERNAL_ERROR: Entry = Entry {
    kind: Kind::InternalError,
    class: Kind::InternalError.class(),
    retryable: Kind::InternalError.retryable(),
    status: 500,
    cause: "Something failed inside the service.",
    steps: &[
        "Wait a moment and send the request again.",
        "Look at the provider's status page.",
        "If it goes on, send the request id, the time with zone, the model and the message to the provider (`mainstay report REQUEST_ID`).",
    ],
    retry_advice: "Retry after a short pause with backoff and jitter, three to five times in all.",
    guide: &[
        "500 - The server had an error while processing your request",
        "InternalServerError",
        "internal_error: Internal error",
    ],
    unified: codes("server_error", Some("internal_error")),
    openai: codes("server_error", Some("server_error")),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const OVERLOADED: Entry = Entry {
    kind: Kind::Overloaded,
    class: Kind::Overloaded.class(),
    retryable: Kind::Overloaded.retryable(),
    status: 503,
    cause: "The service or model is up and has no room: more traffic than capacity.",
    steps: &[
        "Wait and retry with growing pauses; raise traffic slowly afterwards.",
        "Use a fallback model or provider for the meantime.",
        "For steady load ask for reserved capacity.",
    ],
    retry_advice: "Retry after the time given, else with backoff and jitter; do not all come back at once.",
    guide: &["503 - The engine is currently overloaded, please try again later"],
    unified: codes("service_unavailable_error", Some("service_unavailable")),
    openai: codes("service_unavailable_error", Some("server_is_overloaded")),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const SERVICE_UNAVAILABLE: Entry = Entry {
    kind: Kind::ServiceUnavailable,
    class: Kind::ServiceUnavailable.class(),
    retryable: Kind::ServiceUnavailable.retryable(),
    status: 503,
    cause: "The service or model is loading, in maintenance or down, or a circuit breaker here is open.",
    steps: &[
        "Look at the provider's status page for planned work or an incident.",
        "Wait as long as the answer says; a loading model needs seconds to minutes.",
        "Use a fallback model or provider.",
    ],
    retry_advice: "Retry after the time given, else with backoff and jitter.",
    guide: &[
        "503 - Service temporarily unavailable",
        "service_unavailable: Wait for recovery, use fallback model",
    ],
    unified: codes("service_unavailable_error", Some("service_unavailable")),
    openai: codes("service_unavailable_error", Some("service_unavailable")),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const BAD_GATEWAY: Entry = Entry {
    kind: Kind::BadGateway,
    class: Kind::BadGateway.class(),
    retryable: Kind::BadGateway.retryable(),
    status: 502,
    cause: "A gateway in front of the provider, or this one, got no sound answer from behind.",
    steps: &[
        "Send the request again after a moment.",
        "If it goes on, look at the status page, and at your own proxies on the way.",
        "When all our credentials are refused upstream this is what callers see: check the keys of the provider in the configuration.",
    ],
    retry_advice: "Retry after a short pause with backoff and jitter.",
    guide: &["InternalServerError", "5xx: Server error"],
    unified: codes("server_error", Some("service_unavailable")),
    openai: codes("server_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const GATEWAY_TIMEOUT: Entry = Entry {
    kind: Kind::GatewayTimeout,
    class: Kind::GatewayTimeout.class(),
    retryable: Kind::GatewayTimeout.retryable(),
    status: 504,
    cause: "A gateway in front of the provider waited too long for an answer.",
    steps: &[
        "Send the request again; use streaming for long answers so that bytes flow early.",
        "Ask for less in one call: smaller `max_tokens`, shorter input.",
        "Raise the time limit of proxies of your own on the way.",
    ],
    retry_advice: "Retry after a short pause; if it happens at the same length each time, change the request.",
    guide: &["InternalServerError", "APITimeoutError"],
    unified: codes("server_error", Some("service_unavailable")),
    openai: codes("server_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const REQUEST_TIMEOUT: Entry = Entry {
    kind: Kind::RequestTimeout,
    class: Kind::RequestTimeout.class(),
    retryable: Kind::RequestTimeout.retryable(),
    status: 408,
    cause: "No answer, or no more of it, came within a time limit: a slow network, a loaded service, or a long computation.",
    steps: &[
        "Wait a few seconds and send it again.",
        "Use streaming, and set limits that fit the work: 20 to 30 s for short calls, longer for reasoning models.",
        "Check your network: other programs, proxies, a weak link.",
    ],
    retry_advice: "Retry with backoff; the work may have been done and billed already.",
    guide: &["APITimeoutError: Request timed out"],
    unified: codes("timeout_error", Some("request_timeout")),
    openai: codes("timeout_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const CONNECTION: Entry = Entry {
    kind: Kind::Connection,
    class: Kind::Connection.class(),
    retryable: Kind::Connection.retryable(),
    status: 502,
    cause: "No connection to the service, or it broke before any answer: network, DNS, proxy, TLS certificate or firewall.",
    steps: &[
        "Check the network, and that the name resolves; `mainstay doctor` tests DNS, TCP, TLS, proxy and key in turn.",
        "Check HTTPS_PROXY and NO_PROXY, and what the proxy allows.",
        "Check certificates: a company proxy needs its CA in `ca_file` or SSL_CERT_FILE. Do not turn verification off.",
        "Check firewall rules, and that the container may reach the outside.",
    ],
    retry_advice: "Retry with backoff; not when a certificate is refused or the proxy wants a login.",
    guide: &["APIConnectionError: Issue connecting to our services"],
    unified: codes("connection_error", Some("service_unavailable")),
    openai: codes("connection_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const STREAM_INTERRUPTED: Entry = Entry {
    kind: Kind::StreamInterrupted,
    class: Kind::StreamInterrupted.class(),
    retryable: Kind::StreamInterrupted.retryable(),
    status: 502,
    cause: "The answer began and broke off before its end.",
    steps: &[
        "Treat what arrived as incomplete: without a terminal event an answer is not whole.",
        "Send the request again, or let recovery finish it (`[policy.stream] recovery`).",
        "If it breaks at the same time each time, look for a proxy with a time limit on the way.",
    ],
    retry_advice: "Retry when nothing was delivered yet; afterwards only a repeat that continues exactly what was delivered is safe.",
    guide: &["APIConnectionError"],
    unified: codes("server_error", Some("stream_interrupted")),
    openai: codes("server_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const MALFORMED_RESPONSE: Entry = Entry {
    kind: Kind::MalformedResponse,
    class: Kind::MalformedResponse.class(),
    retryable: Kind::MalformedResponse.retryable(),
    status: 502,
    cause: "An answer came that cannot be read: cut or garbled JSON, a web page instead of an API, an empty body.",
    steps: &[
        "Check the base address: a web page usually means that it points at a site and not at an API (`/v1` missing).",
        "Look for a proxy, login page or bot check on the way.",
        "If the address is right, send it again and tell the provider.",
    ],
    retry_advice: "Retry when the answer was cut or garbled; not when a web page came.",
    guide: &["APIResponseValidationError"],
    unified: codes("server_error", Some("malformed_response")),
    openai: codes("server_error", None),
    param: None,
    breaker: OnBreaker::Failure,
    pacer: OnPacer::Nothing,
    budget: OnBudget::Transient,
    other_target_helps: true,
};

pub(super) const UNKNOWN: Entry = Entry {
    kind: Kind::Unknown,
    class: Kind::Unknown.class(),
    retryable: Kind::Unknown.retryable(),
    status: 500,
    cause: "A failure that fits no other kind.",
    steps: &[
        "Read the message and the status as they came.",
        "Write down request id, time with zone, model and message (`mainstay report REQUEST_ID`) and ask the provider.",
        "Tell us too: an unknown answer is a gap in this catalogue.",
    ],
    retry_advice: "Not repeated by itself: nothing says that a repeat is safe or useful.",
    guide: &["Persistent errors"],
    unified: codes("server_error", Some("internal_error")),
    openai: codes("server_error", None),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: false,
};
