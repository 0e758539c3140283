//! `mainstay project`: make and list projects.

use mainstay_core::store::Project;
use serde_json::{Value, json};

use crate::args::ProjectCommand;
use crate::clock::{now, text};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(command: &ProjectCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        ProjectCommand::Create { name, org, at } => {
            let made = super::store(at)?.create_project(org, name, now())?;
            show.either(&object(&made), &line(&made))?;
        }
        ProjectCommand::List(at) => {
            for project in super::store(at)?.projects()? {
                show.either(&object(&project), &line(&project))?;
            }
        }
    }
    Ok(Exit::Worked)
}

fn object(project: &Project) -> Value {
    let Project { id, org, name, created_at } = project;
    json!({"id": id, "org": org, "name": name, "created_at": text(*created_at)})
}

fn line(project: &Project) -> String {
    format!("{:<18} {:<18} {}", project.id, project.org, project.name)
}
