//! What gateways tell each other of a target's circuit, each to all, on ways that take their time.

use super::events::Event;
use super::note::Note;
use super::scene::Gateways;
use super::tenants::{About, chance};
use super::world::{World, nanos};
use mainstay_core::plan::Handle;
use mainstay_core::rules::breaker::{Advice, Effect, Peek, State, Word};

/// How long a gateway that only heard of an open circuit leaves the first probe to another one.
const LEASE: f64 = 1.0;

/// What was said, and who has the first probe.
#[derive(Debug, Default)]
pub(super) struct Talk {
    said: Vec<(usize, Advice)>,
    lease_end: f64,
}

impl World<'_> {
    /// Sends what gateways have to say of their circuits on its way.
    pub(super) fn say(&mut self) {
        let scene = self.scene;
        let Some(gateways) = scene.gateways.as_ref().filter(|gateways| gateways.circuits) else {
            return;
        };
        let Gateways { count, latency: (least, most), away, .. } = gateways;
        let count = *count;
        for from in 0..count as usize {
            let Some(advice) = self.targets[from].cell.target(|state| state.breaker.tell()) else {
                continue;
            };
            self.tally.words += 1;
            let seconds = self.seconds();
            if away.iter().any(|(from, to)| (*from..*to).contains(&seconds)) {
                continue;
            }
            let word = self.talk.said.len();
            self.talk.said.push((from, advice));
            for gateway in (0..count as usize).filter(|gateway| *gateway != from) {
                let which = (word as u64) << 16 | gateway as u64;
                let mut dice = chance(self.scene.seed, About::Word, which, self.nanos);
                let way = least + (most - least) * dice.draw();
                self.agenda.plan(self.nanos + nanos(way), Event::Word { gateway, word });
            }
        }
    }

    /// What another gateway said reaches it.
    pub(super) fn hear(&mut self, gateway: usize, word: usize) {
        let (from, advice) = self.talk.said[word];
        let among = self.scene.gateways.as_ref().map_or(1, |gateways| gateways.count);
        let (now, seconds) = (self.now(), self.seconds());
        let which = (word as u64) << 16 | gateway as u64;
        let mut dice = chance(self.scene.seed, About::Heard, which, self.nanos);
        let first = seconds >= self.talk.lease_end;
        let word = Word { advice, from: from as u64, among };
        let look = |peek: Peek| if let Peek::Open { until } = peek { until } else { now };
        let (before, effect, after, state) = self.targets[gateway].cell.target(|state| {
            let before = look(state.breaker.peek(now));
            let effect = state.advise(word, &mut dice, now);
            if effect == Effect::ByWord && first {
                state.probe_first(now);
            }
            (before, effect, look(state.breaker.peek(now)), state.breaker.state())
        });
        if effect == Effect::ByWord && first {
            self.talk.lease_end = seconds + LEASE;
        }
        let known = self.targets[gateway].circuit == state;
        if known && state != State::Closed && before != after {
            self.see(Note::Circuit { target: gateway, state, until: after });
        }
        self.settle(0);
    }
}
