//! Circuits of targets, told as advice: a gateway that hears that a target failed elsewhere lets one
//! probe find out, and of all gateways that hear it one probes first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay::CircuitLook;
use mainstay::call::{Advice, Circuit};
use mainstay_store::redis::{Link, LinkError, Value};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use crate::shared::Shared;

/// Where circuits are told.
pub(super) const CHANNEL: &str = "{mainstay}:circuits:v1";
/// Time between two looks at our own circuits.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the others leave the first probe to one gateway.
const LEASE: Duration = Duration::from_secs(1);
/// Circuits told of in one look at most.
const TOLD_MAX: usize = 64;

/// A target, as every gateway with the same configuration names it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
struct Place {
    provider: String,
    credential: usize,
    model: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Message {
    node: String,
    #[serde(flatten)]
    place: Place,
    /// It opened; else it closed.
    opened: bool,
}

/// Tells the others what this gateway's own circuits found out, for ever.
pub(super) async fn watch(link: &Link, node: &str, shared: &Arc<Shared>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = Known::default();
    loop {
        ticks.tick().await;
        let mut told = Vec::new();
        shared.engine.circuits(&mut |look| told.extend(known.look(&look)));
        for (place, opened) in told.into_iter().take(TOLD_MAX) {
            let message = Message { node: node.to_owned(), place, opened };
            let text = serde_json::to_vec(&message).unwrap_or_default();
            // Unheard, the others find out for themselves, as they would alone.
            let _ = link.publish(CHANNEL, &text).await;
        }
    }
}

/// The circuits that are not closed, and whether we found that out ourselves.
#[derive(Debug, Default)]
struct Known(HashMap<Place, bool>);

impl Known {
    /// What is news about a circuit: it opened by our own finding, or closed again.
    fn look(&mut self, look: &CircuitLook<'_>) -> Option<(Place, bool)> {
        let place = Place {
            provider: look.provider.to_owned(),
            credential: look.credential,
            model: look.model.map(str::to_owned),
        };
        match look.state {
            Circuit::Closed => self.0.remove(&place).map(|_| (place, false)),
            Circuit::Open | Circuit::HalfOpen => {
                let own = !look.advised;
                let before = self.0.insert(place.clone(), own);
                (own && before != Some(true)).then_some((place, true))
            }
        }
    }
}

/// Takes in what another gateway tells.
pub(super) async fn hear(link: &Link, own: &str, shared: &Arc<Shared>, payload: &[u8]) {
    let Ok(Message { node, place, opened }) = serde_json::from_slice(payload) else { return };
    if node == own {
        return;
    }
    let advice = if opened {
        let first = probes_first(link, own, &place).await;
        let now = shared.engine.now();
        Advice::Opened { probe_at: if first { now } else { now + LEASE } }
    } else {
        Advice::Closed
    };
    let model = place.model.as_deref();
    if shared.engine.advise(&place.provider, place.credential, model, advice) {
        tracing::info!(
            provider = place.provider,
            model,
            opened,
            from = node,
            "another gateway's word about a target is taken: one call finds out"
        );
    }
}

/// Whether the first probe is ours. Without an answer everybody finds out for himself.
async fn probes_first(link: &Link, own: &str, place: &Place) -> bool {
    let name = serde_json::to_string(place).unwrap_or_default();
    let key = format!("{{mainstay}}:probe:v1:{name}");
    let lease = LEASE.as_millis().to_string();
    let parts: [&[u8]; 6] =
        [b"SET", key.as_bytes(), own.as_bytes(), b"NX", b"PX", lease.as_bytes()];
    let taken: Result<Value, LinkError> = link.command(&key, &parts).await;
    taken.map_or(true, |answer| answer != Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_of_our_own_is_told_once_and_those_of_others_never() {
        let mut known = Known::default();
        let mut look = |state, advised| {
            let look =
                CircuitLook { provider: "p", credential: 1, model: Some("m"), state, advised };
            known.look(&look).map(|(_, opened)| opened)
        };
        assert_eq!(look(Circuit::Closed, false), None);
        assert_eq!(look(Circuit::Open, false), Some(true), "ours");
        assert_eq!(look(Circuit::HalfOpen, false), None, "told already");
        assert_eq!(look(Circuit::Closed, false), Some(false));
        assert_eq!(look(Circuit::Open, true), None, "we only heard of it");
        assert_eq!(look(Circuit::HalfOpen, true), None);
        assert_eq!(look(Circuit::Open, false), Some(true), "now we know it ourselves");
        assert_eq!(look(Circuit::Closed, false), Some(false));
        assert_eq!(look(Circuit::Closed, false), None);
    }
}
