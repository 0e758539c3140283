//! A provider's model: real limiters, faults, and what it says about them.

use super::scene::{Counting, Later, ProviderScene, Scripted, Telling};
use mainstay_core::dice::Dice;
use mainstay_core::hints::{Dimension, RateHints};
use mainstay_core::rules::pacer::{Refusal, RefusedBy};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// How an attempt ended, as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    Success {
        tokens: u64,
    },
    Refused(Refusal),
    /// 500.
    Failed,
    /// The connection is cut, of a stream after its first content.
    Cut,
    /// 503, and the wait it asks for.
    Unavailable(Option<Duration>),
    Silent,
    /// 400: the request is at fault.
    Faulted,
    /// 400: the prompt is too long for the window.
    TooLong,
}

/// One limiter of any kind. All three answer the same two questions.
#[derive(Debug)]
struct Limiter {
    counting: Counting,
    per_second: f64,
    size: f64,
    level: f64,
    at: f64,
    log: VecDeque<(f64, f64)>,
}

impl Limiter {
    fn new(scene: &ProviderScene, per_minute: f64) -> Limiter {
        let per_second = per_minute / 60.0;
        let (size, level) = match scene.counting {
            Counting::Continuous => {
                let size = f64::max(1.0, per_second * scene.capacity_s);
                (size, size * scene.initial)
            }
            Counting::Window | Counting::Sliding => (per_minute.max(1.0), per_minute.max(1.0)),
        };
        Limiter { counting: scene.counting, per_second, size, level, at: 0.0, log: VecDeque::new() }
    }

    fn refill(&mut self, now: f64) {
        match self.counting {
            Counting::Continuous => {
                self.level = self.size.min(self.level + (now - self.at) * self.per_second);
            }
            Counting::Window => {
                if (now / 60.0).floor() > (self.at / 60.0).floor() {
                    self.level = self.size;
                }
            }
            Counting::Sliding => {
                while let Some((when, cost)) = self.log.front().copied()
                    && when + 60.0 <= now
                {
                    self.level += cost;
                    self.log.pop_front();
                }
            }
        }
        self.at = now;
    }

    fn take(&mut self, cost: f64, now: f64) {
        self.level -= cost;
        if self.counting == Counting::Sliding {
            self.log.push_back((now, cost));
        }
    }

    /// Seconds until `cost` fits; 0 when it does.
    fn wait_for(&self, cost: f64, now: f64) -> f64 {
        let lacking = cost.min(self.size) - self.level;
        if lacking <= 0.0 {
            return 0.0;
        }
        match self.counting {
            Counting::Continuous => lacking / self.per_second,
            Counting::Window => 60.0 - now % 60.0,
            Counting::Sliding => {
                let mut back = 0.0;
                let due = self.log.iter().find(|(_, cost)| {
                    back += cost;
                    back >= lacking
                });
                due.map_or(60.0, |(when, _)| when + 60.0 - now)
            }
        }
    }

    fn seen(&self, limit: f64, now: f64) -> Dimension {
        let reset = match self.counting {
            Counting::Continuous => (self.size - self.level) / self.per_second,
            Counting::Window => 60.0 - now % 60.0,
            Counting::Sliding => self.log.back().map_or(0.0, |(when, _)| when + 60.0 - now),
        };
        Dimension {
            limit: Some(whole(limit)),
            remaining: Some(whole(self.level)),
            reset: Some(Duration::from_millis(whole(reset * 1000.0))),
            window: None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// Who is limited: what one provider counts, or several that belong to one account.
#[derive(Debug)]
pub(super) struct Account {
    requests: Limiter,
    tokens: Limiter,
    active: u32,
    others_at: f64,
    /// It has become what it becomes later.
    turned: bool,
}

impl Account {
    pub(super) fn new(scene: &ProviderScene) -> Account {
        Account {
            requests: Limiter::new(scene, scene.rpm),
            tokens: Limiter::new(scene, scene.tpm),
            active: 0,
            others_at: 0.0,
            turned: false,
        }
    }
}

/// A provider in the laboratory. Its time is in seconds since the start.
#[derive(Debug)]
pub(super) struct Provider {
    scene: ProviderScene,
    account: Rc<RefCell<Account>>,
    reached: usize,
    dice: Dice,
}

/// What the provider decided when an attempt reached it: the ending, and seconds until it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    pub(super) ending: Ending,
    pub(super) after: f64,
    /// It was let in: it counts among those at once.
    pub(super) active: bool,
}

impl Provider {
    pub(super) fn new(
        scene: &ProviderScene,
        account: Rc<RefCell<Account>>,
        dice: Dice,
    ) -> Provider {
        Provider { account, reached: 0, dice, scene: scene.clone() }
    }

    pub(super) fn account(&self) -> Rc<RefCell<Account>> {
        Rc::clone(&self.account)
    }

    pub(super) fn scene(&self) -> &ProviderScene {
        &self.scene
    }

    pub(super) fn between(&mut self, range: (f64, f64)) -> f64 {
        range.0 + (range.1 - range.0) * self.dice.draw()
    }

    fn now(ending: Ending) -> Decision {
        Decision { ending, after: 0.0, active: false }
    }

    /// An attempt that costs `tokens` arrives.
    pub(super) fn reach(&mut self, tokens: u64, now: f64) -> Decision {
        self.become_later(now);
        if let Some(ending) = self.scripted(tokens) {
            let after = self.between(self.scene.latency);
            return Decision { after, ..Provider::now(ending) };
        }
        let out = self.scene.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        if let Some((_, _, silent)) = out {
            return Provider::now(if *silent { Ending::Silent } else { self.unavailable() });
        }
        if self.scene.fault_rate > 0.0 && self.dice.draw() < self.scene.fault_rate {
            return Provider::now(Ending::Faulted);
        }
        self.serve_others(now);
        let account = Rc::clone(&self.account);
        let mut account = account.borrow_mut();
        if self.scene.concurrency > 0 && account.active >= self.scene.concurrency {
            let refusal = Refusal { dimension: RefusedBy::Concurrent, ..Refusal::default() };
            return Provider::now(Ending::Refused(refusal));
        }
        let cost = tokens as f64;
        let (requests, by_tokens) =
            (account.requests.wait_for(1.0, now), account.tokens.wait_for(cost, now));
        if requests > 0.0 || by_tokens > 0.0 {
            return Provider::now(Ending::Refused(self.refusal(requests, by_tokens)));
        }
        account.requests.take(1.0, now);
        account.tokens.take(cost, now);
        account.active += 1;
        let roll = self.dice.draw();
        let s = &self.scene;
        let ending = if roll < s.silent_rate {
            Ending::Silent
        } else if roll < s.silent_rate + s.reset_rate {
            Ending::Cut
        } else if roll < s.silent_rate + s.reset_rate + s.error_rate {
            Ending::Failed
        } else {
            Ending::Success { tokens }
        };
        Decision { ending, after: self.between(self.scene.latency), active: true }
    }

    fn unavailable(&self) -> Ending {
        let hint = Duration::try_from_secs_f64(self.scene.away_hint).unwrap_or_default();
        Ending::Unavailable((!hint.is_zero()).then_some(hint))
    }

    /// What the script says about the attempt that arrives.
    fn scripted(&mut self, tokens: u64) -> Option<Ending> {
        let scripted = self.scene.script.get(self.reached).copied();
        self.reached += 1;
        Some(match scripted? {
            Scripted::Well => Ending::Success { tokens },
            Scripted::Failed => Ending::Failed,
            Scripted::Unavailable(wait) => Ending::Unavailable(wait),
            Scripted::Refused(wait) => Ending::Refused(Refusal {
                dimension: RefusedBy::Requests,
                wait,
                ..Refusal::default()
            }),
            Scripted::Faulted => Ending::Faulted,
            Scripted::TooLong => Ending::TooLong,
        })
    }

    /// From a moment on it has other limits, and other words for them.
    fn become_later(&mut self, now: f64) {
        if !self.scene.later.is_some_and(|later| now >= later.at) {
            return;
        }
        let Some(Later { rpm, tpm, telling, .. }) = self.scene.later.take() else { return };
        self.scene = ProviderScene { rpm, tpm, telling, ..self.scene.clone() };
        let account = &mut *self.account.borrow_mut();
        if std::mem::replace(&mut account.turned, true) {
            return;
        }
        account.requests = Limiter::new(&self.scene, rpm);
        account.tokens = Limiter::new(&self.scene, tpm);
        (account.requests.at, account.tokens.at) = (now, now);
    }

    /// Limits refill, and others who share them take their part as evenly as they can.
    fn serve_others(&mut self, now: f64) {
        let account = &mut *self.account.borrow_mut();
        account.requests.refill(now);
        account.tokens.refill(now);
        if self.scene.others <= 0.0 {
            return;
        }
        let gap = 60.0 / (self.scene.rpm * self.scene.others);
        let mut left = 10_000;
        while account.others_at + gap <= now && left > 0 {
            account.others_at += gap;
            left -= 1;
            if account.requests.level >= 1.0 {
                account.requests.take(1.0, now);
            }
        }
    }

    fn refusal(&self, requests: f64, tokens: f64) -> Refusal {
        let (dimension, limit, wait) = if requests >= tokens {
            (RefusedBy::Requests, self.scene.rpm, requests)
        } else {
            (RefusedBy::Tokens, self.scene.tpm, tokens)
        };
        let millis = Duration::from_millis(whole(wait * 1000.0) + 1);
        let (limit, wait) = match self.scene.telling {
            Telling::Headers | Telling::Text => (Some(limit.floor()), Some(millis)),
            Telling::Seconds => (None, Some(Duration::from_secs(whole(wait) + 1))),
            Telling::Nothing => (None, None),
        };
        Refusal { dimension, limit_per_minute: limit, wait, requested: None }
    }

    /// The attempt leaves the provider. What the headers say is as of now.
    pub(super) fn finish(&mut self, active: bool, now: f64) -> RateHints {
        if active {
            self.account.borrow_mut().active -= 1;
        }
        if self.scene.telling != Telling::Headers {
            return RateHints::default();
        }
        if self.dice.draw() < self.scene.absurd_headers {
            return self.absurd();
        }
        let account = self.account.borrow();
        RateHints {
            requests: Some(account.requests.seen(self.scene.rpm, now)),
            tokens: Some(account.tokens.seen(self.scene.tpm, now)),
            ..RateHints::default()
        }
    }

    /// What no sound provider would say.
    fn absurd(&mut self) -> RateHints {
        let numbers = [0, 1, u64::MAX, 1_000_000_000_000_000];
        let mut number = || numbers[usize::try_from(self.dice.below(4)).unwrap_or(0)];
        let seen = Dimension {
            limit: Some(number().max(1)),
            remaining: Some(number()),
            reset: Some(Duration::from_secs(number() % 100_000_000)),
            window: None,
        };
        RateHints { requests: Some(seen), tokens: Some(seen), ..RateHints::default() }
    }
}
