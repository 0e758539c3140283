//! A node's lease of one rate: what it may spend without asking, and what it has to say.

use core::time::Duration;

use super::super::limits::{Fits, Left};
use super::group::{Reach, View};
use super::message::{RateAsk, RateTold};
use super::micros;
use super::pace::{Pace, between};
use crate::time::Moment;

/// Shortest time between a reply that says that not enough is left and the next message for more.
const AGAIN: Duration = Duration::from_millis(5);
/// The same for leases asked for ahead, when nothing was granted.
const AHEAD_AGAIN: Duration = Duration::from_millis(50);
/// How long a refusal of tokens is believed: others give back what their calls did not use.
const BELIEVED: Duration = Duration::from_secs(1);
/// What is to be given back is told once it is this part of the burst, or so old, if nothing else is to be
/// said: of what is older than a second nothing counts any more.
const BACK_PART: u64 = 64;
const BACK_OLD: Duration = Duration::from_millis(250);

/// A lease of a rate. Its measure is units times the window's microseconds, and exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RateLease {
    pace: Option<Pace>,
    /// Granted and not spent.
    credit: u128,
    /// What the credit was after the last grant, as far as it is held and not for waiting calls.
    chunk: u128,
    /// Until when what was granted last counts as on its way to a waiting call.
    fresh_until: Moment,
    /// Unspent credit is given back then.
    until: Moment,
    /// Spent without a lease and not told yet; what is older than a burst takes to be given has no
    /// say any more.
    owed: u128,
    /// The same, of the burst's time before.
    owed_before: u128,
    /// When that begins anew.
    owed_until: Moment,
    /// To be given back, and since when the first of it is.
    back: u128,
    back_from: Moment,
    /// Both, in the message under way.
    owed_sent: [u128; 2],
    known: Option<Known>,
    waiting: Waiting,
    again_from: Moment,
    ahead_from: Moment,
    /// While the place is away: until when this node's own part counts as used.
    alone: Option<Moment>,
    /// What is to be given back is told at once: the node stops.
    leaves: bool,
    at: Moment,
}

/// What was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    debt: u64,
    count: u64,
    at: Moment,
}

/// What waiting calls need: the least of them, and all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waiting {
    least: u128,
    all: u128,
}

/// Whether a call fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does.
    Room,
    /// Nobody knows without asking.
    Ask,
    /// It does not.
    Refused(Fits),
}

impl RateLease {
    /// The limit is another one, or is among more nodes or fewer; `None`: it is none any more. What was leased
    /// is kept: units stay units.
    pub(super) fn change(&mut self, pace: Option<&Pace>, now: Moment) {
        let Some(rate) = pace else {
            *self = RateLease { at: now, ..RateLease::default() };
            return;
        };
        if !self.pace.is_some_and(|old| old.is_limit_of(rate)) {
            let count = self.known.map_or(0, |known| known.count);
            self.known = self.known.map(|_| Known { debt: 0, count, at: now });
            (self.alone, self.again_from) = (None, Moment::ZERO);
        }
        self.pace = pace.copied();
    }

    /// Lets time pass. Done once more in the same moment it changes nothing, whatever was taken, settled or
    /// told meanwhile.
    pub(super) fn flow(&mut self, rate: &Pace, now: Moment) {
        // What is held beyond the node's share lasts no longer than it counts as used.
        let over = self.credit.saturating_sub(rate.hold_fine());
        if over > 0 {
            let passed = between(self.at.max(self.fresh_until), now);
            self.credit -= over.min(rate.fine(passed));
        }
        self.at = now;
        if now >= self.until {
            // Not used up in its time: the next one is leased when somebody calls.
            let unspent = core::mem::take(&mut self.credit);
            self.give_back(unspent, now);
            self.chunk = 0;
        }
        if now >= self.owed_until {
            let burst = Duration::from_micros(rate.burst());
            let last = core::mem::take(&mut self.owed);
            self.owed_before = if now < self.owed_until + burst { last } else { 0 };
            self.owed_until = now + burst;
        }
    }

    /// Whether this many units fit. `tokens`: a refusal may be outlived by what others give back.
    pub(super) fn verdict(&mut self, pace: &Pace, units: u64, tokens: bool, view: View) -> Verdict {
        let View { reach, now, .. } = view;
        if units > pace.limit {
            return Verdict::Refused(Fits::Never);
        }
        let cost = pace.cost(units);
        if self.credit >= cost {
            return Verdict::Room;
        }
        if reach == Reach::Away {
            let wait = self.wait_alone(pace, units, view);
            return if wait == 0 { Verdict::Room } else { later(wait) };
        }
        let wait = self.wait_told(pace, pace.time_up(cost - self.credit), view);
        let believed = !tokens || self.known.is_some_and(|told| now < told.at + BELIEVED);
        let again = self.again_from.since(now);
        if again.is_zero() && (wait == 0 || !believed) {
            return if reach == Reach::Ask { Verdict::Ask } else { later(wait.max(micros(AGAIN))) };
        }
        later(wait.max(micros(again)))
    }

    /// Takes units that fit; or that did not, of a limit that only watches. Whether they are of this
    /// node's own part, because the place is away.
    pub(super) fn take(&mut self, pace: &Pace, units: u64, view: View) -> bool {
        let cost = pace.cost(units);
        if self.credit >= cost {
            self.credit -= cost;
            return false;
        }
        self.owed += cost;
        let away = view.reach == Reach::Away;
        if away {
            // One that is larger than the burst takes longer to be given.
            let given = view.now + Duration::from_micros(pace.time_up(cost));
            self.owed_until = self.owed_until.max(given);
            let until = self.alone_until(pace, view.now).max(view.now);
            self.alone = Some(until + Duration::from_micros(pace.alone(units, view.nodes)));
        }
        away
    }

    /// Takes one unit if the lease has it.
    pub(super) fn take_what_is_there(&mut self, pace: &Pace) {
        self.credit -= pace.cost(1).min(self.credit);
    }

    /// A call waits for these.
    pub(super) fn wait_for(&mut self, pace: &Pace, units: u64) {
        let cost = pace.cost(units);
        if self.credit >= cost {
            return;
        }
        let Waiting { least, all } = &mut self.waiting;
        *least = if *least == 0 { cost } else { cost.min(*least) };
        *all += cost;
    }

    /// Puts what was used in the place of what was reserved; `alone`: of the node's own part.
    pub(super) fn correct(
        &mut self,
        pace: &Pace,
        (reserved, used): (u64, u64),
        alone: bool,
        view: View,
    ) {
        if used > reserved {
            let more = pace.cost(used - reserved);
            let paid = more.min(self.credit);
            self.credit -= paid;
            self.owed += more - paid;
            return;
        }
        let less = pace.cost(reserved - used);
        if alone {
            if let Some(until) = &mut self.alone {
                let back = Duration::from_micros(pace.alone(reserved - used, view.nodes));
                *until = view.now + until.since(view.now).saturating_sub(back);
            }
            let untold = less.min(self.owed);
            self.owed -= untold;
            self.give_back(less - untold, view.now);
            return;
        }
        let hold = pace.hold_fine();
        let kept = less.min(hold.saturating_sub(self.credit));
        if kept > 0 {
            self.credit += kept;
            self.until = self.until.max(view.now + pace.life());
        }
        self.give_back(less - kept, view.now);
    }

    /// With the next message. Nobody could spend it since `from`.
    fn give_back(&mut self, fine: u128, from: Moment) {
        if fine > 0 {
            self.back_from = if self.back > 0 { self.back_from.min(from) } else { from };
            self.back += fine;
        }
    }

    /// Gives everything back that is not spent, with the next message.
    pub(super) fn leave(&mut self) {
        let unspent = core::mem::take(&mut self.credit);
        self.give_back(unspent, self.at);
        (self.chunk, self.leaves) = (0, true);
    }

    /// What was granted by the reply to a message that was sent at `sent` came too late to be spent, and is
    /// given back.
    pub(super) fn late(&mut self, told: &RateTold, sent: Moment) {
        let granted = self.pace.map_or(0, |pace| pace.fine(told.granted)).min(self.credit);
        self.credit -= granted;
        self.give_back(granted, sent);
    }

    /// Whether there is something that cannot wait for other news.
    pub(super) fn is_eager(&self, pace: &Pace, view: View) -> bool {
        self.waiting.all > 0 || self.wants_ahead(pace, view)
    }

    /// Whether there is something to be said at leisure.
    pub(super) fn has_news(&self, now: Moment) -> bool {
        let Some(pace) = &self.pace else { return false };
        let back = pace.time_down(self.back);
        let much = self.leaves || back.saturating_mul(BACK_PART) >= pace.burst();
        self.owes() || back > 0 && (much || now >= self.back_from + BACK_OLD)
    }

    fn owes(&self) -> bool {
        self.owed > 0 || self.owed_before > 0
    }

    fn wants_ahead(&self, pace: &Pace, view: View) -> bool {
        pace.hold() > 0 && self.credit * 10 < self.chunk * 3 && view.now >= self.ahead_from
    }

    /// What there is to be said; a reply or a loss has to follow.
    pub(super) fn ask(&mut self, pace: &Pace, view: View) -> RateAsk {
        let Waiting { least, all } = core::mem::take(&mut self.waiting);
        let lacking = |cost: u128| pace.time_up(cost.saturating_sub(self.credit));
        let need = lacking(least);
        let ahead = least > 0 || self.wants_ahead(pace, view);
        let hold = if ahead { pace.hold_fine() } else { 0 };
        let want = lacking(all + hold).max(need);
        self.owed_sent = [core::mem::take(&mut self.owed), core::mem::take(&mut self.owed_before)];
        let owed = self.owed_sent[0] + self.owed_sent[1];
        let most = super::Pool::DEBT_MAX;
        let back = pace.time_down(core::mem::take(&mut self.back)).min(most);
        let age = between(self.back_from, view.now).saturating_add(micros(view.reply_max));
        RateAsk {
            limit: pace.limit,
            room: pace.room(),
            back,
            age: if back == 0 { 0 } else { age },
            // More than the burst never counts as used by calls that were admitted, but for what is left of
            // one that is larger.
            spent: pace.time_up(owed).min(pace.burst().max(between(view.now, self.owed_until))),
            need: need.min(most),
            want: want.min(most),
            count: self.known.map_or(0, |known| known.count),
            floor: self.debt(view.now),
        }
    }

    /// Takes in the reply to `asked`, sent at `sent`.
    pub(super) fn told(&mut self, asked: &RateAsk, told: &RateTold, sent: Moment, view: View) {
        let now = view.now;
        self.owed_sent = [0, 0];
        self.alone = None;
        let Some(pace) = self.pace.filter(|pace| pace.limit == asked.limit) else {
            // The limit changed meanwhile; what was granted by the old one fades by itself.
            self.known = self.pace.map(|_| Known { debt: 0, count: told.count, at: now });
            return;
        };
        self.known = Some(Known { debt: told.debt, count: told.count, at: now });
        if told.granted > 0 {
            self.credit += pace.fine(told.granted);
            (self.fresh_until, self.until) = (sent + view.reply_max, now + pace.life());
        }
        self.chunk = self.credit.min(pace.hold_fine());
        if told.granted < asked.need {
            self.again_from = now + AGAIN;
        }
        if told.granted < asked.want {
            self.ahead_from = now + if told.granted == 0 { AHEAD_AGAIN } else { AGAIN };
        }
    }

    /// The message or its reply is lost: whether it was heard is not known, so what was spent is told
    /// once more and what was given back is not.
    pub(super) fn lost(&mut self) {
        let [owed, before] = core::mem::take(&mut self.owed_sent);
        (self.owed, self.owed_before) = (self.owed + owed, self.owed_before + before);
    }

    /// What counts as used of all nodes' limit, as far as it was told, in microseconds.
    pub(super) fn debt(&self, now: Moment) -> u64 {
        self.known.map_or(0, |known| known.debt.saturating_sub(between(known.at, now)))
    }

    /// Units that count as used, for people: what cannot be had counts as used.
    pub(super) fn used(&self, pace: &Pace, view: View) -> u64 {
        let debt = match (view.reach, self.alone) {
            (Reach::Away, Some(until)) => between(view.now, until),
            (Reach::Away, None) | (Reach::Ask | Reach::Last, _) => self.debt(view.now),
        };
        let aside = pace.burst() - pace.room();
        let full = debt + aside >= pace.burst();
        pace.units_up(if full { debt + aside } else { debt }.saturating_sub(self.held(pace)))
    }

    /// What is left, of the credit and of what others have not taken.
    pub(super) fn left(&self, pace: &Pace, view: View) -> Left {
        let reset = self.debt(view.now).saturating_sub(self.held(pace));
        let remaining = self.remaining(pace, view.now);
        Left { limit: pace.limit, remaining, reset: Duration::from_micros(reset) }
    }

    /// Units that are left.
    pub(super) fn remaining(&self, pace: &Pace, now: Moment) -> u64 {
        let free = pace.room().saturating_sub(self.debt(now)).saturating_add(self.held(pace));
        pace.units_down(free).min(pace.limit)
    }

    /// Whether it is as good as new.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let nothing = self.credit == 0 && !self.owes() && self.owed_sent == [0, 0];
        let forgotten = self.known.is_none_or(|known| now > known.at + BELIEVED);
        nothing && forgotten && self.waiting.all == 0 && self.debt(now) == 0
    }

    fn held(&self, pace: &Pace) -> u64 {
        pace.time_down(self.credit)
    }

    /// How long until this much more fits, by what was told last.
    fn wait_told(&self, pace: &Pace, need: u64, view: View) -> u64 {
        self.debt(view.now).saturating_sub(pace.room().saturating_sub(need))
    }

    /// The same of this node's own part, which begins with nothing.
    fn wait_alone(&mut self, pace: &Pace, units: u64, view: View) -> u64 {
        let until = self.alone_until(pace, view.now);
        self.alone = Some(until);
        let cost = pace.alone(units, view.nodes);
        between(view.now, until).saturating_sub(pace.burst().saturating_sub(cost))
    }

    /// At first a burst counts as used, or as much as is known to be: one call may be larger than that.
    fn alone_until(&self, pace: &Pace, now: Moment) -> Moment {
        let used = self.debt(now).max(pace.burst());
        self.alone.unwrap_or_else(|| now + Duration::from_micros(used))
    }
}

/// It fits after this many microseconds.
fn later(wait: u64) -> Verdict {
    Verdict::Refused(Fits::After(Duration::from_micros(wait.max(1))))
}
