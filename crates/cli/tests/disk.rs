//! The disk that the store is on: full under load, read-only, damaged. A clear error or calls that are
//! refused, nothing that was paid is lost, and nothing is charged twice.
//!
//! The disk is a small one of its own (`unshare`, `nsenter`, tmpfs), where that is permitted.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; processes are started and waited for"
)]

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mainstay_core::dice::Dice;
use mainstay_core::money::Usd;
use serde_json::Value;

#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/money.rs"]
mod money;

use ledger::examine;
use money::{chat, exchange, free, paid, simulator};

/// How long something may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);
const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");

/// A disk of its own, seen by whoever joins its holder.
struct Disk {
    folder: tempfile::TempDir,
    holder: Child,
}

impl Disk {
    /// `None` where no disk can be made.
    fn new(megabytes: u32) -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        let at = folder.path().join("disk");
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m none '{}' && echo there && exec sleep 600",
            at.display()
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).stdin(Stdio::null());
        let held = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut holder) = held else { return skipped("`unshare` is not there") };
        let mut said = [0; 5];
        let told = std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said);
        if told.is_err() {
            let ended = holder.wait_with_output().unwrap();
            return skipped(&String::from_utf8_lossy(&ended.stderr));
        }
        let disk = Disk { folder, holder };
        let joined = disk.inside("true", &[]).output();
        if !joined.is_ok_and(|joined| joined.status.success()) {
            return skipped("`nsenter` is not there or not permitted");
        }
        Some(disk)
    }

    /// A command that sees the disk.
    fn inside(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &self.holder.id().to_string(), "--", program]).args(args);
        command.env_remove("MAINSTAY_FAILPOINT").stdin(Stdio::null());
        command
    }

    /// Where the disk is for those who do not see it.
    fn outside(&self, name: &str) -> PathBuf {
        let at = self.folder.path().join("disk").join(name);
        Path::new("/proc")
            .join(self.holder.id().to_string())
            .join("root")
            .join(at.strip_prefix("/").unwrap())
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.outside("full")).unwrap();
        for piece in [vec![0_u8; 65_536], vec![0; 512], vec![0; 1]] {
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.outside("full")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Says why a test cannot be made here.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn skipped<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("MAINSTAY_TEST_REQUIRED").is_none(), "no disk can be made: {why}");
    eprintln!("left out, no disk can be made: {why}");
    None
}

/// A gateway whose store is on a disk of its own.
struct World {
    disk: Disk,
    addr: SocketAddr,
    admin: SocketAddr,
    gateway: Option<Child>,
    /// A key with a hard budget, and one without any.
    keys: [String; 2],
    paid: HashMap<String, Usd>,
    dice: Dice,
}

impl World {
    fn new(disk: Disk, sim: SocketAddr) -> World {
        let config = format!(
            "[store]\nurl = \"sqlite:{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n[[provider]]\nname = \"up\"\nbase_url = \"http://{sim}/v1\"\napi_key = \"sk-x\"\n",
            disk.folder.path().join("disk/m.db").display()
        );
        std::fs::write(disk.folder.path().join("m.toml"), config).unwrap();
        let (keys, paid) = (Default::default(), HashMap::new());
        let (addr, admin, dice) = (free(), free(), Dice::new(3));
        let mut world = World { disk, addr, admin, gateway: None, keys, paid, dice };
        for (at, name) in ["held", "free"].into_iter().enumerate() {
            let made = world.tool(&["key", "create", "--name", name, "--json"]);
            let made: Value = serde_json::from_slice(&made.stdout).unwrap();
            made["key"].as_str().unwrap().clone_into(&mut world.keys[at]);
            if at == 0 {
                let id = made["id"].as_str().unwrap();
                world.tool(&["budget", "set", "--key", id, "--amount", "1000", "--period", "day"]);
            }
        }
        world
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.disk.inside(BINARY, args);
        command.env("MAINSTAY_CONFIG", self.disk.folder.path().join("m.toml"));
        command.env("MAINSTAY_LOG", "error");
        command
    }

    fn tool(&self, args: &[&str]) -> Output {
        let done = self.command(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        done
    }

    /// What a start that must fail says; its code.
    fn refuses_to_serve(&self) -> (Option<i32>, String) {
        let addr = self.addr.to_string();
        let args = ["serve", "--listen", &addr, "--admin-listen", "127.0.0.1:0"];
        let child = self.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let until = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                panic!("it serves, or hangs");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }

    fn serve(&mut self) {
        let log = std::fs::File::create(self.disk.folder.path().join("serve.log")).unwrap();
        let (addr, admin) = (self.addr.to_string(), self.admin.to_string());
        let args = ["serve", "--listen", &addr, "--admin-listen", &admin];
        let child = self.command(&args).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.gateway = Some(child);
        self.until("it serves", |world| {
            let ready = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            exchange(world.addr, ready).is_some_and(|all| all.starts_with(b"HTTP/1.1 200"))
        });
    }

    /// Ends the gateway: `TERM` lets it end in order, `KILL` does not.
    fn end(&mut self, signal: &str) {
        let mut gateway = self.gateway.take().unwrap();
        let sent = Command::new("kill").args(["-s", signal, &gateway.id().to_string()]).status();
        assert!(sent.unwrap().success());
        gateway.wait().unwrap();
    }

    #[track_caller]
    fn until(&mut self, what: &str, there: impl Fn(&mut World) -> bool) {
        let began = Instant::now();
        while !there(self) {
            let log = std::fs::read_to_string(self.disk.folder.path().join("serve.log"));
            assert!(began.elapsed() < PATIENCE, "{what}: never. {}", log.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A call with one of the keys: the head and body of its answer.
    fn call(&mut self, key: usize) -> String {
        let (request, stream) = chat(&self.keys[key], &mut self.dice, 20);
        let answer = exchange(self.addr, &request).unwrap();
        // What is not under a budget may go unrecorded, and is no part of the promise.
        if let Some((id, cost)) = paid(&answer, stream).filter(|_| key == 0) {
            self.paid.insert(id, cost);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Whether the metrics say that entries of the ledger cannot be written.
    fn tells_failing(&self) -> bool {
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer 0123456789abcdef\r\n\r\n";
        let page = exchange(self.admin, request).unwrap();
        let page = String::from_utf8_lossy(&page).into_owned();
        let line = page.lines().find_map(|line| line.strip_prefix("mainstay_ledger_failing "));
        match line {
            Some("1") => true,
            Some("0") => false,
            _ => panic!("no such metric in\n{page}"),
        }
    }

    /// The ledger of a gateway that has ended in order; gives how many reservations were recovered.
    fn examine(&self) -> u64 {
        // A copy: SQLite would look for the file where only those inside see it.
        let copy = tempfile::tempdir().unwrap();
        for name in ["m.db", "m.db-wal"] {
            let there = self.disk.outside(name);
            if there.exists() {
                std::fs::copy(there, copy.path().join(name)).unwrap();
            }
        }
        examine(&copy.path().join("m.db"), &self.paid)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
    }
}

#[test]
fn a_disk_that_fills_up_under_load_loses_no_money_and_needs_no_restart() {
    let Some(disk) = Disk::new(16) else { return };
    let (_runtime, sim) = simulator();
    let mut world = World::new(disk, sim.addr());
    world.serve();
    for dies in [false, true] {
        for _ in 0..20 {
            let answer = world.call(0);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert!(!world.tells_failing());
        world.disk.fill();
        world.until("a call under a hard budget is refused", |world| {
            world.call(0).starts_with("HTTP/1.1 503")
        });
        let refused = world.call(0);
        assert!(refused.contains("\r\nretry-after: "), "{refused}");
        assert!(refused.contains("The ledger of costs does not take this call"), "{refused}");
        assert!(!refused.contains("m.db"), "where the store is, is no caller's business");
        world.until("the metrics tell it", |world| world.tells_failing());
        let without = world.call(1);
        assert!(without.starts_with("HTTP/1.1 200"), "calls without a budget go on: {without}");
        if dies {
            // While entries wait for room.
            world.end("KILL");
            world.disk.empty();
            world.serve();
        } else {
            world.disk.empty();
        }
        world.until("there is room again", |world| world.call(0).starts_with("HTTP/1.1 200"));
        world.until("the metrics tell that too", |world| !world.tells_failing());
        world.end("TERM");
        let recovered = world.examine();
        assert!(dies || recovered == 0, "nothing was left to be recovered");
        world.serve();
    }
    assert!(world.paid.len() > 40, "{} were answered", world.paid.len());
}

#[test]
fn a_gateway_does_not_start_on_a_read_only_disk_and_says_why() {
    let Some(disk) = Disk::new(16) else { return };
    let (_runtime, sim) = simulator();
    let mut world = World::new(disk, sim.addr());
    world.serve();
    world.call(0);
    world.end("TERM");
    let at = world.disk.folder.path().join("disk").display().to_string();
    let mount = |mode: &str| {
        let options = format!("remount,{mode}");
        assert!(world.disk.inside("mount", &["-o", &options, &at]).status().unwrap().success());
    };
    mount("ro");
    let (code, said) = world.refuses_to_serve();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("read-only") || said.contains("right to write"), "{said}");
    mount("rw");
    world.serve();
    assert!(world.call(0).starts_with("HTTP/1.1 200"));
    world.end("TERM");
    world.examine();
}

#[test]
fn a_gateway_does_not_start_on_a_damaged_store_and_says_what_to_do() {
    let Some(disk) = Disk::new(16) else { return };
    let (_runtime, sim) = simulator();
    let mut world = World::new(disk, sim.addr());
    world.serve();
    for _ in 0..5 {
        world.call(0);
    }
    world.end("TERM");
    let file = world.disk.outside("m.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // Every page but the first, which says that it is a database.
    bytes[4_096..].fill(0xA5);
    std::fs::write(&file, bytes).unwrap();
    let (code, said) = world.refuses_to_serve();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("backup"), "{said}");
    let verified = world.command(&["ledger", "verify"]).output().unwrap();
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!verified.status.success() && told.contains("backup"), "{told}");
}
