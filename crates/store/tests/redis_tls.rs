//! The link to servers behind TLS, whose certificate an authority of their own has signed: to one,
//! to a master that a sentinel names, and to a cluster.

use std::fs::write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_store::redis::{Event, Link, LinkSettings, LinkState, Members, Script, Value};
use mainstay_store::testing::free_port;
use mainstay_store::testing::redis::RedisServer;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio::time::Instant;

static ADD: Script = Script::new("test add/1", "return redis.call('INCRBY', KEYS[1], ARGV[1])");

/// Longest wait for a link to be up or down.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a certificate for a name, and its authority's file.
struct Behind {
    server: RedisServer,
    tls: u16,
    folder: tempfile::TempDir,
}

impl Behind {
    /// `until`: the certificate's last year. `None` without Redis.
    fn start(name: &str, until: i32) -> Option<Behind> {
        let folder = tempfile::tempdir().expect("a directory");
        certificates(folder.path(), name, until);
        let tls = free_port();
        let more = arguments(folder.path(), tls, &[]);
        let server = RedisServer::with(&borrowed(&more))?;
        Some(Behind { server, tls, folder })
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn open(&self, ca_file: Option<PathBuf>) -> Link {
        open(&format!("rediss://127.0.0.1:{}", self.tls), ca_file)
    }
}

fn open(url: &str, ca_file: Option<PathBuf>) -> Link {
    let (url, deadline) = (url.parse().expect("a URL"), Duration::from_secs(2));
    Link::open(LinkSettings { ca_file, deadline, ..LinkSettings::new(url) }).expect("a thread")
}

/// A server's arguments to speak TLS at this port, beside what else it is to do over TLS.
fn arguments(folder: &Path, port: u16, over_tls: &[&str]) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut all = vec!["--tls-port".to_owned(), port.to_string()];
    for (name, value) in [
        ("--tls-cert-file", file("server.pem")),
        ("--tls-key-file", file("server.key")),
        ("--tls-ca-cert-file", file("authority.pem")),
        ("--tls-auth-clients", "no".to_owned()),
    ] {
        all.extend([name.to_owned(), value]);
    }
    all.extend(over_tls.iter().flat_map(|name| [(*name).to_owned(), "yes".to_owned()]));
    all
}

fn borrowed(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// Writes an authority, and a certificate and a key that it signed for `name`.
fn certificates(folder: &Path, name: &str, until: i32) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Servers that check each other take a certificate for self-signed when both names are the same.
    authority.distinguished_name.push(DnType::CommonName, "the authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(until, 1, 1));
    let signed = params.signed_by(&key, &authority).expect("a certificate");
    write(folder.join("authority.pem"), authority.pem()).expect("a file");
    write(folder.join("server.pem"), signed.pem()).expect("a file");
    write(folder.join("server.key"), key.serialize_pem()).expect("a file");
}

/// Waits until a link is up, or why it is down.
async fn settled(link: &Link) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match link.state() {
            LinkState::Up => return Ok(()),
            LinkState::Down(why) => return Err(why.to_string()),
            LinkState::Connecting => assert!(began.elapsed() < PATIENCE, "it comes to nothing"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn scripts_messages_and_heartbeats_go_over_tls() {
    let Some(behind) = Behind::start("127.0.0.1", 4_000) else { return };
    let link = behind.open(Some(behind.authority()));
    settled(&link).await.expect("its authority is trusted");
    let mut ear = link.subscribe(&["news"]);
    assert_eq!(ear.next().await, Some(Event::Listening));
    assert_eq!(link.script(&ADD, &["n"], &[b"2"]).await, Ok(Value::Int(2)));
    link.publish("news", b"told").await.expect("it is told");
    let told = Event::Message { channel: "news".to_owned(), payload: b"told".to_vec() };
    assert_eq!(ear.next().await, Some(told));
    let members = Members::new(link.clone(), "one".to_owned(), String::new());
    members.beat().await.expect("it is counted");
    assert_eq!(members.nodes(), 1);
    // The plain port of the same server has what was written.
    assert!(behind.server.ask("GET n").is_some_and(|answer| answer.contains('2')));
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_with_the_reason() {
    let Some(good) = Behind::start("127.0.0.1", 4_000) else { return };
    let expired = Behind::start("127.0.0.1", 2_020).expect("another");
    let elsewhere = Behind::start("elsewhere.example", 4_000).expect("another");
    let missing = PathBuf::from("/no/such.pem");
    let key = good.folder.path().join("server.key");
    for (link, why) in [
        (good.open(None), "signed by nobody trusted here"),
        (good.open(Some(expired.authority())), "signed by nobody trusted here"),
        (expired.open(Some(expired.authority())), "has expired"),
        (elsewhere.open(Some(elsewhere.authority())), "for another name"),
        (good.open(Some(missing)), "`shared.ca_file` /no/such.pem cannot be used"),
        (good.open(Some(key)), "it holds no certificate"),
    ] {
        let told = settled(&link).await.expect_err("it is not used");
        assert!(told.contains(why), "{why}: {told}");
        assert!(link.script(&ADD, &["n"], &[b"1"]).await.is_err(), "{why}");
    }
}

#[tokio::test]
async fn a_sentinel_behind_tls_leads_to_the_new_master_behind_tls() {
    let folder = tempfile::tempdir().expect("a directory");
    certificates(folder.path(), "127.0.0.1", 4_000);
    let server = |more: &[&str]| {
        let port = free_port();
        let all = arguments(folder.path(), port, &["--tls-replication"]);
        RedisServer::with(&[&borrowed(&all)[..], more].concat()).map(|server| (server, port))
    };
    let Some((mut master, master_port)) = server(&[]) else { return };
    let port = master_port.to_string();
    let (replica, replica_port) = server(&["--replicaof", "127.0.0.1", &port]).expect("a replica");
    let sentinel_port = free_port();
    let lines = arguments(folder.path(), sentinel_port, &["--tls-replication"]);
    let lines: Vec<String> = lines.chunks(2).map(|pair| pair.join(" ").replace("--", "")).collect();
    let sentinel = RedisServer::sentinel_of(master_port, &lines.join("\n")).expect("a sentinel");
    until("the sentinel knows the replica", || {
        let known = sentinel.ask("SENTINEL replicas main").unwrap_or_default();
        known.contains(&replica_port.to_string())
    })
    .await;
    let url = format!("rediss+sentinel://127.0.0.1:{sentinel_port}/main");
    let link = open(&url, Some(folder.path().join("authority.pem")));
    settled(&link).await.expect("the master's authority is trusted");
    assert_eq!(link.script(&ADD, &["n"], &[b"1"]).await, Ok(Value::Int(1)));
    until("the replica has it", || replica.ask("GET n").is_some_and(|n| n.contains("\n1"))).await;
    master.kill();
    until("the link is down", || matches!(link.state(), LinkState::Down(_))).await;
    until("the link is up again", || link.state() == LinkState::Up).await;
    assert_eq!(link.script(&ADD, &["n"], &[b"1"]).await, Ok(Value::Int(2)), "by the new master");
}

#[tokio::test]
async fn a_cluster_behind_tls_is_asked_where_a_key_is() {
    let folder = tempfile::tempdir().expect("a directory");
    certificates(folder.path(), "127.0.0.1", 4_000);
    let ports = std::sync::Mutex::new(Vec::new());
    let servers = RedisServer::cluster(|| {
        let port = free_port();
        ports.lock().expect("a lock").push(port);
        (arguments(folder.path(), port, &["--tls-cluster", "--tls-replication"]), Some(port))
    });
    let Some(servers) = servers else { return };
    let first = ports.lock().expect("a lock")[0];
    let url = format!("rediss+cluster://127.0.0.1:{first}");
    let link = open(&url, Some(folder.path().join("authority.pem")));
    until("the cluster is known", || link.state() == LinkState::Up).await;
    for number in 0..60 {
        assert_eq!(link.script(&ADD, &[&format!("k{number}")], &[b"1"]).await, Ok(Value::Int(1)));
    }
    let shares = servers.each_ref().map(|server| server.ask("DBSIZE").expect("a number"));
    assert!(shares.iter().all(|share| share.trim() != ":0"), "each has some: {shares:?}");
}
