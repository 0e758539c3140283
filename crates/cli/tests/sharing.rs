//! Gateways as real processes with one Redis: how soon a revoked key is refused by the other one, and
//! what a call costs while Redis is silent. Each has a store of its own, the second one's a copy of the
//! first one's, so that what it knows of a revocation it was told.
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use mainstay_store::testing::redis::RedisServer;
use tokio::time::Instant;

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

#[path = "support/process.rs"]
mod process;

use process::{Gateway, TOKEN, mainstay, new_key, until};

impl Gateway {
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

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[admin]\ntoken = \"{TOKEN}\"\n[shared]\ndeadline = \"50ms\"\n[[provider]]\nname = \"sim\"\nkind = \"sim\"\n"
    );
    std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
    folder
}

/// Two gateways that see each other, and a key that both know: its id and itself.
fn start(folders: &[tempfile::TempDir; 2], redis: &RedisServer) -> ([Gateway; 2], String, String) {
    let [first, second] = folders.each_ref().map(tempfile::TempDir::path);
    let (id, key) = new_key(first);
    for file in std::fs::read_dir(first).expect("a directory").flatten() {
        let name = file.file_name();
        if name.to_string_lossy().starts_with("mainstay.db") {
            std::fs::copy(file.path(), second.join(name)).expect("copied");
        }
    }
    let gateways = [first, second].map(|folder| {
        let (gateway, said) = Gateway::start(folder, &redis.url(), "shared with other gateways");
        assert!(said.contains(&redis.url()), "{said}");
        gateway
    });
    for gateway in &gateways {
        until("they see each other", || {
            gateway.admin("GET", "/mainstay/status").text.contains("\"nodes\":2")
        });
        until("the key works", || gateway.chat(&key).status == 200);
    }
    (gateways, id, key)
}

#[test]
fn a_key_revoked_on_one_gateway_is_refused_by_another_process_within_a_second() {
    let Some(redis) = RedisServer::start() else { return };
    let folders = [folder(), folder()];
    let (gateways, id, key) = start(&folders, &redis);
    let revoked = gateways[0].admin("POST", &format!("/mainstay/keys/{id}/revoke"));
    assert_eq!(revoked.status, 200);
    for gateway in &gateways {
        let took = until("it is refused", || gateway.chat(&key).status == 401);
        println!("refused after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // By hand, on the second one's machine, of a key that only it knows: its own store is looked at.
    let (id, key) = new_key(folders[1].path());
    until("the key works", || gateways[1].chat(&key).status == 200);
    mainstay(folders[1].path(), &["key", "revoke", &id]);
    let took = until("it is refused", || gateways[1].chat(&key).status == 401);
    println!("revoked by the command line, refused after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
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
    let folders = [folder(), folder()];
    let ([gateway, _other], _, key) = start(&folders, &redis);
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
