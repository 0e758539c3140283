//! `cargo xtask cost`: instructions that the serving thread spends on a request, and those of
//! checking a body and counting its tokens ([`knowing`]), held against the figures on record.
//!
//! callgrind counts the same whatever else the machine does: requests come one after the other on
//! one connection, only the thread that serves them counts, and the ledger's threads, whose work
//! depends on the time, do not. What remains differs by less than 1 % from run to run; it depends
//! on the compiler, which is pinned, and on what `memchr` and the C library make of the processor:
//! the figures are of one with AVX2 (valgrind shows programs nothing newer).

mod knowing;

use crate::bench::load::chat;
use crate::debian::{Need, need};
use crate::places::{binary, fresh, known, option, program, root};
use crate::process::{Show, run as run_command};
use crate::server::Server;
use crate::tally::Tally;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NEEDS: &[Need] = &[
    Need { program: "valgrind", package: "valgrind" },
    Need { program: "callgrind_control", package: "valgrind" },
];

/// Requests before and within the count.
const WARM: usize = 40;
const COUNTED: usize = 300;
/// How far a figure may be from the one on record, either way.
const TOLERANCE: f64 = 0.03;
/// Words of a counted stream.
const WORDS: usize = 50;

/// Counts and compares; with `--record` writes the figures down instead. `--only requests|knowing`
/// does the one or the other.
///
/// # Errors
///
/// A figure is off by more than 3 %, a ratio is lost, or something could not be counted.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--record"], &["--only"])?;
    let parts = match option(arguments, "--only") {
        None => Parts { requests: true, knowing: true },
        Some("requests") => Parts { requests: true, knowing: false },
        Some("knowing") => Parts { requests: false, knowing: true },
        Some(other) => return Err(format!("there is no part `{other}`: requests, knowing")),
    };
    if parts.requests && std::env::var_os("MAINSTAY_BIN").is_none() {
        crate::test::build_release()?;
    }
    let figures = count(parts)?;
    let on_record = fs::read_to_string(record());
    if arguments.iter().any(|one| one == "--record") {
        let next = recorded(&on_record.unwrap_or_default(), &figures);
        return fs::write(record(), next).map_err(|e| format!("write the record: {e}"));
    }
    compare(&figures, &on_record.map_err(|e| format!("read the record: {e}"))?)
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
struct Parts {
    requests: bool,
    knowing: bool,
}

/// The record with these figures in the place of older ones; the others stay.
fn recorded(before: &str, figures: &[(String, f64)]) -> String {
    let is_new = |line: &&str| figures.iter().any(|(name, _)| figure_of(line, name).is_some());
    let kept = before.lines().filter(|line| !is_new(line)).map(|line| format!("{line}\n"));
    kept.chain(figures.iter().map(|(name, n)| format!("{name} {n:.0}\n"))).collect()
}

/// The figure in a line of the record, if it is the one of this name.
fn figure_of(line: &str, name: &str) -> Option<f64> {
    line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok()
}

/// Brings what is needed.
///
/// # Errors
///
/// What is missing.
pub(crate) fn ready() -> Result<(), String> {
    need(NEEDS)
}

/// The step of `cargo xtask test`, after its release build.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn step() -> Result<Tally, String> {
    let on_record = fs::read_to_string(record()).map_err(|e| format!("read the record: {e}"))?;
    let all = Parts { requests: true, knowing: true };
    compare(&count(all)?, &on_record).map(|()| Tally::default())
}

/// Whether there are figures to be held against.
pub(crate) fn is_on_record() -> bool {
    record().is_file()
}

fn record() -> PathBuf {
    root().join("xtask").join("cost.txt")
}

fn compare(figures: &[(String, f64)], record: &str) -> Result<(), String> {
    let mut off = Vec::new();
    for (name, figure) in figures {
        let known = record.lines().find_map(|line| figure_of(line, name));
        let known = known.ok_or_else(|| format!("`{name}` is not in xtask/cost.txt"))?;
        let change = figure / known - 1.0;
        println!("   {name}: {figure:.0} instructions, {:+.1} % of {known:.0}", change * 100.0);
        if change.abs() > TOLERANCE {
            off.push(format!("{name}: {figure:.0} instead of {known:.0}"));
        }
    }
    if off.is_empty() {
        return Ok(());
    }
    let off = off.join("; ");
    Err(format!(
        "{off}. Find what changed; if it is meant, `cargo xtask cost --record` and say why in the commit"
    ))
}

fn count(parts: Parts) -> Result<Vec<(String, f64)>, String> {
    ready()?;
    let directory = fresh("cost")?;
    let mut figures = Vec::new();
    if parts.requests {
        figures.extend(requests(&directory)?);
    }
    if parts.knowing {
        figures.extend(knowing::figures(&directory)?);
    }
    Ok(figures)
}

/// Instructions for a whole answer, and for a stream.
fn requests(directory: &Path) -> Result<Vec<(String, f64)>, String> {
    let sim = Server::sim(directory, &[], None)?;
    let answer = serve_and_count(directory, &sim, &chat(800, false))?;
    let scenario = directory.join("stream.toml");
    let text = format!("[answer]\nwords = {WORDS}\n");
    fs::write(&scenario, text).map_err(|e| format!("write {}: {e}", scenario.display()))?;
    drop(sim);
    let scenario = scenario.display().to_string();
    let sim = Server::sim(directory, &["--scenario", &scenario], None)?;
    let stream = serve_and_count(directory, &sim, &chat(800, true))?;
    Ok(vec![("answer".to_owned(), answer), ("stream of 50 words".to_owned(), stream)])
}

fn serve_and_count(directory: &Path, sim: &Server, body: &str) -> Result<f64, String> {
    let config = format!(
        "[server]\nworkers = 1\n\n[[provider]]\nname = \"sim\"\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-bench\"\n",
        sim.base_url()
    );
    let directory = directory.join(if body.contains("stream") { "stream" } else { "answer" });
    fs::create_dir_all(&directory).map_err(|e| format!("create {}: {e}", directory.display()))?;
    let valgrind = program("valgrind").ok_or("valgrind is missing")?;
    let out = directory.join("counts");
    let tool = [
        valgrind.display().to_string(),
        "--tool=callgrind".to_owned(),
        "--separate-threads=yes".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let gateway = Server::serve_under(&tool, &directory, &config)?;
    for words in [
        "budget set --project default --amount 1000000 --period day",
        "limit set --project default --rpm 100000000 --tpm 1000000000000",
    ] {
        let mut command = Command::new(binary());
        command.args(words.split(' ')).current_dir(&directory);
        done(&mut command)?;
    }
    std::thread::sleep(Duration::from_secs(2));
    calls(gateway.address, &gateway.key, body, WARM)?;
    control(&gateway, "-z")?;
    calls(gateway.address, &gateway.key, body, COUNTED)?;
    control(&gateway, "-d")?;
    Ok(busiest(&directory)? / COUNTED as f64)
}

fn control(gateway: &Server, what: &str) -> Result<(), String> {
    let mut command = Command::new("callgrind_control");
    done(command.args([what, &gateway.pid().to_string()]))
}

fn done(command: &mut Command) -> Result<(), String> {
    let ran = run_command(command, Show::OnFailure, Duration::from_secs(60));
    if ran.ok { Ok(()) } else { Err(format!("{}: {}", command.get_program().display(), ran.end)) }
}

/// The instructions of the thread that had most, of the first dump: the one that serves.
fn busiest(directory: &Path) -> Result<f64, String> {
    let entries = fs::read_dir(directory).map_err(|e| format!("list the counts: {e}"))?;
    let dumps = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("counts.1-"))
    });
    let sum = |path: PathBuf| -> Option<f64> {
        let text = fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok())
    };
    let most = dumps.filter_map(sum).fold(0.0, f64::max);
    if most > 0.0 { Ok(most) } else { Err("callgrind wrote no counts".to_owned()) }
}

/// Calls one after the other on one connection, each read to its end.
fn calls(to: SocketAddr, key: &str, body: &str, count: usize) -> Result<(), String> {
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: cost\r\naccept: application/json\r\nuser-agent: OpenAI/Python 2.0\r\nx-stainless-lang: python\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let broken = |e: std::io::Error| format!("call the gateway: {e}");
    let mut socket = TcpStream::connect(to).map_err(broken)?;
    socket.set_read_timeout(Some(Duration::from_secs(30))).map_err(broken)?;
    let mut piece = [0; 16 * 1024];
    for _ in 0..count {
        socket.write_all(request.as_bytes()).map_err(broken)?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let read = socket.read(&mut piece).map_err(broken)?;
            answer.extend_from_slice(&piece[..read]);
            if read == 0 || !answer.starts_with(b"HTTP/1.1 200") {
                return Err(format!("no answer: {}", String::from_utf8_lossy(&answer)));
            }
        }
    }
    Ok(())
}

/// Whether an answer is there to its end, by its length or its last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length: usize| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_off_either_way_is_told() {
        let figures =
            |answer| vec![("answer".to_owned(), answer), ("stream of 5".to_owned(), 10.0)];
        let record = "answer 1000\nstream of 5 10\n";
        assert!(compare(&figures(1029.0), record).is_ok());
        assert!(compare(&figures(1031.0), record).unwrap_err().contains("1031 instead of 1000"));
        assert!(compare(&figures(960.0), record).is_err());
        assert!(compare(&figures(1000.0), "answer 1000").unwrap_err().contains("stream of 5"));
    }

    #[test]
    fn a_record_keeps_what_was_not_counted_anew() {
        let before = "answer 1000\nanswer of another kind 5\nstream of 5 10\n";
        let after = recorded(before, &[("answer".to_owned(), 900.0), ("new".to_owned(), 1.4)]);
        assert_eq!(after, "answer of another kind 5\nstream of 5 10\nanswer 900\nnew 1\n");
        assert_eq!(figure_of("answer of another kind 5", "answer"), None);
    }

    #[test]
    fn an_answer_is_whole_by_its_length_or_its_last_chunk() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\ncon"));
        assert!(
            !is_whole(format!("{head}a").as_bytes()) && is_whole(format!("{head}ab").as_bytes())
        );
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n1\r\na\r\n0\r\n\r\n"));
    }
}
