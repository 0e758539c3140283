//! A queue that usually holds one thing or two, and needs memory of its own only for a third one.

use std::collections::VecDeque;

/// First in, first out.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    first: Option<T>,
    /// Behind the first: nothing without one.
    second: Option<T>,
    /// Behind the second: empty without one.
    rest: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { first: None, second: None, rest: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + usize::from(self.second.is_some()) + self.rest.len()
    }

    /// The first of them comes first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.second).chain(&self.rest)
    }

    pub(crate) fn push_back(&mut self, one: T) {
        if self.first.is_none() {
            self.first = Some(one);
        } else if self.second.is_none() {
            self.second = Some(one);
        } else {
            self.rest.push_back(one);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take()?;
        // What is not there is not moved either.
        if self.second.is_some() {
            self.first = self.second.take();
            if !self.rest.is_empty() {
                self.second = self.rest.pop_front();
            }
        }
        Some(first)
    }

    /// The last of them.
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.back_mut().or(self.second.as_mut()).or(self.first.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put down and taken, in whatever order.
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(any::<bool>(), 0..40)) {
            let (mut ours, mut other) = (Queue::default(), VecDeque::new());
            for (number, puts) in steps.into_iter().enumerate() {
                if puts {
                    ours.push_back(number);
                    other.push_back(number);
                } else {
                    prop_assert_eq!(ours.pop_front(), other.pop_front());
                }
                prop_assert_eq!(ours.back_mut(), other.back_mut());
                prop_assert!(ours.iter().eq(&other));
                prop_assert_eq!((ours.len(), ours.is_empty()), (other.len(), other.is_empty()));
            }
        }
    }
}
