//! Members of an organization or a project: who belongs to it, and as what.

use askama::Template;
use mainstay_core::store::Role;
use serde_json::{Value, json};

use crate::admin::{Problem, Question, encode};

use super::super::format::{When, when};
use super::super::frame::Frame;
use super::super::read::text;
use super::super::visit::{Page, Visit};
use super::names::{Choice, Names, choices};

/// What one is a member of.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Its family in the API.
    family: &'static str,
    /// Where its pages are.
    place: &'static str,
    /// What it is called.
    word: &'static str,
}

pub(super) const ORG: Group =
    Group { family: "orgs", place: "/organizations", word: "organization" };
pub(super) const PROJECT: Group = Group { family: "projects", place: "/projects", word: "project" };

struct Member {
    user: String,
    name: String,
    roles: Vec<Choice>,
    since: When,
}

#[derive(Template)]
#[template(path = "members.html")]
struct Members {
    frame: Frame,
    name: String,
    word: &'static str,
    /// Of a project: its organization's name, and the page of its members.
    above: Option<(String, String)>,
    /// The path of this page.
    path: String,
    all: Vec<Member>,
    /// Users that are no members.
    others: Vec<Choice>,
    roles: Vec<Choice>,
}

/// The members, and the forms to change them.
pub(super) fn page(visit: &Visit<'_>, group: Group) -> Result<Page, Problem> {
    let id = visit.segment(0);
    let found = visit.list(Question::get(&[group.family, id, "members"]))?;
    let mut users = visit.list(Question::get(&["users"]))?;
    let names = Names::ask(visit)?;
    let member = |one: &Value| {
        let user = text(one, "user");
        let known = users.iter().find(|other| text(other, "id") == user);
        Member {
            name: known.map_or_else(|| user.clone(), |known| text(known, "name")),
            roles: roles(&text(one, "role")),
            since: when(&text(one, "since"), visit.now),
            user,
        }
    };
    let all: Vec<Member> = found.iter().map(member).collect();
    users.retain(|user| !all.iter().any(|member| member.user == text(user, "id")));
    let name = names.of(id);
    let above = names.projects.iter().find(|one| text(one, "id") == id).map(|project| {
        let org = text(project, "org");
        (names.of(&org), path(ORG, &org))
    });
    Page::html(&Members {
        frame: Frame::new(visit, &format!("Members of {name}"), "organizations"),
        name,
        word: group.word,
        above,
        path: path(group, id),
        all,
        others: choices(&users, &visit.form.text("user"), |one| text(one, "name")),
        roles: roles(visit.form.get("role").unwrap_or(Role::Member.name())),
    })
}

fn path(group: Group, id: &str) -> String {
    format!("{}/{}/members", group.place, encode(id))
}

fn roles(chosen: &str) -> Vec<Choice> {
    let role = |role: Role| {
        let (value, label) = (role.name().to_owned(), role.name().to_owned());
        Choice { chosen: value == chosen, value, label }
    };
    Role::ALL.map(role).to_vec()
}

/// Makes a user a member, or gives a member another role.
pub(super) fn set(visit: &Visit<'_>, group: Group) -> Result<Page, Problem> {
    let id = visit.segment(0);
    let body = json!({"user": visit.form.text("user"), "role": visit.form.text("role")});
    visit.ask(Question::post(&[group.family, id, "members"], body))?;
    Ok(Page::Moved(path(group, id) + "?done=member-set"))
}

/// Ends a membership.
pub(super) fn remove(visit: &Visit<'_>, group: Group) -> Result<Page, Problem> {
    let (id, user) = (visit.segment(0), visit.segment(1));
    visit.ask(Question::delete(&[group.family, id, "members", user], Value::Null))?;
    Ok(Page::Moved(path(group, id) + "?done=member-removed"))
}
