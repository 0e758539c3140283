//! Every key a configuration may have: its section, shape, default, range and meaning.
//!
//! One table for three uses: keys outside it are refused with the nearest name, `docs/settings.md`
//! is made from it, and a test holds its defaults against the program's.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its section, such as `policy.retry`.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// What is written for it: `"30s"`, `"64MiB"`, a number, a list, …
    pub shape: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does, with units and range.
    pub meaning: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    shape: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { section, name, shape, default, meaning }
}

/// Sections that may stand several times, as `[[name]]`.
pub(super) const LISTS: [&str; 6] = ["provider", "route", "access", "price", "tier", "alert"];

/// Sections, in the order of the documentation, with what each is for.
pub const SECTIONS: [(&str, &str); 32] = [
    ("", "The file itself"),
    ("server", "The data plane: where programs send their calls."),
    ("server.tls", "TLS of the data plane; both keys or neither."),
    ("admin", "The administration plane: metrics, the admin API, the console."),
    ("store", "Where keys, organizations and the ledger are remembered."),
    ("shared", "State shared by several machines."),
    ("provider", "An upstream that answers calls. May stand several times."),
    (
        "provider.limits",
        "Caps on what is sent with each key for each model, or with all that count together; the rest is learnt from answers.",
    ),
    ("provider.limits.group", "Models that count against one limit."),
    ("provider.supports", "What a provider can do beyond the common protocol."),
    ("route", "Which targets answer for a model. The first route that fits a model holds."),
    ("route.target", "A target written as a table."),
    ("route.policy", "Policies of this route; what is absent is taken from `[policy.*]`."),
    ("policy", "Defaults for all routes."),
    ("policy.retry", "Attempts, waits and patience."),
    ("policy.breaker", "Circuit breaker."),
    ("policy.fallback", "When the next target is taken."),
    ("policy.timeouts", "Timers of an attempt and of the call."),
    ("policy.stream", "What happens to a stream that breaks."),
    ("policy.validate", "Checks before sending."),
    ("policy.hedge", "A second attempt beside a slow one, before the first content."),
    ("policy.errors", "How our own refusals are named."),
    ("access", "Who may call from where. May stand several times."),
    (
        "limits",
        "How limits of callers count. The limits themselves are in the store: `mainstay limit set`.",
    ),
    (
        "tier",
        "A named bundle of limits: `mainstay limit set --tier`. Several of one name are one tier, each for other models.",
    ),
    (
        "price",
        "What a model costs, in USD as decimal strings. May stand several times; a shipped price holds for common models that none fits.",
    ),
    ("budget", "How budgets count; the budgets themselves are set with `mainstay budget`."),
    ("idempotency", "How `Idempotency-Key` of POST requests is honoured."),
    ("log", "What is logged. Keys, prompts and answers are not, unless `bodies` says so."),
    ("records", "The record that is kept of each request, for `mainstay explain` and the console."),
    ("alerts", "When somebody is told of trouble; see [alerts.md](alerts.md)."),
    ("alert", "Who is told: a webhook. May stand several times."),
];

/// Every key, in the order of the documentation.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("", "server", "table", "", "See `[server]`."),
    key("", "admin", "table", "", "See `[admin]`."),
    key("", "store", "table", "", "See `[store]`."),
    key("", "shared", "table", "", "See `[shared]`."),
    key("", "provider", "tables", "", "See `[[provider]]`."),
    key("", "route", "tables", "", "See `[[route]]`."),
    key("", "policy", "table", "", "See `[policy.*]`."),
    key("", "access", "tables", "", "See `[[access]]`."),
    key("", "log", "table", "", "See `[log]`."),
    key("", "records", "table", "", "See `[records]`."),
    key("", "limits", "table", "", "See `[limits]`."),
    key("", "tier", "tables", "", "See `[[tier]]`."),
    key("", "idempotency", "table", "", "See `[idempotency]`."),
    key("", "price", "tables", "", "See `[[price]]`."),
    key("", "budget", "table", "", "See `[budget]`."),
    key("", "alerts", "table", "", "See `[alerts]`."),
    key("", "alert", "tables", "", "See `[[alert]]`."),

    key("server", "listen", "address", "\"127.0.0.1:8080\"", "Address and port of the data plane; port 0 lets the system choose."),
    key("server", "workers", "number", "0", "Threads that carry calls, 0 to 256; 0 means one a core."),
    key("server", "auth", "word", "\"keys\"", "`keys`: calls need a key of ours. `open`: any bearer, only on loopback. `pass`: the caller's key goes upstream."),
    key("server", "body_max", "size", "\"64MiB\"", "Largest JSON body, 1KiB to 1GiB; above it 413."),
    key("server", "upload_max", "size", "\"1GiB\"", "Largest multipart or binary body, 1KiB to 100GiB; above it 413."),
    key("server", "replay_max", "size", "\"8MiB\"", "Uploads up to this size are kept so that they can be sent again, 0B to 1GiB."),
    key("server", "buffers_max", "size", "\"512MiB\"", "All kept bodies together, 1MiB to 1TiB; above it 503 with `retry-after`."),
    key("server", "drain", "duration", "\"30s\"", "How long calls under way may go on after SIGTERM, 0s to 1h."),
    key("server", "trusted_proxies", "list of address ranges", "[]", "Proxies whose `X-Forwarded-For` and country header count."),
    key("server", "country_header", "header name", "none", "Header in which a trusted proxy names the caller's country."),
    key("server", "geoip_db", "path", "none", "MaxMind country database."),
    key("server", "cors", "list of origins", "[]", "Origins allowed to call from a browser."),
    key("server", "expose", "word", "\"all\"", "`all`: provider, attempts and upstream limits in headers. `minimal`: none of them."),
    key("server", "tls", "table", "none", "See `[server.tls]`."),
    key("server.tls", "cert", "path", "none", "Certificate chain, PEM."),
    key("server.tls", "key", "path", "none", "Private key, PEM."),

    key("admin", "listen", "address", "\"127.0.0.1:8081\"", "Address and port; beyond loopback only with `--insecure`: it speaks no TLS."),
    key("admin", "token", "secret", "made once", "Bearer token of the administration plane, at least 16 characters. Absent: made at first start and shown once."),
    key("admin", "metrics_open", "true or false", "false", "Whether `/metrics` needs no token."),

    key("store", "url", "URL", "\"sqlite:mainstay.db\"", "`sqlite:PATH` or `postgres://…` ([postgres.md](postgres.md)). Paths are relative to the working directory. Absent: the variable `DATABASE_URL`, if it is set."),
    key("store", "ledger", "word", "\"process\"", "`process`, `strict` or `batched`: how durable a hold is before its attempt is sent."),
    key("store", "journal", "path", "\"mainstay-journal\"", "With PostgreSQL: the folder where this gateway keeps what it has not brought there yet. One gateway, one folder; it must survive restarts."),
    key("shared", "url", "URL", "`REDIS_URL`", "Redis or Valkey: `redis://[user:password@]host[:port][/database]`, `redis+sentinel://host,host/service` or `redis+cluster://host,host`; `rediss` in place of `redis` speaks TLS. Absent: every gateway counts for itself. See [many-machines.md](many-machines.md)."),
    key("shared", "ca_file", "path", "none", "Certificates that `rediss://` trusts beside the system's and `SSL_CERT_FILE`, PEM."),
    key("shared", "deadline", "duration", "\"20ms\"", "Longest wait for one of its answers, 1ms to 1s. Three times as long without an answer, and it is not asked until it answers again."),

    key("provider", "name", "name", "its kind", "1 to 64 letters, digits, `-`, `_` or `.`; unique."),
    key("provider", "kind", "word", "\"compatible\"", "`openai`, `azure`, `compatible`, or a preset such as `groq` or `ollama`, which fills `base_url`."),
    key("provider", "base_url", "URL", "the preset's", "What follows `/v1` in the caller's path is appended. Required without a preset."),
    key("provider", "api_key", "secret", "the preset's variable", "The credential, usually `\"${…}\"`."),
    key("provider", "api_keys", "list of secrets", "[]", "Several credentials; not beside `api_key`."),
    key("provider", "headers", "table of strings", "{}", "Headers added to each request, at most 32."),
    key("provider", "proxy", "URL", "`HTTPS_PROXY`, `NO_PROXY`", "Forward proxy, `http://host:port`; `\"none\"` for none."),
    key("provider", "ca_file", "path", "none", "Certificates trusted beside the system's and `SSL_CERT_FILE`, PEM."),
    key("provider", "model_map", "table of strings", "{}", "The caller's model to the provider's."),
    key("provider", "windows", "table of numbers", "the preset's, then the built-in table", "Context windows in tokens, by the provider's model, 1 to 100000000; added to the preset's, see [providers.md](providers.md)."),
    key("provider", "models", "list of strings", "every model no other provider names", "Models it answers for; `*` at the end matches any rest. Of several providers without it, the first answers for models nobody lists."),
    key("provider", "omit", "list of strings", "the preset's", "Top-level fields of JSON bodies that are left out, at most 100; see [providers.md](providers.md)."),
    key("provider", "rename", "table of strings", "the preset's", "Top-level fields of JSON bodies that are sent under another name."),
    key("provider", "limits", "table", "{}", "See `[provider.limits]`."),
    key("provider", "supports", "table", "{}", "See `[provider.supports]`."),
    key("provider", "api_version", "word", "none", "Azure: the `api-version` of each request."),
    key("provider.limits", "rpm", "number", "learnt", "Requests a minute, 1 to 1000000000."),
    key("provider.limits", "tpm", "number", "learnt", "Tokens a minute, 1 to 1000000000000."),
    key("provider.limits", "concurrency", "number", "learnt", "Calls at once, 1 to 1000000."),
    key("provider.limits", "shared", "word", "\"told\"", "What counts against one limit. `told`: each key and model by itself, but keys whose answers name the same organization and project together. `apart`: each by itself. `keys`: all keys together, each model by itself. `models`: all models of a key together. `all`."),
    key("provider.limits", "pool", "name", "none", "1 to 64 letters, digits, `-`, `_` or `.`. Providers of one pool are one account: their keys count together. Their limits must be the same."),
    key("provider.limits", "groups", "list of tables", "[]", "Families of models under one limit, at most 100; see `[provider.limits.group]`."),
    key("provider.limits.group", "models", "list of strings", "required", "The provider's names for them; `*` at the end matches any rest. The first group that fits holds."),
    key("provider.limits.group", "rpm", "number", "the provider's", "As in `[provider.limits]`, for the group."),
    key("provider.limits.group", "tpm", "number", "the provider's", "As in `[provider.limits]`, for the group."),
    key("provider.limits.group", "concurrency", "number", "the provider's", "As in `[provider.limits]`, for the group."),
    key("provider.supports", "prefill", "true or false", "false", "Whether an answer can be continued from an assistant message."),

    key("route", "model", "string", "required", "The model as the caller names it; `*` at the end matches any rest."),
    key("route", "targets", "list", "required", "`\"provider/model\"`, `\"provider\"`, or a table; 1 to 64."),
    key("route", "strategy", "word", "\"order\"", "`order`, `weighted`, `least_busy` or `lowest_latency`."),
    key("route", "policy", "table", "{}", "See `[route.policy]`."),
    key("route.target", "target", "string", "required", "`\"provider/model\"` or `\"provider\"`."),
    key("route.target", "weight", "number", "1", "Weight under `weighted`, 1 to 1000."),
    key("route.policy", "retry", "table", "", "As `[policy.retry]`."),
    key("route.policy", "breaker", "table", "", "As `[policy.breaker]`."),
    key("route.policy", "fallback", "table", "", "As `[policy.fallback]`."),
    key("route.policy", "timeouts", "table", "", "As `[policy.timeouts]`."),
    key("route.policy", "stream", "table", "", "As `[policy.stream]`."),
    key("route.policy", "validate", "table", "", "As `[policy.validate]`."),
    key("route.policy", "hedge", "table", "", "As `[policy.hedge]`."),

    key("policy", "retry", "table", "", "See `[policy.retry]`."),
    key("policy", "breaker", "table", "", "See `[policy.breaker]`."),
    key("policy", "fallback", "table", "", "See `[policy.fallback]`."),
    key("policy", "timeouts", "table", "", "See `[policy.timeouts]`."),
    key("policy", "stream", "table", "", "See `[policy.stream]`."),
    key("policy", "validate", "table", "", "See `[policy.validate]`."),
    key("policy", "hedge", "table", "", "See `[policy.hedge]`."),
    key("policy", "errors", "table", "", "See `[policy.errors]`."),

    key("policy.retry", "attempts_max", "number", "3", "Attempts on one target while another is ready, the first included, 1 to 10."),
    key("policy.retry", "attempts_per_call_max", "number", "6", "Attempts of a call over all targets, `attempts_max` to 20."),
    key("policy.retry", "attempts_brown_out_max", "number", "12; with another `attempts_per_call_max`, that", "Attempts of a call when a tenth and more of what others have from the target fails, and most is answered; `attempts_per_call_max` to 40."),
    key("policy.retry", "wait_max", "duration", "\"2m\"", "Longest single wait for a limit or a hint, 0s to 1h."),
    key("policy.retry", "patience", "duration", "\"30s\"", "Longest wait for a circuit breaker's probe when no other target is left, 0s to 1h."),
    key("policy.retry", "transient_base", "duration", "\"100ms\"", "First wait after a transient failure; doubles, full jitter. 1ms to 1m."),
    key("policy.retry", "transient_cap", "duration", "\"8s\"", "Longest wait after a transient failure, `transient_base` to 1h."),
    key("policy.retry", "throttled_base", "duration", "\"1s\"", "First wait after a throttled attempt without a hint; doubles, equal jitter. 1ms to 1m."),
    key("policy.retry", "throttled_cap", "duration", "\"1m\"", "Longest such wait, `throttled_base` to 1h."),
    key("policy.retry", "budget_capacity", "number", "500", "Capacity of a target's retry budget, 0 to 1000000; 0 allows no retry."),
    key("policy.retry", "budget_transient", "number", "14", "What a retry after a transient failure takes from it, 0 to 1000000."),
    key("policy.retry", "budget_throttled", "number", "5", "What coming back to a target that was left for its rate limit takes from it, 0 to 1000000."),
    key("policy.retry", "in_flight_min", "number", "3", "So many retries may be in flight on a target whatever the share, 0 to 10000."),
    key("policy.retry", "in_flight_share", "fraction", "0.2", "Share of the calls in flight that may be retries, 0.0 to 1.0."),

    key("policy.breaker", "enabled", "true or false", "true", "Whether there is a circuit breaker."),
    key("policy.breaker", "failures", "number", "5", "Failures in a row that open it, 1 to 1000."),
    key("policy.breaker", "ratio", "fraction", "0.5", "Share of failures in the window that opens it, 0.01 to 1.0."),
    key("policy.breaker", "ratio_min", "number", "20", "Fewest outcomes in the window for the share to count, 1 to 10000."),
    key("policy.breaker", "window", "duration", "\"30s\"", "Length of the window, 1s to 1h."),
    key("policy.breaker", "open", "\"adaptive\" or duration", "\"adaptive\"", "How long it stays open, 100ms to 1h; `adaptive`: the time of ten recent first attempts, 0.5s to 5s, doubling while probes time out."),
    key("policy.breaker", "open_max", "duration", "\"2m\"", "Longest time an adaptive circuit stays open, 1s to 1h."),

    key("policy.fallback", "wait_max", "duration", "\"5s\"", "With another target ready, a longer wait moves on, 0s to 1h."),

    key("policy.timeouts", "connect", "duration", "\"5s\"", "DNS, TCP, proxy and TLS together, 10ms to 5m."),
    key("policy.timeouts", "first_content_soft", "duration", "\"10s\"", "Stream without content for this long: another target is started beside. 10ms to 1h."),
    key("policy.timeouts", "first_content", "duration", "\"1m\"", "Stream without content for this long: the attempt has failed. 10ms to 1h."),
    key("policy.timeouts", "idle", "duration", "\"30s\"", "Longest silence between two contents of a stream, 10ms to 1h."),
    key("policy.timeouts", "headers", "duration", "\"5m\"", "Not streamed: longest time to the answer's headers, 10ms to 24h."),
    key("policy.timeouts", "total", "duration or \"none\"", "\"10m\"", "The whole call, 10ms to 24h; `none` only for background jobs."),

    key("policy.stream", "recovery", "word", "\"verified\"", "`verified`: replay once and deliver only what continues exactly. `continue`: a target with `supports = { prefill = true }` goes on from what was delivered, others as `verified`. `error`: end with a typed error event."),
    key("policy.validate", "level", "word", "\"lenient\"", "`off`, `lenient` (what every compatible server refuses) or `strict` (the vendor's rules)."),
    key("policy.hedge", "enabled", "true or false", "false", "Whether a second attempt is made."),
    key("policy.hedge", "delay", "duration", "learnt", "Delay before it, 10ms to 1h; absent: the learnt 95th percentile of time to first content."),
    key("policy.errors", "codes", "word", "\"unified\"", "`unified` or `openai`: which names `error.code` carries."),

    key("access", "org", "string", "none", "The organization it is about; exactly one of `org`, `project`, `key`."),
    key("access", "project", "string", "none", "The project it is about."),
    key("access", "key", "string", "none", "The key it is about."),
    key("access", "countries_allow", "list of countries", "[]", "ISO 3166 codes of two letters; not beside `countries_deny`."),
    key("access", "countries_deny", "list of countries", "[]", "ISO 3166 codes of two letters."),
    key("access", "cidr_allow", "list of address ranges", "[]", "Ranges that may call; not beside `cidr_deny`."),
    key("access", "cidr_deny", "list of address ranges", "[]", "Ranges that may not call."),

    key("limits", "count_refused", "true or false", "false", "Whether a request that a limit refuses counts as a request too; it never takes more than there is."),
    key("limits", "default_tier", "string", "none", "The tier that a new organization gets when none is named."),

    key("tier", "name", "string", "required", "Its name."),
    key("tier", "model", "string", "every model", "The models it counts, together; `*` at the end matches any rest."),
    key("tier", "rpm", "number", "no limit", "Requests per minute, 1 to 1000000000000."),
    key("tier", "tpm", "number", "no limit", "Tokens per minute, prompt and answer, 1 to 1000000000000."),
    key("tier", "rpd", "number", "no limit", "Requests per day, 1 to 1000000000000."),
    key("tier", "concurrency", "number", "no limit", "Calls at once, 1 to 1000000000000."),
    key("tier", "burst", "duration", "the whole window", "How much may come at once: what a rate gives in this time, 1ms to 1d."),
    key("tier", "shadow", "true or false", "false", "Only count and tell, never refuse."),

    key("idempotency", "enabled", "true or false", "true", "Whether the header is honoured."),
    key("idempotency", "body_max", "size", "\"1MiB\"", "Largest body of an answer that is kept to be given again, 0B to 64MiB; a repeated request with a larger one is refused."),
    key("idempotency", "keep", "duration", "\"24h\"", "How long an answer is kept, 1s to 31d."),

    key("alerts", "circuit_after", "duration", "\"30s\"", "How long a circuit breaker is not closed before it is told, 0s to 24h."),
    key("alerts", "failures", "number", "3", "Calls that fail in the same way at one target, none answered between, 1 to 1000."),
    key("alerts", "error_percent", "number", "25", "Share of failed calls that is told, percent, 1 to 100; mistakes of callers do not count."),
    key("alerts", "error_calls_min", "number", "20", "Calls in the window below which a share says nothing, 1 to 1000000."),
    key("alerts", "error_window", "duration", "\"5m\"", "Window of that share, 10s to 24h."),
    key("alerts", "store_after", "duration", "\"10s\"", "How long a part of the store is in trouble before it is told, 0s to 24h."),
    key("alerts", "calm", "duration", "\"1m\"", "How long all is well before that is told, 0s to 24h."),
    key("alerts", "repeat", "duration", "never", "How often what lasts is told again, 1m to 31d."),
    key("alerts", "queue_max", "number", "256", "Messages that may wait for each receiver, 1 to 100000; further ones are dropped and counted."),
    key("alert", "name", "string", "required", "Its name; unique."),
    key("alert", "url", "secret", "required", "Where messages are posted, https or http; its path is never shown. `HTTPS_PROXY` and `NO_PROXY` hold."),
    key("alert", "kind", "word", "\"json\"", "`json`: all fields. `slack`: a text, as Slack and what imitates it take."),
    key("alert", "secret", "secret", "none", "Signs messages (`x-mainstay-signature`), at least 16 characters, usually `\"${…}\"`."),
    key("alert", "rules", "list of words", "all", "`budget`, `circuit_open`, `permanent_failure`, `error_rate`, `quota_exhausted`, `store_degraded`."),

    key("price", "model", "string", "required", "The model, or `provider/model`; `*` at the end matches any rest."),
    key("price", "input_per_1m", "money", "\"0\"", "A million input tokens, up to 6 decimals."),
    key("price", "cached_input_per_1m", "money", "`input_per_1m`", "A million input tokens that were cached."),
    key("price", "output_per_1m", "money", "\"0\"", "A million output tokens."),
    key("price", "characters_per_1m", "money", "\"0\"", "A million characters that are spoken."),
    key("price", "per_image", "money", "\"0\"", "A picture that is made."),
    key("price", "per_minute", "money", "\"0\"", "A minute of sound, counted by the millisecond."),
    key("price", "per_request", "money", "\"0\"", "An attempt that was answered."),

    key("budget", "reserve", "word", "\"worst\"", "`worst` or `likely`: what is held for a call. `likely` may leave debts."),
    key("budget", "output_default", "number", "4096", "Output tokens held where neither the call nor the model has a limit, 1 to 10000000."),
    key("budget", "output_likely", "number", "1024", "Output tokens held at most with `reserve = \"likely\"`, 1 to 10000000."),
    key("budget", "unpriced", "word", "\"refuse\"", "`refuse` or `free`: models without a price under a hard budget. `[[price]] model = \"*\"` prices all others."),
    key("budget", "shipped_prices", "true or false", "true", "Whether the shipped prices count."),
    key("budget", "leftovers", "word", "\"charge\"", "`charge` or `release`: what a process that died had held, at the next start."),
    key("budget", "lease_wait", "duration", "\"2s\"", "How long a call waits at most for money of a hard budget that other gateways spend from too, 10ms to 60s."),
    key("budget", "queue_max", "number", "65536", "Entries that may wait to be written to the ledger before calls are refused, 16 to 1000000."),

    key("log", "format", "word", "\"text\"", "`text` or `json`: one object a line. Read at start."),
    key("log", "level", "word", "\"info\"", "`error`, `warn`, `info`, `debug` or `trace`: the lowest level written. The variable `MAINSTAY_LOG` wins. Read at start."),
    key("log", "bodies", "word", "\"off\"", "`off`, `shape` (parameters, and the length of each text) or `content` (all, keys masked): what is logged of the body of a call that failed. Its line is written at `debug`."),

    key("records", "enabled", "true or false", "true", "Whether records are kept."),
    key("records", "count_max", "number", "100000", "Records kept at most, 1000 to 10000000; about 400 bytes each."),
    key("records", "keep", "duration", "\"7d\"", "How long a record is kept, 1m to 366d."),
    key("records", "bodies", "word", "\"shape\"", "`off`, `shape` or `content`, as in `[log]`: what is kept of the body of a call that failed."),
    key("records", "queue_max", "number", "8192", "Finished calls that may wait to be told, for each worker, 64 to 1000000; more are dropped and counted. Read at start."),
];

/// The names of a section's keys.
pub(super) fn names(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.section == section).map(|key| key.name)
}

/// `docs/settings.md`, made from the table.
pub fn page() -> String {
    let mut page = String::from(PAGE_START);
    for (section, meaning) in SECTIONS {
        if section.is_empty() {
            continue;
        }
        let title = if LISTS.contains(&section) {
            format!("[[{section}]]")
        } else {
            format!("[{section}]")
        };
        page.extend(["\n## `", &title, "`\n\n", meaning, "\n\n"]);
        page.push_str("| key | written as | default | meaning |\n| --- | --- | --- | --- |\n");
        for key in KEYS.iter().filter(|key| key.section == section) {
            let default = match key.default {
                "" => String::new(),
                plain if plain.starts_with(['"', '[', '{']) || plain.parse::<f64>().is_ok() => {
                    format!("`{plain}`")
                }
                words => words.to_owned(),
            };
            let meaning = key.meaning.replace('|', "\\|");
            page.extend([
                "| `", key.name, "` | ", key.shape, " | ", &default, " | ", &meaning, " |\n",
            ]);
        }
    }
    page.push_str(&super::presets::page());
    page
}

const PAGE_START: &str = "\
# Settings

Made from the program's own table; a test keeps it current.

One TOML file, every key optional. It is looked for in this order: `--config FILE`, the variable
`MAINSTAY_CONFIG`, `./mainstay.toml`; without any, Mainstay runs on defaults: the provider that
`OPENAI_BASE_URL` and `OPENAI_API_KEY` name or, without a key, the built-in simulator.

- `${NAME}` in a string is the environment variable `NAME`. In an optional key an unset variable
  counts as if the key were absent; where a value is required it is an error. `$${` writes `${`.
- Durations have units, largest first: `\"30s\"`, `\"250ms\"`, `\"5m\"`, `\"1h\"`, `\"30d\"`, `\"1m30s\"`.
- Sizes have units: `\"64MiB\"`, `\"512KiB\"`, `\"1GiB\"`, `\"10MB\"`, `\"100B\"`.
- Money is a decimal string in USD, such as `\"2.50\"`.
- Paths are relative to the working directory.
- A key that is not listed here is refused, with the line and the nearest name.

`mainstay config check FILE` says what is wrong and what to do; `mainstay config init` writes a
file to start from.
";
