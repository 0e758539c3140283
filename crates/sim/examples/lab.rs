//! The laboratory's runner: see [`mainstay_sim::lab::console`] for its arguments.

use mainstay_sim::lab::console;
use std::process::ExitCode;
use std::time::SystemTime;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[expect(clippy::disallowed_methods, reason = "how fast it is, for people")]
    let seconds = || {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    };
    // Whoever closed the pipe has seen enough.
    console(&args, &seconds, &mut std::io::stdout().lock())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
