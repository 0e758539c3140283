//! Bars: stacked ones over time, and single ones beside a word.

use super::super::format;
use super::{Chart, Drawing, HEIGHT, WIDTH, nice};

/// One bar of a stack.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Stack {
    /// What it stands for: a minute, a day.
    pub(in super::super) name: String,
    /// Class and size of each part, from the bottom.
    pub(in super::super) parts: Vec<(&'static str, f64)>,
    /// What it says when somebody points at it.
    pub(in super::super) words: String,
}

/// Stacked bars side by side. `shown` says a value of the vertical axis.
pub(in super::super) fn stacks(
    title: &str,
    stacks: &[Stack],
    shown: impl Fn(f64) -> String,
) -> Chart {
    let height = |stack: &Stack| stack.parts.iter().map(|(_, size)| size).sum::<f64>();
    let end = nice(stacks.iter().map(height).fold(0.0, f64::max));
    let mut drawing = Drawing::new(WIDTH, HEIGHT, "plot", title);
    drawing.grid();
    let slot = WIDTH / (stacks.len().max(1) as f64);
    for (place, stack) in stacks.iter().enumerate() {
        let (x, width) = (slot * (place as f64 + 0.12), slot * 0.76);
        let mut y = HEIGHT;
        for (class, size) in stack.parts.iter().filter(|(_, size)| *size > 0.0) {
            let tall = size / end * HEIGHT;
            y -= tall;
            drawing.rect(class, [x, y, width, tall], &stack.words);
        }
    }
    Chart {
        svg: drawing.end(),
        ys: vec![shown(end), shown(end / 2.0), shown(0.0)],
        xs: ends(stacks.iter().map(|stack| stack.name.as_str())),
    }
}

/// First, middle and last name.
pub(super) fn ends<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => Vec::new(),
        [only] => vec![(*only).to_owned()],
        [first, last] => vec![(*first).to_owned(), (*last).to_owned()],
        [first, .., last] => {
            vec![(*first).to_owned(), names[names.len() / 2].to_owned(), (*last).to_owned()]
        }
    }
}

/// A bar beside a word: a part of the longest.
pub(in super::super) fn rail(class: &str, size: u64, longest: u64) -> String {
    let share = size as f64 / longest.max(1) as f64;
    let mut drawing = Drawing::new(100.0, 10.0, "", &format::count(size));
    drawing.rect("rail", [0.0, 0.0, 100.0, 10.0], "");
    drawing.rect(class, [0.0, 0.0, 100.0 * share.clamp(0.0, 1.0), 10.0], "");
    drawing.end()
}

/// How much of something is used.
pub(in super::super) fn meter(share: f64, title: &str) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let class = match share {
        s if s >= 1.0 => "bad",
        s if s >= 0.8 => "warn",
        _ => "good",
    };
    let mut drawing = Drawing::new(100.0, 10.0, "meter", title);
    drawing.rect("rail", [0.0, 0.0, 100.0, 10.0], "");
    drawing.rect(class, [0.0, 0.0, 100.0 * share, 10.0], "");
    drawing.end()
}
