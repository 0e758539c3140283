//! What an engine is built from: providers, routes and policies, already checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use mainstay_core::policy::{Limits, Policy, ProviderKind, Route, Sharing};
use mainstay_tokens::models::{Window, bare};

use crate::http_url::HttpUrl;
use crate::upstream::{Destination, Proxy};

/// Everything an [`crate::Engine`] is built from.
#[derive(Clone, Debug, Default)]
pub struct EngineSpec {
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderSpec>,
    /// The routes, in the order of the configuration; the first that fits holds.
    pub routes: Vec<Route>,
    /// Policies of calls without a route.
    pub policy: Policy,
}

/// One provider.
#[derive(Clone)]
pub struct ProviderSpec {
    /// Its name, as routes and `provider/model` name it.
    pub name: String,
    /// What kind of server it is.
    pub kind: ProviderKind,
    /// Where it is.
    pub destination: Arc<Destination>,
    /// What goes before the caller's path after `/v1`: `/v1`, `/openai/v1`, or empty.
    pub path_prefix: String,
    /// The credentials, at least one; empty strings mean "send none".
    pub credentials: Vec<Credential>,
    /// Headers added to each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
    /// The caller's model name to the provider's.
    pub model_map: BTreeMap<String, String>,
    /// Context windows in tokens, by its name for the model; the built-in table has others.
    pub windows: BTreeMap<String, u64>,
    /// The models it serves; `None`: every model that no other provider names.
    pub models: Option<Vec<String>>,
    /// Caps on each key and model, or on what counts together; the rest is learnt.
    pub limits: Limits,
    /// Which keys and models count against one limit.
    pub sharing: Sharing,
    /// Whether it continues a partial assistant message.
    pub prefill: bool,
    /// Top-level fields of JSON bodies that it refuses and that change nothing of the answer: they are
    /// left out.
    pub omit: Vec<Box<str>>,
    /// Top-level fields that it has under another name.
    pub rename: Vec<(Box<str>, Box<str>)>,
}

impl ProviderSpec {
    /// A provider at a base URL, with one credential (empty: none is sent) and nothing else set.
    /// `proxy` is asked for the way; see [`crate::http::proxy_for`].
    pub fn at(name: &str, url: &HttpUrl, key: &str, proxy: Option<Proxy>) -> ProviderSpec {
        let destination = Destination {
            tls: url.https(),
            host: url.host().to_owned(),
            port: url.port(),
            proxy,
            ca_file: None,
        };
        ProviderSpec {
            name: name.to_owned(),
            kind: ProviderKind::OpenAi,
            destination: Arc::new(destination),
            path_prefix: url.path().to_owned(),
            credentials: vec![Credential::new(key)],
            headers: Vec::new(),
            api_version: None,
            model_map: BTreeMap::new(),
            windows: BTreeMap::new(),
            models: None,
            limits: Limits::default(),
            sharing: Sharing::default(),
            prefill: false,
            omit: Vec::new(),
            rename: Vec::new(),
        }
    }

    /// Whether it takes a field of a JSON body.
    pub(crate) fn takes(&self, field: &str) -> bool {
        self.omit.iter().all(|omitted| **omitted != *field)
    }

    /// The provider's name for a model.
    pub fn model<'m>(&'m self, model: &'m str) -> &'m str {
        self.model_map.get(model).map_or(model, String::as_str)
    }

    /// The window of a model by the provider's name for it: its own `windows` first, then the
    /// built-in table.
    pub fn window(&self, model: &str) -> Option<Window> {
        let own = self.windows.get(model).or_else(|| self.windows.get(bare(model)));
        match own {
            Some(context) => Window::of(model, &[(model, *context)]),
            None => Window::of(model, &[]),
        }
    }
}

impl fmt::Debug for ProviderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSpec")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("destination", &self.destination)
            .field("credentials", &self.credentials.len())
            .finish_non_exhaustive()
    }
}

/// A provider's key. Its text never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// Wraps a key as the configuration gave it.
    pub fn new(text: impl Into<String>) -> Credential {
        Credential(text.into())
    }

    /// The key itself, to be put into a header and nowhere else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}
