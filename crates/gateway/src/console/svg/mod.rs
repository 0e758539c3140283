//! Drawings as SVG. They are stretched to the place they get, so they hold no words: those are HTML
//! around them, and each drawing has a title that says in words what it shows.

use std::fmt::{Display, Write as _};

use super::format::escaped;

mod bars;
mod burn;
mod lines;
mod timeline;

pub(super) use bars::{Stack, meter, rail, stacks};
pub(super) use burn::{Burn, burn};
pub(super) use lines::{Line, lines};
pub(super) use timeline::{Lane, Mark, lane};

/// A drawing with the words of its axes.
#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    /// The SVG.
    pub(super) svg: String,
    /// Words of the vertical axis, from the top.
    pub(super) ys: Vec<String>,
    /// Words of the horizontal axis, from the left.
    pub(super) xs: Vec<String>,
}

/// Width of all drawings in their own units.
const WIDTH: f64 = 1_000.0;
/// Height of charts.
const HEIGHT: f64 = 200.0;

/// An SVG under construction.
struct Drawing(String);

impl Drawing {
    /// A drawing of this size; `title` is read aloud.
    fn new(width: f64, height: f64, class: &str, title: &str) -> Drawing {
        let title = escaped(title);
        Drawing(format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{title}\" focusable=\"false\">",
            tidy(width),
            tidy(height)
        ))
    }

    fn add(&mut self, shape: impl Display) {
        self.0.write_fmt(format_args!("{shape}")).expect("a string takes every text");
    }

    /// A filled box; with words that show when somebody points at it.
    fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], words: &str) {
        let (x, y, width, height) = (tidy(x), tidy(y), tidy(width), tidy(height));
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""
        ));
        if words.is_empty() {
            self.add("/>");
        } else {
            self.add(format_args!("><title>{}</title></rect>", escaped(words)));
        }
    }

    fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        let (x1, y1, x2, y2) = (tidy(x1), tidy(y1), tidy(x2), tidy(y2));
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    /// A line through points.
    fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        if points.is_empty() {
            return;
        }
        self.add(format_args!("<path class=\"{class}\" d=\""));
        for (place, (x, y)) in points.iter().enumerate() {
            let letter = if place == 0 { 'M' } else { 'L' };
            self.add(format_args!("{letter}{} {}", tidy(*x), tidy(*y)));
        }
        self.add(if closed { "Z\"/>" } else { "\"/>" });
    }

    /// Lines at the quarters of a chart.
    fn grid(&mut self) {
        for part in 0..4 {
            let y = HEIGHT * f64::from(part) / 4.0;
            self.line("grid", [0.0, y, WIDTH, y]);
        }
        self.line("base", [0.0, HEIGHT, WIDTH, HEIGHT]);
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// A number with at most two places.
fn tidy(number: f64) -> String {
    let text = format!("{:.2}", if number.is_finite() { number } else { 0.0 });
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short.is_empty() || short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// The end of an axis: the next of 1, 2, 4, 5, 6, 8 or 10 times a power of ten, so that halves are short.
pub(super) fn nice(most: f64) -> f64 {
    if most.is_nan() || most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|end| *end >= most * 0.999).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_a_short_number_that_holds_everything() {
        for (most, end) in [
            (0.0, 1.0),
            (0.7, 0.8),
            (3.0, 4.0),
            (12.0, 20.0),
            (45.0, 50.0),
            (52.0, 60.0),
            (801.0, 1_000.0),
        ] {
            assert!((nice(most) - end).abs() < 1e-9, "{most}: {}", nice(most));
        }
    }

    #[test]
    fn words_cannot_break_out_of_a_drawing() {
        let mut drawing = Drawing::new(10.0, 10.0, "", "\"><script>");
        drawing.rect("ok", [0.0, f64::NAN, 1.0, 1.0], "</title><script>alert(1)</script>");
        let svg = drawing.end();
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("y=\"0\""), "{svg}");
    }
}
