//! Death at any moment, under load, in the ledger's mode `process`: after the next start the ledger
//! verifies, every answer that a caller received is paid for, and nothing is charged twice.
//!
//! `MAINSTAY_CRASH_KILLS` says how often the gateway is killed at a random instant, 10 by default;
//! `cargo xtask crash --kills 200` is the long form.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; its length is set from outside"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_core::dice::Dice;
use mainstay_core::money::Usd;
use mainstay_core::store::{LimitStore as _, ObjectStore as _};
use mainstay_store::{FAILPOINTS, Sqlite};
use serde_json::Value;
use tokio::time::Instant;

#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/money.rs"]
mod money;

use ledger::examine;
use money::{chat, exchange, free, paid, simulator};

/// Callers that never rest.
const CALLERS: u64 = 8;

/// Places on a call's way, where it is let die after so many passes; the others are passed by the
/// next start, which recovers what a death left.
const ON_THE_WAY: [&str; 4] =
    ["money-before-attempt", "ledger-before-commit", "ledger-after-commit", "money-before-settle"];
const PASSES: u32 = 20;

struct World {
    folder: tempfile::TempDir,
    key: String,
    /// What each answer that was received to its end has cost.
    paid: Mutex<HashMap<String, Usd>>,
}

impl World {
    fn new(sim: SocketAddr) -> World {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[store]\nurl = \"sqlite:{}\"\nledger = \"process\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n[[provider]]\nname = \"up\"\nbase_url = \"http://{sim}/v1\"\napi_key = \"sk-x\"\n",
            folder.path().join("m.db").display()
        );
        std::fs::write(folder.path().join("m.toml"), config).unwrap();
        let mut world = World { folder, key: String::new(), paid: Mutex::default() };
        let made: Value =
            serde_json::from_str(&world.tool(&["key", "create", "--name", "k", "--json"])).unwrap();
        made["key"].as_str().unwrap().clone_into(&mut world.key);
        let id = made["id"].as_str().unwrap();
        world.tool(&["budget", "set", "--key", id, "--amount", "1000", "--period", "day"]);
        world
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("m.db")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.env_clear().env("MAINSTAY_CONFIG", self.folder.path().join("m.toml"));
        command.env("MAINSTAY_LOG", "error").stdin(Stdio::null());
        command
    }

    fn tool(&self, args: &[&str]) -> String {
        let done = self.command().args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Another key, of a project of its own: its id and its text.
    fn stranger(&self) -> (String, String) {
        self.tool(&["project", "create", "other", "--org", "default"]);
        let made = self.tool(&["key", "create", "--name", "o", "--project", "other", "--json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    /// Waits until the store has what a running gateway writes a moment later.
    fn stored(&self, there: impl Fn(&Sqlite) -> bool) {
        let store = Sqlite::open(&self.store()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !there(&store) {
            assert!(Instant::now() < until, "it is never written: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the gateway; it may die at `place`.
    fn serve(&self, place: Option<&str>) -> Gateway {
        let addr = free();
        let log = std::fs::File::create(self.folder.path().join("serve.log")).unwrap();
        let mut command = self.command();
        command.args(["serve", "--listen", &addr.to_string(), "--admin-listen", "127.0.0.1:0"]);
        if let Some(place) = place {
            command.env("MAINSTAY_FAILPOINT", place);
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Gateway { child, addr, began: Instant::now() }
    }

    /// Starts it and waits until it serves; gives the time that took.
    fn serving(&self, place: Option<&str>) -> (Gateway, Duration) {
        let mut gateway = self.serve(place);
        let took = gateway.wait().unwrap_or_else(|| panic!("it does not serve: {}", self.log()));
        (gateway, took)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    /// Load until the gateway dies, by itself or after `life`.
    fn load(&self, gateway: &mut Gateway, life: Option<Duration>, seed: u64) {
        const LIFE_MAX: Duration = Duration::from_secs(20);
        let stop = AtomicBool::new(false);
        let addr = gateway.addr;
        std::thread::scope(|scope| {
            for number in 0..CALLERS {
                let (stop, world) = (&stop, self);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed ^ number << 32);
                    while !stop.load(Ordering::Relaxed) {
                        world.call(addr, &mut dice);
                    }
                });
            }
            if let Some(life) = life {
                std::thread::sleep(life);
                gateway.child.kill().unwrap();
            }
            let until = Instant::now() + LIFE_MAX;
            while gateway.child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < until, "it lives on: {}", self.log());
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// One call; what is received to its end goes on record.
    fn call(&self, addr: SocketAddr, dice: &mut Dice) {
        let (request, stream) = chat(&self.key, dice, 30);
        let answer = exchange(addr, &request);
        if let Some((id, cost)) = answer.and_then(|answer| paid(&answer, stream)) {
            self.paid.lock().unwrap().insert(id, cost);
        }
    }

    /// The ledger against what callers have received. Gives how many reservations were recovered.
    fn examine(&self) -> u64 {
        examine(&self.store(), &self.paid.lock().unwrap())
    }
}

struct Gateway {
    child: Child,
    addr: SocketAddr,
    began: Instant,
}

impl Gateway {
    /// The time until it serves; `None` when it died before.
    fn wait(&mut self) -> Option<Duration> {
        let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        while self.began.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            if exchange(self.addr, request)
                .is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
            {
                return Some(self.began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a request with this key, and the answer's body.
fn asked(gateway: &Gateway, key: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nopenai-beta: assistants=v2\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(gateway.addr, request.as_bytes()).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn a_gateway_that_is_killed_at_any_moment_owes_nothing_and_charges_once() {
    let kills: u64 =
        std::env::var("MAINSTAY_CRASH_KILLS").ok().map_or(10, |text| text.parse().unwrap());
    let (_runtime, sim) = simulator();
    let world = World::new(sim.addr());
    let mut dice = Dice::new(7);
    let (mut times, mut recovered) = (Vec::new(), 0);
    for kill in 0..kills {
        let (mut gateway, took) = world.serving(None);
        times.push(took);
        recovered = world.examine();
        let life = Duration::from_millis(20 + dice.below(400));
        world.load(&mut gateway, Some(life), kill);
    }
    drop(world.serving(None));
    recovered = world.examine().max(recovered);
    times.sort_unstable();
    let answers = world.paid.lock().unwrap().len();
    report(&format!(
        "{kills} kills, {answers} answers received and paid for, {recovered} reservations recovered; served again after {:?} (median), {:?} (longest)",
        times[times.len() / 2],
        times[times.len() - 1]
    ));
    assert!(
        answers > 10 && recovered > 0,
        "{answers} answers, {recovered} recovered: the load was felt"
    );
}

#[test]
fn a_death_at_each_named_place_is_recovered_from() {
    let (_runtime, sim) = simulator();
    let world = World::new(sim.addr());
    for (seed, place) in (0..).zip(FAILPOINTS) {
        if ON_THE_WAY.contains(&place) {
            let (mut gateway, _) = world.serving(Some(&format!("{place}:{PASSES}")));
            world.load(&mut gateway, None, seed);
        } else {
            // The first death leaves something to bring over from the journal, or calls to recover, and
            // the next start dies in that.
            let first = if place.starts_with("replay") { ON_THE_WAY[1] } else { ON_THE_WAY[3] };
            let (mut gateway, _) = world.serving(Some(&format!("{first}:{PASSES}")));
            world.load(&mut gateway, None, seed);
            let mut dying = world.serve(Some(place));
            assert_eq!(dying.wait(), None, "{place}: it dies before it serves");
        }
        drop(world.serving(None));
        world.examine();
    }
    let answers = world.paid.lock().unwrap().len();
    assert!(answers > 10, "{answers} answers: the load was felt");
    report(&format!("{} places of death, {answers} answers", FAILPOINTS.len()));
}

/// A day's requests are no others after a death, and whose an object is neither. Both are written a
/// moment after the answer; what was written outlives every kill.
#[test]
fn what_is_used_of_a_day_and_whose_objects_are_outlives_a_kill() {
    const CHAT: &str =
        r#"{"model":"gpt-4o","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}"#;
    let (_runtime, sim) = simulator();
    let world = World::new(sim.addr());
    let (id, stranger) = world.stranger();
    world.tool(&["limit", "set", "--key", &id, "--rpd", "5"]);
    let chat =
        |gateway: &Gateway| asked(gateway, &stranger, "POST", "/v1/chat/completions", CHAT).0;
    let (mut gateway, _) = world.serving(None);
    for _ in 0..3 {
        assert_eq!(chat(&gateway), 200);
    }
    let (status, thread) = asked(&gateway, &world.key, "POST", "/v1/threads", "{}");
    assert_eq!(status, 200, "{thread}");
    let thread = serde_json::from_str::<Value>(&thread).unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/threads/{thread}");
    world.stored(|store| {
        let used = store.levels().unwrap().iter().map(|level| level.used).sum::<u64>();
        used == 3 && store.object("threads", &thread).unwrap().is_some()
    });
    for _ in 0..2 {
        gateway.child.kill().unwrap();
        gateway = world.serving(None).0;
        assert_eq!(asked(&gateway, &world.key, "GET", &path, "").0, 200, "its owner has it");
        assert_eq!(asked(&gateway, &stranger, "GET", &path, "").0, 404, "and nobody else");
    }
    // A look at a thread may count as a request as well: whatever was used, the rest is no more.
    let used = 5 - (0..9).take_while(|_| chat(&gateway) == 200).count();
    assert!((3..=5).contains(&used), "{used} were used before");
    assert_eq!(chat(&gateway), 429, "the day's are used up");
}

#[expect(clippy::print_stderr, reason = "the figures are what the long form is run for")]
fn report(text: &str) {
    eprintln!("{text}");
}
