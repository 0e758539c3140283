//! `mainstay user`: make and list users.

use clap::Subcommand;
use mainstay_core::store::User;
use mainstay_gateway::shapes;

use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user
    #[command(after_help = "Example:\n  mainstay user create ann")]
    Create {
        /// The name, unique here
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// List users
    #[command(after_help = "Example:\n  mainstay user list")]
    List(At),
}

pub(super) fn run(command: &UserCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        UserCommand::Create { name, at } => {
            let made = super::store(at)?.create_user(name, now())?;
            show.either(&shapes::user(&made), &line(&made))?;
        }
        UserCommand::List(at) => {
            for user in super::store(at)?.users()? {
                show.either(&shapes::user(&user), &line(&user))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn line(user: &User) -> String {
    format!("{:<18} {}", user.id, user.name)
}
