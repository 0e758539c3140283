//! `mainstay project`: make and list projects, and who is in them.

use mainstay_core::store::{Group, Project};
use mainstay_gateway::shapes;

use crate::args::ProjectCommand;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &ProjectCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        ProjectCommand::Create { name, org, at } => {
            let made = super::store(at)?.create_project(org, name, now())?;
            show.either(&shapes::project(&made), &line(&made))?;
        }
        ProjectCommand::Member(command) => super::member::run(command, Group::Project, show)?,
        ProjectCommand::List(at) => {
            for project in super::store(at)?.projects()? {
                show.either(&shapes::project(&project), &line(&project))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn line(project: &Project) -> String {
    format!("{:<18} {:<18} {}", project.id, project.org, project.name)
}
