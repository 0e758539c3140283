//! Knowing before sending, from the library alone: all faults of a body, and its tokens.

use mainstay::endpoint::Endpoint;
use mainstay::tokens::fits::{Fit, fits};
use mainstay::tokens::models::{Vocabulary, Window};
use mainstay::tokens::{estimate, exact, request};
use mainstay::validate::{Level, validate};

const BAD: &[u8] =
    br#"{"model":"gpt-4o","temperature":3,"max_tokns":5,"messages":[{"role":"user"}]}"#;

#[test]
fn all_faults_of_a_body_are_told_each_with_its_place() {
    let report = validate(Endpoint::Chat, Level::Strict, BAD);
    let told: Vec<_> =
        report.faults.iter().map(|fault| (fault.code(), fault.param.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("invalid_value", Some("temperature")),
            ("unsupported_parameter", Some("max_tokns")),
            ("missing_required_field", Some("messages[0].content")),
        ]
    );
    assert!(report.faults[1].message.contains("max_tokens"), "{}", report.faults[1].message);
    assert!(validate(Endpoint::Chat, Level::Off, BAD).is_sound());
}

#[test]
fn tokens_are_counted_estimated_and_held_against_a_window() {
    let text = "Chinese too: \u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}";
    let counted = exact::count(Vocabulary::O200k, text) as u64;
    let estimated = estimate::tokens(Some(Vocabulary::O200k), text.as_bytes());
    assert!(counted > 5 && estimated.abs_diff(counted) <= counted / 2, "{counted}, {estimated}");

    let body = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}"#;
    let count = request::count(body, None).expect("it is JSON");
    // The vendor's rule: 3 for a message, 3 for the answer's beginning, and role and text.
    assert_eq!(count.prompt(), 8);

    let window = Window::of("gpt-4o", &[]).expect("it is known");
    match fits(window, 128_000, Some(100), true) {
        Fit::TooLong(told) => {
            assert_eq!((told.window, told.prompt_over, told.output_fits), (128_000, 100, 0));
        }
        Fit::Fits { spare } => panic!("{spare} to spare"),
    }
}
