//! What a call passes before it is sent and after it is over, without a socket and without a provider:
//! key, limits, budgets, ledger. For benches, which measure exactly this part.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use mainstay::Engine;
use mainstay::Fields;
use mainstay::call::{AttemptRecord, Call, CallBody, Trace, Used};
use mainstay::spec::EngineSpec;
use mainstay_core::store::{Ledger, Store, StoreError};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;
use mainstay_core::wire::quoted::Words;
use mainstay_core::wire::usage::Usage;

use crate::admission::{Admission, Ask, Ending, Who};
use crate::auth::{KeyBook, authenticate};
use crate::money::{Asked, Money, MoneyAsk, Pledge};
use crate::routes::ApiPath;
use crate::settings::{Auth, Settings};
use crate::shared::Wall;
use crate::{door, ids, look};

/// The part of a gateway that decides who may call and what for.
#[derive(Debug)]
pub struct Rehearsal {
    keys: KeyBook,
    admission: Admission,
    money: Arc<Money>,
    engine: Arc<Engine>,
    settings: Settings,
    wall: Wall,
}

/// Why a rehearsed call was refused: the text that its caller would read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAdmitted(pub String);

impl Rehearsal {
    /// Over a store and a ledger.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn new(
        settings: Settings,
        engine: EngineSpec,
        store: &dyn Store,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Rehearsal, StoreError> {
        let made = Rehearsal {
            keys: KeyBook::default(),
            admission: Admission::default(),
            money: Money::new(Some(ledger)),
            engine: Engine::new(engine),
            settings,
            wall: Wall::new(),
        };
        let epoch = store.epoch()?;
        made.keys.refresh(store, epoch)?;
        made.admission.limits.refresh(store, epoch)?;
        made.money.refresh(store, epoch, made.wall.now())?;
        Ok(made)
    }

    /// Finds out who calls, from headers.
    ///
    /// # Errors
    ///
    /// He may not call.
    pub fn authenticate(&self, headers: &Fields) -> Result<(), NotAdmitted> {
        authenticate(Auth::Keys, headers, &self.keys.snapshot(), self.wall.now())
            .map(|_| ())
            .map_err(|refused| NotAdmitted(refused.message))
    }

    /// A chat call from its key to its settlement, as if no provider had been needed: it holds what it
    /// may cost, waits until that is written, and gives it back.
    ///
    /// # Errors
    ///
    /// It was not admitted.
    pub async fn call(&self, headers: &Fields, body: Bytes) -> Result<(), NotAdmitted> {
        let told = |refused: crate::refused::Refused| NotAdmitted(refused.message);
        let caller = authenticate(Auth::Keys, headers, &self.keys.snapshot(), self.wall.now())
            .map_err(told)?;
        let who = Who::of(&caller);
        let call = self.blank(body);
        let now = self.engine.now();
        let prompt = look::prompt(&call);
        let ask = Ask {
            who: &who,
            call: &call,
            prompt,
            counted: None,
            count_refused: false,
            waited: false,
            now,
        };
        let admitted = self.admission.admit(&ask).map_err(|denied| told(denied.into_refused()))?;
        let words = match &call.body {
            CallBody::Buffered(body) => Words::of(body),
            CallBody::Empty | CallBody::Streamed { .. } => Words::default(),
        };
        let asked = Asked { max_output: Some(100), words, ..Asked::default() };
        let (rules, engine) = (&self.settings.money, &*self.engine);
        let now = self.wall.now();
        let ask = MoneyAsk { caller: &caller, call: &call, asked: &asked, rules, engine, now };
        let account = self.money.account(&ask).map_err(told)?;
        let pledge = account.map(|account| self.money.hold(account, now)).transpose();
        let pledge: Option<Pledge> = pledge.map_err(told)?.flatten();
        let trace = answered();
        if let Some(pledge) = pledge {
            let hold = pledge.written().await.map_err(told)?;
            let account = hold.account();
            account.may_start(&Trace::default(), 0);
            account.over(&trace, true);
        }
        let ending = Ending::Walked { trace: &trace, used: trace.used };
        self.admission.settle(admitted, ending, self.engine.now());
        Ok(())
    }

    /// Keys, organizations and budgets as they are known: what a lookup costs depends on how many.
    pub fn keys(&self) -> usize {
        self.keys.snapshot().len()
    }

    /// A chat as the door has it once it has looked into its body.
    fn blank(&self, body: Bytes) -> Call {
        let path = ApiPath { rest: "/chat/completions", endpoint: Endpoint::Chat, unknown: false };
        Call {
            body: CallBody::Buffered(body),
            model: Some("gpt-4o".into()),
            tokens: 120,
            ..door::blank_call(&path, &Method::POST, (*ids::new()).to_owned(), self.engine.now())
        }
    }
}

/// The trace of a call that was answered at once, with usage.
fn answered() -> Trace {
    let usage = Usage { input: 20, output: 30, cached: 0 };
    let used = Some(Used { usage, counted: false });
    let record = AttemptRecord {
        provider: "up".into(),
        model: Some("gpt-4o".into()),
        ended: Some(Moment::ZERO),
        status: Some(200),
        bytes: 500,
        used,
        ..AttemptRecord::default()
    };
    let model = record.model.clone();
    Trace { model, attempts: 1, used, records: vec![record], ..Trace::default() }
}
