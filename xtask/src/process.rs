//! Running commands: bounded in time, output kept, nothing left behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// It ended by itself, with exit code 0.
    pub(crate) ok: bool,
    /// Its standard output and error, in the order they came.
    pub(crate) lines: Vec<String>,
    /// How it ended, for people: `exit code 1`, `ended after 60 s`.
    pub(crate) end: String,
}

/// Is a command's output of interest while it runs?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Each line as it comes.
    Live,
    /// Only when the command failed.
    OnFailure,
    /// Never: the caller reads it.
    Never,
}

/// Runs a command without input, for at most `limit`; then its process group is killed.
pub(crate) fn run(command: &mut Command, show: Show, limit: Duration) -> Ran {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let end = format!("could not start {name}: {error}");
            return Ran { ok: false, lines: Vec::new(), end };
        }
    };
    let (lines, in_time) = collect(&mut child, show, limit);
    let (ok, end) = if in_time {
        match child.wait() {
            Ok(status) => (status.success(), status.to_string()),
            Err(error) => (false, format!("could not wait for {name}: {error}")),
        }
    } else {
        end_group(&mut child);
        (false, format!("ended by us after {} s", limit.as_secs()))
    };
    if show == Show::OnFailure && !ok {
        for line in &lines {
            println!("    {line}");
        }
    }
    Ran { ok, lines, end }
}

/// Kills a child with everything it started, and waits for it.
pub(crate) fn end_group(child: &mut Child) {
    signal("KILL", &format!("-{}", child.id()));
    drop(child.kill());
    drop(child.wait());
}

/// Sends a signal by name to a process, or to a group when `whom` is negative.
pub(crate) fn signal(name: &str, whom: &str) {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, "--", whom]).stdout(Stdio::null()).stderr(Stdio::null());
    drop(kill.status());
}

/// How long what a child has written may take until it is here, once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Reads both outputs until the child closes them; false when `limit` is over first.
fn collect(child: &mut Child, show: Show, limit: Duration) -> (Vec<String>, bool) {
    let (sender, receiver) = channel();
    forward(child.stdout.take(), sender.clone());
    forward(child.stderr.take(), sender);
    gather(child, &receiver, show, Instant::now() + limit)
}

fn gather(
    child: &mut Child,
    receiver: &Receiver<String>,
    show: Show,
    until: Instant,
) -> (Vec<String>, bool) {
    let (mut lines, mut ended) = (Vec::new(), false);
    loop {
        // What a child wrote right before its end may still be on its way here.
        let wait = if ended { LAST_WORDS } else { Duration::from_millis(200) };
        match receiver.recv_timeout(wait) {
            Ok(line) => {
                if show == Show::Live {
                    println!("    {line}");
                }
                lines.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => return (lines, true),
            // A grandchild may keep the pipe open; the child's end is what counts.
            Err(RecvTimeoutError::Timeout) if ended => return (lines, true),
            Err(RecvTimeoutError::Timeout) => ended = matches!(child.try_wait(), Ok(Some(_))),
        }
        if Instant::now() >= until {
            return (lines, false);
        }
    }
}

fn forward<R: Read + Send + 'static>(from: Option<R>, to: Sender<String>) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if to.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_end_of_a_command_are_kept() {
        let ran = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Show::Never,
            Duration::from_secs(10),
        );
        assert!(!ran.ok && ran.end.contains('3'), "{ran:?}");
        assert!(ran.lines.contains(&"out".to_owned()) && ran.lines.contains(&"err".to_owned()));
    }

    #[test]
    fn what_was_written_right_before_the_end_is_kept() {
        // A machine that sees to nobody for a second has made the words later than they are waited for.
        let kept = (vec!["late".to_owned()], true);
        let rounds: Vec<_> =
            (0..3).map(|_| gathered_late()).take_while(|got| *got != kept).collect();
        assert!(rounds.len() < 3, "{rounds:?}");
    }

    fn gathered_late() -> (Vec<String>, bool) {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (sender, receiver) = channel();
        let late = thread::spawn(move || {
            // Longer than it takes to see that the child has ended.
            thread::sleep(Duration::from_millis(500));
            drop(sender.send("late".to_owned()));
            thread::sleep(Duration::from_secs(2));
        });
        let until = Instant::now() + Duration::from_secs(10);
        let got = gather(&mut child, &receiver, Show::Never, until);
        late.join().unwrap();
        got
    }

    #[test]
    fn a_command_that_hangs_is_ended_in_time() {
        let began = Instant::now();
        let limit = Duration::from_millis(300);
        let ran = run(Command::new("sh").args(["-c", "sleep 60 & sleep 60"]), Show::Never, limit);
        assert!(!ran.ok && began.elapsed() < Duration::from_secs(10), "{ran:?}");
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let ran = run(&mut Command::new("no-such-program"), Show::Never, Duration::from_secs(1));
        assert!(!ran.ok && ran.end.contains("no-such-program"), "{ran:?}");
    }
}
