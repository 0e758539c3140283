//! The directory: from the model a caller names to the targets that answer for it. The only place
//! that knows this rule; the gateway, the library and `GET /v1/models` all ask it.
//!
//! 1. The first `[[route]]` whose model fits.
//! 2. `provider/model`, where the provider has no list of models or its list names this one.
//! 3. Every provider whose list names the model, in the order of the file.
//! 4. The first provider without a list. Only that one: a prompt goes to a second provider when a
//!    route says so, and not because a list was left out.

use std::sync::Arc;

use mainstay_core::policy::{Policy, Route};
use mainstay_tokens::models;

use crate::spec::{EngineSpec, ProviderSpec};

/// Providers, routes and policies, as of one configuration.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) providers: Vec<Arc<ProviderSpec>>,
    routes: Vec<(Route, Arc<Policy>)>,
    pub(crate) policy: Arc<Policy>,
    /// In tokens, of any model that is known.
    pub(crate) smallest_window: u64,
}

/// What is known of models without asking anybody, and who has to be asked for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownModels {
    /// Names that routes, lists of models and model maps give, sorted.
    pub named: Vec<String>,
    /// Providers that answer for models nobody has listed, in the order of the file.
    pub ask: Vec<String>,
}

impl Directory {
    pub(crate) fn of(spec: EngineSpec) -> Directory {
        let with_policy = |route: Route| {
            let policy = Arc::new(route.policy.clone());
            (route, policy)
        };
        let own = spec.providers.iter().flat_map(|provider| provider.windows.values().copied());
        let smallest_window = own.chain([models::smallest_window()]).min().unwrap_or(0);
        Directory {
            smallest_window,
            providers: spec.providers.into_iter().map(Arc::new).collect(),
            routes: spec.routes.into_iter().map(with_policy).collect(),
            policy: Arc::new(spec.policy),
        }
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<ProviderSpec>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    pub(crate) fn route(&self, model: &str) -> Option<&(Route, Arc<Policy>)> {
        self.routes.iter().find(|(route, _)| matches(&route.model, model))
    }

    /// Providers for a model without a route, and what to ask each for.
    pub(crate) fn serving<'d, 'm>(
        &'d self,
        model: &'m str,
    ) -> Vec<(&'d Arc<ProviderSpec>, &'m str)> {
        if let Some((name, rest)) = model.split_once('/')
            && let Some(provider) = self.named(name)
            && !rest.is_empty()
            && provider.models.as_deref().is_none_or(|models| names(models, rest))
        {
            return vec![(provider, rest)];
        }
        let lists = |p: &&Arc<ProviderSpec>| p.models.as_deref().is_some_and(|m| names(m, model));
        let listed: Vec<_> = self.providers.iter().filter(lists).map(|p| (p, model)).collect();
        if !listed.is_empty() {
            return listed;
        }
        let open = self.providers.iter().find(|provider| provider.models.is_none());
        open.map(|provider| (provider, model)).into_iter().collect()
    }

    /// Providers and the model each is asked for, in the order in which the file lists them for this
    /// name; a route's strategy may begin with another.
    pub(crate) fn targets(&self, model: &str) -> Vec<(&Arc<ProviderSpec>, String)> {
        let mut all = Vec::new();
        self.each_target(model, |provider, model| all.push((provider, model.to_owned())));
        all
    }

    /// Hands each of them over.
    pub(crate) fn each_target<'d>(
        &'d self,
        model: &str,
        mut each: impl FnMut(&'d Arc<ProviderSpec>, &str),
    ) {
        let Some((route, _)) = self.route(model) else {
            for (provider, model) in self.serving(model) {
                each(provider, provider.model(model));
            }
            return;
        };
        for target in &route.targets {
            let Some(provider) = self.named(&target.provider) else { continue };
            each(provider, provider.model(target.model.as_deref().unwrap_or(model)));
        }
    }

    pub(crate) fn known_models(&self) -> KnownModels {
        let routes = self.routes.iter().map(|(route, _)| route.model.clone());
        let lists = self.providers.iter().flat_map(|p| p.models.clone().unwrap_or_default());
        let maps = self.providers.iter().flat_map(|p| {
            p.model_map.keys().filter_map(|model| self.name_of(&p.name, model)).collect::<Vec<_>>()
        });
        let all = routes.chain(lists).chain(maps);
        let mut named: Vec<String> = all.filter(|model| !model.ends_with('*')).collect();
        named.sort();
        named.dedup();
        let open = |p: &&Arc<ProviderSpec>| {
            p.models.as_ref().is_none_or(|models| models.iter().any(|model| model.ends_with('*')))
        };
        let ask = self.providers.iter().filter(open).map(|p| p.name.clone()).collect();
        KnownModels { named, ask }
    }

    /// The name by which callers reach a provider's model: its own where that leads there first,
    /// else `provider/model`; none where neither does.
    pub(crate) fn name_of(&self, provider: &str, model: &str) -> Option<String> {
        let known = self.named(provider)?;
        let asked = known.model(model);
        let leads = |name: &str| {
            self.targets(name).first().is_some_and(|(p, m)| p.name == provider && m == asked)
        };
        let qualified = format!("{provider}/{model}");
        [model.to_owned(), qualified].into_iter().find(|name| leads(name))
    }
}

fn names(patterns: &[String], model: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, model))
}

/// Whether a model fits a name; a `*` at the end stands for any rest.
fn matches(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => pattern == model,
    }
}
