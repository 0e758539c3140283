//! `cargo xtask examples`: the examples with other HTTP clients, built and run; `--overhead`: what a
//! call costs beside them.

use crate::places::{known, root};
use crate::process::{Show, run as run_command};
use std::process::Command;
use std::time::Duration;

/// Building a hundred packages on slow cores is the longest of it.
const LIMIT: Duration = Duration::from_mins(40);
const EXAMPLES: [&str; 3] = ["wrap_hyper_util", "wrap_reqwest", "wrap_async_openai"];

/// Runs every example, each of which fails when it did not do what it shows; or the bench.
///
/// # Errors
///
/// What the first one that failed said.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--overhead"], &[])?;
    if arguments.iter().any(|argument| argument == "--overhead") {
        return play("overhead", &["--release"], Show::Live);
    }
    EXAMPLES.iter().try_for_each(|name| play(name, &[], Show::Live))
}

/// The same, quietly, as a step of the whole gate.
///
/// # Errors
///
/// What the first one that failed said.
pub(crate) fn all() -> Result<(), String> {
    EXAMPLES.iter().try_for_each(|name| play(name, &[], Show::OnFailure))
}

fn play(name: &str, profile: &[&str], show: Show) -> Result<(), String> {
    let mut command = Command::new("cargo");
    // Not `--locked`: each new dependency of a crate of ours would stop it here.
    command.args(["run", "--manifest-path", "examples/Cargo.toml"]);
    command.args(["--target-dir", "target/examples"]).args(profile).args(["--bin", name]);
    let ran = run_command(command.current_dir(root()), show, LIMIT);
    if ran.ok { Ok(()) } else { Err(format!("{name}: {}", ran.end)) }
}
