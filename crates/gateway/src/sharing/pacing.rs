//! What this gateway sends to each provider, told to the others: each reckons its own part of a provider's
//! limits from what all want. The rule is the pacer's, `part.rs`.
//!
//! No call waits for a word of it. What is not heard is told anew a second later, and who hears nothing
//! for three keeps to an even part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::PacedAccount;
use mainstay_store::redis::{Link, LinkState, serve_pacing};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Sharing;
use crate::ids;
use crate::shared::Shared;

/// Time between two looks at what there is to tell.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Messages under way at once; what is left is told with the next look.
const UNDER_WAY_MAX: usize = 64;

/// Counts messages.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    messages: AtomicU64,
}

impl Pacing {
    /// Messages sent so far.
    pub(super) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Tells the others, for ever.
    pub(super) async fn run(&self, sharing: &Sharing, shared: &Arc<Shared>) {
        let stand = stand(sharing.node());
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = 1;
        loop {
            ticks.tick().await;
            let nodes = sharing.nodes();
            if nodes.max(before) <= 1 {
                continue;
            }
            before = nodes;
            let accounts = shared.engine.paced(nodes, stand);
            if matches!(sharing.link().state(), LinkState::Down(_)) {
                continue;
            }
            self.tell(sharing, accounts).await;
        }
    }

    async fn tell(&self, sharing: &Sharing, accounts: Vec<PacedAccount>) {
        let mut said = JoinSet::new();
        for account in accounts {
            if said.len() >= UNDER_WAY_MAX {
                said.join_next().await;
            }
            self.messages.fetch_add(1, Ordering::Relaxed);
            said.spawn(exchange(sharing.link().clone(), sharing.node().to_owned(), account));
        }
        while said.join_next().await.is_some() {}
    }
}

async fn exchange(link: Link, node: String, account: PacedAccount) {
    let (name, wants) = (&account.name, &account.wants);
    let told = serve_pacing(&link, &node, name, wants, PacedAccount::LIFE).await;
    // Unheard, it is told anew within a second.
    if let Ok(others) = told {
        account.heard(others);
    }
}

/// Where a node stands among others as long as nobody told, by its name alone.
fn stand(node: &str) -> f64 {
    let hash = ids::number(node);
    // Names that differ in their last sign differ in the low bits alone: these are spread over all.
    let spread = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_apart_by_their_names() {
        let mut stands: Vec<f64> = (0..40).map(|node| stand(&format!("node-{node}"))).collect();
        stands.sort_by(f64::total_cmp);
        assert!(stands.iter().all(|stand| (0.0..1.0).contains(stand)));
        assert!(stands.windows(2).all(|pair| pair[0] < pair[1]), "{stands:?}");
        let spread = stands[39] - stands[0];
        assert!(spread > 0.7, "{spread}");
    }
}
