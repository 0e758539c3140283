//! `mainstay org member` and `mainstay project member`: who belongs where, and with which role.

use clap::{Args as Arguments, Subcommand, ValueEnum};
use mainstay_core::store::{Group, Member, Role};
use mainstay_gateway::shapes;

use crate::args::At;
use crate::clock::now;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Make a user a member, or give a member another role
    #[command(
        after_help = "Examples:\n  mainstay org member add acme ann --role reader\n  mainstay project member add web ann"
    )]
    Add {
        #[command(flatten)]
        who: Who,
        /// What he may do
        #[arg(long, value_enum, default_value_t = RoleArg::Member)]
        role: RoleArg,
    },
    /// End a membership; the user's keys there stop working within a second
    #[command(
        after_help = "Examples:\n  mainstay org member remove acme ann\n  mainstay project member remove web ann"
    )]
    Remove(Who),
    /// List members
    #[command(
        after_help = "Examples:\n  mainstay org member list acme\n  mainstay project member list web"
    )]
    List {
        /// Id or name of the organization or project
        group: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Arguments)]
pub(crate) struct Who {
    /// Id or name of the organization or project
    group: String,
    /// Id or name of the user
    user: String,
    #[command(flatten)]
    at: At,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleArg {
    /// Everything; in an organization, in each of its projects too
    Owner,
    /// Calls of every kind
    Member,
    /// Only calls that change nothing
    Reader,
}

/// Does it for organizations or projects, as `group` makes one of a name.
pub(super) fn run(
    command: &MemberCommand,
    group: fn(Box<str>) -> Group,
    show: &mut Show,
) -> Result<(), Trouble> {
    match command {
        MemberCommand::Add { who, role } => {
            let role = match role {
                RoleArg::Owner => Role::Owner,
                RoleArg::Member => Role::Member,
                RoleArg::Reader => Role::Reader,
            };
            let store = super::store(&who.at)?;
            let made =
                store.set_member(&group(who.group.as_str().into()), &who.user, role, now())?;
            show.either(&shapes::member(&made), &line(&made))
        }
        MemberCommand::Remove(who) => {
            let store = super::store(&who.at)?;
            let gone = store.remove_member(&group(who.group.as_str().into()), &who.user, now())?;
            let text = format!("{} is no member of {} any more", gone.user, gone.group.id());
            show.either(&shapes::member(&gone), &text)
        }
        MemberCommand::List { group: name, at } => {
            for member in super::store(at)?.members(&group(name.as_str().into()))? {
                show.either(&shapes::member(&member), &line(&member))?;
            }
            Ok(())
        }
    }
}

fn line(member: &Member) -> String {
    format!("{:<18} {:<18} {}", member.group.id(), member.user, member.role.name())
}
