//! Gateways as real processes with one Redis: how soon a revoked key is refused by the other one, with Redis,
//! without it, and over TLS. Unless a test says otherwise each has a store of its own, the second one's a
//! copy of the first one's, so that what it knows of a revocation it was told.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what was measured is shown beside what is held")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use mainstay_store::testing::free_port;
use mainstay_store::testing::postgres::Own;
use mainstay_store::testing::redis::RedisServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::time::Instant;

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

#[path = "support/process.rs"]
mod process;
#[path = "support/rounds.rs"]
mod rounds;

use process::{Gateway, TOKEN, mainstay, new_key, until};
use rounds::{holds, one_is_good};

/// A revocation is known to all within so long, where the machine has time for it.
const SOON: Duration = Duration::from_secs(1);

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

/// `shared`: further lines about the shared store.
fn folder_with(shared: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[admin]\ntoken = \"{TOKEN}\"\n[shared]\ndeadline = \"1s\"\n{shared}[[provider]]\nname = \"sim\"\nkind = \"sim\"\n"
    );
    std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
    folder
}

/// A key: its id and itself.
type Key = (String, String);

/// Two gateways that see and hear each other, and keys that both know, one for each round.
fn start(
    folders: &[tempfile::TempDir; 2],
    redis: &RedisServer,
    url: &str,
) -> ([Gateway; 2], [Key; rounds::ROUNDS]) {
    let [first, second] = folders.each_ref().map(tempfile::TempDir::path);
    let keys = [(); rounds::ROUNDS].map(|()| new_key(first));
    for file in std::fs::read_dir(first).expect("a directory").flatten() {
        let name = file.file_name();
        if name.to_string_lossy().starts_with("mainstay.db") {
            std::fs::copy(file.path(), second.join(name)).expect("copied");
        }
    }
    let gateways = [first, second].map(|folder| {
        let (gateway, said) = Gateway::start(folder, url, "shared with other gateways");
        assert!(said.contains(url), "{said}");
        gateway
    });
    // To be counted and to listen are two connections of each.
    until("all listen", || {
        let told = redis.ask("PUBSUB NUMSUB {mainstay}:changes:v1").unwrap_or_default();
        told.lines().last() == Some(":2")
    });
    for gateway in &gateways {
        until("they see each other", || {
            gateway.admin("GET", "/mainstay/status").text.contains("\"nodes\":2")
        });
        for (_, key) in &keys {
            until("the key works", || gateway.chat(key).status == 200);
        }
    }
    (gateways, keys)
}

/// A key that is revoked at the first gateway is soon refused by both.
fn revoked_is_refused(gateways: &[Gateway; 2], keys: &[Key]) {
    let mut keys = keys.iter();
    one_is_good(|| {
        let (id, key) = keys.next().expect("one for each round");
        let revoked = gateways[0].admin("POST", &format!("/mainstay/keys/{id}/revoke"));
        assert_eq!(revoked.status, 200);
        let took = gateways
            .each_ref()
            .map(|gateway| until("it is refused", || gateway.chat(key).status == 401));
        println!("refused after {took:?}");
        holds(took.iter().all(|took| *took < SOON), format_args!("{took:?}"))
    });
}

#[test]
fn a_key_revoked_on_one_gateway_is_refused_by_another_process_within_a_second() {
    let Some(redis) = RedisServer::start() else { return };
    let folders = [folder_with(""), folder_with("")];
    let (gateways, keys) = start(&folders, &redis, &redis.url());
    revoked_is_refused(&gateways, &keys);
    // By hand, on the second one's machine, of a key that only it knows: its own store is looked at.
    one_is_good(|| {
        let (id, key) = new_key(folders[1].path());
        until("the key works", || gateways[1].chat(&key).status == 200);
        mainstay(folders[1].path(), &["key", "revoke", &id]);
        let took = until("it is refused", || gateways[1].chat(&key).status == 401);
        println!("revoked by the command line, refused after {took:?}");
        holds(took < SOON, format_args!("{took:?}"))
    });
}

/// Two gateways over one PostgreSQL, and a key: who is not told of a revocation finds it in the store.
#[test]
fn a_key_revoked_while_redis_is_away_is_refused_by_all_within_five_seconds() {
    let Some(postgres) = Own::start("fsync = off") else { return };
    let Some(mut redis) = RedisServer::start() else { return };
    let folders = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
    for folder in &folders {
        let config =
            format!("[store]\nurl = \"{}\"\n[admin]\ntoken = \"{TOKEN}\"\n", postgres.url());
        std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
    }
    let gateways = folders
        .each_ref()
        .map(|folder| Gateway::start(folder.path(), &redis.url(), "shared with other gateways").0);
    for (frozen, by_command) in [(true, false), (true, true), (false, false), (false, true)] {
        one_is_good(|| {
            let took =
                refused_without(&mut redis, frozen, by_command, &gateways, folders[0].path());
            println!(
                "Redis frozen: {frozen}, by the command line: {by_command}: refused after {took:?}"
            );
            holds(took < Duration::from_secs(5), format_args!("{took:?}"))
        });
    }
}

/// How long after a revocation, while Redis is frozen or dead, all refuse the key.
fn refused_without(
    redis: &mut RedisServer,
    frozen: bool,
    by_command: bool,
    gateways: &[Gateway; 2],
    folder: &Path,
) -> Duration {
    let (id, key) = new_key(folder);
    for gateway in gateways {
        until("the key works", || gateway.chat(&key).status == 200);
    }
    if frozen {
        redis.freeze();
    } else {
        redis.kill();
    }
    let began = Instant::now();
    if by_command {
        mainstay(folder, &["key", "revoke", &id]);
    } else {
        let revoked = gateways[0].admin("POST", &format!("/mainstay/keys/{id}/revoke"));
        assert_eq!(revoked.status, 200);
    }
    for gateway in gateways {
        until("it is refused", || gateway.chat(&key).status == 401);
    }
    let took = began.elapsed();
    if frozen {
        redis.thaw();
    } else {
        redis.run();
    }
    for gateway in gateways {
        until("Redis is used again", || !gateway.chat(&key).text.contains("x-mainstay-degraded"));
    }
    took
}

/// Each has a store of its own: what the second one knows of a revocation came over TLS, and so did its
/// part of the limit.
#[test]
fn two_gateways_share_limits_and_news_over_tls() {
    let ground = tempfile::tempdir().expect("a directory");
    certificates(ground.path());
    let file = |name: &str| ground.path().join(name).display().to_string();
    let (tls, cert, key) = (free_port().to_string(), file("server.pem"), file("server.key"));
    let more = ["--tls-port", &tls, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let more = [&more[..], &["--tls-auth-clients", "no"]].concat();
    let Some(redis) = RedisServer::with(&more) else { return };
    let url = format!("rediss://127.0.0.1:{tls}");
    let trusts = format!("ca_file = \"{}\"\n", file("authority.pem"));
    let folders = [folder_with(&trusts), folder_with(&trusts)];
    mainstay(folders[0].path(), &["limit", "set", "--org", "default", "--rpm", "60000"]);
    let (gateways, keys) = start(&folders, &redis, &url);
    for gateway in &gateways {
        until("leases are asked for", || {
            assert_eq!(gateway.chat(&keys[0].1).status, 200);
            let page = gateway.admin("GET", "/metrics").text;
            page.lines().any(|line| {
                let sent = line.strip_prefix("mainstay_lease_messages_total ");
                sent.is_some_and(|sent| sent != "0")
            })
        });
    }
    revoked_is_refused(&gateways, &keys);

    // Without its authority nothing is shared, and everybody is told why.
    let stranger = folder_with("");
    let (_, key) = new_key(stranger.path());
    let (gateway, _) = Gateway::start(stranger.path(), &url, "shared with other gateways");
    until("the reason is told", || {
        let told = gateway.admin("GET", "/mainstay/status").text;
        told.contains("signed by nobody trusted here") && told.contains("shared_store_away")
    });
    assert_eq!(gateway.chat(&key).status, 200, "calls go on");
}

/// Writes an authority, and a certificate and a key that it signed for this machine.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"));
    let (authority, key) = (authority.expect("an authority"), KeyPair::generate().expect("a key"));
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let signed = params.signed_by(&key, &authority).expect("a certificate");
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("server.pem", signed.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
}
