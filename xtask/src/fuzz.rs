//! `cargo xtask fuzz`: the loop of `crates/checks/examples/fuzz` over the seeds in `fuzz/seeds`, or with
//! `--libfuzzer` the targets in `fuzz/`, guided by coverage, on the stable compiler.
//!
//! The loop needs nothing and is deterministic; libFuzzer needs a C++ compiler and finds its way into
//! branches that chance does not reach. What it found worth keeping is in `fuzz/corpus`, which is not
//! kept in the repository.

use crate::places::{known, option, root};
use std::path::Path;
use std::process::Command;

/// What libFuzzer is guided by. `cargo fuzz` passes the same.
const COVERAGE: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "--cfg=fuzzing",
];
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The targets in `fuzz/fuzz_targets`.
const TARGETS: [&str; 8] =
    ["peek", "validate", "count", "classify", "error_body", "hints", "jsonl", "explain"];

/// Runs the loop with the arguments as given, or with `--libfuzzer` the targets under libFuzzer.
///
/// # Errors
///
/// When it does not build or an input broke a promise.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--libfuzzer") {
        return guided(arguments);
    }
    let mut command = Command::new("cargo");
    command.args(["run", "--locked", "-p", "mainstay-checks", "--example", "fuzz", "--"]);
    let status = command.args(arguments).current_dir(root()).status().map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the loop ended with {status}")) }
}

/// Each target for its share of the time, one after the other, on one core.
fn guided(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--libfuzzer"], &["--minutes", "--target"])?;
    let minutes = option(arguments, "--minutes").unwrap_or("8").parse::<u64>();
    let minutes = minutes.map_err(|_| "--minutes wants a whole number")?;
    let targets: Vec<&str> = match option(arguments, "--target") {
        None => TARGETS.to_vec(),
        Some(only) if TARGETS.contains(&only) => vec![only],
        Some(other) => return Err(format!("there is no target `{other}`: {}", TARGETS.join(", "))),
    };
    let place = root().join("fuzz");
    build(&place)?;
    let seconds = minutes * 60 / targets.len() as u64;
    for target in targets {
        println!("== {target}: {seconds} s");
        one(&place, target, seconds)?;
    }
    Ok(())
}

fn build(place: &Path) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--locked", "--release", "--target", TRIPLE]).current_dir(place);
    command.env("RUSTFLAGS", COVERAGE.join(" ")).env("CARGO_TARGET_DIR", place.join("target"));
    let status = command.status().map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the targets do not build: {status}")) }
}

fn one(place: &Path, target: &str, seconds: u64) -> Result<(), String> {
    let (corpus, seeds) = (place.join("corpus").join(target), place.join("seeds").join(target));
    let artifacts = place.join("artifacts");
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    }
    let mut command = Command::new(place.join("target").join(TRIPLE).join("release").join(target));
    command.arg(&corpus);
    if seeds.is_dir() {
        command.arg(&seeds);
    }
    command.args([
        format!("-max_total_time={seconds}"),
        "-max_len=16384".to_owned(),
        // Seconds for one input: none takes a tenth of one.
        "-timeout=10".to_owned(),
        "-rss_limit_mb=4096".to_owned(),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
        format!("-artifact_prefix={}/{target}-", artifacts.display()),
    ]);
    let status = command.current_dir(place).status().map_err(|e| e.to_string())?;
    let found = artifacts.display();
    if status.success() {
        Ok(())
    } else {
        Err(format!("{target} ended with {status}: see {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_run() {
        let folder = std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap();
        let mut found: Vec<String> = folder
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let mut listed = TARGETS.map(str::to_owned).to_vec();
        found.sort();
        listed.sort();
        assert_eq!(listed, found);
    }
}
