//! The tasks of the calls that wait for a circuit, in the order in which they may probe it.

use std::collections::BTreeMap;
use std::task::Waker;

use mainstay_core::shared::Wake;

/// A place among those who wait: the attempts behind the call, then who came first.
pub(crate) type Place = (u32, u64);

/// The tasks that wait for one circuit.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: BTreeMap<Place, Waker>,
    next: u64,
    /// So many were to be woken and not there yet: who comes next is.
    missed: usize,
}

impl Waiters {
    /// Takes a place; and whether this task was to be woken before it had one.
    pub(super) fn join(&mut self, attempts: u32, waker: &Waker) -> (Place, bool) {
        let place = (attempts, self.next);
        self.next += 1;
        self.wakers.insert(place, waker.clone());
        let missed = self.missed > 0;
        self.missed -= usize::from(missed);
        (place, missed)
    }

    /// Gives a place up. What is given back is dropped by the caller, outside of the lock.
    pub(super) fn leave(&mut self, place: Place) -> Option<Waker> {
        self.wakers.remove(&place)
    }

    /// Takes out those who are to be woken.
    pub(super) fn woken(&mut self, wake: Wake) -> Vec<Waker> {
        match wake {
            Wake::Nobody => Vec::new(),
            Wake::Few => {
                let mut woken = Vec::with_capacity(Wake::FEW);
                while woken.len() < Wake::FEW
                    && let Some((_, waker)) = self.wakers.pop_first()
                {
                    woken.push(waker);
                }
                self.missed = Wake::FEW - woken.len();
                woken
            }
            Wake::Everybody => std::mem::take(&mut self.wakers).into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake as Task;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Task for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_probe_that_failed_wakes_a_few_with_the_fewest_attempts_and_a_closed_circuit_all() {
        let tasks: Vec<Arc<Count>> = (0..1000).map(|_| Arc::default()).collect();
        let mut waiters = Waiters::default();
        let mut places = Vec::new();
        for (number, task) in tasks.iter().enumerate() {
            let attempts = if number < 500 { 2 } else { 1 };
            places.push(waiters.join(attempts, &Waker::from(Arc::clone(task))).0);
        }
        let few = u32::try_from(Wake::FEW).expect("a few");
        let woken = |tasks: &[Arc<Count>]| -> u32 {
            tasks.iter().map(|task| task.0.load(Ordering::Relaxed)).sum()
        };
        waiters.woken(Wake::Few).into_iter().for_each(Waker::wake);
        let first = &tasks[500..500 + Wake::FEW];
        assert_eq!((woken(first), woken(&tasks)), (few, few), "the first with the fewest attempts");
        assert!(waiters.leave(places[500 + Wake::FEW]).is_some());
        waiters.woken(Wake::Few).into_iter().for_each(Waker::wake);
        let next = &tasks[501 + Wake::FEW..501 + 2 * Wake::FEW];
        assert_eq!((woken(next), woken(&tasks)), (few, 2 * few), "not who has left");
        waiters.woken(Wake::Everybody).into_iter().for_each(Waker::wake);
        assert_eq!(woken(&tasks), 999);
    }

    #[test]
    fn who_comes_after_he_was_to_be_woken_is_told() {
        let waker = Waker::from(Arc::<Count>::default());
        let mut waiters = Waiters::default();
        assert!(waiters.woken(Wake::Few).is_empty());
        for number in 0..=Wake::FEW {
            assert_eq!(waiters.join(0, &waker).1, number < Wake::FEW, "{number}");
        }
    }
}
