//! Moments in which something else on the machine had the proxy's core.
//!
//! A process of higher priority may want a core for milliseconds (one of the system's own wanted
//! 5 to 8 ms of it each second where this was written, 2026-11-29), and whoever waits for a proxy
//! then waits for that. The kernel tells of each thread how long it ran and how long it was ready
//! and did not run. What the proxy's busiest thread waited, and its other threads did not run
//! meanwhile, was somebody else's.

use super::machine::threads;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the threads are looked at, by the load, on its core.
const EACH: Duration = Duration::from_millis(1);
/// From here on it is a pause.
const LONG: Duration = Duration::from_millis(2);
/// How many times its own length a pause is felt behind its end: calls that came meanwhile are
/// served beside new ones.
const FELT: u32 = 2;
/// How long readings are kept, which is more than anybody waits for a core.
const KEPT: usize = 200;

/// From when to when the proxy could not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    from: Instant,
    to: Instant,
}

impl Pause {
    pub(super) fn length(&self) -> Duration {
        self.to - self.from
    }

    /// Whether a call that took this long since then may have waited for it.
    pub(super) fn is_felt(&self, began: Instant, took: Duration) -> bool {
        began < self.to + self.length() * FELT && self.from < began + took
    }
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    ran: Duration,
    waited: Duration,
}

impl Times {
    /// Nanoseconds it ran, nanoseconds it was ready, and how often it ran. Source: the kernel's
    /// `Documentation/scheduler/sched-stats.rst`.
    fn read(text: &str) -> Option<Times> {
        let mut numbers = text.split_whitespace().map(|word| word.parse().ok());
        let mut next = || Some(Duration::from_nanos(numbers.next()??));
        Some(Times { ran: next()?, waited: next()? })
    }
}

/// A thread's file in `/proc`, kept open.
struct Thread(File);

impl Thread {
    fn times(&self) -> Option<Times> {
        let mut text = [0; 64];
        let read = self.0.read_at(&mut text, 0).ok()?;
        Times::read(std::str::from_utf8(&text[..read]).ok()?)
    }
}

/// Looks at a proxy's threads.
pub(super) struct Watch {
    busiest: Thread,
    others: Vec<Thread>,
    seen: Seen,
}

impl Watch {
    /// `None` where the kernel does not tell.
    pub(super) fn begin(pid: u32) -> Option<Watch> {
        let open = |path: PathBuf| Some(Thread(File::open(path.join("schedstat")).ok()?));
        let mut all: Vec<Thread> = threads(pid).into_iter().filter_map(open).collect();
        let ran = |thread: &Thread| thread.times().map(|times| times.ran);
        let at = (0..all.len()).max_by_key(|at| ran(&all[*at]))?;
        let busiest = all.swap_remove(at);
        let seen = Seen::new(Instant::now(), busiest.times()?.waited);
        Some(Watch { busiest, others: all, seen })
    }

    /// Looks, unless it did just before.
    pub(super) fn turn(&mut self, now: Instant) {
        if now - self.seen.last < EACH {
            return;
        }
        let others = self.others.iter().filter_map(Thread::times).map(|times| times.ran).sum();
        if let Some(times) = self.busiest.times() {
            self.seen.note(now, times.waited, others);
        }
    }

    pub(super) fn pauses(self) -> Vec<Pause> {
        self.seen.pauses
    }
}

/// What was seen so far.
#[derive(Debug)]
struct Seen {
    last: Instant,
    waited: Duration,
    /// What the other threads had run by then.
    others: VecDeque<(Instant, Duration)>,
    pauses: Vec<Pause>,
}

impl Seen {
    fn new(now: Instant, waited: Duration) -> Seen {
        Seen { last: now, waited, others: VecDeque::new(), pauses: Vec::new() }
    }

    /// The kernel counts a wait where it ends, so it began as long before as it took.
    fn note(&mut self, now: Instant, waited: Duration, others: Duration) {
        let wait = waited.saturating_sub(self.waited);
        if wait >= LONG {
            let from = now.checked_sub(wait).unwrap_or(now);
            let before = self.others.iter().rev().find(|(at, _)| *at <= from);
            let own = before.map_or(Duration::ZERO, |(_, ran)| others.saturating_sub(*ran));
            if wait.saturating_sub(own) >= LONG {
                self.pauses.push(Pause { from, to: now });
            }
        }
        (self.last, self.waited) = (now, waited);
        if self.others.len() == KEPT {
            self.others.pop_front();
        }
        self.others.push_back((now, others));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_pause_is_felt_by_whoever_waits_in_it_or_shortly_behind_it() {
        let start = Instant::now();
        let pause = Pause { from: start + millis(10), to: start + millis(15) };
        assert_eq!(pause.length(), millis(5));
        let felt = |began, took| pause.is_felt(start + millis(began), millis(took));
        assert!(!felt(8, 1) && felt(9, 2) && felt(24, 1) && !felt(25, 1));
    }

    #[test]
    fn times_are_read_as_the_kernel_tells_them() {
        let times = Times { ran: Duration::from_nanos(165), waited: Duration::from_nanos(14) };
        assert_eq!(Times::read("165 14 76\n"), Some(times));
        assert_eq!(Times::read("165\n"), None);
        assert_eq!(Times::read("many 14 76\n"), None);
    }

    #[test]
    fn a_wait_is_a_pause_unless_the_proxy_s_own_threads_ran_meanwhile() {
        let start = Instant::now();
        let mut seen = Seen::new(start, Duration::ZERO);
        seen.note(start + millis(1), millis(1), millis(0));
        seen.note(start + millis(6), millis(6), millis(5));
        assert!(seen.pauses.is_empty(), "its own: {seen:?}");
        seen.note(start + millis(12), millis(11), millis(6));
        let [pause] = seen.pauses[..] else { panic!("one was somebody else's: {seen:?}") };
        assert_eq!((pause.from, pause.to), (start + millis(7), start + millis(12)));
    }

    #[test]
    fn own_threads_are_found_and_watched() {
        let mut watch = Watch::begin(std::process::id()).expect("the kernel tells of threads");
        std::thread::sleep(EACH);
        watch.turn(Instant::now());
        assert_eq!(watch.seen.others.len(), 1);
    }
}
