//! `cargo xtask library`: what a program pays that adds the library: packages, and its first build.
//!
//! Measured on a program of one line in a directory of its own, with the versions of this workspace's
//! lock file and cargo's own profiles. Downloads come before and are not in the times. CPU time hardly
//! depends on what else the machine does; the time by the clock does.

use crate::places::{fresh, known, root};
use crate::process::{Show, run as run_command};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest build; a busy machine of one core needs about a tenth of it.
const LIMIT: Duration = Duration::from_mins(40);
const MANIFEST: &str = "[package]\nname = \"five-lines\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nmainstay = { path = \"";
const PROGRAM: &str = "fn main() {\n    drop(mainstay::Client::from_env());\n}\n";

/// Counts packages, builds with an empty target directory, prints what it took.
///
/// # Errors
///
/// Something could not be written or built.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &[])?;
    let place = fresh("library")?;
    write(&place).map_err(|e| format!("write a program into {}: {e}", place.display()))?;
    cargo(&place, "fetch")?;
    let tree = cargo(&place, "tree --edges normal --prefix none")?;
    // Itself is the program's, and no part of what it pays.
    println!("{} packages, the library itself included", packages(&tree).len().saturating_sub(1));
    for (profile, line) in [("debug", "build --offline"), ("release", "build --offline --release")]
    {
        let (began, before) = (Instant::now(), children_seconds()?);
        cargo(&place, line)?;
        let (wall, cpu) = (began.elapsed().as_secs_f64(), children_seconds()? - before);
        println!("first build, {profile}: {wall:.1} s, {cpu:.1} s of CPU");
    }
    fs::remove_dir_all(&place).map_err(|e| format!("remove {}: {e}", place.display()))
}

fn write(place: &Path) -> std::io::Result<()> {
    let library = root().join("crates/mainstay");
    fs::write(place.join("Cargo.toml"), format!("{MANIFEST}{}\" }}\n", library.display()))?;
    fs::copy(root().join("Cargo.lock"), place.join("Cargo.lock"))?;
    fs::create_dir_all(place.join("src"))?;
    fs::write(place.join("src/main.rs"), PROGRAM)
}

fn cargo(place: &Path, line: &str) -> Result<Vec<String>, String> {
    let mut command = Command::new("cargo");
    command.args(line.split(' ')).current_dir(place).env("CARGO_TERM_COLOR", "never");
    // A directory of its own is what makes it the first build.
    command.env("CARGO_TARGET_DIR", place.join("target"));
    for variable in ["RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_INCREMENTAL"] {
        command.env_remove(variable);
    }
    let ran = run_command(&mut command, Show::OnFailure, LIMIT);
    if ran.ok { Ok(ran.lines) } else { Err(format!("cargo {line}: {}", ran.end)) }
}

/// Names with versions, each once, of a tree without drawing.
fn packages(tree: &[String]) -> BTreeSet<(&str, &str)> {
    let named = tree.iter().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?);
        version.starts_with('v').then_some((name, version))
    });
    named.collect()
}

/// CPU time of all children that have ended, theirs included: fields 16 and 17 of `stat` (proc(5)),
/// in hundredths of a second on every Linux.
fn children_seconds() -> Result<f64, String> {
    let stat =
        fs::read_to_string("/proc/self/stat").map_err(|e| format!("/proc/self/stat: {e}"))?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(13));
    let times = fields.and_then(|mut fields| {
        let (user, system): (f64, f64) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / 100.0)
    });
    times.ok_or_else(|| "/proc/self/stat has no times".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_stands_twice_in_a_tree_is_one() {
        let tree =
            ["five-lines v0.0.0 (/x)", "mainstay v0.1.0 (/y)", "bytes v1.12.0", "", "[note]"];
        let again = ["bytes v1.12.0 (*)", "bytes v1.11.0"];
        let lines: Vec<String> = tree.iter().chain(&again).map(|line| (*line).to_owned()).collect();
        assert_eq!(packages(&lines).len(), 4);
    }

    #[test]
    fn time_of_children_is_read_and_rises() {
        let before = children_seconds().unwrap();
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let ran = run_command(Command::new("sh").args(["-c", work]), Show::Never, LIMIT);
        assert!(ran.ok && children_seconds().unwrap() > before, "{ran:?}");
    }
}
