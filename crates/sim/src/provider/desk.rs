//! The desk: takes each request in turn and rules what becomes of it.
//!
//! The order: what the request asks to go wrong, key, body (`look`), then here model, faults before the
//! limits, limits, faults after them; `conclude` makes the answer. The same requests at the same times
//! with the same seed get the same rulings.

use crate::fault::{Fault, Order};
use crate::provider::answer::{Answer, Pace};
use crate::provider::bill::Bill;
use crate::provider::dice::Dice;
use crate::provider::form::Form;
use crate::provider::kinds::{Acts, KindSpec, NOT_JSON, Wait};
use crate::provider::limits::Limiter;
use crate::provider::look::Asked;
use crate::provider::models;
use crate::provider::refusal::Refusal;
use crate::provider::request::{Api, Call, Family, Special};
use crate::provider::shelf::{Query, Shelf, Visit};
use crate::provider::speech::{Prefill, speak};
use crate::scenario::{Scenario, Trouble, What, wait_of};
use crate::stats::Stats;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most models that have limits of their own; later ones share one limiter.
const LIMITERS_MAX: usize = 1_000;

/// One request, as far as the desk looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// What follows `?` in the path.
    pub(crate) query: &'a str,
    /// The key after `Bearer`, or in `api-key`.
    pub(crate) key: Option<&'a str>,
    /// `x-sim-error`, `x-sim-fault`, `x-sim-status`, `x-sim-retry-after`.
    pub(crate) error: Option<&'a str>,
    pub(crate) fault: Option<&'a str>,
    pub(crate) status: Option<&'a str>,
    pub(crate) retry_after: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) retry_count: Option<&'a str>,
    /// The header `range`.
    pub(crate) range: Option<&'a str>,
    pub(crate) body: &'a [u8],
    /// The body, where it is a form.
    pub(crate) form: Option<&'a Form>,
}

/// A place among the calls at once.
#[derive(Debug)]
pub(crate) struct Ticket {
    model: String,
    /// Whether the answer is a sound one, to be counted as completed.
    sound: bool,
    /// What is billed for it then.
    pub(crate) bill: Bill,
}

/// Everything a simulated provider remembers.
#[derive(Debug)]
pub(crate) struct Desk {
    scenario: Arc<Scenario>,
    dice: Dice,
    number: u64,
    limiters: BTreeMap<String, Limiter>,
    /// For each trouble, how many requests it could have hit.
    chances: Vec<u64>,
    shelf: Shelf,
    pub(crate) stats: Stats,
}

/// What was ruled; the answer is made from it without the desk.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
    pub(crate) delay: Duration,
    pub(crate) pace: Pace,
    /// What is left of the limits.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A place that has to be given back when the answer is over.
    pub(crate) ticket: Option<Ticket>,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Serve,
    Answer(Box<Answer>),
    Trouble(What, Option<Wait>),
}

impl Desk {
    /// A provider at the start of a scenario.
    pub(crate) fn new(scenario: Scenario) -> Desk {
        Desk {
            dice: Dice::new(scenario.seed),
            number: 0,
            limiters: BTreeMap::new(),
            chances: vec![0; scenario.troubles.len()],
            shelf: Shelf::new(scenario.ways, scenario.manner.clone()),
            stats: Stats::default(),
            scenario: Arc::new(scenario),
        }
    }

    /// The scenario being played.
    pub(crate) fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// Notes that an answer is over: to its last byte, or because the client left.
    pub(crate) fn close(&mut self, ticket: &Ticket, to_the_end: bool, now: Duration) {
        self.stats.in_flight = self.stats.in_flight.saturating_sub(1);
        let name = self.limiter_name(&ticket.model);
        if let Some(limiter) = self.limiters.get_mut(&name) {
            limiter.leave();
        }
        if !to_the_end {
            self.stats.client_gone += 1;
        } else if ticket.sound {
            self.stats.completed += 1;
            self.stats.billed.add(&ticket.model, &ticket.bill);
            self.stats.completed_at_ms.add(now);
        }
    }

    /// Looks up or changes what is stored, where a request is about that; the others pass.
    pub(crate) fn open(&mut self, incoming: &Incoming<'_>, asked: Asked, now: Duration) -> Asked {
        let (family, wrong, wait) = match asked {
            Asked::Stored(family) => match self.strike_stored(family, incoming, now) {
                Some((what, wait)) => (family, what, wait),
                None => return self.store(family, incoming, now),
            },
            Asked::Demand(what, Api::Stored(family), _) => {
                (family, what, incoming.retry_after.map(wait_of))
            }
            Asked::Settled(_) | Asked::Demand(..) | Asked::Spoilt(..) | Asked::Call(..) => {
                return asked;
            }
        };
        if !is_begun(&wrong) {
            return Asked::Spoilt(Box::new(Answer::json(200, "{}".into())), wrong, wait);
        }
        match self.store(family, incoming, now) {
            Asked::Settled(answer) => Asked::Spoilt(answer, wrong, wait),
            Asked::Call(api, call) => Asked::Demand(wrong, api, Some(call)),
            stored @ (Asked::Demand(..) | Asked::Stored(_) | Asked::Spoilt(..)) => stored,
        }
    }

    fn store(&mut self, family: Family, incoming: &Incoming<'_>, now: Duration) -> Asked {
        let body = match (incoming.form, incoming.body.is_empty()) {
            (None, false) => serde_json::from_slice(incoming.body).ok(),
            _ => Some(serde_json::json!({})),
        };
        let Some(body @ serde_json::Value::Object(_)) = body else {
            return Asked::Settled(Box::new(Refusal::new(400, NOT_JSON).answer()));
        };
        let Incoming { method, path, form, range, .. } = *incoming;
        let query = Query(incoming.query);
        self.shelf.answer(family, &Visit { method, path, query, body, form, range, now })
    }

    /// The first trouble of the scenario that hits a request about what is stored. Only those that
    /// name its endpoint do; a run is hit as the call of a model that it is.
    fn strike_stored(
        &mut self,
        family: Family,
        incoming: &Incoming<'_>,
        now: Duration,
    ) -> Option<(What, Option<Wait>)> {
        let runs = ["/runs", "/submit_tool_outputs"];
        if incoming.method == "POST" && runs.iter().any(|end| incoming.path.ends_with(end)) {
            return None;
        }
        let scenario = Arc::clone(&self.scenario);
        let mut struck = None;
        for (trouble, chances) in scenario.troubles.iter().zip(&mut self.chances) {
            if trouble.endpoints.is_empty() || !trouble.concerns("", Api::Stored(family), now) {
                continue;
            }
            *chances += 1;
            if trouble.hits(*chances, &mut self.dice) && struck.is_none() {
                struck = Some((trouble.what.clone(), trouble.retry_after.clone()));
            }
        }
        struck
    }

    fn limiter_name(&self, model: &str) -> String {
        let own = self.scenario.limits_per_model
            && (self.limiters.contains_key(model) || self.limiters.len() < LIMITERS_MAX);
        if own { model.to_owned() } else { "*".into() }
    }

    fn count(&mut self, incoming: &Incoming<'_>, now: Duration) -> u64 {
        self.number += 1;
        self.stats.attempts += 1;
        self.stats.attempted_at_ms.add(now);
        if let Some(id) = incoming.request_id {
            self.stats.request_ids.add(id);
        }
        if let Some(count) = incoming.retry_count {
            self.stats.retry_counts.add(count);
        }
        self.number
    }

    /// Rules on one request.
    pub(crate) fn rule(
        &mut self,
        incoming: &Incoming<'_>,
        asked: &Asked,
        now: Duration,
    ) -> Verdict {
        let number = self.count(incoming, now);
        let mut verdict = Verdict {
            number,
            outcome: Outcome::Serve,
            delay: Duration::ZERO,
            pace: Pace::default(),
            headers: Vec::new(),
            ticket: None,
        };
        match asked {
            Asked::Settled(_) | Asked::Stored(_) => {}
            Asked::Spoilt(_, what, wait) => {
                verdict.outcome = Outcome::Trouble(what.clone(), wait.clone());
            }
            Asked::Demand(what, api, call) => {
                if let Some(call) = call {
                    self.count_call(*api, call);
                    if is_begun(what) {
                        self.remember(*api, call, incoming, number, false, now);
                    }
                }
                verdict.outcome = Outcome::Trouble(what.clone(), incoming.retry_after.map(wait_of));
            }
            Asked::Call(api, call) => {
                self.count_call(*api, call);
                let scenario = Arc::clone(&self.scenario);
                let rules = scenario.rules_for(&call.model);
                (verdict.delay, verdict.pace) = rules.latency.draw(&mut self.dice);
                verdict.outcome = self.rule_on_call(*api, call, incoming, &mut verdict, now);
            }
        }
        self.count_trouble(&verdict.outcome);
        verdict
    }

    fn rule_on_call(
        &mut self,
        api: Api,
        call: &Call,
        incoming: &Incoming<'_>,
        verdict: &mut Verdict,
        now: Duration,
    ) -> Outcome {
        let scenario = Arc::clone(&self.scenario);
        if let Some(what) = on_demand(&call.model) {
            return Outcome::Trouble(what, incoming.retry_after.map(wait_of));
        }
        let unfit = unfit(&scenario, call, api).or_else(|| self.shelf.refuse_unknown_past(call));
        if let Some(refusal) = unfit {
            return Outcome::Answer(Box::new(refusal.answer()));
        }
        if let Some(trouble) = self.strike(&scenario.troubles, true, call, api, now) {
            return trouble;
        }
        let name = self.limiter_name(&call.model);
        let limits = &scenario.rules_for(&call.model).limits;
        let limiter = self.limiters.entry(name).or_insert_with(|| Limiter::new(limits));
        let tokens = tokens_charged(call, &scenario);
        let admitted = limiter.admit(tokens, now);
        verdict.headers = limiter.headers(now);
        if let Err(over) = admitted {
            // A refusal needs no thinking time.
            verdict.delay = Duration::ZERO;
            self.stats.refused.add(over.dimension.name());
            return Outcome::Answer(Box::new(limiter.refuse(&over, &call.model)));
        }
        self.stats.granted += 1;
        self.stats.tokens += tokens;
        self.stats.in_flight += 1;
        self.stats.in_flight_max = self.stats.in_flight_max.max(self.stats.in_flight);
        let trouble = self.strike(&scenario.troubles, false, call, api, now);
        let outcome = trouble.unwrap_or(Outcome::Serve);
        let begun = match &outcome {
            Outcome::Serve => true,
            Outcome::Answer(_) => false,
            Outcome::Trouble(what, _) => is_begun(what),
        };
        if begun {
            self.remember(api, call, incoming, verdict.number, is_sound(&outcome), now);
        }
        let (model, sound) = (call.model.clone(), is_sound(&outcome));
        verdict.ticket = Some(Ticket { model, sound, bill: Bill::default() });
        outcome
    }

    /// Notes what came of a call that was begun, whatever the client hears of it.
    fn remember(
        &mut self,
        api: Api,
        call: &Call,
        incoming: &Incoming<'_>,
        number: u64,
        sound: bool,
        now: Duration,
    ) {
        if let Special::Run(place) = &call.special {
            let speech = speak(call, &self.scenario.manner);
            self.shelf.ran(place, call, &speech, sound, now);
        } else {
            self.shelf.answered(api, call, incoming.body, number, now);
        }
    }

    fn count_call(&mut self, api: Api, call: &Call) {
        self.stats.models.add(&call.model);
        self.stats.endpoints.add(api.name());
        if let Some(user) = &call.user {
            self.stats.users.add(user);
        }
    }

    fn count_trouble(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Serve | Outcome::Answer(_) => {}
            Outcome::Trouble(What::Fault(order), _) => self.stats.faults.add(order.fault.name()),
            Outcome::Trouble(What::Kind(kind), _) => self.stats.kinds.add(kind),
            Outcome::Trouble(What::Status(status), _) => {
                self.stats.faults.add(&format!("status_{status}"));
            }
        }
    }

    /// The first trouble of the scenario that hits this request.
    fn strike(
        &mut self,
        troubles: &[Trouble],
        before_limits: bool,
        call: &Call,
        api: Api,
        now: Duration,
    ) -> Option<Outcome> {
        let mut struck = None;
        for (trouble, chances) in troubles.iter().zip(&mut self.chances) {
            if trouble.before_limits != before_limits || !trouble.concerns(&call.model, api, now) {
                continue;
            }
            *chances += 1;
            if trouble.hits(*chances, &mut self.dice) && struck.is_none() {
                struck = Some(Outcome::Trouble(trouble.what.clone(), trouble.retry_after.clone()));
            }
        }
        struck
    }
}

/// What a request is charged: its prompt, and what it allows as output or, if it names nothing, gets.
fn tokens_charged(call: &Call, scenario: &Scenario) -> u64 {
    let output =
        call.max_tokens.map_or_else(|| speak(call, &scenario.manner).len() as u64, u64::from);
    call.prompt_tokens + output * u64::from(call.n)
}

/// A model that names its failure.
pub(crate) fn on_demand(model: &str) -> Option<What> {
    let name = model.strip_prefix("sim-")?;
    if name == "slow" {
        return Some(What::Fault(Order::of(Fault::SlowHeaders)));
    }
    let kind = KindSpec::named(name).map(|kind| What::Kind(kind.name));
    kind.or_else(|| Fault::named(name).map(|fault| What::Fault(Order::of(fault))))
}

fn unfit(scenario: &Scenario, call: &Call, api: Api) -> Option<Refusal> {
    let listed = scenario.models.as_ref().map(|models| models.contains(&call.model));
    // A selector that names nothing must not be taken for a model that works.
    if !listed.unwrap_or_else(|| !models::is_selector(&call.model)) {
        return Some(Refusal::no_model(&call.model));
    }
    if matches!(call.special, Special::Partial(_)) && scenario.manner.prefill == Prefill::Refuse {
        let message = "This model does not go on with a partial assistant message: the last message must be the user's.";
        return Some(Refusal::new(400, message));
    }
    let window = scenario.rules_for(&call.model).context_window?;
    let output = call.max_tokens.map_or(0, u64::from);
    let param = if api == Api::Responses { "input" } else { "messages" };
    (call.prompt_tokens + output > window)
        .then(|| Refusal::too_long(window, call.prompt_tokens, output, param))
}

/// Whether the work is begun although this goes wrong, whatever the client hears of it.
fn is_begun(what: &What) -> bool {
    match what {
        What::Fault(_) => true,
        What::Status(_) => false,
        What::Kind(name) => {
            KindSpec::named(name).is_some_and(|kind| matches!(kind.acts, Acts::Wire(_)))
        }
    }
}

/// Whether the client gets the whole answer, however slowly or oddly.
fn is_sound(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Serve => true,
        Outcome::Answer(_) | Outcome::Trouble(What::Kind(_) | What::Status(_), _) => false,
        Outcome::Trouble(What::Fault(order), _) => order.fault.is_harmless(),
    }
}

#[cfg(test)]
mod tests;
