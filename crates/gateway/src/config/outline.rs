//! What holds, as JSON for `mainstay config show`. Secrets are shown as `(hidden)`.

use std::path::Path;
use std::time::Duration;

use mainstay_core::policy::{
    CodeSet, LimitGroup, OpenFor, Policy, ProviderKind, Recovery, Shared, Strategy,
};
use serde_json::{Value, json};

use crate::money::Reserve;

use super::alerts::{AlertSettings, MessageShape};
use super::provider::{ProviderConfig, Upstream};
use super::server::{Auth, Expose, LedgerMode, StoreUrl};
use super::values::{duration_text, size_text};
use super::{Config, Secret};

const HIDDEN: &str = "(hidden)";

impl Config {
    /// What holds, defaults included; secrets hidden.
    pub fn outline(&self) -> Value {
        let routes: Vec<Value> = self
            .routes
            .iter()
            .map(|found| {
                let route = &found.route;
                let target = |t: &mainstay_core::policy::RouteTarget| {
                    let model =
                        t.model.as_deref().map_or(String::new(), |model| format!("/{model}"));
                    json!({"target": format!("{}{model}", t.provider), "weight": t.weight})
                };
                json!({
                    "model": route.model,
                    "targets": route.targets.iter().map(target).collect::<Vec<_>>(),
                    "strategy": strategy(route.strategy),
                    "policy": policy(&route.policy),
                })
            })
            .collect();
        json!({
            "file": self.file,
            "server": self.server_outline(),
            "admin": {
                "listen": self.admin.listen.to_string(),
                "token": self.admin.token.as_ref().map(hidden),
                "metrics_open": self.admin.metrics_open,
            },
            "store": {
                "url": match &self.store.url {
                    StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
                    StoreUrl::Postgres(_) => format!("postgres:{HIDDEN}"),
                },
                "ledger": match self.store.ledger {
                    LedgerMode::Process => "process",
                    LedgerMode::Strict => "strict",
                    LedgerMode::Batched => "batched",
                },
                "journal": self.store.journal.display().to_string(),
            },
            "shared": self.shared_outline(),
            "provider": self.providers.iter().map(provider).collect::<Vec<_>>(),
            "route": routes,
            "policy": policy(&self.policy),
            "errors": match self.errors { CodeSet::Unified => "unified", CodeSet::OpenAi => "openai" },
            "access_rules": self.access.len(),
            "idempotency": {
                "enabled": self.idempotency.enabled,
                "body_max": size_text(self.idempotency.body_max),
                "keep": duration_text(self.idempotency.keep),
            },
            "log": self.log_outline(),
            "records": self.records_outline(),
            "limits": {
                "count_refused": self.limits.count_refused,
                "default_tier": self.tiers.default,
            },
            "tiers": self.tiers.all.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>(),
            "alerts": alerts(&self.alerts),
            "budget": self.budget_outline(),
            "prices": self.prices.iter().map(|price| price.model.as_str()).collect::<Vec<_>>(),
        })
    }

    fn budget_outline(&self) -> Value {
        json!({
            "reserve": match self.budget.reserve { Reserve::Worst => "worst", Reserve::Likely => "likely" },
            "output_default": self.budget.output_default,
            "output_likely": self.budget.output_likely,
            "unpriced": if self.budget.unpriced_free { "free" } else { "refuse" },
            "shipped_prices": self.budget.shipped_prices,
            "leftovers": if self.budget.charge_leftovers { "charge" } else { "release" },
            "lease_wait": duration_text(self.budget.lease_wait),
            "queue_max": self.budget.queue_max,
        })
    }

    fn shared_outline(&self) -> Value {
        let url = self.shared.url.as_ref().map(hidden);
        let ca_file = self.shared.ca_file.as_deref().map(Path::to_string_lossy);
        let deadline = duration_text(self.shared.deadline);
        json!({"url": url, "ca_file": ca_file, "deadline": deadline})
    }

    fn log_outline(&self) -> Value {
        let format = if self.log.json { "json" } else { "text" };
        json!({"format": format, "level": self.log.level, "bodies": self.log.bodies.name()})
    }

    fn records_outline(&self) -> Value {
        json!({
            "enabled": self.records.enabled,
            "count_max": self.records.count_max,
            "keep": duration_text(self.records.keep),
            "bodies": self.records.bodies.name(),
            "queue_max": self.records.queue_max,
        })
    }

    fn server_outline(&self) -> Value {
        let server = &self.server;
        json!({
            "listen": server.listen.to_string(),
            "workers": server.workers,
            "auth": match server.auth { Auth::Keys => "keys", Auth::Open => "open", Auth::Pass => "pass" },
            "body_max": size_text(server.body_max),
            "upload_max": size_text(server.upload_max),
            "replay_max": size_text(server.replay_max),
            "buffers_max": size_text(server.buffers_max),
            "drain": duration_text(server.drain),
            "trusted_proxies": server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "country_header": server.country_header,
            "geoip_db": server.geoip_db,
            "cors": server.cors,
            "expose": match server.expose { Expose::All => "all", Expose::Minimal => "minimal" },
            "tls": server.tls.as_ref().map(|tls| json!({"cert": tls.cert, "key": tls.key})),
        })
    }
}

fn alerts(alerts: &AlertSettings) -> Value {
    let limits = &alerts.limits;
    json!({
        "circuit_after": duration_text(limits.circuit_after),
        "failures": limits.failures,
        "error_percent": limits.error_percent,
        "error_calls_min": limits.error_calls_min,
        "error_window": duration_text(limits.error_window),
        "store_after": duration_text(limits.store_after),
        "calm": duration_text(limits.calm),
        "repeat": limits.repeat.map(duration_text),
        "queue_max": alerts.queue_max,
        "receivers": alerts.receivers.iter().map(|one| json!({
            "name": one.name,
            "url": one.url.to_string(),
            "kind": match one.shape { MessageShape::Json => "json", MessageShape::Slack => "slack" },
            "secret": one.secret.as_ref().map(hidden),
            "rules": one.rules.iter().map(|rule| rule.name()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn hidden(_: &Secret) -> &'static str {
    HIDDEN
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Order => "order",
        Strategy::Weighted => "weighted",
        Strategy::LeastBusy => "least_busy",
        Strategy::LowestLatency => "lowest_latency",
    }
}

fn provider(provider: &ProviderConfig) -> Value {
    json!({
        "name": provider.name,
        "kind": match provider.kind {
            ProviderKind::OpenAi => "openai",
            ProviderKind::Azure => "azure",
            ProviderKind::Compatible => "compatible",
        },
        "base_url": match &provider.upstream {
            Upstream::Url(url) => url.to_string(),
            Upstream::Simulator => "the built-in simulator".to_owned(),
        },
        "api_keys": provider.api_keys.iter().map(hidden).collect::<Vec<_>>(),
        "headers": provider.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "proxy": provider.proxy.as_ref().map(hidden),
        "ca_file": provider.ca_file.as_deref().map(Path::to_string_lossy),
        "model_map": provider.model_map,
        "windows": provider.windows,
        "models": provider.models,
        "limits": limits(provider),
        "supports": { "prefill": provider.prefill },
        "omit": provider.omit,
        "rename": provider.rename,
        "api_version": provider.api_version,
    })
}

fn limits(provider: &ProviderConfig) -> Value {
    let (limits, sharing) = (&provider.limits, &provider.sharing);
    let group = |group: &LimitGroup| {
        let LimitGroup { models, limits } = group;
        json!({ "models": models, "rpm": limits.rpm, "tpm": limits.tpm, "concurrency": limits.concurrency })
    };
    json!({
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "concurrency": limits.concurrency,
        "shared": match sharing.shared {
            Shared::Told => "told",
            Shared::Apart => "apart",
            Shared::Keys => "keys",
            Shared::Models => "models",
            Shared::All => "all",
        },
        "pool": sharing.pool,
        "groups": sharing.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn policy(policy: &Policy) -> Value {
    let wait = |wait: Duration| duration_text(wait);
    let (retry, breaker, timeouts) = (&policy.retry, &policy.breaker, &policy.timeouts);
    json!({
        "retry": {
            "attempts_max": retry.attempts_max,
            "attempts_per_call_max": retry.attempts_per_call_max,
            "attempts_brown_out_max": retry.brown_out_max(),
            "wait_max": wait(retry.wait_max),
            "patience": wait(retry.patience),
            "transient_base": wait(retry.transient_base),
            "transient_cap": wait(retry.transient_cap),
            "throttled_base": wait(retry.throttled_base),
            "throttled_cap": wait(retry.throttled_cap),
            "budget_capacity": retry.budget_capacity,
            "budget_transient": retry.budget_transient,
            "budget_throttled": retry.budget_throttled,
            "in_flight_min": retry.in_flight_min,
            "in_flight_share": retry.in_flight_share,
        },
        "breaker": {
            "enabled": breaker.enabled,
            "failures": breaker.failures,
            "ratio": breaker.ratio,
            "ratio_min": breaker.ratio_min,
            "window": wait(breaker.window),
            "open": match breaker.open {
                OpenFor::Adaptive => "adaptive".to_owned(),
                OpenFor::Fixed(open) => wait(open),
            },
            "open_max": wait(breaker.open_max),
        },
        "fallback": { "wait_max": wait(policy.fallback.wait_max) },
        "timeouts": {
            "connect": wait(timeouts.connect),
            "first_content_soft": wait(timeouts.first_content_soft),
            "first_content": wait(timeouts.first_content),
            "idle": wait(timeouts.idle),
            "headers": wait(timeouts.headers),
            "total": timeouts.total.map_or_else(|| "none".to_owned(), wait),
        },
        "stream": { "recovery": match policy.stream.recovery {
            Recovery::Verified => "verified",
            Recovery::Continue => "continue",
            Recovery::Error => "error",
        } },
        "validate": { "level": policy.validate.level.name() },
        "hedge": { "enabled": policy.hedge.enabled, "delay": policy.hedge.delay.map(wait) },
    })
}
