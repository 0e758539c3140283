//! Organizations and their projects.

use askama::Template;
use serde_json::json;

use crate::admin::{Problem, Question};

use super::super::format::{When, when};
use super::super::frame::Frame;
use super::super::read::text;
use super::super::visit::{Page, Visit};
use super::names::{Choice, Names, choices};

struct Org {
    id: String,
    name: String,
    made: When,
    projects: Vec<Project>,
}

struct Project {
    id: String,
    name: String,
    made: When,
    /// Keys that work, and all.
    working: usize,
    keys: usize,
}

#[derive(Template)]
#[template(path = "organizations.html")]
struct Organizations {
    frame: Frame,
    orgs: Vec<Org>,
    choices: Vec<Choice>,
    /// Name, id, and since when it is there.
    users: Vec<(String, String, When)>,
}

/// All organizations, and the forms for new ones.
pub(super) fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    let names = Names::ask(visit)?;
    let project = |one: &serde_json::Value| {
        let id = text(one, "id");
        let keys = names.keys.iter().filter(|key| text(key, "project") == id);
        let working = keys.clone().filter(|key| matches!(&*text(key, "state"), "active" | "grace"));
        Project {
            name: text(one, "name"),
            made: when(&text(one, "created_at"), visit.now),
            working: working.count(),
            keys: keys.count(),
            id,
        }
    };
    let orgs = names.orgs.iter().map(|one| {
        let id = text(one, "id");
        let of_it = names.projects.iter().filter(|project| text(project, "org") == id);
        Org {
            name: text(one, "name"),
            made: when(&text(one, "created_at"), visit.now),
            projects: of_it.map(project).collect(),
            id,
        }
    });
    let users = visit.list(Question::get(&["users"]))?;
    let user = |one: &serde_json::Value| {
        (text(one, "name"), text(one, "id"), when(&text(one, "created_at"), visit.now))
    };
    let chosen = visit.form.get("org").unwrap_or("default");
    Page::html(&Organizations {
        frame: Frame::new(visit, "Organizations", "organizations"),
        orgs: orgs.collect(),
        choices: choices(&names.orgs, chosen, |one| text(one, "name")),
        users: users.iter().map(user).collect(),
    })
}

/// Makes an organization.
pub(super) fn create(visit: &Visit<'_>) -> Result<Page, Problem> {
    let body = json!({"name": visit.form.text("name")});
    visit.ask(Question::post(&["orgs"], body))?;
    Ok(Page::Moved("/organizations?done=org-made".to_owned()))
}

/// Makes a project.
pub(super) fn create_project(visit: &Visit<'_>) -> Result<Page, Problem> {
    let body = json!({"name": visit.form.text("project"), "org": visit.form.text("org")});
    visit.ask(Question::post(&["projects"], body)).map_err(|problem| of(problem, "project"))?;
    Ok(Page::Moved("/organizations?done=project-made".to_owned()))
}

/// Makes a user.
pub(super) fn create_user(visit: &Visit<'_>) -> Result<Page, Problem> {
    let body = json!({"name": visit.form.text("user")});
    visit.ask(Question::post(&["users"], body)).map_err(|problem| of(problem, "user"))?;
    Ok(Page::Moved("/organizations?done=user-made".to_owned()))
}

/// A fault of the API's `name`, which has another name on this page.
fn of(problem: Problem, field: &str) -> Problem {
    let param = problem.param.map(|name| if name == "name" { field.to_owned() } else { name });
    Problem { param, ..problem }
}
