//! Lines for the provider's side: no room, loading, down, timed out, broken inside.

use super::table::{Line, Place, line};
use crate::failure::{Kind, Scope};
use crate::words::{Phrase, phrases};

/// No room: whatever the status, it passes by itself.
pub(super) const CAPACITY: &[Line] = &[
    // "Overloaded" of one model: another model would do. OpenAI, Together, Fireworks, Gemini,
    // Bedrock and DeepSeek wording, read 2026-11.
    line(Kind::Overloaded, Scope::Model)
        .says(&phrases([
            "model|engine .. overloaded",
            "model .. at|over|exceeded capacity",
            "model .. busy",
            "capacity .. model|tier",
            "model .. high demand|load|traffic",
            "no|insufficient .. workers|instances|replicas available",
            "no available workers|instances|replicas|slots",
        ]))
        .unless(CONTEXT_LIKE),
    line(Kind::Overloaded, Scope::Provider)
        .named(&[
            "overloaded_error",
            "overloaded",
            "server_is_overloaded",
            "engine_overloaded*",
            "model_overloaded",
            "*_overloaded",
            "capacity_exceeded",
            "*_capacity_exceeded",
            "no_capacity",
            "NoCapacity",
            "queue_exceeded",
            "queue_full",
            "server_busy",
            "resource_pool_busy",
            "3505",
            "1305",
            "ServerOverloaded",
        ])
        .says(&phrases([
            "overloaded|overload",
            "at|over capacity",
            "out of capacity",
            "capacity exceeded|constraints|limit",
            "no|insufficient|enough capacity",
            "high demand|traffic|load|volume",
            "heavy load|traffic|demand",
            "peak load|demand",
            "too|is|currently|server|servers|system busy",
            "queue is? full|exceeded|limit",
            "max|maximum|exceeds|exceeded .. queue|pending",
            "too many pending|queued|waiting",
            "no .. slots available",
            "过载",
            "繁忙",
            "访问量过大",
            "请求量过大",
            "流量过大",
            "压力过大",
            "排队",
            "负载已饱和",
            "负载过高",
            "负载较高",
            "容量不足",
            "资源不足",
        ]))
        .unless(CONTEXT_LIKE),
    // Groq flex tier 498 and Anthropic-style 529 (vendor pages, read 2026-11).
    line(Kind::Overloaded, Scope::Provider).at(Place::Status(529)),
    line(Kind::Overloaded, Scope::Provider).at(Place::Status(498)),
];

/// "Capacity" and "load" have other meanings in these.
const CONTEXT_LIKE: &[Phrase] = &phrases(["context length", "context window", "failed to load"]);

/// Down, loading, timed out, or broken; asked after everything that is the request's own fault.
pub(super) const AVAILABILITY: &[Line] = &[
    // Set-ups that do not heal by themselves, sent as 5xx. Ollama memory text; relays without a
    // key or channel, read 2026-11.
    line(Kind::InternalError, Scope::Model).again(false).says(&phrases([
        "requires more system memory",
        "more .. memory than is available",
        "failed|unable to load model",
        "could not load model",
        "error loading model",
    ])),
    line(Kind::InternalError, Scope::Provider).again(false).at(Place::Server).says(&phrases([
        "not implemented",
        "not .. configured",
        "missing .. configuration",
        "environment variable",
    ])),
    // Loading and down. llama.cpp "Loading model"; Hugging Face "is currently loading"; Bedrock
    // ModelNotReadyException; one-api "no available channel"; Envoy, HAProxy and nginx pages.
    line(Kind::ServiceUnavailable, Scope::Model)
        .named(&["ModelNotReadyException", "model_not_ready", "model_loading", "unavailable_error"])
        .says(&phrases([
            "loading model",
            "model .. loading|starting|warming|unavailable",
            "still|being|currently loaded|loading|starting|initializing|initialized|provisioned|deployed",
            "scaling up",
            "scaled to zero",
            "model .. not ready|loaded",
            "cold start",
            "no available channel*",
            "model .. temporarily",
            "无可用渠道",
            "暂无可用",
        ])),
    line(Kind::GatewayTimeout, Scope::Provider).at(Place::Status(504)),
    line(Kind::GatewayTimeout, Scope::Provider)
        .named(&["gateway_timeout", "upstream_timeout"])
        .says(&phrases([
            "gateway timeout",
            "gateway time out",
            "upstream request timeout",
            "a timeout occurred",
            "connection timed out error code",
        ])),
    line(Kind::BadGateway, Scope::Provider).at(Place::Status(502)),
    line(Kind::RequestTimeout, Scope::Provider).at(Place::Status(408)),
    line(Kind::ServiceUnavailable, Scope::Provider)
        .named(&[
            "service_unavailable*",
            "ServiceUnavailableException",
            "maintenance*",
            "UNAVAILABLE",
        ])
        .says(&phrases([
            "service|server|api|endpoint is|was|are? temporarily|currently unavailable",
            "service|temporarily|currently unavailable",
            "not available|reachable right? at|now the|this? moment|time?",
            "under|scheduled maintenance",
            "maintenance mode|window",
            "not ready yet",
            "no healthy upstream",
            "upstream connect error",
            "no server is available",
            "shutting|starting down|up",
            "暂时不可用",
            "服务不可用",
            "维护",
        ])),
    line(Kind::RequestTimeout, Scope::Provider)
        .named(&[
            "request_timeout",
            "timeout",
            "timeout_error",
            "deadline_exceeded",
            "ModelTimeoutException",
            "operation_timeout",
            "status_code.1001",
        ])
        .says(&phrases([
            "timed out",
            "deadline exceeded",
            "operation was timeout",
            "before the given deadline",
            "request timeout",
            "超时",
        ])),
    line(Kind::BadGateway, Scope::Provider)
        .named(&["bad_gateway", "provider_unavailable", "upstream_error"])
        .says(&phrases([
            "bad gateway",
            "network connection lost",
            "invalid response .. upstream",
            "upstream .. failed|error|disconnected|closed|reset",
            "upstream prematurely closed",
        ]))
        .at(Place::Server),
    line(Kind::InternalError, Scope::Provider).at(Place::Server).named(&[
        "server_error",
        "internal_*",
        "InternalServer*",
        "INTERNAL",
        "api_error",
    ]),
];
