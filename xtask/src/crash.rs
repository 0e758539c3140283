//! `cargo xtask crash`: kills a gateway under load, again and again, and audits its ledger; with
//! `--many` several gateways over one PostgreSQL.

use crate::places::{known, option, root};
use crate::process::{Show, run as run_command};
use std::process::Command;
use std::time::Duration;

/// Longest time for a build and one kill; each takes about a second beside the build.
const LIMIT: Duration = Duration::from_mins(40);

/// Runs the test of crashes with so many kills, or rounds over several gateways.
///
/// # Errors
///
/// Something was owed or charged twice, or the ledger did not verify.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &["--kills", "--many"])?;
    let count = |flag: &str, most: &str| -> Result<u32, String> {
        let text = option(arguments, flag).unwrap_or(most);
        text.parse().map_err(|_| format!("`{flag}` is `{text}`: write a number"))
    };
    let (kills, rounds) = (count("--kills", "200")?, count("--many", "50")?);
    let many = option(arguments, "--many").is_some();
    let mut command = Command::new("cargo");
    command.args(["test", "--locked", "-p", "mainstay-cli", "--test"]);
    command.args([if many { "many" } else { "crash" }, "--", "--nocapture"]);
    command.env("MAINSTAY_CRASH_KILLS", kills.to_string()).current_dir(root());
    if many {
        command.env("MAINSTAY_MANY_ROUNDS", rounds.to_string()).env("MAINSTAY_TEST_REQUIRED", "1");
    }
    let ran = run_command(&mut command, Show::Live, LIMIT);
    if ran.ok { Ok(()) } else { Err(format!("a crash was not survived: {}", ran.end)) }
}
