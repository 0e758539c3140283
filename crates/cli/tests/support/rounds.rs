//! Rounds of a test whose figures are shares of what a machine with time for it reaches.

/// Most rounds until one is as good as promised.
pub(crate) const ROUNDS: usize = 3;

/// Plays until a round is good. A round is bad where the machine had no time for it, which says nothing of us; where
/// it is our doing, none is good. What must hold in every round panics in it.
pub(crate) fn one_is_good(mut play: impl FnMut() -> Result<(), String>) {
    let mut bad = Vec::new();
    while bad.len() < ROUNDS {
        match play() {
            Ok(()) => return,
            Err(why) => bad.push(why),
        }
    }
    panic!("each round: {bad:#?}");
}

/// What a round came to: `Err` with what was measured, unless it holds.
pub(crate) fn holds(holds: bool, measured: impl std::fmt::Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(measured.to_string()) }
}
