//! Putting a client together: where to, with which key, by which policies.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use mainstay_core::policy::{Limits, Policy, Route, Sharing};
use mainstay_core::validate::Level;
use std::sync::{Arc, Mutex};

use super::{Client, Shared};
use crate::Engine;
use crate::compose::fresh_dice;
use crate::http::{HttpSettings, HttpUpstream, proxy_for};
use crate::http_url::HttpUrl;
use crate::spec::{EngineSpec, ProviderSpec};
use crate::upstream::{Proxy, Upstream};

/// Where calls go when nothing is said.
const VENDOR: &str = "https://api.openai.com/v1";

/// Puts a client together. Without providers of its own it has one, called `openai`.
#[derive(Clone, Default)]
pub struct ClientBuilder {
    base_url: Option<String>,
    key: Option<String>,
    headers: Vec<(&'static str, String)>,
    proxy: Option<String>,
    no_proxy: Option<String>,
    limits: Limits,
    sharing: Sharing,
    providers: Vec<ProviderSpec>,
    routes: Vec<Route>,
    policy: Policy,
    http: HttpSettings,
}

/// Why a client could not be put together: what is wrong, and what to do. Never a key.
#[derive(Debug, thiserror::Error)]
#[error("{what}\n  fix: {fix}")]
pub struct SetupError {
    what: String,
    fix: &'static str,
}

impl ClientBuilder {
    /// What the environment says; more can be set on top.
    ///
    /// # Errors
    ///
    /// There is no `OPENAI_API_KEY` though the vendor is asked.
    #[expect(clippy::disallowed_methods, reason = "reading the environment is what is asked for")]
    pub fn from_env() -> Result<ClientBuilder, SetupError> {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let mut builder = ClientBuilder {
            base_url: get("OPENAI_BASE_URL"),
            key: get("OPENAI_API_KEY"),
            proxy: get("HTTPS_PROXY").or_else(|| get("https_proxy")),
            no_proxy: get("NO_PROXY").or_else(|| get("no_proxy")),
            ..ClientBuilder::default()
        };
        if builder.key.is_none() && builder.base_url.is_none() {
            return Err(SetupError {
                what: "OPENAI_API_KEY is not set".to_owned(),
                fix: "set it, or set OPENAI_BASE_URL to a server that asks for none",
            });
        }
        if let Some(organization) = get("OPENAI_ORG_ID") {
            builder = builder.organization(&organization);
        }
        if let Some(project) = get("OPENAI_PROJECT_ID") {
            builder = builder.project(&project);
        }
        Ok(builder)
    }

    /// Where calls go, `https://host/v1`. Default: the vendor.
    #[must_use]
    pub fn base_url(mut self, url: &str) -> ClientBuilder {
        self.base_url = Some(url.to_owned());
        self
    }

    /// The key. Default: none is sent.
    #[must_use]
    pub fn key(mut self, key: &str) -> ClientBuilder {
        self.key = Some(key.to_owned());
        self
    }

    /// Sent as `openai-organization`.
    #[must_use]
    pub fn organization(self, organization: &str) -> ClientBuilder {
        self.header("openai-organization", organization)
    }

    /// Sent as `openai-project`.
    #[must_use]
    pub fn project(self, project: &str) -> ClientBuilder {
        self.header("openai-project", project)
    }

    /// A header on every call, in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> ClientBuilder {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// An HTTP proxy for https, `http://[user:password@]host:port`.
    #[must_use]
    pub fn proxy(mut self, url: &str) -> ClientBuilder {
        self.proxy = Some(url.to_owned());
        self
    }

    /// Caps on what is sent, for each model; the rest is learnt.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> ClientBuilder {
        self.limits = limits;
        self
    }

    /// Which models count against one limit. Default: each by itself.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> ClientBuilder {
        self.sharing = sharing;
        self
    }

    /// One more provider. With any, `base_url`, `key`, `limits` and `sharing` of the builder are not
    /// used.
    #[must_use]
    pub fn provider(mut self, provider: ProviderSpec) -> ClientBuilder {
        self.providers.push(provider);
        self
    }

    /// One more route: which targets answer for a model, in which order.
    #[must_use]
    pub fn route(mut self, route: Route) -> ClientBuilder {
        self.routes.push(route);
        self
    }

    /// The policies of calls without a route: attempts, waits, timeouts, breaker, streams.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> ClientBuilder {
        self.policy = policy;
        self
    }

    /// The whole time a call may take, waits included. Default 600 s.
    #[must_use]
    pub fn timeout(mut self, total: Duration) -> ClientBuilder {
        self.policy.timeouts.total = Some(total);
        self
    }

    /// How much is checked before a request is sent. Default: what every server refuses.
    #[must_use]
    pub fn validate(mut self, level: Level) -> ClientBuilder {
        self.policy.validate.level = level;
        self
    }

    /// Bounds of connections.
    #[must_use]
    pub fn http(mut self, settings: HttpSettings) -> ClientBuilder {
        self.http = settings;
        self
    }

    /// A client over HTTP.
    ///
    /// # Errors
    ///
    /// The base URL, the proxy or a header cannot be used.
    pub fn build(self) -> Result<Client, SetupError> {
        let upstream = HttpUpstream::new(self.http.clone());
        self.build_over(upstream)
    }

    /// A client over a transport of one's own.
    ///
    /// # Errors
    ///
    /// The base URL, the proxy or a header cannot be used.
    pub fn build_over<U: Upstream>(self, upstream: U) -> Result<Client<U>, SetupError> {
        let headers = self.headers.iter().map(|(name, value)| header(name, value));
        let headers = headers.collect::<Result<_, _>>()?;
        let validate = self.policy.validate.level;
        let spec = EngineSpec {
            providers: if self.providers.is_empty() { vec![self.only()?] } else { self.providers },
            routes: self.routes,
            policy: self.policy,
        };
        let shared = Shared {
            engine: Engine::new(spec),
            upstream: Arc::new(upstream),
            headers,
            validate,
            dice: Mutex::new(fresh_dice()),
        };
        Ok(Client { shared: Arc::new(shared), timeout: None })
    }

    /// The one provider of a client that names none.
    fn only(&self) -> Result<ProviderSpec, SetupError> {
        let text = self.base_url.as_deref().unwrap_or(VENDOR).trim();
        let url: HttpUrl = text.parse().map_err(|why: crate::http_url::NotAUrl| SetupError {
            what: format!("the base URL cannot be used: {}", why.0),
            fix: "write something like https://api.openai.com/v1",
        })?;
        let mut provider = ProviderSpec::at("openai", &url, self.checked_key()?, None);
        let proxy = self.proxy_for(&provider)?;
        if proxy.is_some() {
            provider = ProviderSpec::at("openai", &url, self.checked_key()?, proxy);
        }
        provider.limits = self.limits;
        provider.sharing = self.sharing.clone();
        Ok(provider)
    }

    fn checked_key(&self) -> Result<&str, SetupError> {
        let key = self.key.as_deref().unwrap_or_default().trim();
        if key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(key);
        }
        Err(SetupError {
            what: "the key has a blank in it or is not ASCII".to_owned(),
            fix: "copy the key again, without blanks, quotes or line breaks",
        })
    }

    fn proxy_for(&self, provider: &ProviderSpec) -> Result<Option<Proxy>, SetupError> {
        let (proxy, no_proxy) = (self.proxy.as_deref(), self.no_proxy.as_deref());
        proxy_for(&provider.destination, proxy, no_proxy).map_err(|error| SetupError {
            what: format!("the proxy cannot be used: {error}"),
            fix: "correct HTTPS_PROXY, or name the host in NO_PROXY",
        })
    }
}

fn header(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue), SetupError> {
    let pair = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    pair.ok_or_else(|| SetupError {
        what: format!("the header `{name}` cannot be sent"),
        fix: "take control characters out of its name and value",
    })
}

impl std::fmt::Debug for ClientBuilder {
    /// Without key, headers and proxy.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .field("providers", &self.providers)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}
