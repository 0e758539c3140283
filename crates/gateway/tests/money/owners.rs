//! Budgets of an organization, a project and a key at once: a call fits in all that apply to it or
//! is refused, holds nothing in the others, and is told whose budget it was.

use mainstay_core::money::Usd;
use mainstay_core::money::budget::Every;
use mainstay_core::store::{BudgetOf, BudgetStore, NewBudget, Store};
use mainstay_store::Sqlite;

use super::support::{Caller, Reply, key_in, until};
use super::{Bank, CHAT, now, simulator};

/// At most 0.001 USD and a bit: 100 tokens of answer at 10 USD a million. It costs a sixth of that.
const CALL: &str =
    r#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

fn give(store: &Sqlite, of: BudgetOf, amount: &str, every: Every) {
    let amount = Usd::parse(amount).expect("an amount");
    let zone = "Europe/Berlin".to_owned();
    let new = NewBudget { of, amount, every, zone, hard: true, alerts: vec![] };
    store.set_budget(new, now()).expect("a budget");
}

impl Bank {
    fn call(&self, key: &str) -> Reply {
        let request = String::from_utf8(self.request(CHAT, CALL)).expect("text");
        let mut caller = Caller::to(self.addr);
        caller.send(request.replacen(&self.key, key, 1).as_bytes());
        caller.answer()
    }

    #[track_caller]
    fn refuses(&self, key: &str, words: &[&str]) {
        let reply = self.call(key);
        let message = reply.refused(429, "insufficient_quota");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[test]
fn budgets_of_organization_project_and_key_hold_together_and_name_themselves() {
    let (_runtime, sim) = simulator();
    // Before the gateway opens: a key known before its budget would spend what is told of below.
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(&folder.path().join("m.db")).expect("a store");
    store.create_organization("acme", now()).expect("an organization");
    store.create_project("acme", "web", now()).expect("a project");
    store.create_project("acme", "ci", now()).expect("a project");
    let ((ann, anns), (_, bobs)) = (key_in(&store, "web"), key_in(&store, "web"));
    let (_, cis) = key_in(&store, "ci");
    let key = |id: &str| BudgetOf::Key(id.to_owned());
    let (web, acme) = (BudgetOf::Project("web".into()), BudgetOf::Organization("acme".into()));
    give(&store, key(&ann), "0.0005", Every::Day);
    give(&store, web.clone(), "0.002", Every::Week);
    give(&store, acme.clone(), "0.003", Every::Month);
    let bank = Bank::open_in(folder, sim.addr(), "");
    // Ann's own budget is below one call; what refuses her takes nothing of the project's.
    bank.refuses(&anns, &["budget of this key", "0.0005 USD a day", "It resets at", "--key"]);
    let mut answered = 0;
    while bank.call(&bobs).status == 200 {
        answered += 1;
        assert!(answered < 50, "the project's budget is felt");
    }
    assert!(answered > 0, "hers was refused before it held anything of the project's");
    bank.refuses(&bobs, &["budget of this project", "0.002 USD a week", "--project"]);
    // Another project of the organization has what is left of the organization's.
    while bank.call(&cis).status == 200 {
        answered += 1;
        assert!(answered < 50, "the organization's budget is felt");
    }
    bank.refuses(&cis, &["budget of this organization", "0.003 USD a month", "--org"]);
    assert_eq!(bank.post(CHAT, CALL).status, 200, "another organization is not affected");
    // Credit for one of them is none for the others.
    let cent = Usd::parse("0.01").expect("an amount");
    bank.store.raise_budget(&acme, None, cent, now()).expect("a budget");
    until("the organization's credit works", || bank.call(&cis).status == 200);
    bank.refuses(&bobs, &["budget of this project"]);
    bank.store.raise_budget(&web, None, cent, now()).expect("a budget");
    until("the project's credit works", || bank.call(&bobs).status == 200);
    bank.refuses(&anns, &["budget of this key"]);
    assert!(bank.close() > Usd::ZERO, "{answered} were answered");
}
