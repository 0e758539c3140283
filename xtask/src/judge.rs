//! `cargo xtask judge`: how much of a rate limit becomes finished work.
//!
//! The judge and its upstream are programs of their own, beside the repository, and share no code
//! with it. Each scenario meets a gateway that has learnt nothing yet.

use crate::places::{binary, fresh, known, option, root};
use crate::process::{Show, end_group, run as run_command};
use crate::sdk::venv;
use crate::server::{Server, free_address, get};
use crate::test::build_release;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where the judge is unless `--dir` says otherwise, from the root of the workspace.
const DIRECTORY: &str = "../shared/judge";

/// What we ask of ourselves: scenario, least score, most attempts of our own a job.
const MARKS: &[(&str, f64, f64)] = &[
    ("rpm", 0.97, 1.10),
    ("tpm", 0.97, 1.10),
    ("hintonly", 0.97, 1.10),
    ("flaky", 0.97, 1.10),
    ("outage", 0.97, 1.10),
    ("noheaders", 0.93, 1.25),
    ("concurrency", 0.93, 1.25),
];

/// The longest scenario has an ideal of about 75 s and ends itself after 240 s.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs the scenarios and prints a table.
///
/// # Errors
///
/// When the judge is not there, something did not start, or a mark was missed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &["--dir", "--scenario", "--mode"])?;
    let place = option(arguments, "--dir").map_or_else(|| root().join(DIRECTORY), PathBuf::from);
    if !place.join("judge.py").is_file() {
        return Err(format!("no judge.py in {}; say where with --dir", place.display()));
    }
    let only = option(arguments, "--scenario");
    let modes: &[&str] = match option(arguments, "--mode").unwrap_or("gateway") {
        "gateway" => &["gateway"],
        "run" => &["run"],
        "both" => &["gateway", "run"],
        other => return Err(format!("--mode is gateway, run or both, not `{other}`")),
    };
    let python = venv("judge-python", &["aiohttp", "openai==3.52.0", "tenacity"])?;
    build_release()?;
    let place = place.canonicalize().map_err(|e| format!("{}: {e}", place.display()))?;
    let bench = Bench { python, place, directory: fresh("judge")? };
    let mut missed = Vec::new();
    println!(
        "{:<12} {:<8} {:>6} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8}",
        "scenario", "mode", "score", "seconds", "ideal", "own/job", "ok", "failed", "p99 s"
    );
    for (scenario, score, attempts) in MARKS.iter().filter(|mark| only.is_none_or(|o| o == mark.0))
    {
        for mode in modes {
            let line = bench.play(scenario, mode)?;
            let reached = print_row(scenario, mode, &line, *score, *attempts);
            if !reached {
                missed.push(format!("{scenario} ({mode})"));
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("below the mark: {}", missed.join(", "))) }
}

/// What every scenario needs.
struct Bench {
    python: PathBuf,
    place: PathBuf,
    directory: PathBuf,
}

impl Bench {
    /// The line of JSON that the judge prints.
    fn play(&self, scenario: &str, mode: &str) -> Result<String, String> {
        let upstream = Upstream::start(&self.python, &self.place, &self.directory)?;
        let mut judge = Command::new(&self.python);
        judge.arg(self.place.join("judge.py")).current_dir(&self.directory);
        judge.args(["--scenario", scenario, "--upstream", &format!("http://{}", upstream.address)]);
        let gateway = if mode == "run" {
            let line = format!(
                "OPENAI_API_KEY=sk-judge {} run {{in}} -o {{out}} --base-url {{base}}",
                binary().display()
            );
            judge.args(["--contestant", "command", "--command", &line]);
            None
        } else {
            let gateway = gateway(&upstream, scenario)?;
            judge.args(["--contestant", "gateway", "--base-url", &gateway.base_url()]);
            judge.env("JUDGE_KEY", &gateway.key);
            Some(gateway)
        };
        let ran = run_command(&mut judge, Show::OnFailure, LIMIT);
        drop(gateway);
        let line = ran.lines.iter().find(|line| line.starts_with('{')).cloned();
        line.ok_or_else(|| format!("{scenario}: the judge printed no result: {}", ran.end))
    }
}

/// A gateway that knows nothing yet.
fn gateway(upstream: &Upstream, scenario: &str) -> Result<Server, String> {
    let directory = fresh(&format!("judge/{scenario}"))?;
    let config = format!(
        "[[provider]]\nname = \"judge\"\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-judge\"\n",
        upstream.address
    );
    Server::serve(&directory, &config, None)
}

/// The judge's provider; killed when dropped.
struct Upstream {
    child: Child,
    address: SocketAddr,
}

impl Upstream {
    fn start(python: &Path, place: &Path, directory: &Path) -> Result<Upstream, String> {
        let address = free_address()?;
        let log = File::create(directory.join("upstream.log")).map_err(|e| format!("log: {e}"))?;
        let errors = log.try_clone().map_err(|e| format!("log: {e}"))?;
        let mut command = Command::new(python);
        command.arg(place.join("upstream.py")).arg(address.port().to_string());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().map_err(|e| format!("start upstream.py: {e}"))?;
        let upstream = Upstream { child, address };
        let began = Instant::now();
        while get(address, "/__record").is_none() {
            if began.elapsed() > Duration::from_secs(20) {
                return Err(format!("upstream.py gives no answer; see {}", directory.display()));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(upstream)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        end_group(&mut self.child);
    }
}

/// Prints a result; whether it reached its marks and lost no job.
fn print_row(scenario: &str, mode: &str, line: &str, score: f64, attempts: f64) -> bool {
    let field = |name: &str| number(line, name);
    let show = |name: &str, digits: usize| {
        field(name).map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let reached = field("score").is_some_and(|got| got >= score)
        && field("own_attempts").is_some_and(|got| got <= attempts)
        && field("failed") == Some(0.0);
    println!(
        "{scenario:<12} {mode:<8} {:>6} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8}  {}",
        show("score", 3),
        show("seconds", 1),
        show("ideal_s", 1),
        show("own_attempts", 3),
        show("ok", 0),
        show("failed", 0),
        show("p99", 2),
        if reached { "reached" } else { "below the mark" }
    );
    if field("failed") != Some(0.0) {
        println!("    {line}");
    }
    reached
}

/// A number of a flat JSON object.
fn number(json: &str, name: &str) -> Option<f64> {
    let mark = format!("\"{name}\":");
    let rest = json[json.find(&mark)? + mark.len()..].trim_start();
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest[..end].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_held_against_the_line_of_the_judge() {
        let line = r#"{"score": 0.981, "own_attempts": 1.02, "failed": 0, "ok": 500, "p99": null}"#;
        assert_eq!(number(line, "score"), Some(0.981));
        assert_eq!(number(line, "p99"), None);
        assert!(print_row("rpm", "gateway", line, 0.97, 1.10));
        assert!(!print_row("rpm", "gateway", line, 0.99, 1.10));
        assert!(!print_row("rpm", "gateway", line, 0.97, 1.01));
        assert!(!print_row(
            "rpm",
            "gateway",
            &line.replace("\"failed\": 0", "\"failed\": 1"),
            0.9,
            2.0
        ));
    }
}
