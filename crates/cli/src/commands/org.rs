//! `mainstay org`: make and list organizations.

use mainstay_core::store::Organization;
use serde_json::{Value, json};

use crate::args::OrgCommand;
use crate::clock::{now, text};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &OrgCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        OrgCommand::Create { name, at } => {
            let made = super::store(at)?.create_organization(name, now())?;
            show.either(&object(&made), &line(&made))?;
        }
        OrgCommand::List(at) => {
            for organization in super::store(at)?.organizations()? {
                show.either(&object(&organization), &line(&organization))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn object(organization: &Organization) -> Value {
    let Organization { id, name, created_at } = organization;
    json!({"id": id, "name": name, "created_at": text(*created_at)})
}

fn line(organization: &Organization) -> String {
    format!("{:<18} {}", organization.id, organization.name)
}
