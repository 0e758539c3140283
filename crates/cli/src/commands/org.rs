//! `mainstay org`: make and list organizations, and who is in them.

use mainstay_core::store::{Group, Organization};
use mainstay_gateway::shapes;

use crate::args::OrgCommand;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &OrgCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        OrgCommand::Create { name, at } => {
            let made = super::store(at)?.create_organization(name, now())?;
            show.either(&shapes::organization(&made), &line(&made))?;
        }
        OrgCommand::Member(command) => super::member::run(command, Group::Org, show)?,
        OrgCommand::List(at) => {
            for organization in super::store(at)?.organizations()? {
                show.either(&shapes::organization(&organization), &line(&organization))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn line(organization: &Organization) -> String {
    format!("{:<18} {}", organization.id, organization.name)
}
