//! `cargo xtask crash`: kills a gateway under load, again and again, and audits its ledger.

use crate::places::{known, option, root};
use crate::process::{Show, run as run_command};
use std::process::Command;
use std::time::Duration;

/// Longest time for a build and one kill; each takes about a second beside the build.
const LIMIT: Duration = Duration::from_mins(40);

/// Runs the test of crashes with so many kills.
///
/// # Errors
///
/// Something was owed or charged twice, or the ledger did not verify.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &["--kills"])?;
    let kills = option(arguments, "--kills").unwrap_or("200");
    let kills: u32 =
        kills.parse().map_err(|_| format!("`--kills` is `{kills}`: write a number"))?;
    let mut command = Command::new("cargo");
    command.args([
        "test",
        "--locked",
        "-p",
        "mainstay-cli",
        "--test",
        "crash",
        "--",
        "--nocapture",
    ]);
    command.env("MAINSTAY_CRASH_KILLS", kills.to_string()).current_dir(root());
    let ran = run_command(&mut command, Show::Live, LIMIT);
    if ran.ok { Ok(()) } else { Err(format!("a crash was not survived: {}", ran.end)) }
}
