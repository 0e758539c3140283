//! `cargo xtask dist`: the binary as it is handed out: without what debuggers read (the profile `dist`),
//! and with `--pgo` arranged by a profile of calls that a first, counting binary made here.
//!
//! The calls are those of `cargo xtask bench`: whole answers and streams. What they do not do
//! (failures, the console, runs) is laid out as rarely used: the profile is a matter of speed and
//! never of what the binary does.

use crate::places::{fresh, known, program, root, target};
use crate::process::{Show, run as run_command};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a build may take; two cores need about twenty minutes for the longest.
const BUILD_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// How long the counted calls may take.
const CALLS_LIMIT: Duration = Duration::from_secs(1800);
/// How long reading the compiler's name and joining counts may take.
const TOOL_LIMIT: Duration = Duration::from_secs(120);

/// Builds, and says where the binary is.
///
/// # Errors
///
/// A build failed, a call did, or the compiler's tool that joins counts is missing.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--pgo"], &[])?;
    let built = if arguments.iter().any(|one| one == "--pgo") {
        guided()?
    } else {
        build(&["--profile", "dist"], &target(), None)?;
        target().join("dist").join("mainstay")
    };
    let size = fs::metadata(&built).map_err(|e| format!("{}: {e}", built.display()))?.len();
    println!("{}: {:.1} MiB", built.display(), size as f64 / f64::from(1 << 20));
    Ok(())
}

/// The build that is guided by a profile.
fn guided() -> Result<PathBuf, String> {
    let host = host()?;
    let joiner = joiner(&host)?;
    let counts = fresh("pgo")?;
    // With a target named, flags are for it alone and not for what runs while building.
    let (place, to) = (target().join("pgo"), ["--target", &host]);
    let counting = format!("-Cprofile-generate={}", counts.display());
    build(&[&["--release"][..], &to].concat(), &place, Some(&counting))?;
    count_calls(&place.join(&host).join("release").join("mainstay"))?;
    let profile = counts.join("joined.profdata");
    join(&joiner, &counts, &profile)?;
    let guide = format!("-Cprofile-use={}", profile.display());
    build(&[&["--profile", "dist"][..], &to].concat(), &place, Some(&guide))?;
    Ok(place.join(&host).join("dist").join("mainstay"))
}

fn build(how: &[&str], place: &Path, flags: Option<&str>) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "-p", "mainstay-cli"]).args(how).arg("--target-dir");
    cargo.arg(place).current_dir(root()).env("CARGO_TERM_COLOR", "never");
    if let Some(flags) = flags {
        cargo.env("RUSTFLAGS", flags);
    }
    done(&mut cargo, BUILD_LIMIT)
}

/// The benchmark with the counting binary; each of its processes writes its counts when it ends.
fn count_calls(binary: &Path) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|e| format!("find this program: {e}"))?;
    let mut bench = Command::new(this);
    bench.args(["bench", "--rounds", "1"]).current_dir(root()).env("MAINSTAY_BIN", binary);
    done(&mut bench, CALLS_LIMIT)
}

fn join(joiner: &Path, counts: &Path, profile: &Path) -> Result<(), String> {
    let mut tool = Command::new(joiner);
    tool.args(["merge", "-o"]).arg(profile).arg(counts);
    done(&mut tool, TOOL_LIMIT)
}

fn done(command: &mut Command, limit: Duration) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = run_command(command, Show::OnFailure, limit);
    if ran.ok { Ok(()) } else { Err(format!("{name}: {}", ran.end)) }
}

/// The machine the compiler builds for when nothing is said.
fn host() -> Result<String, String> {
    let told = asked(&["-vV"])?;
    let line = told.iter().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not tell its host".to_owned())
}

/// The tool that joins counts; it has to be of the compiler's own version of LLVM, which is found out
/// before anything is built.
fn joiner(host: &str) -> Result<PathBuf, String> {
    let told = asked(&["--print", "sysroot"])?;
    let sysroot = told.first().ok_or("rustc does not tell where it is")?;
    let own = Path::new(sysroot).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if own.is_file() {
        return Ok(own);
    }
    let told = asked(&["-vV"])?;
    let version = told.iter().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next()).unwrap_or_default();
    let names = [format!("llvm-profdata-{major}"), "llvm-profdata".to_owned()];
    names.iter().filter_map(|name| program(name)).find(|tool| is_of(tool, major)).ok_or_else(|| {
        format!(
            "llvm-profdata of LLVM {major} is missing, which is what this compiler counts for: \
             `rustup component add llvm-tools` brings it, or a system's package (Debian's `llvm-{major}`)"
        )
    })
}

/// Whether a tool says that it is of this version of LLVM.
fn is_of(tool: &Path, major: &str) -> bool {
    let mut asks = Command::new(tool);
    let ran = run_command(asks.arg("--version"), Show::Never, TOOL_LIMIT);
    ran.lines.iter().any(|line| names_version(line, major))
}

/// Whether a line of what it says names this version: `  LLVM version 22.1.2`.
fn names_version(line: &str, major: &str) -> bool {
    let behind = line.split_once("LLVM version ").map(|(_, behind)| behind);
    behind.and_then(|behind| behind.split('.').next()).is_some_and(|first| first.trim() == major)
}

fn asked(arguments: &[&str]) -> Result<Vec<String>, String> {
    let mut rustc = Command::new("rustc");
    let ran = run_command(rustc.args(arguments).current_dir(root()), Show::Never, TOOL_LIMIT);
    if ran.ok { Ok(ran.lines) } else { Err(format!("rustc: {}", ran.end)) }
}

#[cfg(test)]
mod tests {
    use super::names_version;

    #[test]
    fn a_tool_of_another_version_is_told_apart() {
        assert!(names_version("Debian LLVM version 22.1.2", "22"));
        assert!(names_version("  LLVM version 22.0.0git", "22"));
        for line in ["Debian LLVM version 14.0.6", "  LLVM version 2.9", "  Optimized build.", ""] {
            assert!(!names_version(line, "22"), "{line}");
        }
    }
}
