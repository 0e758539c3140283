//! Lines for faults of the request: size, content, model, fields, paths.

use super::table::{Line, Place, line};
use crate::failure::{Kind, Scope};
use crate::words::{Phrase, phrases};

/// Too long, too large, or refused for what it says.
pub(super) const SIZE_AND_CONTENT: &[Line] = &[
    // The answer's length asked for, not the prompt: OpenAI "max_tokens is too large … at most N
    // completion tokens", Anthropic "which is the maximum allowed number of output tokens".
    line(Kind::InvalidValue, Scope::Request)
        .says(&phrases([
            "supports at most # completion|output tokens",
            "maximum allowed number of output tokens",
            "max tokens|token is too large|high|big",
            "max tokens must|should be",
            "max completion|output|new tokens .. must|should|too|exceeds",
            "range of max tokens",
            "max tokens of # exceeded",
        ]))
        .unless(&phrases(["context length|window|size|limit", "input length", "inputs tokens"])),
    // AWS API Gateway's whole text under 413 (gateway responses, read 2026-11): bytes, not tokens.
    line(Kind::RequestTooLarge, Scope::Request).at(Place::Status(413)).says(&phrases(["request is? too long"])),
    // OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama, TGI, Anthropic, Gemini, Mistral, Cohere,
    // Bedrock, DashScope, Perplexity, Zhipu 1261; read 2026-11.
    line(Kind::ContextLengthExceeded, Scope::Request)
        .named(&[
            "context_length_exceeded",
            "context_window_exceeded",
            "ContextWindowExceeded*",
            "exceed_context_size_error",
            "too_many_prompt_tokens",
            "too_many_tokens",
            "prompt_too_long",
            "input_too_long",
            "max_context_length*",
            "1261",
        ])
        .says(&phrases([
            "context length|window|size|limit",
            "model|models .. max|maximum context|length|tokens",
            "token|tokens .. only supports|accepts|allows|takes|handles",
            "model only supports|accepts|allows up to # tokens?",
            "tokens .. above|over|beyond maximum|max|limit",
            "tokens .. above|over|beyond the|its maximum|max|limit",
            "上下文 .. 限制",
            "内容过长",
            "tokens # exceed|exceeds|exceeding #",
            "prompt|input|messages|tokens .. exceed|exceeds|exceeded|exceeding .. context",
            "prompt|input|messages|tokens .. not|cannot|doesnt fit",
            "requested # tokens but",
            "max|maximum context",
            "prompt|input|inputs|conversation|messages|request is|are|was? too long",
            "prompt|input|message|messages .. too long|large|big",
            "too many|much input? tokens|token",
            "tokens # maximum",
            "# tokens # maximum",
            "token|tokens count .. exceeds|exceeded",
            "token|tokens .. exceeds|exceed|exceeded|exceeding .. limit|maximum|max|window|length",
            "exceeds|exceed|exceeded|exceeding .. maximum|max|limit .. tokens|token",
            "token|tokens limit reached|exceeded",
            "exceeded|exceeds|exceeding .. token|tokens limit",
            "model|context token limit",
            "reduce the length of",
            "longer than the model*",
            "input|prompt length|tokens .. exceeds|exceed|exceeded|larger|greater|longer",
            "range of input length",
            "inputs tokens .. max new tokens",
            "inputs must have less than",
            "max|maximum sequence|input|prompt length",
            "max|maximum .. input tokens",
            "n ctx",
            "maximum number of tokens",
            "maximum prompt|input length",
            "上下文长度",
            "上下文窗口",
            "输入过长",
            "输入长度",
            "超过最大长度",
            "超出最大长度",
            "超长",
        ]))
        .unless(&phrases([
            "per min*|day|hour",
            "string too long",
            "file|image|audio|document|body too large|long",
            "array too long",
            "unknown|unrecognized|unsupported .. context|tokens",
        ])),
    // Content. OpenAI, Azure, Anthropic, Gemini, DeepSeek, DashScope, Zhipu 1301, OpenRouter,
    // Bedrock guardrails, WSO2 900514, new-api; read 2026-11.
    line(Kind::ContentPolicy, Scope::Request)
        .named(&[
            "content_filter*",
            "content_policy*",
            "content_blocked",
            "content_moderation*",
            "ResponsibleAIPolicyViolation",
            "moderation_blocked",
            "moderation_failed",
            "invalid_prompt",
            "prompt_blocked",
            "misalignment_policy_violation",
            "policy_violation",
            "usage_policy*",
            "guardrail*",
            "safety",
            "safety_error",
            "PROHIBITED_CONTENT",
            "RECITATION",
            "data_inspection_failed",
            "DataInspectionFailed",
            "sensitive_words_detected",
            "*SensitiveContentDetected",
            "unsafe_content",
            "image_content_policy*",
            "cyber_policy*",
            "1301",
            "900514",
            "hooks_failed",
            "status_code.1026",
            "status_code.1027",
            "error_code.336104",
        ])
        .says(&phrases([
            "content policy|management|filter|filtering|filters|moderation|filtered",
            "usage|acceptable use? policy|policies",
            "safety system|reasons|filter*|settings|policy|policies|guidelines",
            "flagged .. moderation|policy|safety|violat*|sexual|violence|harm*|by",
            "was|were flagged",
            "violat* .. policy|policies|guideline*|terms|guardrail*|rules",
            "violation of .. guardrail*|policy|policies|detected",
            "guardrail* .. intervened|blocked|detected|triggered|violation|failed|rejected|denied",
            "response|prompt|output|input|completion was|were|is filtered|censored",
            "blocked .. safety|moderation|policy|guardrail*|content|prohibited",
            "rejected .. safety|moderation|policy",
            "inappropriate|harmful|unsafe|prohibited|objectionable|sensitive content|material|words|information",
            "content exists risk",
            "content .. inappropriate|harmful|unsafe|sensitive|prohibited",
            "moderation .. blocked|failed|rejected|refused|denied|required",
            "requires moderation",
            "敏感",
            "违规",
            "不安全",
            "内容审核",
        ]))
        .unless(&phrases(["rate limit policy", "data policy", "policy .. allows|permits", "identity based policy"])),
    // Portkey and WSO2 keep this number for guardrails (their error pages, read 2026-11).
    line(Kind::ContentPolicy, Scope::Request).at(Place::Status(446)),
    // Bodies and files. OpenAI 413 "Maximum content size limit"; nginx, Envoy, Fastify, Express;
    // Gemini "payload size exceeds the limit"; read 2026-11.
    line(Kind::RequestTooLarge, Scope::Request).at(Place::Status(413)),
    line(Kind::RequestTooLarge, Scope::Request).at(Place::Status(414)),
    line(Kind::RequestTooLarge, Scope::Request).at(Place::Status(431)),
    line(Kind::RequestTooLarge, Scope::Request)
        .named(&[
            "request_too_large",
            "payload_too_large",
            "PayloadTooLarge*",
            "content_too_large",
            "entity_too_large",
            "request_entity_too_large",
            "FST_ERR_CTP_BODY_TOO_LARGE",
            "body_too_large",
            "file_too_large",
        ])
        .says(&phrases([
            "request entity|body|payload? too large",
            "payload|content|body|entity too large",
            "maximum content size",
            "request|payload|body size .. exceeds|exceeded|limit",
            "body|payload|request exceeds|exceeded .. bytes|mb|kb|limit|size",
            "total|request size|bytes .. limit|maximum",
            "maximum request|body|payload size",
            "file|files|image|audio|document .. too large|big",
            "exceeds .. # mb|mib|bytes|kb",
            "请求体过大",
        ]))
        .unless(&phrases(["string too long"])),
];

/// Models that do not exist or are gone, objects, paths, methods.
pub(super) const MODELS: &[Line] = &[
    // A code that names the model is surer than any words about what is not supported.
    line(Kind::ModelNotFound, Scope::Model).named(&[
        "model_not_supported",
        "unsupported_model",
        "unknown_model",
        "model_deprecated",
        "model_decommissioned",
        "model_not_exist",
    ]),
    // Something the model cannot do is no missing model. OpenRouter, OpenAI, Ollama, llama.cpp,
    // Anthropic texts, read 2026-11.
    line(Kind::UnsupportedParameter, Scope::Request)
        .named(&["unsupported_parameter", "unknown_parameter", "UnsupportedParamsError"])
        .says(UNSUPPORTED)
        .unless(&phrases(["type|format|mime|language|extension .. is|are unsupported"])),
    // OpenAI, Azure, Mistral, Groq, Ollama, Gemini, Bedrock, Anthropic, DeepSeek, OpenRouter,
    // NVIDIA functions, Zhipu 1211, Volcano, one-api; read 2026-11.
    line(Kind::ModelNotFound, Scope::Model)
        .named(&[
            "model_not_found",
            "ModelNotFound*",
            "DeploymentNotFound",
            "invalid_model*",
            "unknown_model",
            "model_not_supported",
            "unsupported_model",
            "model_deprecated",
            "model_decommissioned",
            "model_not_available",
            "model_not_exist",
            "InvalidEndpointOrModel*",
            "1211",
            "1500",
        ])
        .says(&phrases([
            "model|models|deployment|engine .. not|doesnt|dont .. exist",
            "model|models|deployment|engine .. not|cannot|couldnt be? found",
            "could|can not|cannot|couldnt|unable|failed to? find|resolve|locate .. model|deployment",
            "no such model|deployment|engine",
            "model|models is? not|isnt supported|valid|recognized",
            "model|models ? is? not|isnt supported|valid|recognized",
            "不支持的模型",
            "no model|models .. found|named|matches|loaded",
            "unknown|invalid|unsupported|unrecognized|nonexistent model|models|deployment|engine",
            "incorrect|wrong model",
            "model name|id|identifier .. invalid|wrong|unknown|incorrect",
            "supported api? model names",
            "supported models are",
            "model|deployment|engine .. deprecated|decommissioned|retired|sunset|removed|discontinued|shutdown",
            "model .. shut down",
            "model .. end of its? life",
            "no endpoints found for",
            "on demand throughput isnt supported",
            "function .. not found for account",
            "not a chat model",
            "pulling it first",
            "模型 .. 不存在",
            "no .. provider|providers are|is? available for",
            "模型 .. 未找到",
            "不支持该模型",
            "不存在该模型",
            "model not exist",
        ]))
        .unless(&phrases([
            "fine tune*",
            "file",
            "loading",
            "tool|tools|function|functions .. supported",
            "try|retry again? later|shortly|soon",
            "at the|this moment|time",
        ])),
    // Looser words, only where the status leaves the fault in the request: under a 5xx they are as
    // likely about what went wrong inside.
    line(Kind::ModelNotFound, Scope::Model)
        .at(Place::Client)
        .named(&["model_unavailable"])
        .says(&phrases([
            "model|models .. not|isnt|no .. supported",
            "not .. supported|valid|known|recognized|available model",
            "model .. invalid",
            "no longer supported|available|offered|served|maintained",
            "model .. no longer",
            "model .. not|isnt available|hosted|deployed|served|registered|installed|recognized|known",
            "model is|are? only supported|available|works|usable in|on|with|via|through|by|at .. endpoint|api|v1|completions|responses",
        ]))
        .unless(&phrases([
            "fine tune*",
            "file",
            "loading",
            "tool|tools|function|functions .. supported",
            "try|retry again? later|shortly|soon",
            "at the|this moment|time",
        ])),
    // Anthropic: "model: x" under not_found_error.
    line(Kind::ModelNotFound, Scope::Model)
        .named(&["not_found_error", "not_found", "NotFoundError"])
        .says(&phrases(["model|models"]))
        .both()
        .unless(&phrases(["file|thread|run|assistant|batch|response|url|endpoint|path"])),
    // Volcano, OpenRouter: allowed by nobody under these data rules.
    line(Kind::ModelAccessDenied, Scope::Key).says(&phrases(["no endpoints .. data policy", "guardrail restrictions"])),
    line(Kind::MethodNotAllowed, Scope::Request)
        .named(&["method_not_allowed"])
        .says(&phrases(["method not allowed", "method is? not allowed|supported", "not allowed method"])),
    line(Kind::MethodNotAllowed, Scope::Request).at(Place::Status(405)),
    line(Kind::NotFound, Scope::Request)
        .named(&["*_not_found", "*NotFound", "NotFoundException", "unknown_url", "invalid_url", "no_route"])
        .says(&phrases([
            "invalid url",
            "unknown url|endpoint|route|path|request",
            "unexpected endpoint|path|url",
            "no route|handler|endpoint",
            "cannot post|get|put|delete|patch",
            "page not found",
            "no such .. file|thread|run|assistant|batch|response|vector|upload|message|job",
            "no .. file|thread|run|assistant|batch|response|vector|upload|message|job .. found|with id",
            "could not find .. file|thread|run|assistant|batch|response|tune|job",
            "file|thread|run|assistant|batch|response|conversation|object|resource|item|url|tune|job .. not found",
            "requested resource|url|path|entity was? not found",
            "接口不存在",
            "路径不存在",
        ]))
        .unless(&phrases(["fetch|download"])),
];

/// What is said when a model or server lacks a feature that the request uses.
const UNSUPPORTED: &[Phrase] = &phrases([
    "unsupported parameter|parameters|argument|field|option|feature|tool|param",
    "unknown|unrecognized|unexpected|extra parameter|parameters|argument|field|fields|keyword|input|inputs|name|key|keys|option|property",
    "unrecognized request argument",
    "unexpected keyword argument",
    "extra inputs are not permitted",
    "extra fields not permitted",
    "additional properties .. not allowed|permitted",
    "additional properties are",
    "doesnt|dont support .. tool*|function*|image|images|vision|audio|video|stream*|system|json|parameter*|thinking|reasoning|temperature|embedding*|completion*|files",
    "does|do not support .. tool*|function*|image|images|vision|audio|video|stream*|system|json|parameter*|effort|level|thinking|reasoning|response|temperature|logprobs|logit*|prefill|chat|embedding*|completion*|caching|file|files|pdf|structured|parallel|stop|seed|top|penalty",
    "model does|do not support ? ?",
    "model doesnt|dont support ? ?",
    "not|isnt supported with|by|for this|the|that|your model|version",
    "input|inputs is|are not supported",
    "not|isnt|unsupported|cannot .. with|by|for .. model .. parameter",
    "no endpoints found that support",
    "parameter|parameters|param|argument|field|tools|tool|function|streaming|logprobs|temperature|top|penalty|image|images|vision|audio .. not|isnt|arent|unsupported .. supported|allowed|permitted|available|enabled",
    "is not|isnt supported .. parameter",
    "is|are|isnt|arent not? enabled|implemented|supported for|on|with|in models|model|this|the",
    "parameter|parameters|param|property|properties|field|fields|argument|option .. is|are unsupported|unrecognized",
    "api version not|isnt|is not? supported|invalid|unsupported|known",
    "unsupported|unknown|invalid api version",
    "tool|tools|function|auto choice|calling|use is|are? not|isnt supported",
    "support for .. not .. enabled|available",
    "not .. support .. parameter",
    "cannot find field",
    "param|parameter|option|field requires .. flag|option|version",
    "is|are unsupported",
    "not a|an supported parameter|option|field|argument|property",
    "parameter|field|option|argument|tool|feature|beta|version|header .. no longer",
    "模型不支持",
    "不支持流式",
    "不支持工具",
    "不支持函数",
    "不支持该参数",
    "不支持此参数",
    "参数不支持",
    "不支持的参数",
    "不支持图片",
]);

/// Fields: missing, wrong, or of the wrong form.
pub(super) const FIELDS: &[Line] = &[
    // Groq: the model, not the caller, wrote what does not fit; sampled again it may (error page
    // console.groq.com/docs/errors, read 2026-11).
    line(Kind::InvalidRequest, Scope::Request)
        .again(true)
        .named(&["tool_use_failed", "json_validate_failed", "output_parse_failed"]),
    // OpenAI's family of codes, FastAPI and pydantic types, Gemini and Google INVALID_ARGUMENT,
    // DashScope InvalidParameter, Zhipu 1210 and 1214; read 2026-11.
    line(Kind::InvalidValue, Scope::Request)
        .named(&[
            "invalid_value",
            "invalid_type",
            "*_above_max_value",
            "*_below_min_value",
            "*_above_max_length",
            "*_below_min_length",
            "*_parsing",
            "*_type",
            "value_error*",
            "type_error*",
            "literal_error",
            "enum",
            "string_too_*",
            "too_long",
            "too_short",
            "greater_than*",
            "less_than*",
            "empty_array",
            "empty_string",
            "unsupported_value",
            "invalid_image*",
            "invalid_function*",
            "invalid_json_schema",
            "invalid_encrypted_content",
            "invalid_file*",
            "invalid_base64*",
            "invalid_schema*",
            "invalid_enum*",
            "unsupported_file*",
            "unsupported_image*",
            "unsupported_format",
            "image_parse_error",
            "wrong_api_format",
        ])
        .says(&phrases([
            "error cannot make get request",
            "fetch|download|downloading .. image|url|file|content|media",
            "could not process|decode|open|read|load .. image|audio|file|input|media",
            "unable to process|decode|open|read|load .. image|audio|file|input|media",
            "failed to decode|process .. image|audio|base64",
            "invalid|unsupported image|audio|file|base64|mime|media|url|format",
            "invalid schema",
            "roles must alternate",
            "unknown variant",
        ]))
        .unless(&phrases(["could not parse the json"])),
    line(Kind::MissingRequiredField, Scope::Request)
        .named(&[
            "missing_required_parameter",
            "missing_required_field",
            "missing_required*",
            "missing_parameter*",
            "MissingParameter*",
            "missing_field",
            "missing",
            "value_error.missing",
            "required",
            "1213",
        ])
        .says(&phrases([
            "missing required",
            "missing field|parameter|argument|property|key",
            "field|fields required|missing",
            "required .. missing|not provided|not set|not found|omitted|absent",
            "is|are a? required property|parameter|field|argument",
            "must|need|have to? provide|specify|include|supply",
            "is|are required",
            "is|are not specified|provided|set",
            "is|are missing",
            "didnt|not provide|specify|include .. parameter|field|model|messages",
            "parameter|field|messages|model|input|prompt is|are required",
            "缺少",
            "必填",
            "不能为空",
        ]))
        .at(Place::Client),
    line(Kind::MissingRequiredField, Scope::Request)
        .named(&["missing", "value_error.missing"])
        .at(Place::Status(422)),
    line(Kind::InvalidValue, Scope::Request)
        .named(&[
            "invalid_parameter*",
            "invalid_argument_*",
            "InvalidParameter*",
            "1210",
            "1214",
            "status_code.2013",
        ])
        .unless(&phrases(["json .. parse|decode", "invalid json"])),
    line(Kind::InvalidValue, Scope::Request)
        .says(&phrases([
            "invalid value|values|type|parameter|parameters|param|argument|arguments|data|input|temperature|role|format|length|max|message|messages|content|number|option|options|setting|header|headers",
            "unexpected|illegal|unrecognized|disallowed|bad value|values",
            "invalid ? integer|decimal|string|array|number|must|expected",
            "unsupported value|role|openai|version|content|language|voice|size|model version",
            "must|should be .. than|between|one|an|a|in|at|equal|less|greater|positive|non|not|string|integer|number|list|array|object|boolean|of|set|within",
            "must|should not|have|contain|match|start|end|alternate|follow",
            "must be",
            "cannot|cant be .. empty|blank|null|none|negative|zero|used|set|both|specified",
            "cannot|cant be .. disabled|enabled|modified|changed|combined|mixed|omitted|repeated",
            "is|are mandatory",
            "is|are empty|blank|null|duplicated",
            "can|may only be set|used|specified|given|enabled|combined",
            "unknown|unrecognized|unexpected ? type|role|format|kind|tag",
            "unknown|unrecognized|unexpected type|role|format|kind|tag",
            "expected .. got|received|found|but",
            "expected a|an|one|object|array|string|value",
            "out of range|bounds",
            "not in range",
            "not one|a|an|of .. of|valid|type|allowed",
            "is not valid|allowed",
            "not a valid",
            "invalid type",
            "too long|short|many|few|large|small|big|high|low",
            "greater|less|larger|smaller|more|fewer than",
            "at most|least #",
            "maximum|minimum|more|fewer|less of|than #",
            "only # .. allowed|permitted|supported|may|can",
            "may|can be provided|given",
            "exceeds|exceeded .. maximum|limit|allowed",
            "below|above .. minimum|maximum",
            "input should|match|does",
            "does not match|conform|satisfy",
            "failed to deserialize",
            "validation error|failed",
            "unsupported",
            "is invalid",
            "empty messages|message|prompt|input|content",
            "取值范围",
            "参数错误",
            "参数非法",
            "参数无效",
        ]))
        .unless(&phrases(["json .. parse|decode|body", "parse .. json", "invalid json", "not valid json", "unterminated", "malformed"]))
        .at(Place::Client),
    // A fault that points at one field is about its value, whatever it is called.
    line(Kind::InvalidValue, Scope::Request).at(Place::FieldNamed),
    line(Kind::InvalidRequest, Scope::Request).at(Place::Status(400)),
    // A 5xx whose words are about the request: relays and small servers send these.
    line(Kind::InvalidRequest, Scope::Request).at(Place::Server).says(&phrases([
        "could not parse the json",
        "invalid json",
        "json parse|decode error",
        "parse error .. json|column",
        "failed to parse .. json|body|request|grammar|messages",
        "bad|malformed|invalid request",
        "invalid request error",
        "conversation roles",
        "bind request body failed",
    ])),
    line(Kind::InvalidValue, Scope::Request).at(Place::Server).says(&phrases([
        "invalid value|type|parameter|argument",
        "roles must alternate",
        "message|messages|role|roles|prompt|input|parameter|value .. must",
        "must be at the beginning",
        "only .. roles are supported",
        "unsupported|invalid role",
        "chat template .. error|failed",
        "template error",
    ])),
];
