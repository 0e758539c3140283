//! A folder, a simulated provider, and the binary.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mainstay_sim::{Scenario, Sim, SimConfig};
use serde_json::{Value, json};

/// A provider in this process and a folder for a job.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    sim: Sim,
    _runtime: tokio::runtime::Runtime,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The summary of a run with `--json`.
    pub(crate) fn summary(&self) -> Value {
        serde_json::from_str(self.out.trim()).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl World {
    /// A provider that plays this scenario.
    pub(crate) fn new(scenario: &str) -> World {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let scenario = Scenario::from_toml(scenario).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let sim = runtime.block_on(Sim::start(SimConfig { listen, scenario })).unwrap();
        World { folder: tempfile::tempdir().unwrap(), sim, _runtime: runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn base_url(&self) -> String {
        self.sim.base_url()
    }

    /// Writes `in.jsonl`.
    pub(crate) fn input(&self, lines: &[String]) {
        std::fs::write(self.path("in.jsonl"), lines.concat()).unwrap();
    }

    /// `mainstay run in.jsonl -o out.jsonl …`, ready to start.
    pub(crate) fn command(&self, input: &str, more: &[&str]) -> Command {
        self.command_to(&self.base_url(), input, more)
    }

    /// The same against another provider.
    pub(crate) fn command_to(&self, base_url: &str, input: &str, more: &[&str]) -> Command {
        let mut command = self.bare(&["run", input, "-o", "out.jsonl", "--json"]);
        command.args(["--base-url", base_url]).args(more);
        command
    }

    /// Runs `in.jsonl` to the end and tells it to people, not to programs.
    pub(crate) fn run_for_people(&self, more: &[&str]) -> Done {
        let mut command = self.bare(&["run", "in.jsonl", "-o", "out.jsonl"]);
        command.args(["--base-url", &self.base_url()]).args(more);
        finished(command.spawn().unwrap())
    }

    /// The binary in the folder, with a key and nothing else.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.env_clear().env("OPENAI_API_KEY", "sk-test").current_dir(self.folder.path());
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `in.jsonl` to the end.
    pub(crate) fn run(&self, more: &[&str]) -> Done {
        finished(self.command("in.jsonl", more).spawn().unwrap())
    }

    /// Runs what comes from standard input.
    pub(crate) fn pipe(&self, input: &[u8], more: &[&str]) -> Done {
        let mut child = self.command("-", more).stdin(Stdio::piped()).spawn().unwrap();
        // A run that refuses may not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        finished(child)
    }

    /// The output: each id with its line, none twice.
    pub(crate) fn output(&self) -> BTreeMap<String, Value> {
        lines(&self.path("out.jsonl"))
    }

    /// What the provider has counted.
    pub(crate) fn stats(&self) -> Value {
        let mut stream = TcpStream::connect(self.sim.addr()).unwrap();
        let request = "GET /sim/stats HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(&answer[answer.find('{').unwrap()..=answer.rfind('}').unwrap()])
            .unwrap()
    }

    pub(crate) fn attempts(&self) -> u64 {
        self.stats()["attempts"].as_u64().unwrap()
    }
}

pub(crate) fn finished(child: Child) -> Done {
    let done = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

/// Lines by their ids; fails when one stands twice.
pub(crate) fn lines(path: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let id = value["custom_id"].as_str().unwrap().to_owned();
        assert!(found.insert(id.clone(), value).is_none(), "{id} stands twice");
    }
    found
}

/// A Batch line for chat.
pub(crate) fn chat(id: impl std::fmt::Display, model: &str) -> String {
    let content = format!("question {id} in 3 words");
    let body = json!({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": content}]});
    let id = id.to_string();
    let line =
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body});
    format!("{line}\n")
}

/// So many of them.
pub(crate) fn chats(count: usize) -> Vec<String> {
    (0..count).map(|n| chat(n, "gpt-4o-mini")).collect()
}
