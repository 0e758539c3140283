//! One lane of a request's timeline.

use super::{Drawing, WIDTH};

/// A piece of time in a lane.
#[derive(Clone, Debug)]
pub(in super::super) struct Mark {
    /// Its class: `wait`, `ok`, `second`, `failed`, `left`.
    pub(in super::super) class: &'static str,
    /// From when, milliseconds.
    pub(in super::super) from: u64,
    /// Until when.
    pub(in super::super) to: u64,
    /// What it says when somebody points at it.
    pub(in super::super) words: String,
}

/// A lane of a timeline.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Lane {
    pub(in super::super) title: String,
    pub(in super::super) marks: Vec<Mark>,
}

/// Draws a lane of `all` milliseconds. What took no time is still to be seen.
pub(in super::super) fn lane(lane: &Lane, all: u64) -> String {
    const TALL: f64 = 48.0;
    const NARROWEST: f64 = 4.0;
    let scale = WIDTH / all.max(1) as f64;
    let mut drawing = Drawing::new(WIDTH, TALL, "", &lane.title);
    for part in 1..4 {
        let x = WIDTH * f64::from(part) / 4.0;
        drawing.line("grid", [x, 0.0, x, TALL]);
    }
    for mark in &lane.marks {
        let (from, to) = (mark.from.min(all) as f64 * scale, mark.to.min(all) as f64 * scale);
        let wide = (to - from).max(NARROWEST);
        let from = from.min(WIDTH - wide);
        let (y, tall) = if mark.class == "wait" { (20.0, 8.0) } else { (14.0, 20.0) };
        drawing.rect(mark.class, [from, y, wide, tall], &mark.words);
    }
    drawing.end()
}
