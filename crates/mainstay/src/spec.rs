//! What an engine is built from: providers, routes and policies, already checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use mainstay_core::policy::{Limits, Policy, ProviderKind, Route};

use crate::upstream::Destination;

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
    /// Context windows, in tokens.
    pub windows: BTreeMap<String, u64>,
    /// The models it serves; `None`: every model that no other provider names.
    pub models: Option<Vec<String>>,
    /// Caps; the rest is learnt.
    pub limits: Limits,
    /// Whether it continues a partial assistant message.
    pub prefill: bool,
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
