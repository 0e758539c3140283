//! Names of organizations, projects and keys by their ids, so that pages say both.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::admin::{Problem, Question};

use super::super::read::text;
use super::super::visit::{Fields, Visit};

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

/// Who may get a limit or a budget: forms name one as `org:ID`, `project:ID` or `key:ID`.
pub(super) fn owners(visit: &Visit<'_>, names: &Names) -> Vec<(&'static str, Vec<Choice>)> {
    let chosen = |kind: &str| {
        let of_form =
            visit.form.get("owner").and_then(|owner| owner.strip_prefix(kind)?.strip_prefix(':'));
        of_form.or_else(|| visit.query.get(kind)).unwrap_or_default().to_owned()
    };
    let group = |heading, kind: &'static str, things: &[Value]| {
        let mut all = choices(things, &chosen(kind), |one| text(one, "name"));
        for one in &mut all {
            one.value = format!("{kind}:{}", one.value);
        }
        (heading, all)
    };
    let working =
        names.keys.iter().filter(|key| matches!(&*text(key, "state"), "active" | "grace"));
    let working: Vec<Value> = working.cloned().collect();
    vec![
        group("Organizations", "org", &names.orgs),
        group("Projects", "project", &names.projects),
        group("Keys", "key", &working),
    ]
}

/// Puts the owner that a form names into a body of the API.
pub(super) fn name_owner(body: &mut Value, form: &Fields) {
    if let Some((kind, id)) = form.get("owner").and_then(|owner| owner.split_once(':'))
        && matches!(kind, "org" | "project" | "key")
    {
        body[kind] = json!(id);
    }
}
