//! Several gateways as real processes, on one store and one Redis: how soon a revoked key is refused
//! everywhere, and what a call costs while Redis is silent.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mainstay_store::testing::redis::{RedisServer, free_port};
use tokio::time::Instant;

const TOKEN: &str = "token-of-these-tests-0001";
const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

/// A gateway process; ended with the test.
struct Gateway {
    child: Child,
    port: u16,
    admin: u16,
    /// What it said until it was ready.
    said: String,
}

impl Gateway {
    fn start(folder: &Path, redis: &str) -> Gateway {
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
        while !said.contains("serves http") {
            let read = lines.read_line(&mut said).expect("stderr can be read");
            assert!(read > 0, "it ended:\n{said}");
        }
        // The key, if there is one, stands in the lines after it.
        if !folder.join("key").exists() {
            while !said.contains("curl ") {
                lines.read_line(&mut said).expect("stderr can be read");
            }
        }
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Gateway { child, port, admin, said }
    }

    fn chat(&self, key: &str) -> Answer {
        let length = CHAT.len();
        ask(
            self.port,
            &format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{CHAT}"
            ),
        )
    }

    fn admin(&self, method: &str, path: &str) -> Answer {
        ask(
            self.admin,
            &format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            ),
        )
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    text: String,
}

fn ask(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    Answer { status, text }
}

/// Runs a command of the binary in the folder; what it prints.
fn mainstay(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    let ran = command.args(arguments).env_clear().current_dir(folder).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// A new key: its id and itself.
fn new_key(folder: &Path) -> (String, String) {
    let made = mainstay(folder, &["key", "create", "--name", "test", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} does not come about");
        sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[admin]\ntoken = \"{TOKEN}\"\n[shared]\ndeadline = \"50ms\"\n[[provider]]\nname = \"sim\"\nkind = \"sim\"\n"
    );
    std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
    folder
}

fn start(folder: &Path, redis: &RedisServer) -> [Gateway; 2] {
    let first = Gateway::start(folder, &redis.url());
    std::fs::write(folder.join("key"), "made").expect("written");
    let second = Gateway::start(folder, &redis.url());
    for gateway in [&first, &second] {
        until("they see each other", || {
            gateway.admin("GET", "/mainstay/status").text.contains("\"nodes\":2")
        });
    }
    [first, second]
}

#[test]
fn a_revoked_key_is_refused_by_every_gateway_within_a_second_and_without_redis_within_five() {
    let Some(mut redis) = RedisServer::start() else { return };
    let folder = folder();
    let gateways = start(folder.path(), &redis);
    assert!(
        gateways[0].said.contains(&redis.url()),
        "it says what is shared: {}",
        gateways[0].said
    );
    for (how, limit) in [("administration", 1), ("command line", 1), ("without Redis", 5)] {
        let (id, key) = new_key(folder.path());
        for gateway in &gateways {
            until("the key works", || gateway.chat(&key).status == 200);
        }
        match how {
            "administration" => {
                let path = format!("/mainstay/keys/{id}/revoke");
                assert_eq!(gateways[0].admin("POST", &path).status, 200);
            }
            "command line" => drop(mainstay(folder.path(), &["key", "revoke", &id])),
            _ => {
                redis.kill();
                for gateway in &gateways {
                    until("it is told", || gateway.chat(&key).text.contains("x-mainstay-degraded"));
                }
                mainstay(folder.path(), &["key", "revoke", &id]);
            }
        }
        for gateway in &gateways {
            let took = until("it is refused", || gateway.chat(&key).status == 401);
            println!("{how}: refused after {took:?}");
            assert!(took < Duration::from_secs(limit), "{how}: {took:?}");
        }
    }
}

/// The time that 99 of 100 calls took at most.
fn p99(gateway: &Gateway, key: &str, calls: usize) -> Duration {
    let mut took: Vec<Duration> = (0..calls)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(gateway.chat(key).status, 200);
            began.elapsed()
        })
        .collect();
    took.sort();
    took[calls * 99 / 100 - 1]
}

#[test]
fn calls_do_not_wait_for_a_shared_store_that_is_silent_or_gone() {
    let Some(mut redis) = RedisServer::start() else { return };
    let folder = folder();
    let [gateway, _other] = start(folder.path(), &redis);
    let (_, key) = new_key(folder.path());
    until("the key works", || gateway.chat(&key).status == 200);
    p99(&gateway, &key, 100); // warms up
    let normal = p99(&gateway, &key, 300);
    redis.freeze();
    let silent = p99(&gateway, &key, 300);
    redis.thaw();
    redis.kill();
    let gone = p99(&gateway, &key, 300);
    println!(
        "p99 of 300 calls: {normal:?} normal, {silent:?} with Redis frozen, {gone:?} with it gone"
    );
    // Beside a build everything takes its time; a wait for the store would be 50 ms a call and more.
    let most = normal * 2 + Duration::from_millis(40);
    assert!(silent < most && gone < most, "{normal:?}, {silent:?}, {gone:?}");
}
