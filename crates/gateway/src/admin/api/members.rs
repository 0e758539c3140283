//! Members of organizations and projects.

use http::Method;
use mainstay_core::store::{Group, Role};
use serde::Deserialize;
use serde_json::Value;

use super::super::reply::Problem;
use super::{Ask, Field, Route, Shape};
use crate::shapes;

const ADD: &[Field] = &[
    Field { name: "user", required: true, kind: "string", about: "Id or name of the user." },
    Field { name: "role", required: false, kind: "role", about: "Absent: `member`." },
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/orgs/{org}/members",
        id: "org.member.list",
        about: "List an organization's members.",
        query: &[],
        body: &[],
        answer: Shape::Page("Member"),
        run: |ask| list(ask, &Group::Org(ask.segment(0).into())),
    },
    Route {
        method: Method::POST,
        path: "/mainstay/orgs/{org}/members",
        id: "org.member.add",
        about: "Make a user a member of an organization, or give a member another role.",
        query: &[],
        body: ADD,
        answer: Shape::One("Member"),
        run: |ask| add(ask, &Group::Org(ask.segment(0).into())),
    },
    Route {
        method: Method::DELETE,
        path: "/mainstay/orgs/{org}/members/{user}",
        id: "org.member.remove",
        about: "End a membership of an organization and of its projects; the user's keys there stop working.",
        query: &[],
        body: &[],
        answer: Shape::One("Member"),
        run: |ask| remove(ask, &Group::Org(ask.segment(0).into())),
    },
    Route {
        method: Method::GET,
        path: "/mainstay/projects/{project}/members",
        id: "project.member.list",
        about: "List a project's members.",
        query: &[],
        body: &[],
        answer: Shape::Page("Member"),
        run: |ask| list(ask, &Group::Project(ask.segment(0).into())),
    },
    Route {
        method: Method::POST,
        path: "/mainstay/projects/{project}/members",
        id: "project.member.add",
        about: "Make a user a member of a project, or give a member another role.",
        query: &[],
        body: ADD,
        answer: Shape::One("Member"),
        run: |ask| add(ask, &Group::Project(ask.segment(0).into())),
    },
    Route {
        method: Method::DELETE,
        path: "/mainstay/projects/{project}/members/{user}",
        id: "project.member.remove",
        about: "End a membership of a project; the user's keys there stop working.",
        query: &[],
        body: &[],
        answer: Shape::One("Member"),
        run: |ask| remove(ask, &Group::Project(ask.segment(0).into())),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    user: String,
    role: Option<String>,
}

fn list(ask: &Ask<'_>, group: &Group) -> Result<Value, Problem> {
    let all = ask.store.members(group)?;
    ask.page(all.iter().map(|member| (member.user.to_string(), shapes::member(member))).collect())
}

fn add(ask: &Ask<'_>, group: &Group) -> Result<Value, Problem> {
    let NewMember { user, role } = ask.fields()?;
    let role = role.as_deref().unwrap_or("member").parse::<Role>();
    let role = role
        .map_err(|_| Problem::value("role", "`role` is one of `owner`, `member` and `reader`."))?;
    Ok(shapes::member(&ask.store.set_member(group, &user, role, ask.now)?))
}

fn remove(ask: &Ask<'_>, group: &Group) -> Result<Value, Problem> {
    Ok(shapes::member(&ask.store.remove_member(group, ask.segment(1), ask.now)?))
}
