//! From the model a caller names to the targets that answer for it.

use mainstay_core::policy::{Policy, Strategy};
use mainstay_core::store::model_fits;

use super::Config;
use super::provider::ProviderConfig;

/// Targets for one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRoute<'c> {
    /// The route as written; `None` when providers alone decided.
    pub route: Option<&'c str>,
    /// Its policies.
    pub policy: &'c Policy,
    /// How a target is chosen.
    pub strategy: Strategy,
    /// At least one, in order.
    pub targets: Vec<ResolvedTarget<'c>>,
}

/// One target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolvedTarget<'c> {
    /// Index into [`Config::providers`].
    pub provider: usize,
    /// The model to ask that provider for.
    pub model: &'c str,
    /// Weight under [`Strategy::Weighted`].
    pub weight: u32,
}

impl Config {
    /// The targets for a model as the caller names it: the first route that fits; else
    /// `provider/model`; else the providers whose `models` name it; else all that have no
    /// `models`. `None`: nobody answers for it.
    pub fn resolve<'c>(&'c self, model: &'c str) -> Option<ResolvedRoute<'c>> {
        if let Some(found) = self.routes.iter().find(|r| model_fits(&r.route.model, model)) {
            let targets = found.route.targets.iter().filter_map(|target| {
                let provider = self.providers.iter().position(|p| p.name == target.provider)?;
                let wanted = target.model.as_deref().unwrap_or(model);
                let model = self.providers[provider].model(wanted);
                Some(ResolvedTarget { provider, model, weight: target.weight })
            });
            return Some(ResolvedRoute {
                route: Some(&found.route.model),
                policy: &found.route.policy,
                strategy: found.route.strategy,
                targets: targets.collect(),
            });
        }
        let targets = self.named(model).or_else(|| self.unrouted(model))?;
        let policy = &self.policy;
        Some(ResolvedRoute { route: None, policy, strategy: Strategy::Order, targets })
    }

    /// `provider/model`, when the first part is a provider that answers for the second.
    fn named<'c>(&'c self, model: &'c str) -> Option<Vec<ResolvedTarget<'c>>> {
        let (name, rest) = model.split_once('/')?;
        let provider = self.providers.iter().position(|p| p.name == name)?;
        let known = &self.providers[provider];
        if rest.is_empty() || (known.models.is_some() && !known.names_model(rest)) {
            return None;
        }
        Some(vec![ResolvedTarget { provider, model: known.model(rest), weight: 1 }])
    }

    fn unrouted<'c>(&'c self, model: &'c str) -> Option<Vec<ResolvedTarget<'c>>> {
        let pick = |fits: &dyn Fn(&ProviderConfig) -> bool| -> Vec<ResolvedTarget<'c>> {
            let fitting = self.providers.iter().enumerate().filter(|(_, provider)| fits(provider));
            fitting
                .map(|(index, provider)| ResolvedTarget {
                    provider: index,
                    model: provider.model(model),
                    weight: 1,
                })
                .collect()
        };
        let mut targets = pick(&|provider| provider.names_model(model));
        if targets.is_empty() {
            targets = pick(&|provider| provider.models.is_none());
        }
        (!targets.is_empty()).then_some(targets)
    }
}
