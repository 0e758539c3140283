//! The shared side of a budget that several gateways spend from: who has leased how much of it.
//!
//! An account is one budget in one period. What entries of the ledger have settled is *spent*; what
//! a node may spend without asking is *leased* to it, and is debited when it is granted. At each
//! grant `spent + leased ≤ limit`. A node tells cumulative numbers only, so that a message which is
//! lost, late or delivered twice changes nothing that a later one does not put right: the account
//! keeps the largest of each.
//!
//! The order matters in one place: what a node says it has *used* leaves its lease, so every
//! settlement in it must already be in `spent`. Whoever brings entries over takes the node's numbers
//! first, and the entries after that, in one transaction.

use crate::money::Usd;

/// A node's lease as its account has it. Every number has only risen since the node began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// Granted in all.
    pub granted: Usd,
    /// Given back in all.
    pub returned: Usd,
    /// Settled in all, as far as the entries are in `spent`.
    pub used: Usd,
    /// Of what is leased: held by calls under way, as last told.
    pub held: Usd,
    /// What a call at this node waits for and could not be granted.
    pub lacks: Usd,
}

/// What a node tells of its lease, and asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Statement {
    /// What it knows to be granted.
    pub granted: Usd,
    /// Given back in all.
    pub returned: Usd,
    /// Settled in all.
    pub used: Usd,
    /// Held by calls under way.
    pub held: Usd,
    /// How far it would like `granted` to rise.
    pub wish: Usd,
    /// How far `granted` must rise for a waiting call to go on; zero when none waits.
    pub need: Usd,
}

/// A budget as it stands when a node asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The most that may be spent.
    pub limit: Usd,
    /// Settled, by whomever.
    pub spent: Usd,
    /// Leased to other nodes.
    pub leased: Usd,
    /// Of that: not held by calls under way.
    pub idle: Usd,
    /// Another node has a call that waits for money.
    pub wanted: bool,
    /// The same, of nodes that come before this one: they go first where both wait.
    pub wanted_before: bool,
    /// Nodes that are alive, this one included.
    pub nodes: u32,
    /// Whether the budget refuses; a soft one leases nothing.
    pub hard: bool,
}

/// What a node is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// Granted to it in all.
    pub granted: Usd,
    /// Of that: neither used nor given back, as the account knows.
    pub outstanding: Usd,
    /// Settled, by whomever.
    pub spent: Usd,
    /// Leased to all nodes.
    pub leased: Usd,
    /// What is neither spent nor leased.
    pub free: Usd,
    /// Leased to other nodes and not held by calls under way.
    pub idle: Usd,
    /// What no call holds is to be given back: another node waits for it, or the limit was lowered.
    pub wanted: bool,
}

impl Line {
    /// What the node may still spend, as far as is known here.
    pub fn outstanding(&self) -> Usd {
        less(less(self.granted, self.returned), self.used)
    }

    /// Of that: not held by calls under way.
    pub fn idle(&self) -> Usd {
        less(self.outstanding(), self.held)
    }

    /// Takes over what the node says. Numbers of an earlier message do not count.
    fn hear(&mut self, said: &Statement) {
        let newer = said.used >= self.used && said.returned >= self.returned;
        self.granted = self.granted.max(said.granted);
        self.returned = self.returned.max(said.returned);
        self.used = self.used.max(said.used);
        if newer {
            self.held = said.held;
        }
    }
}

/// Hears a node and answers it: grants what it asks for as far as there is room.
///
/// Where much is left a node gets what it wishes, at most an equal share of half the rest; where
/// little is left, exactly what a waiting call needs; and nothing when that does not fit.
pub fn answer(line: &mut Line, said: &Statement, standing: &Standing) -> Told {
    line.hear(said);
    let taken = more(standing.spent, more(standing.leased, line.outstanding()));
    let mut free = less(standing.limit, taken);
    // A debt has used more than was granted: what is granted next comes on top of it.
    let base = line.granted.max(more(line.returned, line.used));
    let (wish, need) = (less(said.wish, base), less(said.need, base));
    line.lacks = Usd::ZERO;
    if standing.hard && wish.max(need) > Usd::ZERO {
        if need > free {
            line.lacks = need;
        } else {
            let grant = wish.max(need).min(share(free, standing.nodes).max(need));
            line.granted = more(base, grant);
            free = less(free, grant);
        }
    }
    let lacks = line.lacks > Usd::ZERO;
    let others = if lacks { standing.wanted_before } else { standing.wanted };
    Told {
        granted: line.granted,
        outstanding: line.outstanding(),
        spent: standing.spent,
        leased: more(standing.leased, line.outstanding()),
        free,
        idle: standing.idle,
        wanted: standing.hard && (others || taken > standing.limit),
    }
}

/// What one of `nodes` is granted ahead of need at most.
fn share(free: Usd, nodes: u32) -> Usd {
    Usd::from_pico(free.pico() / (i128::from(nodes.max(1)) * 2))
}

/// The sum; what does not fit is as much as there is.
pub(super) fn more(a: Usd, b: Usd) -> Usd {
    a.plus(b).unwrap_or(Usd::MAX)
}

/// The difference, at least zero.
pub(super) fn less(a: Usd, b: Usd) -> Usd {
    a.minus(b).map_or(Usd::ZERO, |rest| rest.max(Usd::ZERO))
}
