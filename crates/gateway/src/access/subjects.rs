//! Whether whom a rule is about exists: a rule about nobody keeps nobody out.

use std::path::Path;

use mainstay_core::store::{Store, StoreError, public_of_id};

use crate::config::{AccessFor, Config, ConfigFault, Severity};

/// A finding for each access rule about an organization, project or key that the store does not
/// have, or a project's name that several organizations use.
///
/// # Errors
///
/// The store failed.
pub fn unknown_subjects(
    config: &Config,
    store: &dyn Store,
) -> Result<Vec<ConfigFault>, StoreError> {
    if config.access.is_empty() {
        return Ok(Vec::new());
    }
    let (orgs, projects) = (store.organizations()?, store.projects()?);
    let mut faults = Vec::new();
    for rule in &config.access {
        let (what, name, found) = match &rule.subject {
            AccessFor::Org(name) => {
                let count = orgs.iter().filter(|org| named(name, &org.id, &org.name)).count();
                ("organization", name, count)
            }
            AccessFor::Project(name) => {
                let count = projects.iter().filter(|one| named(name, &one.id, &one.name)).count();
                ("project", name, count)
            }
            AccessFor::Key(id) => {
                let known = public_of_id(id).map(|public| store.key(public));
                let count = match known {
                    None | Some(Err(StoreError::Absent { .. })) => 0,
                    Some(Ok(_)) => 1,
                    Some(Err(error)) => return Err(error),
                };
                ("key", id, count)
            }
        };
        faults.extend(fault(config, rule.line, what, name, found));
    }
    Ok(faults)
}

fn named(wanted: &str, id: &str, name: &str) -> bool {
    wanted == id || wanted == name
}

fn fault(config: &Config, line: u32, what: &str, name: &str, found: usize) -> Option<ConfigFault> {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    let (said, why, fix) = match found {
        1 => return None,
        0 => (
            format!("an access rule is about the {what} `{shown}`, which does not exist"),
            "it would keep nobody out",
            format!("make it first, or write its id as the `list` command of {what}s shows it"),
        ),
        many => (
            format!(
                "an access rule is about the {what} `{shown}`, and there are {many} of that name"
            ),
            "which one is meant would be a guess",
            "write its id".to_owned(),
        ),
    };
    let file = config.file.as_deref().map_or_else(|| "environment".into(), Path::to_string_lossy);
    Some(ConfigFault {
        severity: Severity::Error,
        file: file.into_owned(),
        line: (line > 0).then_some(line),
        what: said,
        why: why.to_owned(),
        fix,
    })
}
