//! `cargo xtask runner`: how fast `mainstay run` gets through a large file, and in how much memory.
//!
//! Requests of a kilobyte against the simulator without limits, both on this machine; so the figure is
//! what runner and simulator reach together, and the runner's own CPU time is told beside it. Every id
//! must stand in the output exactly once.

use crate::places::{binary, fresh, known, option};
use crate::process::end_group;
use crate::server::Server;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Lines, unless `--count` says otherwise.
const COUNT: usize = 1_000_000;
/// Bytes of a request's body.
const BODY: usize = 1024;
/// Most memory the runner may take, in KiB.
const MEMORY_MAX: u64 = 60 << 10;
/// Longest run: a million lines at a quarter of the slowest rate that was measured.
const LIMIT: Duration = Duration::from_mins(20);

/// Makes the file, runs it, counts the answers and prints what it took.
///
/// # Errors
///
/// Something could not be made or started, a line has no answer or two, or the memory was too much.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &["--count"])?;
    let count = match option(arguments, "--count") {
        Some(text) => text.parse().map_err(|_| format!("`--count` is `{text}`: write a number"))?,
        None => COUNT,
    };
    if !binary().is_file() {
        let fix = "build it with `cargo build --release`, or name one with MAINSTAY_BIN";
        return Err(format!("there is no {}: {fix}", binary().display()));
    }
    let place = fresh("runner")?;
    write_input(&place.join("in.jsonl"), count).map_err(|e| format!("write the input: {e}"))?;
    let sim = Server::sim(&place, &[], None)?;
    let took = time(&place, &sim.base_url())?;
    let (simulator, load) = (cpu_seconds(sim.pid()).unwrap_or_default(), load());
    drop(sim);
    answered_once(&place.join("out.jsonl"), count)?;
    println!(
        "{count} requests of {BODY} bytes: {:.1} s, {:.0} requests/s, every line answered once",
        took.wall,
        count as f64 / took.wall
    );
    println!(
        "runner: {:.1} MiB at most (VmHWM), {:.1} s of CPU, {:.0} µs a line; simulator: {simulator:.1} s of CPU; \
         load of the machine at the end: {load}",
        took.memory as f64 / 1024.0,
        took.cpu,
        took.cpu * 1e6 / count as f64,
    );
    fs::remove_dir_all(&place).map_err(|e| format!("remove {}: {e}", place.display()))?;
    if took.memory > MEMORY_MAX {
        return Err(format!("{} KiB of memory, at most {MEMORY_MAX}", took.memory));
    }
    Ok(())
}

/// What a run took.
struct Took {
    /// Seconds from its start to its end.
    wall: f64,
    /// Seconds of CPU, as seen up to 50 ms before its end.
    cpu: f64,
    /// Most memory at once, in KiB.
    memory: u64,
}

fn write_input(path: &Path, count: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for n in 0..count {
        let start = format!(
            "{{\"model\":\"gpt-4o-mini\",\"max_tokens\":16,\"messages\":[{{\"role\":\"user\",\"content\":\"question {n} "
        );
        let end = " in 8 words\"}]}";
        let filling = "x".repeat(BODY - start.len() - end.len());
        writeln!(
            file,
            "{{\"custom_id\":\"{n}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{start}{filling}{end}}}"
        )?;
    }
    file.flush()
}

fn time(place: &Path, base_url: &str) -> Result<Took, String> {
    let log = File::create(place.join("run.log")).map_err(|e| format!("create a log: {e}"))?;
    let errors = log.try_clone().map_err(|e| format!("share a log: {e}"))?;
    let mut command = Command::new(binary());
    command.args(["run", "in.jsonl", "-o", "out.jsonl", "--base-url", base_url]);
    command.env_clear().env("OPENAI_API_KEY", "sk-any").current_dir(place);
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let began = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("start the runner: {e}"))?;
    let took = watch(&mut child, began);
    if took.is_err() {
        end_group(&mut child);
    }
    took.map_err(|why| {
        let told = fs::read_to_string(place.join("run.log")).unwrap_or_default();
        format!("{why}\n{told}")
    })
}

fn watch(child: &mut Child, began: Instant) -> Result<Took, String> {
    let (mut memory, mut cpu) = (0, 0.0);
    loop {
        let status = child.try_wait().map_err(|e| format!("wait for the runner: {e}"))?;
        let wall = began.elapsed();
        match status {
            Some(status) if status.success() => {
                return Ok(Took { wall: wall.as_secs_f64(), cpu, memory });
            }
            Some(status) => return Err(format!("the runner ended with {status}")),
            None if wall > LIMIT => {
                return Err(format!("the runner was not done after {} s", LIMIT.as_secs()));
            }
            None => {}
        }
        // Both are gone with the process.
        memory = peak_kib(child.id()).unwrap_or(memory).max(memory);
        cpu = cpu_seconds(child.id()).unwrap_or(cpu);
        sleep(Duration::from_millis(50));
    }
}

/// The most memory that a process has had, in KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of a process: fields 14 and 15 of its `stat` (proc(5)), in hundredths of a
/// second on every Linux.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name, which may have blanks and brackets in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// Load over the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Each id from 0 on stands in the output once, with an answer.
fn answered_once(path: &Path, count: usize) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("open the output: {e}"))?;
    let mut seen = vec![false; count];
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|e| format!("read the output: {e}"))?;
        let id = number(&line, "\"custom_id\":\"").filter(|id| *id < count);
        let id = id.ok_or("a line of the output has an id that was not asked for")?;
        if number(&line, "\"status_code\":") != Some(200) {
            return Err(format!("line {id} has no answer"));
        }
        if std::mem::replace(&mut seen[id], true) {
            return Err(format!("line {id} stands twice in the output"));
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(id) => Err(format!("line {id} is not in the output")),
        None => Ok(()),
    }
}

/// The number behind a mark.
fn number(line: &str, mark: &str) -> Option<usize> {
    let rest = &line[line.find(mark)? + mark.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_size_that_is_told() {
        let path = fresh("runner-test").unwrap().join("in.jsonl");
        write_input(&path, 11).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let body = line.split_once("\"body\":").unwrap().1.strip_suffix('}').unwrap();
            assert_eq!(body.len(), BODY, "{line}");
        }
        assert_eq!(text.lines().count(), 11);
    }

    #[test]
    fn a_line_that_is_missing_failed_or_twice_is_found() {
        let path = fresh("runner-test-output").unwrap().join("out.jsonl");
        let line = |id: usize, status: usize| {
            format!("{{\"custom_id\":\"{id}\",\"response\":{{\"status_code\":{status}}}}}\n")
        };
        let judged = |lines: &[String]| {
            fs::write(&path, lines.concat()).unwrap();
            answered_once(&path, 2)
        };
        assert_eq!(judged(&[line(1, 200), line(0, 200)]), Ok(()));
        for (lines, why) in [
            (vec![line(1, 200)], "line 0 is not"),
            (vec![line(1, 200), line(0, 500)], "line 0 has no"),
            (vec![line(0, 200), line(0, 200), line(1, 200)], "line 0 stands twice"),
            (vec![line(0, 200), line(2, 200)], "not asked for"),
        ] {
            let told = judged(&lines).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn memory_and_time_of_a_process_are_read() {
        let own = std::process::id();
        assert!(peak_kib(own).is_some_and(|kib| kib > 100));
        assert!(cpu_seconds(own).is_some_and(|seconds| seconds < 3600.0));
        assert_eq!(cpu_seconds(0), None);
    }
}
