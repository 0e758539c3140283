//! Limits per time and at once, credit and bills.

use super::{Entry, OnBreaker, OnBudget, OnPacer, codes};
use crate::failure::Kind;

pub(super) const RATE_LIMIT_REQUESTS: Entry = Entry {
    kind: Kind::RateLimitRequests,
    class: Kind::RateLimitRequests.class(),
    retryable: Kind::RateLimitRequests.retryable(),
    status: 429,
    cause: "More requests came in a given time than the limit allows. Limits hold for an organization or project as a whole, not for one user or key.",
    steps: &[
        "Wait as long as the answer says (retry-after), then go on more slowly.",
        "Spread the calls evenly; send several prompts or inputs in one request where the endpoint allows it.",
        "Look at who else uses the same organization: their calls count too.",
        "Ask for a higher limit, a higher tier, or a higher project limit from the owner.",
    ],
    retry_advice: "Retry after the time given; without one back off from 1 s, doubling to 60 s, with jitter. Pacing before the limit is better than retrying behind it.",
    guide: &[
        "429 - Rate limit reached for requests",
        "RateLimitError",
        "rate_limit_exceeded: Rate limit exceeded",
    ],
    unified: codes("requests", Some("rate_limit_exceeded")),
    openai: codes("requests", Some("rate_limit_exceeded")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Rate,
    budget: OnBudget::Throttled,
    other_target_helps: true,
};

pub(super) const RATE_LIMIT_TOKENS: Entry = Entry {
    kind: Kind::RateLimitTokens,
    class: Kind::RateLimitTokens.class(),
    retryable: Kind::RateLimitTokens.retryable(),
    status: 429,
    cause: "More tokens were asked for in a given time than the limit allows; prompt and `max_tokens` both count.",
    steps: &[
        "Wait as long as the answer says, then go on.",
        "Set `max_tokens` close to what answers really need: the whole value is counted beforehand.",
        "Shorten prompts, and spread large calls over time.",
        "Ask for a higher limit or tier.",
    ],
    retry_advice: "Retry after the time given; without one back off from 1 s, doubling to 60 s, with jitter.",
    guide: &[
        "429 - Rate limit reached for requests",
        "too many tokens or requests in a short period",
        "RateLimitError",
    ],
    unified: codes("tokens", Some("rate_limit_exceeded")),
    openai: codes("tokens", Some("rate_limit_exceeded")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Rate,
    budget: OnBudget::Throttled,
    other_target_helps: true,
};

pub(super) const RATE_LIMIT_OTHER: Entry = Entry {
    kind: Kind::RateLimitOther,
    class: Kind::RateLimitOther.class(),
    retryable: Kind::RateLimitOther.retryable(),
    status: 429,
    cause: "A limit per time was reached, and the answer does not say of what.",
    steps: &[
        "Wait as long as the answer says; without a time wait a few seconds and double it each time.",
        "Send fewer calls at once and per minute.",
        "Look at the provider's page of limits for this model and tier.",
    ],
    retry_advice: "Retry after the time given; without one back off from 1 s, doubling to 60 s, with jitter.",
    guide: &["429 - Rate limit exceeded", "RateLimitError"],
    unified: codes("rate_limit_error", Some("rate_limit_exceeded")),
    openai: codes("requests", Some("rate_limit_exceeded")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Rate,
    budget: OnBudget::Throttled,
    other_target_helps: true,
};

pub(super) const CONCURRENT_LIMIT: Entry = Entry {
    kind: Kind::ConcurrentLimit,
    class: Kind::ConcurrentLimit.class(),
    retryable: Kind::ConcurrentLimit.retryable(),
    status: 429,
    cause: "Too many calls run at the same time.",
    steps: &[
        "Lower the number of parallel workers or connections.",
        "Start the next call when one has ended; long streams hold a place until their end.",
        "Ask for a higher limit of parallel calls.",
    ],
    retry_advice: "Retry when running calls have ended; a second or two is often enough.",
    guide: &["concurrent_limit_exceeded: Concurrent limit exceeded"],
    unified: codes("requests", Some("concurrent_limit_exceeded")),
    openai: codes("requests", Some("rate_limit_exceeded")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Concurrency,
    budget: OnBudget::Throttled,
    other_target_helps: true,
};

pub(super) const INSUFFICIENT_QUOTA: Entry = Entry {
    kind: Kind::InsufficientQuota,
    class: Kind::InsufficientQuota.class(),
    retryable: Kind::InsufficientQuota.retryable(),
    status: 429,
    cause: "Credit or quota is used up: prepaid credit is gone, or the budget of the organization, project or key for this period is spent.",
    steps: &[
        "Look at usage and limits (`mainstay usage`, `mainstay budget show`, or the provider's usage page).",
        "Buy credit, or have the owner raise the budget (`mainstay budget raise`).",
        "Find what used it: model, key and project are in the usage report.",
        "Set alerts below 100 % so that the end does not come as a surprise.",
    ],
    retry_advice: "Do not retry: waiting does not help until credit is added or the period ends.",
    guide: &[
        "429 - You exceeded your current quota, please check your plan and billing details",
        "insufficient_quota: Quota insufficient",
    ],
    unified: codes("insufficient_quota", Some("insufficient_quota")),
    openai: codes("insufficient_quota", Some("insufficient_quota")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};

pub(super) const BILLING_LIMIT: Entry = Entry {
    kind: Kind::BillingLimit,
    class: Kind::BillingLimit.class(),
    retryable: Kind::BillingLimit.retryable(),
    status: 429,
    cause: "A spend limit is reached, a bill is open, or billing is not active for the account.",
    steps: &[
        "Look at the billing page: payment method, open bills, monthly spend limit.",
        "Pay, activate billing, or have the owner raise the spend limit.",
        "Until then use a route with a fallback to another provider.",
    ],
    retry_advice: "Do not retry: it needs a person at the billing page.",
    guide: &[
        "429 - hit your maximum monthly spend",
        "billing_not_active",
        "billing_hard_limit_reached",
    ],
    unified: codes("insufficient_quota", Some("billing_hard_limit_reached")),
    openai: codes("insufficient_quota", Some("billing_hard_limit_reached")),
    param: None,
    breaker: OnBreaker::Neutral,
    pacer: OnPacer::Nothing,
    budget: OnBudget::NoRepeat,
    other_target_helps: true,
};
