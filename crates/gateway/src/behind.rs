//! How far threads that work behind calls step back for those that carry them.

/// What [`mainstay_store::step_back`] is told, for so many workers.
///
/// Where cores are left over it changes nothing: what works behind calls runs on those. Where a
/// worker shares its core, calls do not wait for a turn of something that can wait itself: at half
/// load of one core 99 of 100 first events came within some 0.9 ms and come within 0.5
/// (`docs/performance.md`). And where all cores are wanted all the time, what works behind must not
/// be left behind: of one core it gets twice of what it needs, and the more workers there are, the
/// more it needs. With 5 the journal comes to the disk as soon as with none; with 10 it came later.
pub(crate) fn how_far(workers: usize) -> u8 {
    match workers {
        0..=2 => 5,
        3 | 4 => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a core for each worker that never rests: 0.8 of 22 µs a call are the ledger's, which needs
    /// most (`docs/performance.md`).
    const NEED: f64 = 0.8 / 22.0;

    #[test]
    fn the_ledger_gets_twice_of_what_it_needs_beside_a_worker_that_never_rests() {
        for workers in 1..=8_u8 {
            let weight = 1.25_f64.powi(-i32::from(how_far(usize::from(workers))));
            let share = weight / (weight + 1.0);
            let enough = (2.0 * NEED * f64::from(workers)).min(0.5);
            assert!(share >= enough, "{workers} workers: {share} of a core, {enough} is enough");
        }
    }
}
