//! A doctor in a folder of its own, small servers for it to look at, and what it said.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// A key that no output may show.
pub(crate) const KEY: &str = "sk-test-neverShownAnywhere42";

/// What a doctor said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) findings: Vec<Value>,
    pub(crate) took: Duration,
}

impl Said {
    /// State and words of the first finding of a check.
    #[track_caller]
    pub(crate) fn of(&self, check: &str) -> (&str, &str) {
        let found = self.findings.iter().find(|one| one["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no `{check}` in {:#?}", self.findings));
        let text = |name: &str| found[name].as_str().unwrap_or_default();
        (text("state"), text("found"))
    }

    /// A check came out so, with these words, cause and fix beside what is not well.
    #[track_caller]
    pub(crate) fn check(&self, check: &str, state: &str, words: &str) {
        let seen = self.findings.iter().find(|one| {
            one["check"] == check
                && one["state"] == state
                && one["found"].as_str().is_some_and(|found| found.contains(words))
        });
        let seen = seen.unwrap_or_else(|| {
            panic!("no `{check}` {state} with `{words}` in {:#?}", self.findings)
        });
        if state == "failed" || state == "warning" {
            assert!(seen["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{seen}");
            assert!(seen["fix"].as_array().is_some_and(|fix| !fix.is_empty()), "{seen}");
        }
    }

    /// Nothing failed but these checks.
    #[track_caller]
    pub(crate) fn only_these_failed(&self, checks: &[&str]) {
        let failed: Vec<&Value> =
            self.findings.iter().filter(|one| one["state"] == "failed").collect();
        let others = failed
            .iter()
            .filter(|one| !checks.contains(&one["check"].as_str().unwrap_or_default()));
        assert_eq!(others.count(), 0, "{failed:#?}");
        assert!(!failed.is_empty() || checks.is_empty());
    }
}

/// A configuration with one provider; `more` belongs to it.
pub(crate) fn provider(base_url: &str, more: &str) -> String {
    format!("[[provider]]\nname = \"up\"\nbase_url = \"{base_url}\"\napi_key = \"{KEY}\"\n{more}\n")
}

/// Looks with a configuration, with time for a machine that does much else, unless said otherwise.
pub(crate) fn look(config: &str, more: &[&str]) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    look_in(folder.path(), config, more, &[], &[])
}

/// Looks from a folder, behind a command (such as `unshare -n`), with variables.
pub(crate) fn look_in(
    folder: &Path,
    config: &str,
    more: &[&str],
    behind: &[&str],
    variables: &[(&str, &str)],
) -> Said {
    std::fs::write(folder.join("mainstay.toml"), config).expect("written");
    let binary = env!("CARGO_BIN_EXE_mainstay");
    let words: Vec<&str> = behind.iter().copied().chain([binary, "doctor", "--json"]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(more).env_clear().current_dir(folder);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(variables.iter().copied());
    if !more.contains(&"--timeout") {
        command.args(["--timeout", "20s"]);
    }
    let start = Instant::now();
    let output = command.output().expect("the binary runs");
    told(&output, start.elapsed())
}

fn told(output: &Output, took: Duration) -> Said {
    let out = String::from_utf8_lossy(&output.stdout);
    let aside = String::from_utf8_lossy(&output.stderr);
    assert!(!out.contains(KEY) && !aside.contains(KEY), "the key is shown:\n{out}\n{aside}");
    let findings: Result<Vec<Value>, _> = out.lines().map(serde_json::from_str).collect();
    let findings = findings.unwrap_or_else(|error| panic!("{error}: {out}\n{aside}"));
    Said { code: output.status.code().unwrap_or_else(|| panic!("{aside}")), findings, took }
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn skipped(why: std::fmt::Arguments<'_>) -> bool {
    eprintln!("skipped: {why}");
    false
}

/// Whether the system lets us do what a test needs; says why not.
pub(crate) fn permitted(words: &[&str]) -> bool {
    let tried = Command::new(words[0]).args(&words[1..]).output();
    match tried {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped(format_args!("`{}` is not permitted: {}", words.join(" "), why.trim()))
        }
        Err(error) => skipped(format_args!("`{}` is not there: {error}", words[0])),
    }
}

/// A server that runs `serve` for each connection, in a thread of its own.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server that gives this answer to every request.
pub(crate) fn answers(answer: impl Into<String>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut stream| {
        while request(&mut stream).is_some() {
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// An answer with a body and its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A list of models, as an API answers with it.
pub(crate) fn models(headers: &str) -> String {
    let json = "content-type: application/json\r\n";
    answer("200 OK", &format!("{json}{headers}"), r#"{"object":"list","data":[{"id":"gpt-4o"}]}"#)
}

/// Head and body of the next request, `None` at the end.
pub(crate) fn request(stream: &mut impl Read) -> Option<String> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.trim().parse().expect("a length"));
            if seen.len() >= at + 4 + length {
                return Some(String::from_utf8_lossy(&seen).into_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A port where nobody listens, and which the system gives to nobody.
pub(crate) fn closed() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}
