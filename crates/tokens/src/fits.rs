//! Whether a prompt and the output asked for fit a model's window, and what to cut if not.

use std::fmt;

use crate::models::Window;
use crate::request::Weighed;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It fits, with this many tokens to spare.
    Fits {
        /// What is left of the window.
        spare: u64,
    },
    /// It does not.
    TooLong(TooLong),
}

/// Why it does not fit, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// What the model takes, prompt and output together.
    pub window: u64,
    /// What the prompt is.
    pub prompt: u64,
    /// What is asked for as output, over all fields that say so.
    pub asked: u64,
    /// Whether the prompt was counted; otherwise it is an estimate.
    pub counted: bool,
    /// The largest output that would fit beside the prompt; 0 when only a shorter prompt helps.
    pub output_fits: u64,
    /// By how much the prompt must shrink if the asked output stays.
    pub prompt_over: u64,
}

/// Holds prompt and asked output against a window. Without an asked output one token is needed.
pub fn fits(window: Window, prompt: u64, asked: Option<u64>, counted: bool) -> Fit {
    // An embedding has no output.
    let least = u64::from(window.output_max != Some(0));
    let asked = asked.unwrap_or(least);
    let needed = prompt.saturating_add(asked);
    if needed <= window.context {
        return Fit::Fits { spare: window.context - needed };
    }
    Fit::TooLong(TooLong {
        window: window.context,
        prompt,
        asked,
        counted,
        output_fits: window.context.saturating_sub(prompt),
        prompt_over: needed - window.context,
    })
}

/// What is certain of a request that is certainly too long for a window; `None` when it may fit.
///
/// With a known vocabulary the texts were counted; with another one the least that vocabularies make
/// of them must go beyond the window by a fifth more, and only with `strict`. The asked output counts
/// (`output_counts`) where the provider adds it to the prompt.
pub fn certainly_too_long(
    weighed: &Weighed,
    window: Window,
    output_counts: bool,
    strict: bool,
) -> Option<TooLong> {
    let asked = weighed.count.asked_each.filter(|_| output_counts);
    let at_least = if weighed.counted {
        weighed.at_least
    } else if strict {
        // A vocabulary that was never measured may make a little less of it.
        weighed.at_least / 5 * 4
    } else {
        return None;
    };
    if let Fit::Fits { .. } = fits(window, at_least, asked, weighed.counted) {
        return None;
    }
    let prompt = weighed.count.prompt().max(weighed.at_least);
    match fits(window, prompt, asked, weighed.count.exact) {
        Fit::TooLong(much) => Some(much),
        Fit::Fits { .. } => None,
    }
}

/// Whether an estimate is so near to a limit that it must be counted: within 15 % on either side.
pub fn must_count(estimate: u64, limit: u64) -> bool {
    let margin = limit / 100 * 15 + limit % 100 * 15 / 100;
    estimate >= limit.saturating_sub(margin) && estimate <= limit.saturating_add(margin)
}

impl fmt::Display for TooLong {
    /// One line: what, why, and what to do, with numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLong { window, prompt, asked, output_fits, prompt_over, .. } = *self;
        let how = if self.counted { "counted" } else { "estimated" };
        let needed = prompt.saturating_add(asked);
        write!(
            f,
            "This request needs {needed} tokens, the model's context window is {window}: {prompt} in the prompt ({how}), \
             {asked} of output. "
        )?;
        if output_fits == 0 || output_fits >= asked {
            write!(f, "Shorten the prompt by {prompt_over} tokens.")
        } else {
            write!(
                f,
                "Ask for at most {output_fits} tokens of output, or shorten the prompt by {prompt_over}."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Window = Window { context: 128_000, output_max: Some(16_384) };

    #[test]
    fn what_does_not_fit_says_what_to_cut() {
        let Fit::TooLong(much) = fits(WINDOW, 119_100, Some(12_300), true) else {
            panic!("must not fit")
        };
        assert_eq!((much.output_fits, much.prompt_over), (8_900, 3_400));
        assert_eq!(
            much.to_string(),
            "This request needs 131400 tokens, the model's context window is 128000: 119100 in the prompt (counted), \
             12300 of output. Ask for at most 8900 tokens of output, or shorten the prompt by 3400."
        );
        let Fit::TooLong(only_prompt) = fits(WINDOW, 128_000, None, false) else {
            panic!("must not fit")
        };
        assert!(
            only_prompt
                .to_string()
                .ends_with("(estimated), 1 of output. Shorten the prompt by 1 tokens.")
        );
        assert_eq!(fits(WINDOW, 100_000, Some(28_000), true), Fit::Fits { spare: 0 });
        let embedding = Window { context: 8_192, output_max: Some(0) };
        assert_eq!(fits(embedding, 8_192, None, true), Fit::Fits { spare: 0 });
    }

    #[test]
    fn only_what_is_near_a_limit_must_be_counted() {
        for (estimate, expected) in
            [(84_999, false), (85_000, true), (100_000, true), (115_000, true), (115_001, false)]
        {
            assert_eq!(must_count(estimate, 100_000), expected, "{estimate}");
        }
        assert!(must_count(u64::MAX, u64::MAX) && must_count(0, 0));
    }

    #[test]
    fn only_what_is_certain_is_refused() {
        use crate::request::Count;
        let count =
            Count { messages: 8_200, asked_each: Some(1_000), exact: true, ..Count::default() };
        let window = Window { context: 8_192, output_max: None };
        let weighed = |at_least, counted| Weighed { count, at_least, counted };
        for (at_least, counted, output_counts, strict, refused) in [
            (8_192, true, false, false, true),
            (8_191, true, false, false, false),
            (7_193, true, true, false, true),
            (7_192, true, true, false, false),
            (9_000, false, false, false, false),
            (9_000, false, false, true, false),
            (10_245, false, false, true, true),
        ] {
            let found =
                certainly_too_long(&weighed(at_least, counted), window, output_counts, strict);
            assert_eq!(found.is_some(), refused, "{at_least} {counted} {output_counts} {strict}");
        }
        let much = certainly_too_long(&weighed(8_192, true), window, true, false).unwrap();
        assert_eq!((much.prompt, much.asked, much.prompt_over), (8_200, 1_000, 1_008));
    }

    proptest! {
        #[test]
        fn the_cut_that_is_named_makes_it_fit(context in 1_u64..1_000_000, prompt in any::<u64>(), asked in 1_u64..100_000) {
            let window = Window { context, output_max: None };
            if let Fit::TooLong(much) = fits(window, prompt, Some(asked), true) {
                if much.output_fits > 0 {
                    let cut = fits(window, prompt, Some(much.output_fits), true);
                    prop_assert_eq!(cut, Fit::Fits { spare: 0 });
                }
                if let Some(shorter) = prompt.checked_sub(much.prompt_over) {
                    prop_assert_eq!(fits(window, shorter, Some(asked), true), Fit::Fits { spare: 0 });
                }
            }
        }
    }
}
