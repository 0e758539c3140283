//! What estimates of prompts have been worth of late, for each model that callers with a limit on
//! tokens ask for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use mainstay_tokens::estimate::Learner;

/// Models remembered. Callers choose names, so their number is bounded; of further ones nothing is
/// learnt.
const MODELS_MAX: usize = 1024;

/// Estimates and what came of them.
#[derive(Debug, Default)]
pub(super) struct Learnt(Mutex<Models>);

#[derive(Debug, Default)]
struct Models {
    places: HashMap<Box<str>, usize>,
    learners: Vec<Learner>,
}

/// A model that an estimate was made for.
#[derive(Debug)]
pub(super) enum Estimated {
    /// Something was learnt of it, in this place.
    Before(usize),
    /// Nothing was, of this name.
    First(Box<str>),
}

impl Learnt {
    /// Where to learn of a model, and an estimate of a prompt for it, in tokens, with what was learnt.
    pub(super) fn correct(&self, model: &str, estimate: u64) -> (Estimated, u64) {
        let models = self.lock();
        let found = models.places.get(model).and_then(|at| Some((*at, models.learners.get(*at)?)));
        match found {
            Some((at, learner)) => (Estimated::Before(at), learner.correct(estimate)),
            None => (Estimated::First(model.into()), estimate),
        }
    }

    /// Takes in what a prompt of this estimate was.
    pub(super) fn observe(&self, of: &Estimated, estimate: u64, used: u64) {
        let mut models = self.lock();
        let Models { places, learners } = &mut *models;
        let at = match of {
            Estimated::Before(at) => *at,
            Estimated::First(model) => match places.get(model) {
                Some(at) => *at,
                None if learners.len() < MODELS_MAX => {
                    places.insert(model.clone(), learners.len());
                    learners.push(Learner::default());
                    learners.len() - 1
                }
                None => return,
            },
        };
        if let Some(learner) = learners.get_mut(at) {
            learner.observe(estimate, used);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Models> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_its_ratio_and_there_are_only_so_many() {
        let learnt = Learnt::default();
        let (first, estimate) = learnt.correct("a", 100);
        assert_eq!(estimate, 100);
        let (same, _) = learnt.correct("a", 100);
        learnt.observe(&first, 100, 300);
        learnt.observe(&same, 100, 300);
        learnt.observe(&learnt.correct("b", 100).0, 100, 50);
        let corrected = ["a", "b", "c"].map(|model| learnt.correct(model, 1000).1);
        assert_eq!(corrected, [3000, 500, 1000]);
        let (again, _) = learnt.correct("b", 100);
        assert!(matches!(again, Estimated::Before(1)), "{again:?}");
        learnt.observe(&again, 100, 100);
        assert!(learnt.correct("b", 1000).1 > 500, "it goes on learning");
        for number in 0..2 * MODELS_MAX {
            learnt.observe(&learnt.correct(&format!("m{number}"), 10).0, 10, 20);
        }
        let models = learnt.lock();
        assert_eq!((models.places.len(), models.learners.len()), (MODELS_MAX, MODELS_MAX));
    }
}
