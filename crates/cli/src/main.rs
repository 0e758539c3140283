//! The `mainstay` binary: reads its arguments, does one command, says how it went.

mod args;
mod clock;
mod commands;
mod doctor;
mod exit;
mod run;
mod show;
mod trouble;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let args = args::read();
    let mut show = show::Show::new(args.json);
    let done = commands::run(&args, &mut show);
    show.end(done).into()
}
