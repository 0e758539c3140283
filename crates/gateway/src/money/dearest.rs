//! The price that is held for a call: the dearest of the places it may go to.

use std::cell::RefCell;
use std::sync::Arc;

use mainstay::{Edition, Engine};
use mainstay_core::money::Price;

use super::{MoneyAsk, MoneyRules};
use crate::recent::Recent;

thread_local! {
    /// Of the models that this thread's calls have named of late.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Prices by a configuration.
#[derive(Debug, Default)]
struct Known {
    /// Of the places, and the rules.
    by: Option<(Edition, Arc<MoneyRules>)>,
    prices: Recent<Option<Price>>,
}

/// The dearest price of the places a call may go to; `None` when one of them has none.
pub(super) fn price(ask: &MoneyAsk<'_>) -> Option<Price> {
    let Some(model) = ask.call.model.as_deref() else { return find(ask.engine, ask.rules, None) };
    KNOWN.with_borrow_mut(|known| {
        let same = |(edition, rules): &(Edition, Arc<MoneyRules>)| {
            ask.engine.is_edition(edition) && Arc::ptr_eq(rules, ask.rules)
        };
        if !known.by.as_ref().is_some_and(same) {
            known.prices.forget();
            known.by = Some((ask.engine.edition(), Arc::clone(ask.rules)));
        }
        known.prices.get(model, || find(ask.engine, ask.rules, Some(model)))
    })
}

fn find(engine: &Engine, rules: &MoneyRules, model: Option<&str>) -> Option<Price> {
    let mut dearest = Some(Price::default());
    engine.places(model, &mut |provider, model| {
        let price = model.and_then(|model| rules.prices.price(provider, model));
        dearest = dearest.and_then(|dearest| Some(dearest.or_dearer(&price?)));
    });
    dearest
}
