//! Developer tasks: `cargo xtask <task>`. Needs nothing but the standard library.
//!
//! ```text
//! test   everything that must hold before a change is accepted; `.ci/run` is this
//! docs   write the generated pages again (`--check`: only say whether they are current)
//! dist   the binary as it is handed out; with --pgo guided by a profile of calls made here
//! bench  CPU per request beside Debian's nginx
//! judge  how much of a rate limit becomes finished work (needs the judge's directory)
//! lab    play the policies in the laboratory, many seeds
//! examples  run the examples with other HTTP clients; what a call costs beside them
//! fuzz   give parsers, validator and token counter inputs made from seeds
//! keys   what a million keys cost to start with, to hold and to look up
//! runner what the batch runner makes of a million requests: rate, CPU, memory
//! library  what a program pays that adds the library: packages, and its first build
//! crash  kill a gateway under load, again and again, and audit its ledger
//! mutants  break one rule at a time and see who objects
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to its developer")]

mod bench;
mod cost;
mod crash;
mod debian;
mod dist;
mod docs;
mod examples;
mod fuzz;
mod judge;
mod keys;
mod lab;
mod library;
mod mutants;
mod nginx;
mod places;
mod process;
mod runner;
mod sdk;
mod server;
mod servers;
mod suites;
mod tally;
mod test;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <task> [options]

  test  [--full] [--allow-skips] [--only STEP]
                                  all checks and suites; --full takes the long forms,
                                  --allow-skips accepts suites whose tools are missing,
                                  --only runs the steps whose names contain STEP
  docs  [--check]                 write the generated pages, or only compare them
  dist  [--pgo]                   the binary as it is handed out; --pgo: guided by a profile of
                                  calls made here (nginx, wrk and llvm-tools are needed)
  bench [--rounds N] [--secs N] [--only PART] [--rate N] [--scaling|--shared]
                                  cost beside nginx; PART: answers, half-load, streams, first-event,
                                  memory; --rate: calls a second instead of half of the gateway's most;
                                  --scaling: how it grows; --shared: of a gateway over PostgreSQL and
                                  Redis beside one alone
  cost  [--record] [--only requests|knowing]
                                  instructions per request, per check of a body and count of tokens,
                                  held against xtask/cost.txt
  judge [--dir D] [--scenario S] [--mode gateway|run|both]
                                  share of a rate limit turned into finished work
  lab   [ARGS…]                   the laboratory, ARGS as its own help says
  examples [--overhead]           examples with other HTTP clients, or what a call costs beside them
  fuzz  [--minutes N] [--target T] [--libfuzzer]
                                  give parsers, validator and counter inputs made from seeds;
                                  --libfuzzer: guided by coverage, with more targets
  keys  [--count N] [--no-gateway] what so many keys (1000000) cost: start, memory, lookup
  runner [--count N]              `mainstay run` on so many requests (1000000) of 1 KB: rate, CPU, memory
  library                         what adding the library costs: packages, and a first build
  crash [--kills N] [--many N]    kill a gateway under load N times (200), audit its ledger; or several
                                  gateways over PostgreSQL, N rounds
  mutants [--only A|B] [--minutes N] [--constants]
                                  break one rule at a time and see who objects; a build with its
                                  tests may take N minutes (4); --constants: what numbers are worth
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    }
    let task = arguments.remove(0);
    let done = match task.as_str() {
        "test" => test::run(&arguments),
        "docs" => docs::run(&arguments),
        "examples" => examples::run(&arguments),
        "bench" => bench::run(&arguments),
        "dist" => dist::run(&arguments),
        "cost" => cost::run(&arguments),
        "judge" => judge::run(&arguments),
        "fuzz" => fuzz::run(&arguments),
        "keys" => keys::run(&arguments),
        "lab" => lab::run(&arguments),
        "runner" => runner::run(&arguments),
        "library" => library::run(&arguments),
        "crash" => crash::run(&arguments),
        "mutants" => mutants::run(&arguments),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no task `{other}`\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask {task}: {why}");
            ExitCode::FAILURE
        }
    }
}
