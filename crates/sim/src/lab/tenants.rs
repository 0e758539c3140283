//! Who calls: the scene's own callers, and a neighbour with calls and targets of his own.
//!
//! Chance is asked by name and not in turn: what a call, a timer or a provider draws depends on the
//! seed and on whose it is, never on what happened elsewhere before. So a neighbour may come or go
//! without moving a single draw of the others, and a difference is a fault of ours.

use super::call::Call;
use super::scene::{ProviderScene, Scene, Traffic};
use mainstay_core::dice::Dice;
use std::ops::Range;

/// One tenant: which calls and which targets are his.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) calls: Range<u32>,
    pub(super) targets: Range<usize>,
    pub(super) traffic: Traffic,
    /// The call that comes next.
    pub(super) next: u32,
}

/// The scene's own tenant, then the neighbour.
pub(super) fn tenants(scene: &Scene) -> Vec<Tenant> {
    let own = scene.targets();
    let first = Tenant { calls: 0..scene.jobs, targets: 0..own, traffic: scene.traffic, next: 0 };
    let neighbour = scene.neighbour.as_ref().map(|neighbour| Tenant {
        calls: scene.jobs..scene.jobs.saturating_add(neighbour.jobs),
        targets: own..own + neighbour.providers.len(),
        traffic: neighbour.traffic,
        next: scene.jobs,
    });
    std::iter::once(first).chain(neighbour).collect()
}

/// Every provider, the scene's own first.
pub(super) fn providers(scene: &Scene) -> impl Iterator<Item = &ProviderScene> {
    let others = scene.neighbour.iter().flat_map(|neighbour| &neighbour.providers);
    let first = scene.gateways.as_ref().and_then(|_| scene.providers.first());
    let same = first.into_iter().flat_map(|first| std::iter::repeat_n(first, scene.targets()));
    let own = scene.providers.iter().filter(move |_| first.is_none());
    same.chain(own).chain(others)
}

/// Every call, made beforehand.
pub(super) fn calls(scene: &Scene, tenants: &[Tenant]) -> Vec<Call> {
    let mut calls = Vec::new();
    for tenant in tenants {
        for id in tenant.calls.clone() {
            let dice = &mut chance(scene.seed, About::Call, id.into(), 0);
            let turn = if scene.shared { id as usize } else { 0 };
            calls.push(Call::new(scene, reached(scene, tenant, id), turn, dice));
        }
    }
    calls
}

/// The targets of a call: all of its tenant, or those of the gateway that it comes to.
fn reached(scene: &Scene, tenant: &Tenant, id: u32) -> Range<usize> {
    match &scene.gateways {
        Some(gateways) if tenant.targets.start == 0 => {
            let gateway = (id % gateways.called.max(1)) as usize;
            gateway..gateway + 1
        }
        Some(_) | None => tenant.targets.clone(),
    }
}

/// Whose chance it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Arrivals = 1,
    Call = 2,
    Plan = 3,
    Provider = 4,
    Timer = 5,
    Wake = 6,
    Place = 7,
    Word = 8,
    Heard = 9,
}

/// The chance of one thing: the same for the same seed, whatever else happens.
pub(super) fn chance(seed: u64, about: About, id: u64, turn: u64) -> Dice {
    let mut mixed = Dice::new(seed ^ (about as u64) << 56);
    let mut mixed = Dice::new(mixed.bits() ^ id);
    Dice::new(mixed.bits() ^ turn)
}
