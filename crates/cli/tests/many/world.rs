//! What the test stands on: gateways as processes, a PostgreSQL and a Redis of their own, callers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mainstay_core::dice::Dice;
use mainstay_core::money::Usd;
use mainstay_sim::Sim;
use mainstay_store::testing::postgres::Own;
use mainstay_store::testing::redis::RedisServer;
use serde_json::Value;

use crate::money::{chat, exchange, free, paid, simulator};

/// How long a gateway may take to serve, or the ledger to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To its end.
    Answered,
    /// The budget is spent.
    Spent,
    /// Something else was said.
    Refused,
    /// The connection broke.
    Broken,
}

/// What the ledger says.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) settled: Usd,
    /// Of that: charged for calls of a process that died.
    pub(crate) recovered: Usd,
    pub(crate) answers: usize,
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    postgres: Own,
    redis: Mutex<RedisServer>,
    /// How long something is frozen.
    frozen: Duration,
    gateways: Vec<Mutex<Gateway>>,
    key: String,
    id: String,
    /// What each answer that was received to its end has cost.
    paid: Mutex<HashMap<String, Usd>>,
    sim: Sim,
    /// On which the provider runs.
    _runtime: tokio::runtime::Runtime,
}

struct Gateway {
    number: usize,
    addr: SocketAddr,
    child: Option<Child>,
}

impl World {
    /// So many gateways that serve, and a key with a hard budget of `amount`; `None` without
    /// PostgreSQL.
    pub(crate) fn new(count: usize, amount: &str, frozen: Duration) -> Option<World> {
        // As a server with money on it is run.
        let postgres = Own::start("fsync = on\nsynchronous_commit = on\nfull_page_writes = on")?;
        let redis = Mutex::new(RedisServer::start()?);
        let (runtime, sim) = simulator();
        let folder = tempfile::tempdir().unwrap();
        let (key, id) = (String::new(), String::new());
        let (gateways, paid) = (Vec::new(), Mutex::default());
        let mut world = World {
            folder,
            postgres,
            redis,
            frozen,
            gateways,
            key,
            id,
            paid,
            sim,
            _runtime: runtime,
        };
        for number in 0..count {
            world.configure(number);
        }
        let made = world.tool(&["key", "create", "--name", "k", "--json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        made["key"].as_str().unwrap().clone_into(&mut world.key);
        made["id"].as_str().unwrap().clone_into(&mut world.id);
        let id = world.id.clone();
        world.tool(&["budget", "set", "--key", &id, "--amount", amount, "--period", "total"]);
        world.gateways = (0..count)
            .map(|number| Gateway { number, addr: free(), child: None })
            .map(Mutex::new)
            .collect();
        world.start_the_dead();
        Some(world)
    }

    fn configure(&self, number: usize) {
        let sim = self.sim.addr();
        let text = format!(
            "[store]\nurl = \"{}\"\njournal = \"{}\"\n[shared]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n[[provider]]\nname = \"up\"\nbase_url = \"http://{sim}/v1\"\napi_key = \"sk-x\"\n",
            self.postgres.url(),
            self.folder.path().join(format!("journal-{number}")).display(),
            self.redis.lock().unwrap().url(),
        );
        std::fs::write(self.config(number), text).unwrap();
    }

    fn config(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.toml"))
    }

    fn command(&self, number: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.env_clear().env("MAINSTAY_CONFIG", self.config(number));
        command.env("MAINSTAY_LOG", "error").stdin(Stdio::null());
        command
    }

    /// A command on the store; tried again while PostgreSQL comes back.
    fn tool(&self, args: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let done = self.command(0).args(args).output().unwrap();
            if done.status.success() {
                return String::from_utf8(done.stdout).unwrap();
            }
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(began.elapsed() < PATIENCE, "{args:?}: {said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Raises the budget.
    pub(crate) fn raise(&self, by: &str) {
        self.tool(&["budget", "raise", "--key", &self.id, "--period", "total", "--amount", by]);
    }

    /// Starts every gateway that is dead, and waits until all serve.
    pub(crate) fn start_the_dead(&self) {
        for gateway in &self.gateways {
            let mut gateway = gateway.lock().unwrap();
            if gateway.child.is_none() {
                self.spawn(&mut gateway, None);
            }
        }
        for number in 0..self.gateways.len() {
            assert!(self.serves(number), "it has died: {}", self.said(number));
        }
    }

    fn spawn(&self, gateway: &mut Gateway, place: Option<&str>) {
        let log = self.log(gateway.number);
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command(gateway.number);
        let addr = gateway.addr.to_string();
        command.args(["serve", "--listen", &addr, "--admin-listen", "127.0.0.1:0"]);
        if let Some(place) = place {
            command.env("MAINSTAY_FAILPOINT", place);
        }
        gateway.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Starts a dead gateway, which dies at a named place.
    pub(crate) fn start_to_die(&self, number: usize, place: &str) {
        self.spawn(&mut self.gateways[number].lock().unwrap(), Some(place));
    }

    /// Waits until it serves; `false` when it has died before.
    pub(crate) fn serves(&self, number: usize) -> bool {
        let began = Instant::now();
        loop {
            let mut gateway = self.gateways[number].lock().unwrap();
            if gateway.serves() {
                return true;
            }
            if gateway.is_dead() {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "it does not serve: {}", self.said(number));
            drop(gateway);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it has died by itself.
    pub(crate) fn is_dead(&self, number: usize) -> bool {
        self.gateways[number].lock().unwrap().is_dead()
    }

    fn said(&self, number: usize) -> String {
        std::fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.log"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&self, number: usize) {
        let mut gateway = self.gateways[number].lock().unwrap();
        if let Some(mut child) = gateway.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGSTOP for a while.
    pub(crate) fn freeze(&self, number: usize) {
        let pid = self.gateways[number].lock().unwrap().child.as_ref().map(Child::id);
        let Some(pid) = pid else { return };
        let signal = |name: &str| {
            Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap()
        };
        signal("STOP");
        std::thread::sleep(self.frozen);
        signal("CONT");
    }

    pub(crate) fn restart_postgres(&self) {
        self.postgres.stop();
        self.postgres.start_again();
    }

    pub(crate) fn freeze_postgres(&self) {
        self.postgres.freeze();
        std::thread::sleep(self.frozen);
        self.postgres.thaw();
    }

    pub(crate) fn restart_redis(&self) {
        let mut redis = self.redis.lock().unwrap();
        redis.kill();
        std::thread::sleep(Duration::from_millis(300));
        redis.run();
    }

    pub(crate) fn freeze_redis(&self) {
        let redis = self.redis.lock().unwrap();
        redis.freeze();
        std::thread::sleep(self.frozen);
        redis.thaw();
    }

    /// One call to some gateway; what is received to its end goes on record.
    pub(crate) fn call(&self, dice: &mut Dice) -> Outcome {
        let number = usize::try_from(dice.below(self.gateways.len() as u64)).unwrap();
        let addr = self.gateways[number].lock().unwrap().addr;
        let (request, stream) = chat(&self.key, dice, 40);
        let Some(answer) = exchange(addr, &request) else { return Outcome::Broken };
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Outcome::Broken };
        if head.starts_with("HTTP/1.1 429") && body.contains("insufficient_quota") {
            return Outcome::Spent;
        }
        if !head.starts_with("HTTP/1.1 200") {
            return Outcome::Refused;
        }
        let Some((id, cost)) = paid(&answer, stream) else { return Outcome::Broken };
        self.paid.lock().unwrap().insert(id, cost);
        Outcome::Answered
    }

    /// How many answers were received.
    pub(crate) fn answers(&self) -> usize {
        self.paid.lock().unwrap().len()
    }

    /// What answers that were received have cost.
    pub(crate) fn received(&self) -> Usd {
        let paid = self.paid.lock().unwrap();
        paid.values().fold(Usd::ZERO, |sum, cost| sum.plus(*cost).unwrap())
    }

    /// The ledger against what callers have received, once nothing is under way.
    pub(crate) fn examine(&self) -> Found {
        let began = Instant::now();
        loop {
            let found: Value =
                serde_json::from_str(&self.tool(&["ledger", "verify", "--json"])).unwrap();
            assert_eq!(found["ok"], true, "{found}");
            let ended: HashMap<String, (Usd, bool)> = self.ends();
            let paid = self.paid.lock().unwrap();
            // What was settled in the last quarter of a second is on its way.
            if found["reservations_open"] == 0 && paid.keys().all(|id| ended.contains_key(id)) {
                return examined(&paid, &ended);
            }
            let missing: Vec<_> = paid.keys().filter(|id| !ended.contains_key(*id)).collect();
            assert!(began.elapsed() < PATIENCE, "{found}, without an end: {missing:?}");
            drop(paid);
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Terminal entries: amount, and whether a start has made them.
    fn ends(&self) -> HashMap<String, (Usd, bool)> {
        let mut ends = HashMap::new();
        for line in self.tool(&["ledger", "export"]).lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            let kind = entry["kind"].as_str().unwrap();
            if kind == "settle" || kind == "release" {
                let amount = Usd::parse(entry["amount_usd"].as_str().unwrap()).unwrap();
                let end = (amount, entry["recovered"].as_bool().unwrap());
                let before = ends.insert(entry["request"].as_str().unwrap().to_owned(), end);
                assert_eq!(before, None, "{entry} is a second end");
            }
        }
        ends
    }
}

/// Every answer is paid for exactly, or by what it held where its gateway died.
fn examined(paid: &HashMap<String, Usd>, ended: &HashMap<String, (Usd, bool)>) -> Found {
    for (id, cost) in paid {
        let (amount, recovered) = ended[id];
        if recovered {
            assert!(amount >= *cost, "{id}: the hold of {amount} covers {cost}");
        } else {
            assert_eq!(amount, *cost, "{id}");
        }
    }
    let sum = |only: bool| {
        let all = ended.values().filter(|(_, recovered)| *recovered || !only);
        all.fold(Usd::ZERO, |sum, (amount, _)| sum.plus(*amount).unwrap())
    };
    Found { settled: sum(false), recovered: sum(true), answers: paid.len() }
}

impl Gateway {
    fn serves(&self) -> bool {
        let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        exchange(self.addr, request).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
    }

    fn is_dead(&mut self) -> bool {
        let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
        if ended {
            self.child = None;
        }
        self.child.is_none()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[expect(clippy::print_stderr, reason = "the figures are what the long form is run for")]
pub(crate) fn report(text: &str) {
    eprintln!("{text}");
}
