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
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).expect("every thread has one")
    }

    #[test]
    fn a_thread_steps_back_by_itself() {
        let before = niceness();
        std::thread::spawn(move || {
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
}
