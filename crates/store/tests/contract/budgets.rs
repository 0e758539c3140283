//! What every store promises of budgets. The same stories run on each of them.

use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Every, Owner};
use mainstay_core::store::{
    BudgetOf, DEFAULT_ORG, NewBudget, NewKey, Scopes, StoreError, UnixMillis,
};
use mainstay_store::{digest, mint};

use crate::ground::on_every_store;

const NOW: UnixMillis = UnixMillis(1_000_000);

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

fn budget(of: BudgetOf, amount: &str) -> NewBudget {
    let (zone, alerts) = ("UTC".to_owned(), vec![80]);
    NewBudget { of, amount: usd(amount), every: Every::Month, zone, hard: true, alerts }
}

fn org() -> BudgetOf {
    BudgetOf::Organization(DEFAULT_ORG.to_owned())
}

#[test]
fn every_change_of_a_budget_is_put_on_record() {
    on_every_store(|store| {
        let store = store.acting("test");
        store.set_budget(budget(org(), "5"), NOW).unwrap();
        store.set_budget(budget(org(), "6"), NOW).unwrap();
        store.raise_budget(&org(), None, usd("1.5"), NOW).unwrap();
        store.remove_budget(&org(), Some(Every::Month), NOW).unwrap();
        let refused = store.remove_budget(&org(), None, NOW);
        assert!(matches!(refused, Err(StoreError::Absent { what: "budget", .. })), "{refused:?}");
        let entries = store.audit(None, 10).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                assert_eq!((&*entry.who, &*entry.subject, entry.at), ("test", DEFAULT_ORG, NOW));
                (&*entry.verb, entry.before.is_some(), entry.after.is_some())
            })
            .collect();
        let set = "budget.set";
        let want = [
            ("budget.remove", true, false),
            ("budget.raise", true, true),
            (set, true, true),
            (set, false, true),
        ];
        assert_eq!(told, want, "what failed is no change");
        let raised = entries[1].after.as_deref().unwrap();
        assert!(raised.contains(r#""amount_usd":"6.00","credits_usd":"1.50""#), "{raised}");
    });
}

#[test]
fn the_successor_of_a_key_has_its_budgets_with_nothing_spent() {
    on_every_store(|store| {
        let key = mint().unwrap();
        let new = NewKey {
            public: key.public(),
            digest: digest(key.secret().as_bytes()),
            name: "k".to_owned(),
            project: None,
            user: None,
            scopes: Scopes::default(),
            models: Vec::new(),
            expires_at: None,
        };
        let old = store.create_key(new, NOW).unwrap();
        let set = store.set_budget(budget(BudgetOf::Key(old.id()), "5"), NOW).unwrap();
        let fresh = mint().unwrap();
        let successor = (fresh.public(), digest(fresh.secret().as_bytes()));
        let new = store.rotate_key(old.public, successor, Duration::ZERO, NOW).unwrap();
        let all = store.budgets_since(0).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].owner, Owner::Key(new.id().into()));
        assert_eq!(
            (all[1].amount, all[1].every, all[1].baseline),
            (set.amount, set.every, Usd::ZERO)
        );
    });
}

#[test]
fn an_alert_is_raised_once_for_a_period_a_percentage_and_a_limit() {
    on_every_store(|store| {
        let owner = Owner::Project("p".into());
        let first = Alert {
            rule: 7,
            owner,
            percent: 80,
            since: NOW,
            settled: usd("8.000000000001"),
            limit: usd("10"),
        };
        let raised = store.raise_alert(DEFAULT_ORG, &first, NOW).unwrap().unwrap();
        assert_eq!((&*raised.org, &raised.alert), (DEFAULT_ORG, &first));
        let again = Alert { settled: usd("9"), ..first.clone() };
        assert_eq!(store.raise_alert(DEFAULT_ORG, &again, NOW).unwrap(), None);
        let others = [
            Alert { percent: 100, ..first.clone() },
            Alert { limit: usd("20"), ..first.clone() },
            Alert { since: UnixMillis(2_000_000), ..first.clone() },
            Alert { rule: 8, ..first.clone() },
        ];
        for other in &others {
            assert!(store.raise_alert(DEFAULT_ORG, other, NOW).unwrap().is_some(), "{other:?}");
        }
        let all = store.alerts(0, 100).unwrap();
        assert_eq!(all.len(), 5);
        assert_eq!(all[0], raised);
        assert_eq!(store.alerts(raised.id, 2).unwrap(), all[1..3]);
    });
}
