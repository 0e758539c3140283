//! `cargo xtask lab`: plays the policies in the laboratory of `mainstay-sim`.

use crate::places::root;
use std::process::Command;

/// Builds the laboratory and runs it with the arguments as given.
///
/// # Errors
///
/// When it does not build or a law was broken.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["run", "--locked", "--release", "-p", "mainstay-sim", "--example", "lab", "--"]);
    let status = command.args(arguments).current_dir(root()).status().map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the laboratory ended with {status}")) }
}
