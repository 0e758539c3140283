//! `mainstay org`: make and list organizations, and who is in them.

use mainstay_core::store::{Group, Organization, Subject};
use mainstay_gateway::shapes;

use super::limit;
use crate::args::{At, OrgCommand};
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &OrgCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        OrgCommand::Member(command) => super::member::run(command, Group::Org, show)?,
        OrgCommand::Create { name, tier, at } => create(name, tier.as_deref(), at, show)?,
        OrgCommand::List(at) => {
            for organization in super::store(at)?.organizations()? {
                show.either(&shapes::organization(&organization), &line(&organization))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn create(name: &str, tier: Option<&str>, at: &At, show: &mut Show) -> Result<(), Trouble> {
    let (config, store) = super::configured_store(at)?;
    let tier = match tier {
        Some(tier) => Some(limit::tier(&config, tier)?),
        None => config.tiers.for_new(),
    };
    let made = store.create_organization(name, now())?;
    if let Some(tier) = tier {
        let subject = Subject::Organization(made.id.clone());
        store.set_tier(&subject, &tier.name, &tier.limits, now())?;
        show.note(&format!("Its limits are those of the tier `{}`.", tier.name));
    }
    show.either(&shapes::organization(&made), &line(&made))
}

fn line(organization: &Organization) -> String {
    format!("{:<18} {}", organization.id, organization.name)
}
