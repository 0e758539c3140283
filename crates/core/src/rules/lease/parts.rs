//! What several nodes want of one upstream account, kept in one place: from what all others told, each
//! node reckons its own part of the account's limits ([`crate::rules::pacer`]).
//!
//! Nothing is granted here and nothing has to be given back. What a node told holds for as long as it
//! says; a message that is lost, late or comes twice changes a part for a moment and nothing else.
//! `pacing.lua` of `mainstay-store` says the same to Redis; both are played against each other.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// Numbers that a node tells.
pub(super) const NUMBERS: usize = 7;
/// The first of those that tell what it knows. Numbers keep their places: versions that know fewer live beside
/// each other.
const KNOWN_FROM: usize = 4;
/// Numbers that tell what it knows.
pub(super) const KNOWN: usize = 2;
/// Nodes that are reckoned with at one account at most: sums stay below 2^53, where a place that reckons in
/// doubles (Lua) reckons exactly.
pub(super) const NODES_MAX: usize = 4096;

/// What a node tells of its calls to one account. Each number is at most [`Wants::MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Calls that it would send in a second if nothing held them, in thousandths.
    pub calls: u64,
    /// The same of tokens.
    pub tokens: u64,
    /// Calls under way and waiting.
    pub at_once: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// What it takes for the account's limit of requests, in thousandths a second; 0: it knows none.
    pub calls_limit: u64,
    /// The same of tokens.
    pub tokens_limit: u64,
    /// Attempts that a rate limit refused in the last second, in thousandths.
    pub refused: u64,
}

impl Wants {
    /// Largest number that is told.
    pub const MOST: u64 = 1 << 40;

    /// The numbers in the order in which they are told.
    pub fn numbers(&self) -> [u64; NUMBERS] {
        let all = [
            self.calls,
            self.tokens,
            self.at_once,
            self.in_flight,
            self.calls_limit,
            self.tokens_limit,
            self.refused,
        ];
        all.map(|number| number.min(Wants::MOST))
    }

    /// Whether it wants nothing and nothing is under way: it is forgotten at once.
    pub fn is_nothing(&self) -> bool {
        self.calls == 0 && self.tokens == 0 && self.at_once == 0
    }
}

/// What all other nodes told of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// How many they are.
    pub nodes: u64,
    /// Calls under way and waiting at those that come before this node in the place's order.
    pub before: u64,
    /// The place's clock in seconds: the same number for all that ask in one second.
    pub turn: u64,
    /// The sums of what they told, in the order of [`Wants::numbers`].
    pub sums: [u64; NUMBERS],
    /// How many of them know a limit of requests, and of tokens.
    pub known: [u64; KNOWN],
}

impl Others {
    /// A second.
    const SECOND: u64 = 1_000_000;

    /// Calls that they want in a second, in thousandths.
    pub fn calls(&self) -> u64 {
        self.sums[0]
    }

    /// Tokens that they want in a second, in thousandths.
    pub fn tokens(&self) -> u64 {
        self.sums[1]
    }

    /// Calls under way and waiting.
    pub fn at_once(&self) -> u64 {
        self.sums[2]
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u64 {
        self.sums[3]
    }

    /// Attempts of theirs that a rate limit refused in the last second, in thousandths.
    pub fn refused(&self) -> u64 {
        self.sums[6]
    }

    /// What they take for a limit in the mean, in thousandths a second: 0 of requests, 1 of tokens. `None`: none of
    /// them knows it.
    pub fn limit(&self, which: usize) -> Option<u64> {
        let (sum, known) = (self.sums.get(KNOWN_FROM + which)?, self.known.get(which)?);
        sum.checked_div(*known)
    }
}

/// What nodes told of one account. `now` is the place's own clock, in microseconds; it may go back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    told: BTreeMap<String, (u64, [u64; NUMBERS])>,
}

impl Parts {
    /// Takes in what a node wants, for `life` microseconds, and tells what the others do.
    pub fn serve(&mut self, node: &str, wants: &Wants, life: u64, now: u64) -> Others {
        // What was told by a clock that went back since is told anew before long.
        self.told.retain(|_, (until, _)| *until > now && *until <= now.saturating_add(life));
        let mut others = Others { turn: now / Others::SECOND, ..Others::default() };
        for (who, (_, told)) in self.told.iter().filter(|(who, _)| who.as_str() != node) {
            others.nodes += 1;
            if who.as_str() < node {
                others.before += told[2];
            }
            for (sum, number) in others.sums.iter_mut().zip(told) {
                *sum += number;
            }
            for (known, number) in others.known.iter_mut().zip(&told[KNOWN_FROM..]) {
                *known += u64::from(*number > 0);
            }
        }
        if wants.is_nothing() {
            self.told.remove(node);
        } else if self.told.len() < NODES_MAX || self.told.contains_key(node) {
            self.told.insert(String::from(node), (now.saturating_add(life), wants.numbers()));
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: u64 = 3_000_000;

    fn wants(calls: u64, at_once: u64, calls_limit: u64) -> Wants {
        Wants { calls, at_once, calls_limit, ..Wants::default() }
    }

    #[test]
    fn each_node_is_told_what_the_others_want_and_who_comes_before_it() {
        let mut parts = Parts::default();
        assert_eq!(parts.serve("b", &wants(5, 3, 0), LIFE, 1), Others::default());
        assert_eq!(parts.serve("a", &wants(7, 2, 20), LIFE, 2).before, 0);
        let told = parts.serve("c", &wants(1, 1, 0), LIFE, 2_000_003);
        assert_eq!((told.nodes, told.calls(), told.before, told.turn), (2, 12, 5, 2));
        assert_eq!(told.limit(0), Some(20), "one of two knows it");
        assert_eq!((told.limit(1), told.limit(2)), (None, None));
        assert_eq!(parts.serve("b", &wants(6, 3, 40), LIFE, 2_000_004).calls(), 8, "its own not");
        assert_eq!(parts.serve("c", &wants(1, 1, 0), LIFE, 2_000_005).limit(0), Some(30));
    }

    #[test]
    fn a_node_is_forgotten_when_it_wants_nothing_is_silent_or_the_clock_went_back() {
        let mut parts = Parts::default();
        let one = wants(1, 1, 0);
        parts.serve("a", &one, LIFE, 10);
        assert_eq!(parts.serve("b", &one, LIFE, 9 + LIFE).nodes, 1);
        assert_eq!(parts.serve("b", &one, LIFE, 10 + LIFE).nodes, 0, "it is silent");
        parts.serve("a", &one, LIFE, 11 + LIFE);
        parts.serve("a", &Wants::default(), LIFE, 12 + LIFE);
        assert_eq!(parts.serve("b", &one, LIFE, 13 + LIFE).nodes, 0, "it wants nothing");
        parts.serve("a", &one, LIFE, 100 * LIFE);
        assert_eq!(parts.serve("b", &one, LIFE, LIFE).nodes, 0, "no ghosts of the future");
    }

    #[test]
    fn no_number_of_nodes_and_no_number_makes_sums_that_are_not_exact() {
        let mut parts = Parts::default();
        let huge = Wants { calls: u64::MAX, tokens: u64::MAX, at_once: u64::MAX, ..wants(0, 0, 9) };
        for node in 0..NODES_MAX - 1 {
            parts.told.insert(alloc::format!("{node}"), (LIFE, huge.numbers()));
        }
        for node in ["x", "y", "z"] {
            parts.serve(node, &huge, LIFE, 1);
        }
        let told = parts.serve("x", &huge, LIFE, 1);
        assert_eq!(told.nodes, NODES_MAX as u64 - 1, "it is one of as many as there may be");
        assert!(told.calls() < 1 << 53 && told.before <= told.at_once());
    }
}
