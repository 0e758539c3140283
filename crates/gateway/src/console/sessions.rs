//! Who is logged in. Sessions are in memory, few, and end: by themselves when nobody is there, after a
//! working day in any case, and all of them with the process.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::{Digest, StoreError};
use mainstay_core::time::Moment;
use mainstay_store::{digest, random_token, same_digest};

/// Sessions at once; a further login ends the one that was unused for longest.
pub(super) const SESSIONS_MAX: usize = 64;
/// A session that is not used for so long is over.
pub(super) const IDLE: Duration = Duration::from_hours(1);
/// A session is over after so long, used or not.
pub(super) const TOTAL: Duration = Duration::from_hours(12);

/// Who is logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Vec<Session>>);

#[derive(Debug)]
struct Session {
    /// Of the token, which only the browser has.
    digest: Digest,
    seat: Seat,
    begun: Moment,
    used: Moment,
}

/// What a session gives its pages.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    form_token: String,
}

impl Seat {
    /// What every form carries, so that only pages of this session are obeyed.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether it is that; the time taken does not tell how near it is.
    pub(super) fn is_token(&self, given: &str) -> bool {
        same_digest(&digest(self.form_token.as_bytes()), &digest(given.as_bytes()))
    }
}

impl Sessions {
    /// Begins a session; gives the token that is to come back with every request.
    pub(super) fn open(&self, now: Moment) -> Result<String, StoreError> {
        let (token, form_token) = (random_token()?, random_token()?);
        let digest = digest(token.as_bytes());
        let mut all = self.living(now);
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) = (0..all.len()).min_by_key(|index| all[*index].used)
        {
            all.swap_remove(oldest);
        }
        all.push(Session { digest, seat: Seat { form_token }, begun: now, used: now });
        Ok(token)
    }

    /// The session of a token. `only_looking`: it is not used by this, so that a page left open does
    /// not keep itself alive.
    pub(super) fn find(&self, token: &str, now: Moment, only_looking: bool) -> Option<Seat> {
        let digest = digest(token.as_bytes());
        let mut all = self.living(now);
        let found = all.iter_mut().find(|one| same_digest(&one.digest, &digest))?;
        if !only_looking {
            found.used = now;
        }
        Some(found.seat.clone())
    }

    /// Ends the session of a token.
    pub(super) fn close(&self, token: &str, now: Moment) {
        let digest = digest(token.as_bytes());
        self.living(now).retain(|one| !same_digest(&one.digest, &digest));
    }

    fn living(&self, now: Moment) -> MutexGuard<'_, Vec<Session>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| now.since(one.used) < IDLE && now.since(one.begun) < TOTAL);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Moment {
        Moment::from_millis(minutes * 60_000)
    }

    #[test]
    fn a_session_ends_when_nobody_is_there_and_looking_does_not_count() {
        let sessions = Sessions::default();
        let token = sessions.open(at(0)).unwrap();
        assert!(sessions.find(&token, at(50), false).is_some());
        assert!(sessions.find(&token, at(100), true).is_some());
        assert!(sessions.find(&token, at(110), true).is_none(), "used at 50, over at 110");
    }

    #[test]
    fn a_session_ends_after_twelve_hours_of_use() {
        let sessions = Sessions::default();
        let token = sessions.open(at(0)).unwrap();
        for step in 1..24 {
            assert!(sessions.find(&token, at(step * 30), false).is_some(), "{step}");
        }
        assert!(sessions.find(&token, at(12 * 60), false).is_none());
    }

    #[test]
    fn logging_out_ends_the_session_and_no_other() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.open(at(0)).unwrap(), sessions.open(at(0)).unwrap());
        sessions.close(&one, at(1));
        assert!(sessions.find(&one, at(1), false).is_none());
        assert!(sessions.find(&two, at(1), false).is_some());
        assert!(sessions.find("", at(1), false).is_none());
    }

    #[test]
    fn a_further_login_ends_the_session_that_was_unused_for_longest() {
        let sessions = Sessions::default();
        let tokens: Vec<String> =
            (0..SESSIONS_MAX).map(|_| sessions.open(at(0)).unwrap()).collect();
        for token in tokens.iter().skip(1) {
            assert!(sessions.find(token, at(1), false).is_some());
        }
        let further = sessions.open(at(2)).unwrap();
        assert!(sessions.find(&tokens[0], at(2), true).is_none());
        assert!(sessions.find(&tokens[1], at(2), true).is_some());
        assert!(sessions.find(&further, at(2), true).is_some());
    }

    #[test]
    fn a_form_token_is_its_sessions_own() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.open(at(0)).unwrap(), sessions.open(at(0)).unwrap());
        let seat = |token: &str| sessions.find(token, at(0), false).unwrap();
        assert!(seat(&one).is_token(seat(&one).form_token()));
        assert!(!seat(&one).is_token(seat(&two).form_token()));
    }
}
