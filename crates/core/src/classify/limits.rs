//! Lines for limits: per time, at once, used-up credit, spend limits, plain throttling.
//!
//! Order: what a text says per time comes before the words quota and billing, because throttling
//! messages advertise plans and payment; a code that says quota holds only where no time is named.

use super::table::{Line, Place, line};
use crate::failure::{Kind, Scope};
use crate::hints::{REQUESTS_PER_TIME, TOKENS_PER_TIME};
use crate::words::phrases;

/// Limits that name a time, a number of parallel calls, or a size per time.
pub(super) const PER_TIME: &[Line] = &[
    // OpenAI, Groq: "Request too large for … on tokens per min", code rate_limit_exceeded
    // (shell_gpt#653; Groq error page, read 2026-11).
    line(Kind::RequestTooLarge, Scope::Request)
        .says(&phrases(["request too large", "input or output tokens must be reduced"])),
    // Gemini, OpenAI: a limit of 0 is no limit per time but no access; waiting changes nothing
    // (ai.google.dev rate limits, forum threads, read 2026-11).
    line(Kind::InsufficientQuota, Scope::Key).at(Place::Status(429)).says(&phrases(["limit 0 model|used|requested|please|retry|try|for|per|requests|tokens", "limit 0 ¶"])),
    // Parallel calls. OpenAI-like unified codes; Moonshot "max organization concurrency"; Anthropic
    // "number of concurrent connections"; Zhipu 1302; LiteLLM max_parallel_requests, read 2026-11.
    line(Kind::ConcurrentLimit, Scope::Key)
        .named(&["concurrent_limit*", "concurrency_limit*", "too_many_concurrent*", "*.concurrency"])
        .says(&phrases([
            "concurrent|concurrency|parallel|simultaneous .. limit|limits|exceeded|exceeds|maximum|quota",
            "too many|many concurrent|parallel|simultaneous",
            "max|maximum|limit|exceeded .. concurrent|concurrency|parallel|simultaneous",
            "并发",
        ]))
        .unless(&phrases(["concurrent update|modification|write*", "parallel tool*", "parallel function*"])),
    // Cerebras: code says which quota (inference-docs.cerebras.ai, read 2026-11).
    line(Kind::RateLimitTokens, Scope::Key).named(&["token_quota_exceeded", "tokens_usage_based"]),
    line(Kind::RateLimitRequests, Scope::Key).named(&["request_quota_exceeded"]),
    // OpenAI: type tells the dimension when the message was lost on the way.
    line(Kind::RateLimitTokens, Scope::Key).at(Place::Status(429)).named(&["tokens"]),
    line(Kind::RateLimitRequests, Scope::Key).at(Place::Status(429)).named(&["requests"]),
    // MiniMax base_resp codes 1039 (TPM) and 1002 (RPM); Baidu Qianfan 18, 336501, 336502.
    line(Kind::RateLimitTokens, Scope::Key).named(&["status_code.1039", "error_code.336502"]),
    line(Kind::RateLimitRequests, Scope::Key)
        .named(&["status_code.1002", "error_code.18", "error_code.336501"]),
    // Anthropic counts "request tokens" and "input tokens": the word request is no dimension there.
    line(Kind::RateLimitTokens, Scope::Key).says(&phrases([
        "number of request|input|output|prompt? tokens .. per minute|hour|day",
        "request|input|output|prompt tokens per min*|hour|day",
    ])),
    line(Kind::RateLimitTokens, Scope::Key).says(TOKENS_PER_TIME).unless(REQUESTS_PER_TIME),
    line(Kind::RateLimitRequests, Scope::Key).says(REQUESTS_PER_TIME),
    line(Kind::RateLimitTokens, Scope::Key).says(TOKENS_PER_TIME),
    // Windows of hours or a day that lift by themselves: Gemini Code Assist, Codex and Claude
    // plans (codex#, gemini-cli threads, read 2026-11).
    line(Kind::RateLimitOther, Scope::Key)
        .named(&["usage_limit_reached", "quota_reset*"])
        .says(&phrases([
            "quota|limit will reset",
            "quota|limit resets in|at|after",
            "quota|limit exceeded|reached resets|reset|renews in|at|after|on",
            "daily|hourly limit|quota",
            "limit|quota .. per day|hour|minute",
            "requests|calls|limit for today",
        ]))
        .unless(&phrases(["credit*", "balance", "month*"])),
];

/// Credit, balance, quota and spend: waiting does not help.
pub(super) const SPENT: &[Line] = &[
    // OpenAI guide 2026: the code tells, the type may stay insufficient_quota (help.openai.com
    // 6614457, MS Learn; read 2026-11). LiteLLM budget_exceeded; Anthropic billing_error.
    line(Kind::BillingLimit, Scope::Key)
        .named(&[
            "billing_hard_limit_reached",
            "billing_not_active",
            "billing_error",
            "billing_limit*",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "spend_limit*",
            "budget_exceeded",
            "billing_disabled",
            "blocked_api_access",
            "BudgetExceededError",
        ])
        .says(&phrases([
            "billing hard limit",
            "billing|account is|was not active",
            "billing not active|enabled",
            "billing .. disabled|inactive|suspended",
            "enable billing",
            "spend*|spending limit|cap .. reached|exceeded|hit",
            "reached|exceeded|hit .. spend*|spending|billing|budget .. limit|cap|threshold",
            "specified api usage limits",
            "budget .. exceeded|reached|exhausted",
            "exceeded|exceeds|over .. budget",
            "unpaid|overdue|outstanding invoice|bill|balance|payment",
            "payment .. overdue|declined|failed|refused",
            "inactive subscription|account|plan|billing",
            "past due",
            "set|setting up billing|payment*",
            "key limit exceeded",
            "billing limit*",
            "usage limit .. set by|for your organization",
            "extra|additional|paid usage .. required|needed|disabled",
            "requires|require extra|additional|paid usage",
            "payment|subscription is? required",
        ]))
        .unless(&phrases(["thinking budget", "budget tokens", "retry budget"])),
    // A limit under these statuses is one of money (Portkey, Ollama and OpenRouter, read 2026-11).
    line(Kind::BillingLimit, Scope::Key).at(Place::Status(412)).says(&phrases([
        "limit|limits|budget .. exceeded|reached|hit",
        "exceeded|reached|hit .. limit|budget",
    ])),
    line(Kind::InsufficientQuota, Scope::Key).at(Place::Status(402)),
    // Relays' and vendors' own codes. OpenAI; Moonshot exceeded_current_quota_error; one-api and
    // new-api *_quota*; Together credit_limit; DashScope Arrearage, AllocationQuota.FreeTierOnly;
    // Zhipu 1113; MiniMax 1008; Volcano AccountOverdueError, SetLimitExceeded; read 2026-11.
    line(Kind::InsufficientQuota, Scope::Key)
        .named(&[
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance*",
            "insufficient_credit*",
            "insufficient_funds",
            "credit_balance_exhausted",
            "credit_limit",
            "credits_exhausted",
            "exceeded_current_quota_error",
            "pre_consume_token_quota_failed",
            "quota_not_enough",
            "payment_required",
            "Arrearage",
            "AccountOverdueError",
            "SetLimitExceeded",
            "*FreeTierOnly",
            "1113",
            "status_code.1008",
            "out_of_credits",
            "*OverQuota",
            "no_credits",
        ])
        .says(&phrases([
            "insufficient .. quota|balance|credit*|funds",
            "credit*|balance is|are too low",
            "credit*|balance .. exhausted|depleted|insufficient|negative|expired",
            "credit*|balance|quota .. used up",
            "exceeded|exceeds .. credit*|balance",
            "credit limit exceeded|reached",
            "no|zero|any credit|credits|balance|funds",
            "no quota left|remaining",
            "out of credit*|funds",
            "out of .. quota",
            "not .. enough credit*|balance|quota|funds",
            "more credits",
            "used all .. credit*|quota|tokens",
            "quota is|was not enough",
            "quota .. depleted",
            "monthly .. limit|quota|credits|allowance|usage",
            "limit|quota|credits .. this month",
            "add|buy|purchase|recharge|top up? .. credit*|balance|account",
            "good standing",
            "account .. arrears|overdue|owes",
            "free trial|tier|quota .. ended|expired|exhausted|used",
            "free trial|time .. limit|quota|hit|reached",
            "check your plan and billing",
            "余额 .. 不足",
            "额度 .. 不足",
            "请充值",
            "paid balance|credit|credits",
            "please|must|to top up|recharge",
            "余额已用尽",
            "额度不足",
            "额度已用尽",
            "欠费",
            "配额不足",
            "配额已用",
            "账户余额",
            "账号余额",
        ]))
        .unless(&phrases(["no credits were|are? charged"])),
];

/// Throttling that does not say of what.
pub(super) const THROTTLED: &[Line] = &[
    // A limit on tokens under 429 that says nothing of a context: tokens waiting in batches, tokens
    // of a window that is not named (OpenAI batch texts, read 2026-11).
    line(Kind::RateLimitTokens, Scope::Key)
        .at(Place::Status(429))
        .says(&phrases([
            "enqueued tokens|token",
            "token|tokens limit|quota|allowance reached|exceeded|exhausted",
            "exceeded|exceeds|reached .. token|tokens limit|quota|allowance",
        ]))
        .unless(&phrases([
            "context|prompt|message|messages|input .. length|window|long",
            "maximum context",
        ])),
    // OpenAI slow_down (503 and, since 2026, 429); Azure RateLimitReached; Anthropic
    // rate_limit_error; Mistral 1300; AWS; Google; DashScope Throttling.*; read 2026-11.
    line(Kind::RateLimitTokens, Scope::Key).named(&["Throttling.AllocationQuota"]),
    line(Kind::RateLimitRequests, Scope::Key)
        .named(&["Throttling.RateQuota", "limit_requests"])
        .says(&phrases(["请求数", "请求次数", "请求频率", "调用次数", "请求过于频繁"])),
    line(Kind::RateLimitOther, Scope::Key)
        .named(&[
            "slow_down",
            "rate_limit*",
            "ratelimit*",
            "rate_limited",
            "*_rate_limit",
            "throttling*",
            "throttled*",
            "too_many_requests*",
            "request_limit_exceeded",
            "1300",
            "1302",
            "1303",
            "1304",
            "limit_exceeded",
            "LimitExceededException",
            "quota_limit*",
        ])
        .says(&phrases([
            "rate limit*|limits|limited|limiting",
            "ratelimit*",
            "rate limited",
            "throttl*",
            "too many requests",
            "sending requests too quickly|fast",
            "too frequent*|quickly",
            "slow down",
            "usage limit reached|exceeded",
            "hit your usage limit",
            "限流",
            "限速",
            "速率限制",
            "频率",
            "过于频繁",
            "请求过多",
        ]))
        .unless(&phrases(["not rate limited"])),
    // Google: RESOURCE_EXHAUSTED without a word on billing (Vertex dynamic shared quota).
    line(Kind::RateLimitOther, Scope::Key).named(&["RESOURCE_EXHAUSTED", "rateLimitExceeded"]),
    line(Kind::InsufficientQuota, Scope::Key)
        .named(&[
            "quota_exceeded",
            "QuotaExceeded*",
            "ServiceQuotaExceeded*",
            "quota_exhausted",
            "over_quota",
        ])
        .says(&phrases([
            "quota .. exceeded|exhausted",
            "exceeded|exceeds|exceeding|over .. quota",
        ])),
];
