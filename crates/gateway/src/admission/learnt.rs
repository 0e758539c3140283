//! What estimates of prompts have been worth of late, for each model that callers with a limit on
//! tokens ask for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_tokens::estimate::Learner;

/// Models remembered. Callers choose names, so their number is bounded; of further ones nothing is
/// learnt.
const MODELS_MAX: usize = 1024;

/// Estimates and what came of them.
#[derive(Debug, Default)]
pub(super) struct Learnt(Mutex<HashMap<String, Learner>>);

impl Learnt {
    /// An estimate of a prompt, in tokens, with what was learnt of the model.
    pub(super) fn correct(&self, model: Option<&str>, estimate: u64) -> u64 {
        let learner = model.and_then(|model| self.lock().get(model).copied());
        learner.map_or(estimate, |learner| learner.correct(estimate))
    }

    /// Takes in what a prompt of this estimate was.
    pub(super) fn observe(&self, model: &str, estimate: u64, used: u64) {
        let mut models = self.lock();
        if let Some(learner) = models.get_mut(model) {
            learner.observe(estimate, used);
        } else if models.len() < MODELS_MAX {
            let mut learner = Learner::default();
            learner.observe(estimate, used);
            models.insert(model.to_owned(), learner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Learner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_its_ratio_and_there_are_only_so_many() {
        let learnt = Learnt::default();
        assert_eq!(learnt.correct(Some("a"), 100), 100);
        learnt.observe("a", 100, 300);
        learnt.observe("b", 100, 50);
        let corrected = [Some("a"), Some("b"), None].map(|model| learnt.correct(model, 1000));
        assert_eq!(corrected, [3000, 500, 1000]);
        for number in 0..2 * MODELS_MAX {
            learnt.observe(&format!("m{number}"), 10, 20);
        }
        assert_eq!(learnt.lock().len(), MODELS_MAX);
    }
}
