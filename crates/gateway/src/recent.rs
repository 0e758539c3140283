//! What was found out of models that calls have named of late. The next call's model is usually one of
//! them, and the tables and routes it is looked up in may be long.

/// Models remembered at most.
const MODELS_MAX: usize = 16;
/// Longest name that is remembered, in bytes: callers choose names.
const NAME_MAX: usize = 256;

/// What was found of a few models. To be [forgotten](Recent::forget) when it may have changed.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    found: Vec<(Box<str>, T)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { found: Vec::new() }
    }
}

impl<T: Clone> Recent<T> {
    /// What is known of a model, found now if it is not.
    pub(crate) fn get(&mut self, model: &str, find: impl FnOnce() -> T) -> T {
        if let Some((_, known)) = self.found.iter().find(|(name, _)| **name == *model) {
            return known.clone();
        }
        let new = find();
        if model.len() <= NAME_MAX {
            if self.found.len() >= MODELS_MAX {
                self.found.remove(0);
            }
            self.found.push((model.into(), new.clone()));
        }
        new
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        self.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_looked_up_once_until_it_is_forgotten() {
        let mut recent = Recent::default();
        assert_eq!(
            (recent.get("a", || 1), recent.get("b", || 2), recent.get("a", || 3)),
            (1, 2, 1)
        );
        recent.forget();
        assert_eq!(recent.get("a", || 3), 3);
    }

    #[test]
    fn few_models_and_no_long_names_are_remembered() {
        let mut recent = Recent::default();
        for model in 0..=MODELS_MAX {
            recent.get(&model.to_string(), || model);
        }
        assert_eq!(recent.get("1", || 99), 1);
        assert_eq!(recent.get("0", || 99), 99, "the one that came first has made room");
        let long = "x".repeat(NAME_MAX + 1);
        assert_eq!((recent.get(&long, || 1), recent.get(&long, || 2)), (1, 2));
    }
}
