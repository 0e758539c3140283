//! `cargo xtask mutants`: breaks one rule at a time in a scratch copy and sees who objects.
//!
//! Each mutant replaces one text that must occur exactly once, so that a rule that moved is
//! noticed. The laboratory's tests look first, then the rules' own tests; at rules that the laboratory
//! hardly asks, the own tests first. A mutant that nobody
//! objects to is a missing check, and makes the task fail. `--constants` changes numbers in place of
//! rules, and shows what each is worth.

mod constants;
mod list;

use crate::places::{fresh, known, option, root, work};
use crate::process::{Ran, Show, run as run_command};
use list::{ALL, Mutant};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long one build with its tests may take, unless `--minutes` says otherwise on a busy machine.
/// A mutant that spins is caught by it.
const LIMIT: Duration = Duration::from_mins(4);
/// The same for the sound tree, whose first build takes the dependencies with it.
const LIMIT_FIRST: Duration = Duration::from_mins(20);

/// What the laboratory needs of `crates/sim`: everything else there is not about rules.
const SIM: &str = "[package]\nname = \"mainstay-sim\"\nversion.workspace = true\n\
     edition.workspace = true\n[dependencies]\nmainstay-core.workspace = true\n";
/// Its door.
const DOOR: &str = "//! The laboratory alone.\npub mod judge;\npub mod lab;\n";

/// Tries all mutants, or those whose names contain `--only TEXT` (several texts: `A|B`).
///
/// # Errors
///
/// When the tree is not sound without a mutant, a text is not there once, or a mutant survived.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--constants"], &["--only", "--minutes"])?;
    let only = option(arguments, "--only").unwrap_or_default();
    let limit = match option(arguments, "--minutes").map(str::parse) {
        None => LIMIT,
        Some(Ok(minutes)) => Duration::from_mins(minutes),
        Some(Err(_)) => return Err("--minutes wants a whole number".to_owned()),
    };
    if arguments.iter().any(|argument| argument == "--constants") {
        return constants::run(only, limit);
    }
    let named = |mutant: &&Mutant| only.split('|').any(|text| mutant.name.contains(text));
    let chosen: Vec<&Mutant> = ALL.iter().filter(named).collect();
    for mutant in &chosen {
        mutated(mutant, &root())?;
    }
    let copy = fresh("mutants")?;
    lay_out(&copy).map_err(|e| format!("copy the tree to {}: {e}", copy.display()))?;
    if let Some(who) = objects(&copy, &lookers(""), LIMIT_FIRST.max(limit * 2)) {
        return Err(format!("the tree is not sound without a mutant: {who}"));
    }
    println!("| mutant | where | who objected |\n| --- | --- | --- |");
    let mut survivors = Vec::new();
    for mutant in &chosen {
        let who = attempt(&copy, mutant, limit)?;
        println!(
            "| {} | `{}` | {} |",
            mutant.name,
            mutant.file,
            who.as_deref().unwrap_or("**nobody**")
        );
        if who.is_none() {
            survivors.push(mutant.name);
        }
    }
    println!("{} mutants, {} survived", chosen.len(), survivors.len());
    if survivors.is_empty() { Ok(()) } else { Err(format!("survived: {}", survivors.join(", "))) }
}

/// The file's text with the mutant in it.
fn mutated(mutant: &Mutant, tree: &Path) -> Result<String, String> {
    let path = tree.join("crates/core/src").join(mutant.file);
    let text = fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let times = text.matches(mutant.from).count();
    if times != 1 {
        let (name, file) = (mutant.name, mutant.file);
        return Err(format!(
            "`{name}`: its text is in {file} {times} times, not once; mend list.rs"
        ));
    }
    Ok(text.replacen(mutant.from, mutant.to, 1))
}

fn attempt(copy: &Path, mutant: &Mutant, limit: Duration) -> Result<Option<String>, String> {
    let path = copy.join("crates/core/src").join(mutant.file);
    let put = |text: String| fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()));
    let sound = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    put(mutated(mutant, copy)?)?;
    let who = objects(copy, &lookers(mutant.file), limit);
    put(sound)?;
    Ok(who)
}

/// Who looks at a tree, and by which command.
const LABORATORY: (&str, &str) =
    ("laboratory", "test --offline -p mainstay-sim --test lab -- --test-threads 2");
const OWN_TESTS: (&str, &str) =
    ("own tests", "test --offline -p mainstay-core --lib -- plan:: rules::");
/// Rules of which the laboratory's tests ask little (leases are played by fleets, days are long), and
/// the tests that look at them before everybody else does.
const OWN_FIRST: [(&str, (&str, &str)); 2] = [
    ("rules/lease/", ("own tests", "test --offline -p mainstay-core --lib -- rules::lease::")),
    (
        "rules/pacer/hold.rs",
        ("own tests", "test --offline -p mainstay-core --lib -- rules::pacer::"),
    ),
];

/// Who looks at a file's mutants, one after the other.
fn lookers(file: &str) -> Vec<(&'static str, &'static str)> {
    let first = OWN_FIRST.iter().filter(|(start, _)| file.starts_with(start)).map(|own| own.1);
    first.chain([LABORATORY, OWN_TESTS]).collect()
}

/// The first that objects.
fn objects(copy: &Path, lookers: &[(&str, &str)], limit: Duration) -> Option<String> {
    for (who, line) in lookers {
        let mut command = Command::new("cargo");
        command.args(line.split(' ')).current_dir(copy).env("CARGO_TERM_COLOR", "never");
        // A mutant leaves names unused; that is no objection.
        command.env("RUSTFLAGS", "--cap-lints warn");
        if let Ok(target) = work("mutants-target") {
            command.env("CARGO_TARGET_DIR", target);
        }
        let ran = run_command(&mut command, Show::Never, limit);
        if !ran.ok {
            return Some(format!("{who}: {}", objection(&ran)));
        }
    }
    None
}

/// Broken invariants and failed tests, as far as the output names them.
fn objection(ran: &Ran) -> String {
    let mut found: Vec<String> = Vec::new();
    for line in &ran.lines {
        let name = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        let test = name.map(|name| format!("`{}`", name.rsplit("::").next().unwrap_or(name)));
        let told = line.split("Accusation { invariant: ").skip(1);
        let numbers = told.filter_map(|rest| rest.split(',').next());
        let new = numbers.map(|number| format!("invariant {number}")).chain(test);
        found.extend(new);
    }
    if let Some(error) = ran.lines.iter().find(|line| line.starts_with("error[")) {
        return format!("does not compile: {error}");
    }
    found.sort_by_key(|what| (what.starts_with('`'), what.clone()));
    found.dedup();
    let more = found.len().saturating_sub(3);
    found.truncate(3);
    match (found.is_empty(), more) {
        (true, _) => ran.end.clone(),
        (false, 0) => found.join(", "),
        (false, _) => format!("{} and {more} more", found.join(", ")),
    }
}

/// A workspace of `core` and the laboratory alone, so that a mutant is built within seconds.
fn lay_out(copy: &Path) -> std::io::Result<()> {
    let from = root();
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let shared = manifest.find("[workspace.package]").unwrap_or_default();
    let profile = manifest.find("[profile.dev]").unwrap_or(manifest.len());
    let text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/core\", \"crates/sim\"]\n\n{}\
         [profile.dev]\ndebug = false\nopt-level = 1\n",
        &manifest[shared..profile]
    );
    fs::write(copy.join("Cargo.toml"), text)?;
    fs::copy(from.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    let (core, sim) = (copy.join("crates/core"), copy.join("crates/sim"));
    copy_all(&from.join("crates/core"), &core)?;
    // Benches, and what only they need, would take longer to build than all the rest.
    let manifest = fs::read_to_string(core.join("Cargo.toml"))?;
    let benches = manifest.find("[[bench]]").unwrap_or(manifest.len());
    let lean = manifest[..benches].replace("divan.workspace = true\n", "");
    fs::write(core.join("Cargo.toml"), lean)?;
    copy_all(&from.join("crates/sim/src/lab"), &sim.join("src/lab"))?;
    copy_all(&from.join("crates/sim/tests/lab"), &sim.join("tests/lab"))?;
    for file in ["src/lab.rs", "src/judge.rs"] {
        if from.join("crates/sim").join(file).is_file() {
            fs::copy(from.join("crates/sim").join(file), sim.join(file))?;
            as_old_as(&from.join("crates/sim").join(file), &sim.join(file))?;
        }
    }
    fs::write(sim.join("Cargo.toml"), SIM)?;
    fs::write(sim.join("src/lib.rs"), DOOR)?;
    as_old_as(&from.join("Cargo.toml"), &sim.join("src/lib.rs"))
}

/// What has not changed since the last run is not built again.
fn as_old_as(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::File::options().append(true).open(to)?.set_modified(fs::metadata(from)?.modified()?)
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            as_old_as(&entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_finds_its_text_exactly_once() {
        for mutant in ALL {
            let text = mutated(mutant, &root()).expect(mutant.name);
            assert!(!text.is_empty() && mutant.from != mutant.to, "{}", mutant.name);
        }
    }
}
