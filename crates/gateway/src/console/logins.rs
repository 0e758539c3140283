//! How often somebody may try to log in: five wrong tokens, then waits that double.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::time::Moment;

/// Wrong tokens before the first wait.
pub(super) const WRONG_MAX: u32 = 5;
/// The first wait; it doubles with each further wrong token.
const WAIT_MIN: Duration = Duration::from_secs(30);
/// No wait is longer.
const WAIT_MAX: Duration = Duration::from_mins(15);
/// After so long without a wrong token, an address begins anew.
const FORGET: Duration = Duration::from_hours(1);
/// Addresses remembered; one more and the oldest is forgotten.
const PEERS_MAX: usize = 4_096;

/// What addresses have tried.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<IpAddr, Tries>>);

#[derive(Clone, Copy, Debug)]
struct Tries {
    wrong: u32,
    last: Moment,
    until: Moment,
}

/// What is said to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Come in.
    Welcome,
    /// The token is wrong; so many more before a wait.
    Wrong {
        /// Tries left.
        left: u32,
    },
    /// Too many wrong tokens: nothing is looked at before this time is over.
    Wait(Duration),
}

impl Logins {
    /// Judges one try. `right` is asked only when the address does not have to wait.
    pub(super) fn judge(&self, peer: IpAddr, now: Moment, right: impl FnOnce() -> bool) -> Verdict {
        let peer = network(peer);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, tries| now.since(tries.last) < FORGET || now < tries.until);
        let before = all.get(&peer).copied();
        let wait = before.map_or(Duration::ZERO, |tries| tries.until.since(now));
        if !wait.is_zero() {
            return Verdict::Wait(wait);
        }
        if right() {
            all.remove(&peer);
            return Verdict::Welcome;
        }
        let wrong = before.map_or(0, |tries| tries.wrong).saturating_add(1);
        let wait = wait_after(wrong);
        if all.len() >= PEERS_MAX
            && !all.contains_key(&peer)
            && let Some(oldest) = all.iter().min_by_key(|(_, tries)| tries.last).map(|(ip, _)| *ip)
        {
            all.remove(&oldest);
        }
        all.insert(peer, Tries { wrong, last: now, until: now + wait });
        if wait.is_zero() {
            Verdict::Wrong { left: WRONG_MAX.saturating_sub(wrong) }
        } else {
            Verdict::Wait(wait)
        }
    }
}

fn wait_after(wrong: u32) -> Duration {
    let Some(doublings) = wrong.checked_sub(WRONG_MAX) else { return Duration::ZERO };
    WAIT_MIN.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(WAIT_MAX)
}

/// Who has one address of an IPv6 network has all of its 2^64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_wrong_tokens_bring_a_wait_that_doubles_and_is_bounded() {
        let logins = Logins::default();
        let one = peer("192.0.2.1");
        for left in (1..WRONG_MAX).rev() {
            assert_eq!(logins.judge(one, at(0), || false), Verdict::Wrong { left });
        }
        let mut now = 0;
        for wait in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(
                logins.judge(one, at(now), || false),
                Verdict::Wait(Duration::from_secs(wait))
            );
            now += wait;
        }
    }

    #[test]
    fn who_has_to_wait_is_not_even_looked_at_and_others_are() {
        let logins = Logins::default();
        let one = peer("192.0.2.1");
        for _ in 0..WRONG_MAX {
            logins.judge(one, at(0), || false);
        }
        let looked = logins.judge(one, at(29), || panic!("not looked at"));
        assert_eq!(looked, Verdict::Wait(Duration::from_secs(1)));
        assert_eq!(logins.judge(peer("192.0.2.2"), at(29), || true), Verdict::Welcome);
        assert_eq!(logins.judge(one, at(30), || true), Verdict::Welcome);
        assert_eq!(logins.judge(one, at(31), || false), Verdict::Wrong { left: WRONG_MAX - 1 });
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let logins = Logins::default();
        for host in 1..=WRONG_MAX {
            logins.judge(peer(&format!("2001:db8::{host}")), at(0), || false);
        }
        assert!(matches!(logins.judge(peer("2001:db8::77"), at(1), || true), Verdict::Wait(_)));
        assert_eq!(logins.judge(peer("2001:db8:0:1::1"), at(1), || true), Verdict::Welcome);
    }

    #[test]
    fn wrong_tokens_are_forgotten_after_an_hour_and_addresses_are_bounded() {
        let logins = Logins::default();
        let one = peer("192.0.2.1");
        for _ in 1..WRONG_MAX {
            logins.judge(one, at(0), || false);
        }
        assert_eq!(logins.judge(one, at(3_600), || false), Verdict::Wrong { left: 4 });
        for host in 0..u32::try_from(PEERS_MAX).unwrap() + 10 {
            logins.judge(IpAddr::V4(host.into()), at(3_601), || false);
        }
        assert!(logins.0.lock().unwrap().len() <= PEERS_MAX);
    }
}
