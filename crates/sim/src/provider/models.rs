//! `GET /v1/models` and `GET /v1/models/{id}`.

use crate::fault::Fault;
use crate::provider::answer::Answer;
use crate::provider::chat::CREATED;
use crate::provider::desk::on_demand;
use crate::provider::encode::quoted;
use crate::provider::kinds::kinds;
use crate::provider::refusal::Refusal;
use crate::provider::shelf::{WANTED, wanted};

/// The models listed when a scenario names none; every other name is answered too.
const DEFAULT: [&str; 5] =
    ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "o4-mini", "text-embedding-3-small"];

/// Whether a name asks for a failure.
pub(crate) fn is_selector(model: &str) -> bool {
    model.starts_with("sim-") && wanted(model).is_none()
}

fn model(id: &str) -> String {
    format!(
        r#"{{"id":{},"object":"model","created":{CREATED},"owned_by":"mainstay-sim"}}"#,
        quoted(id)
    )
}

/// All models: the scenario's or the default ones, then one for each kind and each fault.
pub(crate) fn list(listed: Option<&[String]>) -> Answer {
    let selectors = kinds()
        .iter()
        .map(|kind| kind.name)
        .chain(Fault::ALL.iter().map(|f| f.name()))
        .chain(["slow"]);
    let default = || DEFAULT.iter().map(|&name| name.to_owned()).collect();
    let mut names: Vec<String> = listed.map_or_else(default, <[String]>::to_vec);
    names.extend(selectors.map(|name| format!("sim-{name}")));
    names.extend(WANTED.iter().map(|(name, _)| format!("sim-run-{name}")));
    let rows: Vec<String> = names.iter().map(|name| model(name)).collect();
    Answer::json(200, format!(r#"{{"object":"list","data":[{}]}}"#, rows.join(",")))
}

/// One model, or the refusal for a name that no model has.
pub(crate) fn one(id: &str, listed: Option<&[String]>) -> Answer {
    let named =
        listed.map_or_else(|| !is_selector(id), |names| names.iter().any(|name| name == id));
    let known = named || on_demand(id).is_some();
    if known { Answer::json(200, model(id)) } else { Refusal::no_model(id).answer() }
}
