//! A hold on its way: to the disk, and before that, where budgets are shared, to a lease.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mainstay_core::money::budget::{Over, Why};
use mainstay_core::store::{HoldNumber, LedgerTrouble, UnixMillis};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::account::{Account, MoneyHold};
use super::{Money, words};
use crate::refused::Refused;

/// A hold on its way.
#[derive(Debug)]
#[must_use = "a call is sent when its hold is written"]
pub(crate) struct Pledge {
    state: State,
    money: Arc<Money>,
}

#[derive(Debug)]
enum State {
    /// Held, and noted in the ledger.
    Held(Held),
    /// Nothing is held: this gateway has nothing leased that is left, and asks for more.
    Short(Arc<Account>, watch::Receiver<u64>, UnixMillis),
}

/// A hold as the ledger has noted it.
type Held = (MoneyHold, Taken);
/// What is to be handed over, and who tells then that it is written; nobody: it is.
type Taken = (HoldNumber, Option<Told>);
type Told = oneshot::Receiver<Result<(), LedgerTrouble>>;

impl Money {
    /// Holds what a call may cost, or says that a lease is to be waited for. `None`: it could not be
    /// written down, and no hard budget applies.
    ///
    /// # Errors
    ///
    /// A hard budget has no room, or the hold cannot be written down.
    pub(crate) fn hold(
        self: &Arc<Self>,
        account: Arc<Account>,
        now: UnixMillis,
    ) -> Result<Option<Pledge>, Refused> {
        // Before the hold is tried: no turn after it is missed.
        let turns = self.books.turns();
        let pledge = |state| Ok(Some(Pledge { state, money: Arc::clone(self) }));
        match begin(&account, now) {
            Ok(Ok(taken)) => pledge(State::Held((MoneyHold::new(account), taken))),
            Ok(Err(trouble)) if account.is_hard() => Err(self.unwritten(&trouble)),
            Ok(Err(_)) => {
                self.counts.unrecorded.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            Err(over) => match turns {
                Some(turns) => pledge(State::Short(account, turns, now)),
                None => Err(self.over(&over, now)),
            },
        }
    }

    fn over(&self, over: &Over, now: UnixMillis) -> Refused {
        self.counts.over.fetch_add(1, Ordering::Relaxed);
        words::over(over, now)
    }

    fn unwritten(&self, trouble: &LedgerTrouble) -> Refused {
        self.counts.unwritten.fetch_add(1, Ordering::Relaxed);
        words::unwritten(trouble)
    }

    fn unleased(&self, refused: Refused) -> Refused {
        self.counts.unleased.fetch_add(1, Ordering::Relaxed);
        refused
    }

    /// Waits until the lease has room, at most the configured time.
    async fn leased(
        &self,
        account: Arc<Account>,
        mut turns: watch::Receiver<u64>,
        now: UnixMillis,
    ) -> Result<Held, Refused> {
        let until = Instant::now() + account.lease_wait();
        self.counts.lease_waits.fetch_add(1, Ordering::Relaxed);
        let mut hurries = true;
        loop {
            let Some(leases) = self.leases() else { return Err(words::away()) };
            if leases.trouble().is_some() {
                return Err(self.unleased(words::away()));
            }
            if hurries {
                leases.hurry();
            }
            let in_time = timeout_at(until, turns.changed()).await.is_ok();
            let over = match begin(&account, now) {
                Ok(Ok(taken)) => return Ok((MoneyHold::new(account), taken)),
                Ok(Err(trouble)) => return Err(self.unwritten(&trouble)),
                Err(over) => over,
            };
            match over.why {
                Why::Spent | Why::NotReady => return Err(self.over(&over, now)),
                Why::Leased | Why::Elsewhere if !in_time => {
                    return Err(self.unleased(words::elsewhere(&over)));
                }
                // Others give back with their own turns: asking more often brings nothing.
                Why::Leased | Why::Elsewhere => hurries = over.why == Why::Leased,
            }
        }
    }
}

/// Holds in the budgets and in the ledger, or in neither.
fn begin(account: &Account, now: UnixMillis) -> Result<Result<Taken, LedgerTrouble>, Box<Over>> {
    let mut waits = None;
    let taken = account.begin(now, &mut || {
        let (tell, told) = oneshot::channel();
        waits = Some(told);
        Box::new(move |result| {
            // Nobody listens any more: the caller has left, and the guard releases.
            let _ = tell.send(result);
        })
    })?;
    Ok(taken.map(|noted| (noted, waits)))
}

impl Pledge {
    /// Waits until there is room and the hold is as durable as the ledger's mode says.
    ///
    /// # Errors
    ///
    /// Nothing is held: there is no room, or it could not be written and a hard budget applies.
    pub(crate) async fn written(self) -> Result<MoneyHold, Refused> {
        let Pledge { state, money } = self;
        let (hold, taken) = match state {
            State::Held(held) => held,
            State::Short(account, turns, now) => {
                Box::pin(money.leased(account, turns, now)).await?
            }
        };
        match lasts(&money, taken).await {
            Ok(()) => Ok(hold),
            // It stays in the ledger's queue, and is settled like any other.
            Err(_) if !hold.is_hard() => Ok(hold),
            Err(trouble) => Err(money.unwritten(&trouble)),
        }
    }
}

/// Hands a hold over, and waits until it is as durable as the ledger's mode says.
async fn lasts(money: &Money, (noted, told): Taken) -> Result<(), LedgerTrouble> {
    money.ledger().map_or(Ok(()), |ledger| ledger.hand_over(noted))?;
    let Some(told) = told else { return Ok(()) };
    let ended = |_| Err(LedgerTrouble::Failing { why: "its thread has ended".to_owned() });
    told.await.unwrap_or_else(ended)
}
