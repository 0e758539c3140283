//! `mainstay completions`: a shell's completions.

use clap::CommandFactory;

use crate::args::Args;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(shell: clap_complete::Shell, show: &mut Show) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mainstay", &mut script);
    show.raw(&script)?;
    Ok(Exit::Worked)
}
