//! The pacer's constants, smaller and larger, held against the judged scenes: whether those in use
//! are still the best known, and what a change of each would cost.

use super::list::mutant;
use super::{LIMIT_FIRST, Mutant, lay_out, mutated};
use crate::places::{fresh, root, work};
use crate::process::{Show, run as run_command};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const RAMP: &str = "rules/pacer/ramp.rs";
const BUCKET: &str = "rules/pacer/limit.rs";
const GUESS: &str = "rules/pacer/guess.rs";
const CEILING: &str = "rules/pacer/ceiling.rs";

/// What is tried instead of what is in use.
#[rustfmt::skip]
const OTHERS: &[Mutant] = &[
    mutant("start: 2 at once, not 4", RAMP, "FIRST: f64 = 4.0", "FIRST: f64 = 2.0"),
    mutant("start: 8 at once", RAMP, "FIRST: f64 = 4.0", "FIRST: f64 = 8.0"),
    mutant("start: doubled each 125 ms, not 250", RAMP, "from_millis(250)", "from_millis(125)"),
    mutant("start: doubled each 500 ms", RAMP, "from_millis(250)", "from_millis(500)"),
    mutant("rate: 3 % below what is told", BUCKET, "self.limit / self.window", "0.97 * self.limit / self.window"),
    mutant("rate: 3 % above", BUCKET, "self.limit / self.window", "1.03 * self.limit / self.window"),
    mutant("margin: no request, not 0.2", BUCKET, "MARGIN_REQUESTS: f64 = 0.2", "MARGIN_REQUESTS: f64 = 0.0"),
    mutant("margin: 1 request", BUCKET, "MARGIN_REQUESTS: f64 = 0.2", "MARGIN_REQUESTS: f64 = 1.0"),
    mutant("margin: no time, not 4 ms", BUCKET, "MARGIN_SECONDS: f64 = 0.004", "MARGIN_SECONDS: f64 = 0.0"),
    mutant("margin: 20 ms", BUCKET, "MARGIN_SECONDS: f64 = 0.004", "MARGIN_SECONDS: f64 = 0.02"),
    mutant("bucket after a text: 0.1 s, not 0.3", BUCKET, "BURST_SECONDS: f64 = 0.3", "BURST_SECONDS: f64 = 0.1"),
    mutant("bucket after a text: 1 s", BUCKET, "BURST_SECONDS: f64 = 0.3", "BURST_SECONDS: f64 = 1.0"),
    mutant("nothing told: begins with 5 a second, not 10", GUESS, "SEARCH_RATE: f64 = 10.0", "SEARCH_RATE: f64 = 5.0"),
    mutant("nothing told: begins with 20 a second", GUESS, "SEARCH_RATE: f64 = 10.0", "SEARCH_RATE: f64 = 20.0"),
    mutant("nothing told: grows by 1.25, not 1.5", GUESS, "SEARCH_GROWTH: f64 = 1.5", "SEARCH_GROWTH: f64 = 1.25"),
    mutant("nothing told: grows by 2", GUESS, "SEARCH_GROWTH: f64 = 1.5", "SEARCH_GROWTH: f64 = 2.0"),
    mutant("nothing told: measured after 4, not 8", GUESS, "MEASURE_MIN: f64 = 8.0", "MEASURE_MIN: f64 = 4.0"),
    mutant("nothing told: measured after 16", GUESS, "MEASURE_MIN: f64 = 8.0", "MEASURE_MIN: f64 = 16.0"),
    mutant("nothing told: as measured, not 3 % above", GUESS, "BOOST_FIRST: f64 = 0.03", "BOOST_FIRST: f64 = 0.0"),
    mutant("nothing told: 10 % above", GUESS, "BOOST_FIRST: f64 = 0.03", "BOOST_FIRST: f64 = 0.1"),
    mutant("at once: one more after 1 s, not 2", CEILING, "LOOK_FIRST: Duration = Duration::from_secs(2)", "LOOK_FIRST: Duration = Duration::from_secs(1)"),
    mutant("at once: one more after 4 s", CEILING, "LOOK_FIRST: Duration = Duration::from_secs(2)", "LOOK_FIRST: Duration = Duration::from_secs(4)"),
];

/// Plays the judged scenes of the laboratory, and nothing else.
const PLAYER: &str = "//! The judged scenes.\n\nfn main() -> std::io::Result<()> {\n    \
     let arguments: Vec<String> = std::env::args().skip(1).collect();\n    \
     mainstay_sim::lab::console(&arguments, &|| 0.0, &mut std::io::stdout().lock()).map(drop)\n}\n";

/// First seeds of further twenty that are played with the constants as they are: what chance alone makes of
/// a score.
const CHANCE: [u64; 3] = [21, 41, 61];

/// Prints a table: each scene's mean score, the most attempts a job, and jobs lost, as the constants
/// are (with other seeds, too) and with each of them changed.
///
/// # Errors
///
/// When a constant is not where it was, or something does not build.
pub(super) fn run(only: &str, limit: Duration) -> Result<(), String> {
    let chosen = || OTHERS.iter().filter(|other| other.name.contains(only));
    for other in chosen() {
        mutated(other, &root())?;
    }
    let copy = fresh("constants")?;
    lay_out(&copy).map_err(|e| format!("copy the tree to {}: {e}", copy.display()))?;
    let examples = copy.join("crates/sim/examples");
    let player =
        fs::create_dir_all(&examples).and_then(|()| fs::write(examples.join("judged.rs"), PLAYER));
    player.map_err(|e| format!("{}: {e}", examples.display()))?;
    let sound = judged(&copy, 1, LIMIT_FIRST.max(limit))?;
    let names: Vec<&str> = sound.iter().map(|scene| scene.name.as_str()).collect();
    println!("| constant | {} | attempts | lost |", names.join(" | "));
    println!("|{}", " --- |".repeat(names.len() + 3));
    row("as they are", &sound);
    for from in CHANCE {
        row(&format!("as they are, seeds from {from}"), &judged(&copy, from, limit)?);
    }
    for other in chosen() {
        let path = copy.join("crates/core/src").join(other.file);
        let put =
            |text: &str| fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()));
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        put(&mutated(other, &copy)?)?;
        let found = judged(&copy, 1, limit);
        put(&text)?;
        row(other.name, &found?);
    }
    Ok(())
}

/// What came of one scene: the mean score of its seeds, the most attempts a job, jobs lost.
#[derive(Debug, PartialEq)]
struct Scene {
    name: String,
    score: f64,
    attempts: f64,
    lost: u64,
}

fn judged(copy: &Path, from: u64, limit: Duration) -> Result<Vec<Scene>, String> {
    let mut command = Command::new("cargo");
    let line =
        format!("run --offline --quiet -p mainstay-sim --example judged -- --judged --from {from}");
    command.args(line.split(' ')).current_dir(copy).env("RUSTFLAGS", "--cap-lints warn");
    command.env("CARGO_TARGET_DIR", work("mutants-target")?);
    let ran = run_command(&mut command, Show::OnFailure, limit);
    let scenes: Vec<Scene> = ran.lines.iter().filter_map(|line| scene(line)).collect();
    if ran.ok && !scenes.is_empty() { Ok(scenes) } else { Err(format!("not played: {}", ran.end)) }
}

/// Reads a line of `lab --judged`.
fn scene(line: &str) -> Option<Scene> {
    let (name, rest) = line.split_once(" score ")?;
    let after = |mark: &str| rest.split_once(mark)?.1.split([',', ';', ' ']).next();
    Some(Scene {
        name: name.trim().to_owned(),
        score: rest.split(',').next()?.trim().parse().ok()?,
        attempts: after("attempts ≤ ")?.parse().ok()?,
        lost: after("lost ")?.parse().ok()?,
    })
}

fn row(name: &str, scenes: &[Scene]) {
    let scores: Vec<String> = scenes.iter().map(|scene| format!("{:.3}", scene.score)).collect();
    let attempts = scenes.iter().map(|scene| scene.attempts).fold(0.0, f64::max);
    let lost: u64 = scenes.iter().map(|scene| scene.lost).sum();
    println!("| {name} | {} | {attempts:.3} | {lost} |", scores.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_where_it_is_changed() {
        for other in OTHERS {
            let text = mutated(other, &root()).expect(other.name);
            assert!(!text.is_empty() && other.from != other.to, "{}", other.name);
        }
    }

    #[test]
    fn a_line_of_the_laboratory_is_read() {
        let line = "rpm          score 0.995, lowest 0.991; attempts ≤ 1.030; lost 2";
        let wanted = Scene { name: "rpm".to_owned(), score: 0.995, attempts: 1.03, lost: 2 };
        assert_eq!(scene(line), Some(wanted));
        assert_eq!(scene("warning: unused"), None);
    }
}
