//! What PostgreSQL is asked while gateways carry calls that cost money: counted on the way there, as ways
//! there and back, because that is what a call could wait for and what a network costs.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_store::testing::postgres::Own;
use mainstay_store::testing::redis::RedisServer;

#[path = "support/caller.rs"]
mod caller;
#[path = "support/process.rs"]
mod process;

use caller::Caller;
use process::{Gateway, TOKEN, mainstay, new_key, until};

/// One caller begins a call so often: 125 calls a second at a gateway, by two.
const EACH: Duration = Duration::from_millis(16);
/// Ways there and back at most, of a gateway in a second: 20 a thousand of the calls that are begun.
const MOST_A_SECOND: f64 = 2.5;

/// Stands before a server and counts how often somebody asked who had nothing to wait for: what is asked
/// together, before the first answer or between two of them, is one way there and back.
struct Counter {
    port: u16,
    trips: Arc<AtomicU64>,
}

impl Counter {
    fn before(server: u16) -> Counter {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let trips = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&trips);
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
                let copies =
                    (caller.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
                for stream in [&caller, &server] {
                    stream.set_nodelay(true).expect("a socket option");
                }
                let asked = Arc::new(AtomicU64::new(0));
                let (answered, way) = (Arc::clone(&asked), Arc::clone(&counted));
                // Each `Sync` and each simple query is answered by one `ReadyForQuery`.
                let asks = move |kind| {
                    if matches!(kind, b'S' | b'Q') && asked.fetch_add(1, Ordering::SeqCst) == 0 {
                        way.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let answers = move |kind| {
                    if kind == b'Z' {
                        let less = |asked: u64| asked.checked_sub(1);
                        // The one after the sign-in answers nothing.
                        let _ = answered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
                    }
                };
                std::thread::spawn(move || pass(caller, server, Frames::new(false), asks));
                std::thread::spawn(move || pass(copies.1, copies.0, Frames::new(true), answers));
            }
        });
        Counter { port, trips }
    }

    fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut frames: Frames, seen: impl Fn(u8)) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        frames.read(&bytes[..length], &seen);
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Messages of PostgreSQL's protocol: a letter, a length that counts itself, and so many bytes. The first
/// one of a client has no letter.
struct Frames {
    typed: bool,
    head: Vec<u8>,
    skip: usize,
}

impl Frames {
    fn new(typed: bool) -> Frames {
        Frames { typed, head: Vec::new(), skip: 0 }
    }

    fn read(&mut self, mut bytes: &[u8], seen: &impl Fn(u8)) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                (self.skip, bytes) = (self.skip - skipped, &bytes[skipped..]);
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            let start = usize::from(self.typed);
            if let Some(length) = self.head[start.min(self.head.len())..].first_chunk::<4>() {
                self.skip = u32::from_be_bytes(*length).saturating_sub(4) as usize;
                seen(if self.typed { self.head[0] } else { 0 });
                (self.typed, self.head) = (true, Vec::new());
            }
        }
    }
}

/// The port in a URL, and the URL with another one.
fn with_port(url: &str, port: u16) -> (u16, String) {
    let (head, rest) = url.rsplit_once('@').expect("a user");
    let (host, rest) = rest.split_once(':').expect("a port");
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let old = rest[..end].parse().expect("a number");
    (old, format!("{head}@{host}:{port}{}", &rest[end..]))
}

/// Gateways over one PostgreSQL and one Redis, a key with a hard budget that they lease, and a counter on the way.
struct World {
    _postgres: Own,
    _redis: RedisServer,
    _folders: Vec<tempfile::TempDir>,
    counter: Counter,
    gateways: Vec<Gateway>,
    key: String,
}

/// What was asked in a while.
struct Asked {
    /// Ways there and back of one gateway.
    a_second: f64,
    a_thousand_calls: f64,
    /// Calls of one gateway.
    calls_a_second: f64,
}

impl World {
    fn new(nodes: usize) -> Option<World> {
        let postgres = Own::start("fsync = off")?;
        let redis = RedisServer::start()?;
        let counter = Counter::before(with_port(&postgres.url(), 0).0);
        // Without TLS, and without a question for it.
        let url = with_port(&postgres.url(), counter.port).1;
        let url = format!("{url}{}sslmode=disable", if url.contains('?') { '&' } else { '?' });
        let folders: Vec<tempfile::TempDir> =
            (0..nodes).map(|_| tempfile::tempdir().expect("a directory")).collect();
        for folder in &folders {
            let config = format!("[store]\nurl = \"{url}\"\n[admin]\ntoken = \"{TOKEN}\"\n");
            std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
        }
        let (id, key) = new_key(folders[0].path());
        // One that lasts.
        let budget = ["budget", "set", "--key", &id, "--amount", "1000", "--period", "total"];
        mainstay(folders[0].path(), &budget);
        let start =
            |own: &tempfile::TempDir| Gateway::start(own.path(), &redis.url(), "serves http").0;
        let gateways: Vec<Gateway> = folders.iter().map(start).collect();
        until("all know of each other", || {
            gateways.iter().all(|one| one.metric("mainstay_nodes") == nodes as u64)
        });
        Some(World {
            _postgres: postgres,
            _redis: redis,
            _folders: folders,
            counter,
            gateways,
            key,
        })
    }

    /// Two callers at each gateway, once leases have found their size.
    fn ask(&self) -> Asked {
        let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for gateway in self.gateways.iter().chain(&self.gateways) {
                let (stop, calls, key) = (&stop, &calls, &self.key);
                scope.spawn(move || {
                    let mut caller = Caller::to(gateway.port);
                    while !stop.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        let (status, head, body) = caller.chat(key);
                        assert_eq!(status, 200, "{head}{body}");
                        calls.fetch_add(1, Ordering::Relaxed);
                        sleep(EACH.saturating_sub(began.elapsed()));
                    }
                });
            }
            sleep(Duration::from_secs(20));
            let (began, trips) = (Instant::now(), self.counter.trips());
            let called = calls.load(Ordering::Relaxed);
            sleep(Duration::from_secs(20));
            let trips = (self.counter.trips() - trips) as f64;
            let called = (calls.load(Ordering::Relaxed) - called) as f64;
            stop.store(true, Ordering::Relaxed);
            let time = began.elapsed().as_secs_f64() * self.gateways.len() as f64;
            let (a_second, calls_a_second) = (trips / time, called / time);
            Asked { a_second, a_thousand_calls: trips * 1_000.0 / called, calls_a_second }
        })
    }
}

/// Ways of a gateway in a second, and what was measured, in words. By the clock, whatever the machine has
/// carried meanwhile.
fn measured(nodes: usize) -> Option<(f64, String)> {
    let Asked { a_second, a_thousand_calls, calls_a_second } = World::new(nodes)?.ask();
    let said = format!(
        "{nodes} gateways, {calls_a_second:.0} calls a second each: {a_second:.2} ways to PostgreSQL a second and gateway, \
         {a_thousand_calls:.1} a thousand calls"
    );
    Some((a_second, said))
}

#[test]
fn four_gateways_under_one_hard_budget_ask_postgresql_less_than_twenty_times_a_thousand_calls() {
    let Some((a_second, said)) = measured(4) else { return };
    println!("{said}");
    assert!(a_second <= MOST_A_SECOND, "{said}");
}

#[test]
fn so_does_one_gateway_at_moderate_load() {
    let Some((a_second, said)) = measured(1) else { return };
    println!("{said}");
    assert!(a_second <= MOST_A_SECOND, "{said}");
}
