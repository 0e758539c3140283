//! The link to a server behind TLS, whose certificate an authority of its own has signed.

use std::fs::write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_store::redis::{Event, Link, LinkSettings, LinkState, Members, Script, Value};
use mainstay_store::testing::redis::{RedisServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
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
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (tls, cert, key) = (free_port(), file("server.pem"), file("server.key"));
        let port = tls.to_string();
        let more = ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
        let server = RedisServer::with(&[&more[..], &["--tls-auth-clients", "no"]].concat())?;
        Some(Behind { server, tls, folder })
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn open(&self, ca_file: Option<PathBuf>) -> Link {
        let url = format!("rediss://127.0.0.1:{}", self.tls).parse().expect("a URL");
        let deadline = Duration::from_secs(2);
        Link::open(LinkSettings { ca_file, deadline, ..LinkSettings::new(url) }).expect("a thread")
    }
}

/// Writes an authority, and a certificate and a key that it signed for `name`.
fn certificates(folder: &Path, name: &str, until: i32) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
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
