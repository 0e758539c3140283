//! Real Redis (or Valkey) servers for tests: each test has its own, and may stop, freeze and kill it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::{free_port, left_out};

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    more: Vec<String>,
    /// It watches other servers instead of keeping data.
    sentinel: bool,
}

impl RedisServer {
    /// Starts one on a free port. `None`, said loudly, where none is installed.
    ///
    /// # Panics
    ///
    /// `MAINSTAY_TEST_REQUIRED=1` and none is installed, or it does not start.
    pub fn start() -> Option<RedisServer> {
        RedisServer::with(&[])
    }

    /// Starts one with further arguments, such as `["--requirepass", "secret"]`.
    pub fn with(more: &[&str]) -> Option<RedisServer> {
        let Some(program) = program() else {
            left_out("redis-server is missing: install Debian's package redis-server");
            return None;
        };
        let folder = tempfile::tempdir().expect("a directory");
        let more = more.iter().map(|one| (*one).to_owned()).collect();
        let port = free_port();
        let mut server = RedisServer { child: None, program, folder, port, more, sentinel: false };
        server.run();
        Some(server)
    }

    /// Starts a sentinel that watches `master` under the name `main` and decides alone, soon.
    pub fn sentinel(master: &RedisServer) -> Option<RedisServer> {
        RedisServer::sentinel_of(master.port, "")
    }

    /// The same of a master at this port, with further lines of its configuration.
    pub fn sentinel_of(master: u16, more: &str) -> Option<RedisServer> {
        let mut server = RedisServer::with(&[])?;
        server.kill();
        let config = format!(
            "port {}\nbind 127.0.0.1\n{more}\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
            server.port
        );
        std::fs::write(server.folder.path().join("sentinel.conf"), config).expect("written");
        server.sentinel = true;
        server.run();
        Some(server)
    }

    /// Starts three masters with a third of the slots each. `more` gives a server's further
    /// arguments, and the port that the others meet it at when that is another than its own.
    ///
    /// # Panics
    ///
    /// They do not come together.
    pub fn cluster(more: impl Fn() -> (Vec<String>, Option<u16>)) -> Option<[RedisServer; 3]> {
        let start = || {
            let (more, met_at) = more();
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            let all: Vec<&str> = own.into_iter().chain(more.iter().map(String::as_str)).collect();
            let server = RedisServer::with(&all)?;
            let met_at = met_at.unwrap_or(server.port);
            Some((server, format!("{met_at} {bus}")))
        };
        let servers = [start()?, start()?, start()?];
        for (index, (server, _)) in servers.iter().enumerate() {
            let (first, last) = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)][index];
            let taken = server.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            assert!(taken.is_some_and(|answer| answer.starts_with("+OK")), "slots are given");
            server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[0].1));
        }
        let whole = |server: &RedisServer| {
            server.ask("CLUSTER INFO").is_some_and(|info| {
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        };
        let together = (0..3_000).any(|_| {
            sleep(Duration::from_millis(20));
            servers.iter().all(|(server, _)| whole(server))
        });
        assert!(together, "the cluster comes together within a minute");
        Some(servers.map(|(server, _)| server))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without a password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// Starts it again after [`RedisServer::kill`], on the same port and without its data.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let mut command = Command::new(&self.program);
        if self.sentinel {
            command.arg(self.folder.path().join("sentinel.conf")).arg("--sentinel");
        } else {
            command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", "no", "--dir"]).arg(self.folder.path()).args(&self.more);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server starts"));
        for _ in 0..2_000 {
            if self
                .ask("PING")
                .is_some_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
            {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("redis-server gives no answer within 10 s");
    }

    /// Stops its process without ending it: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`RedisServer::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Gives a command in one line, on a connection of its own; what comes back in one piece.
    pub fn ask(&self, line: &str) -> Option<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        let mut answer = vec![0; 64 * 1024];
        let length = socket.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill is there");
        assert!(sent.success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `MAINSTAY_TEST_REDIS_SERVER` names another program, such as a Valkey.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MAINSTAY_TEST_REDIS_SERVER") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let mut names = std::env::split_paths(&path)
        .flat_map(|folder| ["redis-server", "valkey-server"].map(|name| folder.join(name)));
    names.find(|file| file.is_file())
}
