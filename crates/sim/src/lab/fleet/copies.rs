//! What a copy of the place may lack: the books as they were a second ago, and what was written since. A copy
//! that takes over is those books with the writings that it has seen done again.

use super::scene::SECOND;
use mainstay_core::rules::lease::{Book, Message, Told, Wish};
use mainstay_core::rules::limits::Measure;
use std::collections::VecDeque;

/// For so long a copy may lack writings.
const COPIED: u64 = SECOND;

/// A writing: what a node said, and when by which clock.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) at: u64,
    /// The place's clock.
    pub(super) clock: u64,
    pub(super) node: String,
    pub(super) message: Message,
}

/// What a writing granted of one rate, in microseconds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) limit: u64,
    pub(super) measure: Measure,
    pub(super) micros: u64,
}

/// The books a second ago, and the writings since.
#[derive(Debug, Default)]
pub(super) struct Copies {
    old: Book,
    since: VecDeque<(Writing, Vec<Granted>)>,
}

impl Copies {
    /// The place begins anew with these books.
    pub(super) fn anew(&mut self, book: Book) {
        (self.old, self.since) = (book, VecDeque::new());
    }

    /// Takes down what was written, and what is too old for a copy to lack.
    pub(super) fn write(&mut self, writing: Writing, told: &[Told]) {
        let now = writing.at;
        let granted = granted(&writing.message, told);
        self.since.push_back((writing, granted));
        while self.since.front().is_some_and(|(old, _)| old.at + COPIED < now)
            && let Some((old, _)) = self.since.pop_front()
        {
            self.old.serve(&old.node, &old.message, old.clock);
        }
    }

    /// The books of a copy that has seen nothing since `from`, and what is lost with that. Copies are made of
    /// them from here on.
    pub(super) fn fail_over(&mut self, from: u64) -> (Book, Vec<Granted>) {
        let mut lost = Vec::new();
        for (writing, granted) in std::mem::take(&mut self.since) {
            if writing.at < from {
                self.old.serve(&writing.node, &writing.message, writing.clock);
            } else {
                lost.extend(granted);
            }
        }
        (self.old.clone(), lost)
    }
}

fn granted(message: &Message, told: &[Told]) -> Vec<Granted> {
    let granted = message.asks.iter().zip(told).filter_map(|(ask, told)| {
        let (Wish::Rate(wish), Told::Rate(told)) = (&ask.wish, told) else { return None };
        let micros = told.granted + wish.spent;
        Some(Granted { limit: ask.id, measure: ask.measure, micros })
    });
    granted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::dice::Dice;
    use mainstay_core::rules::lease::{Ask, RateAsk, Reply};

    /// A message of a node for some of a rate.
    fn message(number: u64, dice: &mut Dice) -> Message {
        let wish = Wish::Rate(RateAsk {
            limit: 60,
            room: 60 * SECOND,
            back: dice.below(SECOND),
            spent: dice.below(SECOND),
            want: dice.below(5 * SECOND),
            ..RateAsk::default()
        });
        let asks = vec![Ask { id: dice.below(3), measure: Measure::RequestsPerMinute, wish }];
        Message { number, nodes: 2, asks }
    }

    #[test]
    fn a_copy_has_what_the_place_had_at_that_time() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let (mut book, mut copies) = (Book::default(), Copies::default());
            let mut states = vec![(0, Book::default())];
            let mut at = SECOND;
            for number in 1..200 {
                at += dice.below(SECOND / 20);
                let (node, message) = (format!("n{}", dice.below(4)), message(number, &mut dice));
                if let Reply::Told(told) = book.serve(&node, &message, 7 + at) {
                    copies.write(Writing { at, clock: 7 + at, node, message }, &told);
                }
                states.push((at, book.clone()));
            }
            let from = at - dice.below(SECOND);
            let (then, lost) = copies.fail_over(from);
            let before = states.iter().rev().find(|(at, _)| *at < from).map(|(_, book)| book);
            assert_eq!(Some(&then), before, "seed {seed}");
            let later = states.iter().filter(|(at, _)| *at >= from).count();
            assert_eq!(lost.len(), later, "seed {seed}: what it has not seen is lost");
            assert_eq!(copies.fail_over(at + 1), (then, Vec::new()), "and copies are made of it");
        }
    }
}
