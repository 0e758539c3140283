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

const NODES: usize = 4;
/// What one caller rests between two calls.
const REST: Duration = Duration::from_millis(4);

/// Stands before a server and counts how often somebody spoke after the other had.
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
                let asks = Arc::new(AtomicBool::new(false));
                let (back, way) = (Arc::clone(&asks), Arc::clone(&counted));
                let copies =
                    (caller.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
                for stream in [&caller, &server] {
                    stream.set_nodelay(true).expect("a socket option");
                }
                std::thread::spawn(move || {
                    pass(caller, server, || {
                        if !asks.swap(true, Ordering::Relaxed) {
                            way.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
                std::thread::spawn(move || {
                    pass(copies.1, copies.0, || back.store(false, Ordering::Relaxed));
                });
            }
        });
        Counter { port, trips }
    }

    fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, seen: impl Fn()) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        seen();
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The port in a URL, and the URL with another one.
fn with_port(url: &str, port: u16) -> (u16, String) {
    let (head, rest) = url.rsplit_once('@').expect("a user");
    let (host, rest) = rest.split_once(':').expect("a port");
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let old = rest[..end].parse().expect("a number");
    (old, format!("{head}@{host}:{port}{}", &rest[end..]))
}

#[test]
fn a_thousand_calls_at_steady_load_are_few_ways_to_postgresql() {
    let Some(postgres) = Own::start("fsync = off") else { return };
    let Some(redis) = RedisServer::start() else { return };
    let counter = Counter::before(with_port(&postgres.url(), 0).0);
    let url = with_port(&postgres.url(), counter.port).1;
    let folders: Vec<tempfile::TempDir> =
        (0..NODES).map(|_| tempfile::tempdir().expect("a directory")).collect();
    for folder in &folders {
        let config = format!("[store]\nurl = \"{url}\"\n[admin]\ntoken = \"{TOKEN}\"\n");
        std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
    }
    let (id, key) = new_key(folders[0].path());
    // One that gateways lease, and that lasts.
    mainstay(
        folders[0].path(),
        &["budget", "set", "--key", &id, "--amount", "1000", "--period", "total"],
    );
    let gateways: Vec<Gateway> = folders
        .iter()
        .map(|folder| Gateway::start(folder.path(), &redis.url(), "serves http").0)
        .collect();
    until("all know of each other", || {
        gateways.iter().all(|one| one.metric("mainstay_nodes") == NODES as u64)
    });
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let (trips, calls, seconds) = std::thread::scope(|scope| {
        for gateway in &gateways {
            for _ in 0..2 {
                let (stop, calls, key) = (&stop, &calls, &key);
                scope.spawn(move || {
                    let mut caller = Caller::to(gateway.port);
                    while !stop.load(Ordering::Relaxed) {
                        let (status, head, body) = caller.chat(key);
                        assert_eq!(status, 200, "{head}{body}");
                        calls.fetch_add(1, Ordering::Relaxed);
                        sleep(REST);
                    }
                });
            }
        }
        sleep(Duration::from_secs(4));
        let (began, trips) = (Instant::now(), counter.trips());
        let called = calls.load(Ordering::Relaxed);
        sleep(Duration::from_secs(10));
        let trips = counter.trips() - trips;
        let called = calls.load(Ordering::Relaxed) - called;
        stop.store(true, Ordering::Relaxed);
        (trips as f64, called as f64, began.elapsed().as_secs_f64())
    });
    let (a_second, a_thousand) = (trips / seconds / NODES as f64, trips * 1_000.0 / calls);
    println!(
        "{:.0} calls a second over {NODES} gateways: {a_second:.1} ways to PostgreSQL a second and gateway, {a_thousand:.1} a thousand calls",
        calls / seconds
    );
    // They come by the clock and not by calls.
    assert!(a_second <= 20.0, "{a_second}");
}
