//! Four gateways as real processes, one Redis, one limit: together they admit what one would, with few words
//! between them; and what they do while Redis is gone.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]
#![expect(clippy::print_stdout, reason = "what was measured is shown beside what is held")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_store::testing::redis::RedisServer;

const NODES: usize = 4;
/// No call takes longer, whatever happens to Redis: the machine may be busy, nobody may hang.
const LONGEST: Duration = Duration::from_secs(5);

#[path = "support/caller.rs"]
mod caller;
#[path = "support/process.rs"]
mod process;
#[path = "support/rounds.rs"]
mod rounds;

use caller::Caller;
use process::{Gateway, TOKEN, mainstay, new_key, until};
use rounds::{holds, one_is_good};

/// Gateways with the same keys and limits and one Redis, and a key. Each has a copy of one store: SQLite serves one
/// gateway at a time.
struct Town {
    _folders: Vec<tempfile::TempDir>,
    redis: RedisServer,
    gateways: Vec<Gateway>,
    key: String,
    began: Instant,
    /// Calls that were admitted: when each was sent and answered.
    admitted: Mutex<Vec<(Duration, Duration)>>,
    slowest: Mutex<Duration>,
    stop: AtomicBool,
}

impl Town {
    fn new(limit: &[&str]) -> Option<Town> {
        let redis = RedisServer::start()?;
        let folder = tempfile::tempdir().expect("a directory");
        // Of a busy machine Redis may have no time for longer than the usual 20 ms.
        let config = format!("[admin]\ntoken = \"{TOKEN}\"\n[shared]\ndeadline = \"500ms\"\n");
        std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
        let (_, key) = new_key(folder.path());
        let set = [&["limit", "set", "--org", "default"], limit].concat();
        mainstay(folder.path(), &set);
        let copy = |_| {
            let own = tempfile::tempdir().expect("a directory");
            for file in ["mainstay.toml", "mainstay.db"] {
                std::fs::copy(folder.path().join(file), own.path().join(file)).expect("a copy");
            }
            own
        };
        let folders: Vec<tempfile::TempDir> = (0..NODES).map(copy).collect();
        let start =
            |own: &tempfile::TempDir| Gateway::start(own.path(), &redis.url(), "serves http").0;
        let gateways = folders.iter().map(start).collect();
        let town = Town {
            gateways,
            _folders: folders,
            redis,
            key,
            began: Instant::now(),
            admitted: Mutex::default(),
            slowest: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        until("all know of each other", || {
            town.gateways.iter().all(|one| one.metric("mainstay_nodes") == NODES as u64)
        });
        Some(town)
    }

    fn metric(&self, name: &str) -> u64 {
        self.gateways.iter().map(|gateway| gateway.metric(name)).sum()
    }

    /// Calls one gateway until it is told to stop, with a short rest after each refusal.
    fn hammer(&self, node: usize) {
        let mut caller = Caller::to(self.gateways[node].port);
        while !self.stop.load(Ordering::Relaxed) {
            let sent = self.began.elapsed();
            let (status, head, body) = caller.chat(&self.key);
            let answered = self.began.elapsed();
            let mut slowest = self.slowest.lock().expect("no caller panicked");
            *slowest = (*slowest).max(answered.saturating_sub(sent));
            drop(slowest);
            match status {
                200 => self.admitted.lock().expect("no caller panicked").push((sent, answered)),
                429 => {
                    for told in ["Limit 1200", "Used ", "Requested 1", "try again in "] {
                        assert!(body.contains(told), "{body}");
                    }
                    for told in
                        ["retry-after-ms:", "x-ratelimit-remaining-requests:", "x-mainstay-limit:"]
                    {
                        assert!(head.to_ascii_lowercase().contains(told), "{head}");
                    }
                    sleep(Duration::from_millis(15));
                }
                other => panic!("{other}: {head}{body}"),
            }
        }
    }

    /// Calls that were surely admitted between two times: sent after the one, answered before the other.
    fn surely(&self, from: Duration, to: Duration) -> usize {
        let admitted = self.admitted.lock().expect("no caller panicked");
        admitted.iter().filter(|(sent, answered)| *sent >= from && *answered <= to).count()
    }

    /// Calls that were answered between two times.
    fn answered(&self, from: Duration, to: Duration) -> usize {
        let admitted = self.admitted.lock().expect("no caller panicked");
        admitted.iter().filter(|(_, answered)| (from..to).contains(answered)).count()
    }
}

/// Twenty calls a second, forty at once.
const LIMIT: [&str; 4] = ["--rpm", "1200", "--burst", "2s"];
const RATE: f64 = 20.0;
const BURST: f64 = 40.0;

#[test]
fn four_gateways_admit_what_one_would_with_redis_without_it_and_after_it() {
    one_is_good(with_without_and_with_redis);
}

fn with_without_and_with_redis() -> Result<(), String> {
    let Some(mut town) = Town::new(&LIMIT) else { return Ok(()) };
    let (full, away, back) = (12.0, 10.0, 14.0);
    let seconds = Duration::from_secs_f64;
    let mut marks = Vec::new();
    let redis = std::mem::replace(&mut town.redis, RedisServer::start().expect("another"));
    let redis = Mutex::new(redis);
    std::thread::scope(|scope| {
        for caller in 0..2 * NODES {
            let town = &town;
            scope.spawn(move || town.hammer(caller % NODES));
        }
        for (time, act) in [(full, Some(false)), (away, Some(true)), (back, None)] {
            let from = town.began.elapsed();
            sleep(seconds(time));
            marks.push((from, town.began.elapsed()));
            let mut redis = redis.lock().expect("nobody panicked");
            match act {
                Some(false) => redis.kill(),
                Some(true) => redis.run(),
                None => {}
            }
        }
        town.stop.store(true, Ordering::Relaxed);
    });
    let slowest = *town.slowest.lock().expect("no caller panicked");
    assert!(slowest < LONGEST, "nobody hangs: {slowest:?}");

    // In any stretch of time, whatever happened to Redis meanwhile.
    let mut times: Vec<Duration> =
        town.admitted.lock().expect("no caller panicked").iter().map(|(sent, _)| *sent).collect();
    times.sort();
    let end = town.began.elapsed();
    for from in &times {
        for length in [0.5, 1.0, 3.0, 8.0, 20.0, 40.0] {
            let to = (*from + seconds(length)).min(end);
            let most = RATE * to.saturating_sub(*from).as_secs_f64() + BURST + 1.0;
            let admitted = town.surely(*from, to);
            assert!(admitted as f64 <= most, "{admitted} from {from:?} to {to:?}, {most} may be");
        }
    }
    let [good, without, after] = marks[..] else { panic!("three phases") };
    let rate = |(from, to): (Duration, Duration), skip: f64| {
        let from = from + seconds(skip);
        town.answered(from, to) as f64 / to.saturating_sub(from).as_secs_f64()
    };
    // The burst comes in the first moments, then the rate. After its return a place is found within some
    // seconds, and what was admitted alone in the last ones is paid for.
    let (with, alone, again) = (rate(good, 3.0), rate(without, 3.0), rate(after, 7.0));
    let what = format!("{with:.1} a second with Redis, {alone:.1} without, {again:.1} after");
    println!(
        "{what}; slowest answer {slowest:?}; alone {}",
        town.metric("mainstay_admitted_alone_total")
    );
    // What comes back comes in no rush, and nobody gets more while Redis is away.
    let first = town.surely(after.0, after.0 + seconds(1.0));
    holds(first as f64 <= BURST, format_args!("{first} in the first second after the return"))?;
    holds(alone <= 0.8 * RATE * 1.05, &what)?;
    holds(with.min(again) >= 0.95 * RATE && alone >= 0.6 * RATE, what)?;
    let alone = town.metric("mainstay_admitted_alone_total");
    holds(alone > 50, format_args!("{alone} were admitted alone"))
}

#[test]
fn a_thousand_calls_at_steady_load_take_few_messages() {
    one_is_good(steady_load_takes_few_messages);
}

fn steady_load_takes_few_messages() -> Result<(), String> {
    let Some(town) = Town::new(&["--rpm", "60000", "--tpm", "100000000", "--concurrency", "1000"])
    else {
        return Ok(());
    };
    // Each has its lease.
    for gateway in &town.gateways {
        let (status, head, body) = Caller::to(gateway.port).chat(&town.key);
        assert_eq!(status, 200, "{head}{body}");
        assert!(head.contains("x-ratelimit-limit-requests: 60000"), "{head}");
    }
    let before = town.metric("mainstay_lease_messages_total");
    assert!(before > 0, "leases were asked for");
    let calls = 1_500;
    std::thread::scope(|scope| {
        for gateway in &town.gateways {
            let town = &town;
            scope.spawn(move || {
                let mut caller = Caller::to(gateway.port);
                for _ in 0..calls {
                    let (status, head, body) = caller.chat(&town.key);
                    assert_eq!(status, 200, "{head}{body}");
                }
            });
        }
    });
    let messages = town.metric("mainstay_lease_messages_total") - before;
    let thousands = (calls * NODES) as f64 / 1_000.0;
    println!("{messages} messages for {} calls", calls * NODES);
    holds(
        messages as f64 <= 20.0 * thousands,
        format_args!("{messages} for {thousands} thousand calls"),
    )?;
    let unheard = town.metric("mainstay_lease_unheard_total");
    holds(unheard == 0, format_args!("{unheard} unheard"))
}
