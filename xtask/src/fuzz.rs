//! `cargo xtask fuzz`: the loop of `crates/checks/examples/fuzz` over the seeds in `fuzz/seeds`.

use crate::places::root;
use std::process::Command;

/// Builds the loop, with checks for overflow in it, and runs it with the arguments as given.
///
/// # Errors
///
/// When it does not build or an input broke a promise.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["run", "--locked", "-p", "mainstay-checks", "--example", "fuzz", "--"]);
    let status = command.args(arguments).current_dir(root()).status().map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the loop ended with {status}")) }
}
