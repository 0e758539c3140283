//! A budget over its period: what is spent, where it leads, and what may be spent.

use super::super::format;
use super::{Chart, Drawing, HEIGHT, WIDTH, nice};

/// A budget over its period; amounts in USD, times as parts of the period from 0 to 1.
#[derive(Clone, Debug)]
pub(in super::super) struct Burn {
    /// What was spent until when, ascending.
    pub(in super::super) spent: Vec<(f64, f64)>,
    /// The present.
    pub(in super::super) now: f64,
    /// What may be spent.
    pub(in super::super) limit: f64,
    /// What will be spent at the end if it goes on so.
    pub(in super::super) forecast: Option<f64>,
    /// Words of the horizontal axis.
    pub(in super::super) xs: Vec<String>,
}

/// Draws it.
pub(in super::super) fn burn(title: &str, burn: &Burn) -> Chart {
    let spent = burn.spent.last().map_or(0.0, |(_, amount)| *amount);
    let most = spent.max(burn.limit).max(burn.forecast.unwrap_or(0.0).min(burn.limit * 2.0));
    let end = nice(most * 1.05);
    let place = |(at, amount): (f64, f64)| {
        (at.clamp(0.0, 1.0) * WIDTH, (HEIGHT - amount / end * HEIGHT).max(-20.0))
    };
    let mut drawing = Drawing::new(WIDTH, HEIGHT, "plot low", title);
    drawing.grid();
    let line: Vec<(f64, f64)> = burn.spent.iter().map(|point| place(*point)).collect();
    let mut area = line.clone();
    area.push((burn.now.clamp(0.0, 1.0) * WIDTH, HEIGHT));
    area.insert(0, (line.first().map_or(0.0, |(x, _)| *x), HEIGHT));
    drawing.path("soft-area", &area, true);
    drawing.path("stroke", &line, false);
    if let Some(forecast) = burn.forecast {
        drawing.path("stroke dashed", &[place((burn.now, spent)), place((1.0, forecast))], false);
    }
    let (_, limit) = place((0.0, burn.limit));
    drawing.path("limit", &[(0.0, limit), (WIDTH, limit)], false);
    let shown = format::short_usd;
    Chart {
        svg: drawing.end(),
        ys: vec![shown(end), shown(end / 2.0), shown(0.0)],
        xs: burn.xs.clone(),
    }
}
