//! The directory: from the model a caller names to the targets that answer for it. The only place
//! that knows this rule; the gateway, the library and `GET /v1/models` all ask it.
//!
//! 1. The first `[[route]]` whose model fits.
//! 2. `provider/model`, where the provider has no list of models or its list names this one.
//! 3. Every provider whose list names the model, in the order of the file.
//! 4. The first provider without a list. Only that one: a prompt goes to a second provider when a
//!    route says so, and not because a list was left out.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mainstay_core::policy::{Policy, Route};
use mainstay_tokens::models;

use crate::spec::{EngineSpec, ProviderSpec};
use crate::targets::Target;

/// Providers, routes and policies, as of one configuration.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) edition: Edition,
    pub(crate) providers: Vec<Arc<ProviderSpec>>,
    routes: Vec<Way>,
    pub(crate) policy: Arc<Policy>,
    /// In tokens, of any model that is known.
    pub(crate) smallest_window: u64,
    /// Where calls without a route went of late.
    pub(crate) lately: Lately,
}

/// The targets of a model that no route is about: a list for each provider, of a cell a credential.
type Found = Arc<[Vec<Arc<Target>>]>;

/// Targets of a few models that no route is about. Like those of a route they stay the same for as long as
/// the directory is.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<Vec<(Box<str>, Found)>>);

impl Lately {
    /// Models remembered at most, and the longest name, in bytes: callers choose names.
    const MODELS_MAX: usize = 16;
    const NAME_MAX: usize = 256;

    /// The targets of a model; `find` finds them where they are not known.
    pub(crate) fn of(&self, model: &str, find: impl FnOnce() -> Found) -> Found {
        let known =
            self.lock().iter().find(|(name, _)| **name == *model).map(|known| known.1.clone());
        // Found without the lock: to find is to ask the registry, which has one of its own.
        known.unwrap_or_else(|| {
            let found = find();
            if model.len() <= Lately::NAME_MAX && !found.is_empty() {
                let mut all = self.lock();
                if all.len() >= Lately::MODELS_MAX {
                    all.remove(0);
                }
                all.push((model.into(), Arc::clone(&found)));
            }
            found
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Box<str>, Found)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One configuration of one engine, told apart from every other as long as this is kept.
#[derive(Clone, Debug)]
pub struct Edition(Arc<()>);

impl PartialEq for Edition {
    fn eq(&self, other: &Edition) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Edition {}

/// A route, and where it leads.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) route: Route,
    pub(crate) policy: Arc<Policy>,
    /// The provider of each of its targets; none where there is no provider of that name.
    providers: Vec<Option<Arc<ProviderSpec>>>,
    /// Its targets, once a call has looked for them. They stay the same for as long as the directory
    /// is, so that no call looks for those it does not need.
    legs: OnceLock<Vec<Leg>>,
}

/// What one target of a route leads to: a cell a credential.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) weight: u32,
    pub(crate) cells: Vec<Arc<Target>>,
}

impl Way {
    fn of(route: Route, providers: &[Arc<ProviderSpec>]) -> Way {
        let named = |name: &str| providers.iter().find(|provider| provider.name == name).cloned();
        let providers = route.targets.iter().map(|target| named(&target.provider)).collect();
        let policy = Arc::new(route.policy.clone());
        Way { route, policy, providers, legs: OnceLock::new() }
    }

    /// Each provider it leads to, its target's weight, and the model as the target names it.
    pub(crate) fn each<'w: 'm, 'm>(
        &'w self,
        model: &'m str,
    ) -> impl Iterator<Item = (&'w Arc<ProviderSpec>, u32, &'m str)> {
        let targets = self.route.targets.iter().zip(&self.providers);
        targets.filter_map(move |(target, provider)| {
            Some((provider.as_ref()?, target.weight, target.model.as_deref().unwrap_or(model)))
        })
    }

    /// Hands over its legs for a call of this model; `find` finds them where they are not known.
    pub(crate) fn with_legs<R>(
        &self,
        find: impl Fn() -> Vec<Leg>,
        then: impl FnOnce(&[Leg]) -> R,
    ) -> R {
        if self.depends_on_caller() { then(&find()) } else { then(self.legs.get_or_init(find)) }
    }

    /// Whether a target is asked for whatever its caller names.
    fn depends_on_caller(&self) -> bool {
        self.route.model.ends_with('*')
            && self.route.targets.iter().any(|target| target.model.is_none())
    }
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
        let own = spec.providers.iter().flat_map(|provider| provider.windows.values().copied());
        let smallest_window = own.chain([models::smallest_window()]).min().unwrap_or(0);
        let providers: Vec<_> = spec.providers.into_iter().map(Arc::new).collect();
        Directory {
            edition: Edition(Arc::new(())),
            smallest_window,
            routes: spec.routes.into_iter().map(|route| Way::of(route, &providers)).collect(),
            providers,
            policy: Arc::new(spec.policy),
            lately: Lately::default(),
        }
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<ProviderSpec>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    pub(crate) fn route(&self, model: &str) -> Option<&Way> {
        self.routes.iter().find(|way| matches(&way.route.model, model))
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
        let Some(way) = self.route(model) else {
            for (provider, model) in self.serving(model) {
                each(provider, provider.model(model));
            }
            return;
        };
        for (provider, _, model) in way.each(model) {
            each(provider, provider.model(model));
        }
    }

    pub(crate) fn known_models(&self) -> KnownModels {
        let routes = self.routes.iter().map(|way| way.route.model.clone());
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use mainstay_core::policy::{RouteTarget, Strategy};

    use super::*;

    #[test]
    fn targets_are_looked_for_once_unless_they_are_asked_for_what_the_caller_names() {
        let looked_for = |model: &str, named: Option<&str>| {
            let (provider, model) = ("p".to_owned(), model.to_owned());
            let target = RouteTarget { provider, model: named.map(str::to_owned), weight: 1 };
            let route = Route {
                model,
                targets: vec![target],
                strategy: Strategy::Order,
                policy: Policy::default(),
            };
            let (way, times) = (Way::of(route, &[]), Cell::new(0));
            for _ in 0..3 {
                let find = || {
                    times.set(times.get() + 1);
                    Vec::new()
                };
                way.with_legs(find, |legs| assert!(legs.is_empty()));
            }
            times.get()
        };
        assert_eq!(looked_for("gpt-4o", None), 1);
        assert_eq!(looked_for("gpt-*", Some("gpt-4o")), 1);
        assert_eq!(looked_for("gpt-*", None), 3);
    }

    #[test]
    fn few_models_and_no_long_names_are_remembered() {
        let (lately, times) = (Lately::default(), Cell::new(0));
        let looked_for = |model: &str| {
            times.set(0);
            let find = || {
                times.set(times.get() + 1);
                Found::from([Vec::new()])
            };
            assert_eq!(lately.of(model, find).len(), 1);
            times.get()
        };
        assert_eq!((looked_for("a"), looked_for("a")), (1, 0));
        for model in 0..Lately::MODELS_MAX {
            looked_for(&model.to_string());
        }
        assert_eq!((looked_for("1"), looked_for("a")), (0, 1), "the first has made room");
        let long = "x".repeat(Lately::NAME_MAX + 1);
        assert_eq!((looked_for(&long), looked_for(&long)), (1, 1));
        let nowhere = || Found::from([]);
        assert!(lately.of("b", nowhere).is_empty() && looked_for("b") == 1);
    }
}
