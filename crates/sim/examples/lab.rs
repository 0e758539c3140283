//! The laboratory's runner: see [`mainstay_sim::lab::console`] for its arguments.

use mainstay_sim::lab::console;
use std::process::ExitCode;
use std::time::SystemTime;

/// Seconds that this thread has been on a core, where Linux tells them: what else the machine does
/// is not the laboratory's time.
fn worked() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = told.split_whitespace().next()?.parse().ok()?;
    (nanos > 0.0).then_some(nanos / 1e9)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[expect(clippy::disallowed_methods, reason = "how fast it is, for people")]
    let passed = || {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    };
    let seconds = || worked().unwrap_or_else(passed);
    // Whoever closed the pipe has seen enough.
    console(&args, &seconds, &mut std::io::stdout().lock())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
