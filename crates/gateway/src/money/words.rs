//! Refusals about money, in the words their caller will read.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mainstay::call::Call;
use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::money::budget::{Every, Over, Owner, Why};
use mainstay_core::store::{LedgerTrouble, UnixMillis};

use crate::refused::Refused;

/// A budget has no room.
pub(super) fn over(over: &Over, now: UnixMillis) -> Refused {
    if over.why == Why::NotReady {
        let message = "What this budget has spent is being added up; try again in a second.";
        return Refused::full(message, Duration::from_secs(1));
    }
    if matches!(over.why, Why::Leased | Why::Elsewhere) {
        return elsewhere(over);
    }
    let rule = &over.rule;
    let (whose, flag) = match &rule.owner {
        Owner::Organization => ("organization".to_owned(), "--org NAME".to_owned()),
        Owner::Project(id) => (format!("project {id}"), format!("--project {id}")),
        Owner::Key(id) => (format!("key {id}"), format!("--key {id}")),
    };
    let (every, resets) = match (rule.every, over.resets) {
        (Every::Day, Some(end)) => (" a day", resets_at(end, &rule.zone)),
        (Every::Week, Some(end)) => (" a week", resets_at(end, &rule.zone)),
        (Every::Month, Some(end)) => (" a month", resets_at(end, &rule.zone)),
        (Every::Total, _) | (_, None) => ("", "It does not reset.".to_owned()),
    };
    let message = format!(
        "You exceeded your current quota: the budget of this {whose} is {} USD{every}, {} are spent, {} are held by \
         calls under way, and this call may cost up to {}. {resets} An owner of the organization can raise it: \
         `mainstay budget raise {flag} --period {} --amount USD`; a smaller limit on the answer's tokens makes the call cheaper.",
        rule.limit,
        over.settled,
        over.held,
        over.asked,
        rule.every.name(),
    );
    let until = over.resets.map(|end| Duration::from_millis(end.0.saturating_sub(now.0)));
    Refused { retry_after: until.filter(|wait| !wait.is_zero()), ..quota(message) }
}

fn resets_at(end: UnixMillis, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let time = i64::try_from(end.0).ok().and_then(|end| Timestamp::from_millisecond(end).ok());
    time.map_or_else(String::new, |time| {
        format!("It resets at {}.", time.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z"))
    })
}

/// The endpoint's cost cannot be told.
pub(super) fn unmetered(call: &Call, why: &str) -> Refused {
    let path = call.path.split('?').next().unwrap_or("");
    quota(format!(
        "What this call would cost cannot be told, and a hard budget applies to your key: {} /v1{path}: {why}. Ask an \
         owner of the organization for a key without a hard budget, or for a soft one (`mainstay budget set … --soft`).",
        call.method
    ))
}

/// The model has no price.
pub(super) fn unpriced(call: &Call) -> Refused {
    let model = call.model.as_deref().unwrap_or("");
    let model: String = model.chars().take(100).collect();
    let said = if model.is_empty() {
        "the call names no model".to_owned()
    } else {
        format!("the model `{model}` (or one its route leads to) has no price here")
    };
    quota(format!(
        "What this call would cost cannot be told, and a hard budget applies to your key: {said}. The operator can add \
         a `[[price]]` for it, or one with `model = \"*\"` for all others."
    ))
}

/// The worst case is beyond any entry.
pub(super) fn too_dear(call: &Call) -> Refused {
    let model: String = call.model.as_deref().unwrap_or("").chars().take(100).collect();
    quota(format!(
        "At worst this call would cost more than 9,223,372 USD, which no budget covers. Is the price of `{model}` (`[[price]]`) \
         or the limit on the answer's tokens mistaken?"
    ))
}

/// The hold could not be written.
pub(super) fn unwritten(trouble: &LedgerTrouble) -> Refused {
    // What the operator has to do is in the log and in `/readyz`, not in a caller's answer.
    let why = match trouble {
        LedgerTrouble::Full { most } => {
            format!("{most} entries wait to be written, as many as may")
        }
        LedgerTrouble::Failing { .. } => "it cannot be written at this moment".to_owned(),
    };
    let message = format!(
        "The ledger of costs does not take this call: {why}. A hard budget applies to your key, so nothing was sent; try again shortly."
    );
    Refused::full(message, Duration::from_secs(1))
}

/// What is left of a budget is leased to other gateways.
pub(super) fn elsewhere(over: &Over) -> Refused {
    let message = format!(
        "Other gateways hold what is left of your budget: of {} USD {} are spent and {} are leased, and this call may cost \
         up to {}. They give back what they do not need; try again in a second.",
        over.rule.limit, over.settled, over.held, over.asked
    );
    Refused::full(message, Duration::from_secs(1))
}

/// The accounts of budgets are not reached.
pub(super) fn away() -> Refused {
    // Why is in the log and in the metrics, not in a caller's answer.
    let message = "A hard budget applies to your key, what this gateway may spend of it is used up, and the store that \
                   could grant more does not answer. Nothing was sent; try again shortly.";
    Refused::full(message, Duration::from_secs(2))
}

fn quota(message: String) -> Refused {
    Refused {
        origin: Origin::Mainstay,
        scope: Scope::Key,
        ..Refused::caller(Kind::InsufficientQuota, message)
    }
}
