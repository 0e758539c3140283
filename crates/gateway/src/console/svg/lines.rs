//! Lines over time.

use super::bars::ends;
use super::{Chart, Drawing, HEIGHT, WIDTH, nice};

/// One line; where it has no value it is interrupted.
#[derive(Clone, Debug)]
pub(in super::super) struct Line {
    /// Its class.
    pub(in super::super) class: &'static str,
    /// Its values, one for each name.
    pub(in super::super) values: Vec<Option<f64>>,
}

/// Lines over common names. `shown` says a value of the vertical axis.
pub(in super::super) fn lines(
    title: &str,
    names: &[String],
    lines: &[Line],
    shown: impl Fn(f64) -> String,
) -> Chart {
    let most = lines
        .iter()
        .flat_map(|line| line.values.iter().flatten())
        .fold(0.0, |a, b| f64::max(a, *b));
    let end = nice(most);
    let mut drawing = Drawing::new(WIDTH, HEIGHT, "plot", title);
    drawing.grid();
    let step = WIDTH / (names.len().saturating_sub(1).max(1) as f64);
    for line in lines {
        let points: Vec<Option<(f64, f64)>> = line
            .values
            .iter()
            .enumerate()
            .map(|(place, value)| value.map(|v| (place as f64 * step, HEIGHT - v / end * HEIGHT)))
            .collect();
        for run in points.split(Option::is_none) {
            let mut run: Vec<(f64, f64)> = run.iter().flatten().copied().collect();
            if let [(x, y)] = run[..] {
                // A single value would be no line, and one beyond the edge is not seen.
                run.push((if x < WIDTH { x + step * 0.4 } else { x - step * 0.6 }, y));
            }
            drawing.path(&format!("stroke {}", line.class), &run, false);
        }
    }
    Chart {
        svg: drawing.end(),
        ys: vec![shown(end), shown(end / 2.0), shown(0.0)],
        xs: ends(names.iter().map(String::as_str)),
    }
}
