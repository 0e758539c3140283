//! Counts of tests, read from what test programs print, and the lines at the end of a run.

use std::time::{Duration, Instant};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds up every line of results in an output: nextest's summary, libtest's
    /// `test result:` lines, and `N passed, N failed` of our own suites.
    pub(crate) fn read(lines: &[String]) -> Tally {
        let mut sum = Tally::default();
        for line in lines {
            let line = line.trim();
            let counted = line.starts_with("Summary [")
                || line.starts_with("test result:")
                || (line.ends_with(" failed") && line.contains(" passed, "));
            if counted {
                sum.passed += before(line, "passed");
                sum.failed += before(line, "failed") + before(line, "timed out");
            }
        }
        sum
    }
}

/// The number before a word: `24 passed, 3 failed`.
fn before(line: &str, word: &str) -> u64 {
    let Some(at) = line.find(&format!(" {word}")) else { return 0 };
    let number = line[..at].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

/// One step of a run and what came of it.
#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    tally: Tally,
    skipped: Option<String>,
}

/// What has been done so far, told step by step.
#[derive(Debug, Default)]
pub(crate) struct Report {
    done: Vec<Done>,
}

impl Report {
    /// Runs a step, timed. Its result is the number of tests, or why it failed; a step without
    /// tests counts as one.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Tally, String>,
    ) -> bool {
        println!("== {name}");
        let began = Instant::now();
        let outcome = work();
        let took = began.elapsed();
        let tally = match outcome {
            Ok(tally) if tally == Tally::default() => Tally { passed: 1, failed: 0 },
            Ok(tally) => tally,
            Err(why) => {
                println!("   {name}: {why}");
                Tally { passed: 0, failed: 1 }
            }
        };
        let word = if tally.failed == 0 { "ok" } else { "FAILED" };
        println!(
            "== {name}: {word}, {} passed, {} failed, {:.1} s",
            tally.passed,
            tally.failed,
            took.as_secs_f64()
        );
        let ok = tally.failed == 0;
        self.done.push(Done { name: name.to_owned(), took, tally, skipped: None });
        ok
    }

    /// Notes that a step could not run for want of tools.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("== {name}: SKIPPED: {why}");
        self.done.push(Done {
            name: name.to_owned(),
            took: Duration::ZERO,
            tally: Tally::default(),
            skipped: Some(why.to_owned()),
        });
    }

    /// Prints every step on a line and the sums on the last one.
    ///
    /// # Errors
    ///
    /// When something failed, when nothing ran, or when something was skipped and may not be.
    pub(crate) fn finish(&self, allow_skips: bool) -> Result<(), String> {
        println!("\n{:<44} {:>7} {:>7} {:>9}", "step", "passed", "failed", "seconds");
        let mut sum = Tally::default();
        for step in &self.done {
            sum.passed += step.tally.passed;
            sum.failed += step.tally.failed;
            match &step.skipped {
                Some(why) => println!("{:<44} skipped: {why}", step.name),
                None => println!(
                    "{:<44} {:>7} {:>7} {:>9.1}",
                    step.name,
                    step.tally.passed,
                    step.tally.failed,
                    step.took.as_secs_f64()
                ),
            }
        }
        let skipped: Vec<&str> =
            self.done.iter().filter(|s| s.skipped.is_some()).map(|s| s.name.as_str()).collect();
        if !skipped.is_empty() {
            println!("skipped: {}", skipped.join(", "));
        }
        println!("{} passed, {} failed", sum.passed, sum.failed);
        if sum.failed > 0 {
            return Err("something failed; see above".to_owned());
        }
        if sum.passed == 0 {
            return Err("nothing ran".to_owned());
        }
        if skipped.is_empty() || allow_skips {
            return Ok(());
        }
        Err(format!("{} skipped; --allow-skips accepts that", skipped.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_every_test_program_in_use() {
        check("     Summary [   0.409s] 24 tests run: 21 passed, 3 failed, 0 skipped", 21, 3);
        check("Summary [ 1.2s] 5 tests run: 4 passed (1 slow), 1 timed out, 0 skipped", 4, 1);
        check("Summary [ 1.2s] 11/12 tests run: 10 passed, 1 failed, 0 skipped", 10, 1);
        check("test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured", 7, 0);
        check("31 passed, 2 failed", 31, 2);
        check("a line about passed, failed tests", 0, 0);
    }

    #[track_caller]
    fn check(line: &str, passed: u64, failed: u64) {
        assert_eq!(Tally::read(&[line.to_owned()]), Tally { passed, failed }, "{line}");
    }

    #[test]
    fn a_failure_or_an_unaccepted_skip_fails_the_run() {
        let mut report = Report::default();
        assert!(report.finish(false).is_err(), "nothing ran");
        report.step("a", || Ok(Tally { passed: 2, failed: 0 }));
        assert!(report.finish(false).is_ok());
        report.skip("b", "no tool");
        assert!(report.finish(false).is_err());
        assert!(report.finish(true).is_ok());
        report.step("c", || Err("broken".to_owned()));
        assert!(report.finish(true).is_err());
    }
}
