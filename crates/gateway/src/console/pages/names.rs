//! Names of organizations, projects and keys by their ids, so that pages say both.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::admin::{Problem, Question};

use super::super::read::text;
use super::super::visit::Visit;

/// Names by ids.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: BTreeMap<String, String>,
    /// Organizations, projects and keys as the desk shows them.
    pub(super) orgs: Vec<Value>,
    pub(super) projects: Vec<Value>,
    pub(super) keys: Vec<Value>,
}

impl Names {
    /// Asks for them.
    pub(super) fn ask(visit: &Visit<'_>) -> Result<Names, Problem> {
        let orgs = visit.list(Question::get(&["orgs"]))?;
        let projects = visit.list(Question::get(&["projects"]))?;
        let keys = visit.list(Question::get(&["keys"]))?;
        let all = orgs.iter().chain(&projects).chain(&keys);
        let by_id = all.map(|one| (text(one, "id"), text(one, "name"))).collect();
        Ok(Names { by_id, orgs, projects, keys })
    }

    /// The name of an id; the id itself when it is not known.
    pub(super) fn of(&self, id: &str) -> String {
        self.by_id.get(id).cloned().unwrap_or_else(|| id.to_owned())
    }
}

/// Something to choose in a form.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// Choices of things with an id and a name.
pub(super) fn choices(
    things: &[Value],
    chosen: &str,
    label: impl Fn(&Value) -> String,
) -> Vec<Choice> {
    let choice = |one: &Value| Choice {
        value: text(one, "id"),
        label: label(one),
        chosen: text(one, "id") == chosen || text(one, "name") == chosen,
    };
    things.iter().map(choice).collect()
}
