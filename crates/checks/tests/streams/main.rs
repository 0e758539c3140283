//! Streams that never lie: the sixteen faults a provider's stream can have, every cut of a recorded
//! stream, and what a caller sees of each. The caller is a model of both official SDKs' parsers.

#![expect(clippy::print_stdout, reason = "times and counts are part of what the suite shows")]

mod cuts;
mod details;
mod faults;
mod gate;
mod gate_callers;
mod gate_continue;
mod gate_cuts;
mod gate_faults;
mod gate_quiet;
mod gate_runs;
mod sdk;
mod usage;
mod world;
