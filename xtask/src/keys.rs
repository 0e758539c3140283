//! `cargo xtask keys`: what many keys cost: to start, in memory, and to look one up.

use crate::places::{binary, fresh, known, option, root};
use crate::process::{Show, run as run_command};
use crate::server::Server;
use std::process::Command;
use std::time::Duration;

/// Longest time to make a store and measure.
const LIMIT: Duration = Duration::from_mins(20);

/// Makes a store with so many keys, measures the library on it, and starts a gateway on it.
///
/// # Errors
///
/// Something could not be built, made or started.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--no-gateway"], &["--count"])?;
    let count = option(arguments, "--count").unwrap_or("1000000");
    let _: u32 = count.parse().map_err(|_| format!("`--count` is `{count}`: write a number"))?;
    let place = fresh("keys")?;
    let store = place.join("keys.db");
    let example =
        ["run", "--locked", "--release", "-p", "mainstay-store", "--example", "keys", "--"];
    let mut command = Command::new("cargo");
    command.args(example).arg(&store).arg(count).current_dir(root());
    let ran = run_command(&mut command, Show::Live, LIMIT);
    if !ran.ok {
        return Err(format!("the measurement ended with {}", ran.end));
    }
    if !arguments.iter().any(|argument| argument == "--no-gateway") {
        start(&place, &store)?;
    }
    std::fs::remove_dir_all(&place).map_err(|e| format!("remove {}: {e}", place.display()))
}

/// Starts the release build on the store, and says how long that took and what it holds in memory.
fn start(place: &std::path::Path, store: &std::path::Path) -> Result<(), String> {
    if !binary().is_file() {
        return Err(format!(
            "there is no {}: build it with `cargo build --release`",
            binary().display()
        ));
    }
    let config = format!(
        "[store]\nurl = \"sqlite:{}\"\n[server]\nworkers = 1\n[[provider]]\nname = \"up\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"sk-x\"\n",
        store.display()
    );
    let began = std::time::Instant::now();
    let gateway = Server::serve_known(place, &config, None)?;
    println!(
        "a gateway on it answers {:.2} s after its start and has {} MiB in memory",
        began.elapsed().as_secs_f64(),
        resident(gateway.pid())? >> 10
    );
    Ok(())
}

/// Kilobytes in memory of a process.
fn resident(pid: u32) -> Result<u64, String> {
    let file = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&file).map_err(|e| format!("read {file}: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{file} has no VmRSS"))
}
