//! Organizations, projects and users.

use http::Method;
use mainstay_core::store::Subject;
use serde::Deserialize;
use serde_json::Value;

use super::super::reply::Problem;
use super::{Ask, Field, Route, Shape};
use crate::shapes;

const NAME: Field =
    Field { name: "name", required: true, kind: "string", about: "1 to 64 characters, unique." };

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/mainstay/orgs",
        id: "org.list",
        about: "List organizations, oldest first.",
        query: &[],
        body: &[],
        answer: Shape::Page("Organization"),
        run: |ask| {
            let all = ask.store.organizations()?;
            ask.page(
                all.iter().map(|org| (org.id.to_string(), shapes::organization(org))).collect(),
            )
        },
    },
    Route {
        method: Method::POST,
        path: "/mainstay/orgs",
        id: "org.create",
        about: "Make an organization.",
        query: &[],
        body: &[
            NAME,
            Field {
                name: "tier",
                required: false,
                kind: "string",
                about: "Its limits: a tier of the configuration; absent: `limits.default_tier`, if set.",
            },
        ],
        answer: Shape::Made("Organization"),
        run: create_org,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/projects",
        id: "project.list",
        about: "List projects, oldest first.",
        query: &[("org", "Only those of the organization with this id.")],
        body: &[],
        answer: Shape::Page("Project"),
        run: |ask| {
            let mut all = ask.store.projects()?;
            all.retain(|project| ask.query.get("org").is_none_or(|org| *project.org == **org));
            ask.page(all.iter().map(|one| (one.id.to_string(), shapes::project(one))).collect())
        },
    },
    Route {
        method: Method::POST,
        path: "/mainstay/projects",
        id: "project.create",
        about: "Make a project.",
        query: &[],
        body: &[
            NAME,
            Field {
                name: "org",
                required: false,
                kind: "string",
                about: "Id or name of its organization; absent: `default`.",
            },
        ],
        answer: Shape::Made("Project"),
        run: create_project,
    },
    Route {
        method: Method::GET,
        path: "/mainstay/users",
        id: "user.list",
        about: "List users, oldest first.",
        query: &[],
        body: &[],
        answer: Shape::Page("User"),
        run: |ask| {
            let all = ask.store.users()?;
            ask.page(all.iter().map(|user| (user.id.to_string(), shapes::user(user))).collect())
        },
    },
    Route {
        method: Method::POST,
        path: "/mainstay/users",
        id: "user.create",
        about: "Make a user.",
        query: &[],
        body: &[NAME],
        answer: Shape::Made("User"),
        run: |ask| {
            let Named { name } = ask.fields()?;
            Ok(shapes::user(&ask.store.create_user(&name, ask.now)?))
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    name: String,
    tier: Option<String>,
}

fn create_org(ask: &Ask<'_>) -> Result<Value, Problem> {
    let NewOrg { name, tier } = ask.fields()?;
    let tier = match &tier {
        Some(tier) => Some(super::tier(ask, tier)?),
        None => ask.tiers.for_new(),
    };
    let made = ask.store.create_organization(&name, ask.now)?;
    if let Some(tier) = tier {
        let subject = Subject::Organization(made.id.clone());
        ask.store.set_tier(&subject, &tier.name, &tier.limits, ask.now)?;
    }
    Ok(shapes::organization(&made))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProject {
    name: String,
    org: Option<String>,
}

fn create_project(ask: &Ask<'_>) -> Result<Value, Problem> {
    let NewProject { name, org } = ask.fields()?;
    let org = org.as_deref().unwrap_or("default");
    Ok(shapes::project(&ask.store.create_project(org, &name, ask.now)?))
}
