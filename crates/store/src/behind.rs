//! Threads that let those that serve calls go first.

/// Makes the thread that calls, and those it begins from then on, step back by so much of Linux's
/// niceness, 0 to 19: beside a thread of usual priority it gets a core by about a fifth less for
/// each, and whoever wakes beside it need not wait for its slice to end. Elsewhere niceness is the
/// process's, so nothing happens. Nobody without a privilege can take it back.
///
/// Best effort: a thread that could not step back does the same work.
///
/// Source: sched(7), "The nice value"; each step is a factor of 1.25 in the weight.
pub fn step_back(by: u8) {
    #[cfg(target_os = "linux")]
    if by > 0 {
        let _ = rustix::process::nice(i32::from(by));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = by;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::thread::{sleep, spawn};
    use std::time::Duration;

    use mainstay_core::store::Durability;

    use super::*;
    use crate::{LedgerSettings, Sqlite, SqliteLedger};

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("every thread has one")
    }

    #[test]
    fn a_thread_steps_back_by_itself() {
        let before = niceness();
        spawn(move || {
            step_back(0);
            assert_eq!(niceness(), before);
            step_back(3);
            assert_eq!(niceness(), (before + 3).min(19));
            step_back(19);
            assert_eq!(niceness(), 19);
        })
        .join()
        .expect("no panic");
        assert_eq!(niceness(), before, "other threads stay where they are");
    }

    /// Of this process's threads of a name.
    fn niceness_of(name: &str) -> Vec<i32> {
        let tasks = fs::read_dir("/proc/self/task").expect("Linux tells");
        let of = |task: std::path::PathBuf| {
            let told = fs::read_to_string(task.join("comm")).ok()?;
            let stat = fs::read_to_string(task.join("stat")).ok()?;
            // The nineteenth field; the second is a name in parentheses.
            let nice = stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()?;
            (told.trim_end() == name).then_some(nice)
        };
        tasks.flatten().filter_map(|task| of(task.path())).collect()
    }

    /// The same, once they have begun, and a moment later.
    fn begun(name: &str) -> Vec<i32> {
        for _ in 0..1_000 {
            sleep(Duration::from_millis(10));
            if !niceness_of(name).is_empty() {
                sleep(Duration::from_millis(50));
                return niceness_of(name);
            }
        }
        panic!("there is no {name}");
    }

    /// Other tests of the process may have such threads too, and none of them steps back so far.
    #[test]
    fn threads_behind_calls_step_back_unless_callers_wait_for_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        let store = Sqlite::open(&path).expect("a store");
        let own = niceness();
        if own + 7 > 19 {
            // Whoever runs this has stepped back so far that nothing shows.
            return;
        }
        for (durability, by, steps) in [
            (Durability::Process, 5, true),
            (Durability::Batched, 6, true),
            (Durability::Strict, 7, false),
        ] {
            let settings =
                LedgerSettings { durability, step_back: by, ..LedgerSettings::default() };
            let ledger = SqliteLedger::open(&path, settings).expect("a ledger");
            assert!(ledger.settled(Duration::from_secs(10)), "{durability:?}");
            for name in ["mainstay-ledger", "mainstay-disk"] {
                let all = begun(name);
                let nice = all.contains(&(own + i32::from(by)));
                assert_eq!(nice, steps, "{name}, {durability:?}: {all:?}");
            }
        }
        store.step_back(4).expect("its thread");
        assert!(niceness_of("mainstay-store").contains(&(own + 4)));
    }
}
