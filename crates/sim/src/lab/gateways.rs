//! Gateways that send to one account: what each tells the others, over a place that all reach.

use super::events::Event;
use super::scene::Gateways;
use super::tenants::{About, chance};
use super::world::{World, nanos};
use mainstay_core::plan::Handle;
use mainstay_core::rules::lease::{Others, Parts};
use mainstay_core::rules::pacer::PART_LIFE;
use std::collections::BTreeMap;

/// Between two looks at what there is to tell.
const LOOK_EVERY: f64 = 0.1;
/// The place's clock when the scene begins, in microseconds.
const EPOCH: u64 = 1_700_000_000_000_000;

/// The place, and replies on their way to a gateway.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    parts: Parts,
    replies: BTreeMap<usize, Others>,
}

impl World<'_> {
    /// Gateways begin to look, not all in one moment.
    pub(super) fn meet(&mut self) {
        let Some(gateways) = self.scene.gateways.clone().filter(|gateways| gateways.told) else {
            return;
        };
        let count = gateways.count as usize;
        for gateway in 0..count {
            let now = self.now();
            let stand = gateway as f64 / count as f64;
            self.targets[gateway].cell.pacer(|pacer| pacer.among(gateways.count, stand, now));
            let first = nanos(LOOK_EVERY * stand);
            self.agenda.plan(self.nanos + first, Event::Tell { gateway });
        }
    }

    /// A gateway looks whether it has something to tell, as long as there are calls.
    pub(super) fn tell(&mut self, gateway: usize) {
        if self.tally.answered + self.tally.failed >= self.scene.jobs {
            return;
        }
        self.agenda.plan(self.nanos + nanos(LOOK_EVERY), Event::Tell { gateway });
        let now = self.now();
        let Some(wants) = self.targets[gateway].cell.pacer(|pacer| pacer.tells(now)) else {
            return;
        };
        self.tally.messages += 1;
        let Some(Gateways { latency: (least, most), away, .. }) = &self.scene.gateways else {
            return;
        };
        let seconds = self.seconds();
        if away.iter().any(|(from, to)| (*from..*to).contains(&seconds)) {
            return;
        }
        let life = u64::try_from(PART_LIFE.as_micros()).unwrap_or(u64::MAX);
        let name = format!("gateway-{gateway:04}");
        let clock = EPOCH + self.nanos / 1_000;
        let others = self.exchange.parts.serve(&name, &wants, life, clock);
        let mut dice = chance(self.scene.seed, About::Place, gateway as u64, self.nanos);
        let way = least + (most - least) * dice.draw();
        self.exchange.replies.insert(gateway, others);
        self.agenda.plan(self.nanos + nanos(way), Event::Told { gateway });
    }

    /// What the others want reaches it.
    pub(super) fn told(&mut self, gateway: usize) {
        let Some(others) = self.exchange.replies.remove(&gateway) else { return };
        let now = self.now();
        self.targets[gateway].cell.pacer(|pacer| pacer.heard_others(others, now));
        self.settle(0);
    }
}
