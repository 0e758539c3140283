//! What it takes to check a body and to count its tokens, in instructions.
//!
//! The bodies and texts are those of the benches (`crates/core/benches/validation.rs`,
//! `crates/tokens/benches/counting.rs`), whose bounds in time are the promise; instructions are the
//! same whatever else the machine does, so they can be held. Beside the figures on record two ratios
//! are held within one run: to `tiktoken-rs` on prose, and of 64 KiB to 16 KiB of text made to be slow.

use crate::places::{program, root, target};
use crate::process::{Show, run};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Name on record, example, its arguments.
const FIGURES: [(&str, &str, &str); 10] = [
    ("check of 21 KB", "validating", "21k lenient"),
    ("strict check of 21 KB", "validating", "21k strict"),
    ("check of 1 KB", "validating", "1k lenient"),
    ("strict check of 1 KB", "validating", "1k strict"),
    ("estimate of 8 KB of prose", "counting", "prose estimate"),
    (OURS, "counting", "prose exact"),
    (THEIRS, "counting", "prose tiktoken"),
    (HARD_SMALL, "counting", "hard-16k exact"),
    (HARD_LARGE, "counting", "hard-64k exact"),
    ("count of 64 KiB of spaces", "counting", "spaces-64k exact"),
];
const OURS: &str = "count of 8 KB of prose";
const THEIRS: &str = "count of 8 KB of prose by tiktoken-rs";
const HARD_SMALL: &str = "count of 16 KiB of hard text";
const HARD_LARGE: &str = "count of 64 KiB of hard text";

/// How many times as many instructions the other counter takes on prose, at least.
const RATIO_MIN: f64 = 1.5;
/// Four times the text takes four times the instructions, and not a twentieth more.
const GROWTH_MAX: f64 = 4.2;

/// Valgrind is fifty times as slow as the machine, and vocabularies are unpacked under it.
const LIMIT: Duration = Duration::from_mins(5);

/// Builds the examples and counts each figure.
///
/// # Errors
///
/// What did not build or run, or a ratio that does not hold.
pub(super) fn figures(directory: &Path) -> Result<Vec<(String, f64)>, String> {
    build()?;
    let count = |(name, example, arguments): (&str, &str, &str)| {
        let figure = instructions(&directory.join("knowing"), example, arguments)?;
        Ok((name.to_owned(), figure))
    };
    let figures: Vec<(String, f64)> =
        FIGURES.into_iter().map(count).collect::<Result<_, String>>()?;
    hold(&figures)?;
    Ok(figures)
}

fn build() -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args([
        "build",
        "--locked",
        "--release",
        "-p",
        "mainstay-core",
        "-p",
        "mainstay-tokens",
    ]);
    command.args(["--example", "validating", "--example", "counting"]).current_dir(root());
    let ran = run(&mut command, Show::OnFailure, Duration::from_mins(40));
    if ran.ok { Ok(()) } else { Err(format!("build what is counted: {}", ran.end)) }
}

/// Instructions of the example's function `measured` and what it calls.
fn instructions(out: &Path, example: &str, arguments: &str) -> Result<f64, String> {
    let valgrind = program("valgrind").ok_or("valgrind is missing")?;
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--toggle-collect=*::measured*"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(target().join("release").join("examples").join(example));
    command.args(arguments.split(' '));
    let ran = run(&mut command, Show::OnFailure, LIMIT);
    if !ran.ok {
        return Err(format!("{example} {arguments}: {}", ran.end));
    }
    let text = fs::read_to_string(out).map_err(|e| format!("read {}: {e}", out.display()))?;
    let sum = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    sum.filter(|sum| *sum > 0.0)
        .ok_or_else(|| format!("callgrind counted nothing of {example} {arguments}"))
}

/// Holds the ratios within one run.
fn hold(figures: &[(String, f64)]) -> Result<(), String> {
    let of = |name: &str| figures.iter().find(|row| row.0 == name).map_or(f64::NAN, |row| row.1);
    let ratio = of(THEIRS) / of(OURS);
    let growth = of(HARD_LARGE) / of(HARD_SMALL);
    println!(
        "   tiktoken-rs to us on prose: {ratio:.2}; 64 KiB to 16 KiB of hard text: {growth:.2}"
    );
    // What could not be counted does not hold.
    let (fast, linear) = (ratio >= RATIO_MIN, growth <= GROWTH_MAX);
    if !fast {
        return Err(format!("{ratio:.2} times tiktoken-rs on prose, {RATIO_MIN} are promised"));
    }
    if !linear {
        return Err(format!("four times the text takes {growth:.2} times as many instructions"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_that_is_lost_is_told() {
        let figures = |ours: f64, theirs: f64, small: f64, large: f64| {
            [(OURS, ours), (THEIRS, theirs), (HARD_SMALL, small), (HARD_LARGE, large)]
                .map(|(name, figure)| (name.to_owned(), figure))
        };
        assert!(hold(&figures(100.0, 150.0, 10.0, 41.0)).is_ok());
        assert!(hold(&figures(100.0, 149.0, 10.0, 41.0)).unwrap_err().contains("1.49"));
        assert!(hold(&figures(100.0, 150.0, 10.0, 43.0)).unwrap_err().contains("4.30"));
        assert!(hold(&[]).is_err(), "what was not counted does not hold");
    }
}
