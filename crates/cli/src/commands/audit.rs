//! `mainstay audit`: who changed what, newest first.

use clap::Args as Group;
use mainstay_gateway::shapes;

use crate::args::At;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Group)]
pub(crate) struct AuditArgs {
    /// How many, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    most: u16,
    /// Only changes before the one with this id
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &AuditArgs, show: &mut Show) -> Result<Exit, Trouble> {
    for entry in super::store(&args.at)?.audit(args.before, usize::from(args.most))? {
        let (id, at) = (entry.id, shapes::time(entry.at));
        let line = format!("{id:<8} {at} {:<14} {:<22} {}", entry.who, entry.verb, entry.subject);
        show.either(&shapes::change(&entry), &line)?;
    }
    Ok(Exit::Worked)
}
