//! Gateways as real processes that share a Redis.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mainstay_store::testing::free_port;
use tokio::time::Instant;

/// What administration is asked with.
pub(crate) const TOKEN: &str = "token-of-these-tests-0001";

/// A gateway process; ended with the test.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) port: u16,
    pub(crate) admin: u16,
}

impl Gateway {
    /// Starts it in a folder with a `mainstay.toml`; also what it said until it said `ready`.
    pub(crate) fn start(folder: &Path, redis: &str, ready: &str) -> (Gateway, String) {
        let (port, admin) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args(["serve", "--config", "mainstay.toml"]);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]);
        command.env_clear().env("REDIS_URL", redis).current_dir(folder);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut said = String::new();
        while !said.contains(ready) {
            let read = lines.read_line(&mut said).expect("stderr can be read");
            assert!(read > 0, "it ended:\n{said}");
        }
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        (Gateway { child, port, admin }, said)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of the binary in the folder; what it prints.
pub(crate) fn mainstay(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    let ran = command.args(arguments).env_clear().current_dir(folder).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// A new key: its id and itself.
pub(crate) fn new_key(folder: &Path) -> (String, String) {
    let made = mainstay(folder, &["key", "create", "--name", "test", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

/// Waits until something holds; how long that took.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} does not come about");
        sleep(Duration::from_millis(10));
    }
    began.elapsed()
}
