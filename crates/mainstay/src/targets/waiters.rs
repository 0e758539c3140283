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
    /// Somebody was to be woken when nobody was there yet: whoever comes next is.
    missed: bool,
}

impl Waiters {
    /// Takes a place; and whether this task was to be woken before it had one.
    pub(super) fn join(&mut self, attempts: u32, waker: &Waker) -> (Place, bool) {
        let place = (attempts, self.next);
        self.next += 1;
        self.wakers.insert(place, waker.clone());
        (place, std::mem::take(&mut self.missed))
    }

    pub(super) fn leave(&mut self, place: Place) {
        self.wakers.remove(&place);
    }

    /// Takes out those who are to be woken.
    pub(super) fn woken(&mut self, wake: Wake) -> Vec<Waker> {
        match wake {
            Wake::Nobody => Vec::new(),
            Wake::Next => {
                let next = self.wakers.pop_first().map(|(_, waker)| waker);
                self.missed = next.is_none();
                next.into_iter().collect()
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
    fn a_probe_that_failed_wakes_the_fewest_attempts_and_a_closed_circuit_all() {
        let tasks: Vec<Arc<Count>> = (0..1000).map(|_| Arc::default()).collect();
        let mut waiters = Waiters::default();
        let mut places = Vec::new();
        for (number, task) in tasks.iter().enumerate() {
            let attempts = if number < 500 { 2 } else { 1 };
            places.push(waiters.join(attempts, &Waker::from(Arc::clone(task))).0);
        }
        let woken = |task: usize| tasks[task].0.load(Ordering::Relaxed);
        let all = || (0..1000).map(woken).sum::<u32>();
        waiters.woken(Wake::Next).into_iter().for_each(Waker::wake);
        assert_eq!((woken(500), all()), (1, 1), "the first with the fewest attempts");
        waiters.leave(places[501]);
        waiters.woken(Wake::Next).into_iter().for_each(Waker::wake);
        assert_eq!((woken(502), all()), (1, 2), "not who has left");
        waiters.woken(Wake::Everybody).into_iter().for_each(Waker::wake);
        assert_eq!(all(), 999);
    }

    #[test]
    fn who_comes_after_he_was_to_be_woken_is_told() {
        let waker = Waker::from(Arc::<Count>::default());
        let mut waiters = Waiters::default();
        assert!(waiters.woken(Wake::Next).is_empty());
        assert!(waiters.join(0, &waker).1);
        assert!(!waiters.join(0, &waker).1);
    }
}
