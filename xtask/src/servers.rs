//! Servers that tests stand on: PostgreSQL from Debian's package, one for the whole run, with nothing
//! brought to the disk; and Redis, of which each test starts its own, if only it is installed.

use crate::debian::{Need, install, need};
use crate::places::program;
use crate::process::{Show, end_group, run};
use crate::server::free_address;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long making or starting a server may take.
const LIMIT: Duration = Duration::from_mins(2);
/// The password of the server's user.
const PASSWORD: &str = "a-server-for-tests";

/// The servers of a run.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    /// Those that could not be started, and why.
    pub(crate) missing: Vec<(&'static str, String)>,
}

impl Servers {
    /// Starts them.
    pub(crate) fn start() -> Servers {
        let mut servers = Servers::default();
        match Postgres::start() {
            Ok(postgres) => servers.postgres = Some(postgres),
            Err(why) => servers.missing.push(("tests with PostgreSQL", why)),
        }
        if let Err(why) = redis() {
            servers.missing.push(("tests with Redis", why));
        }
        servers
    }

    /// Where PostgreSQL is.
    pub(crate) fn postgres_url(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url)
    }

    /// What tests are told of them. With all of them there no test may leave itself out.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Some(postgres) = &self.postgres {
            all.push(("MAINSTAY_TEST_POSTGRES", postgres.url()));
        }
        if self.missing.is_empty() {
            all.push(("MAINSTAY_TEST_REQUIRED", "1".to_owned()));
        }
        all
    }
}

/// A running PostgreSQL; stopped, and its files taken away, when dropped.
#[derive(Debug)]
struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// The user and group that run it, where root asks: it refuses root.
    other: Option<(u32, u32)>,
}

impl Postgres {
    fn start() -> Result<Postgres, String> {
        if programs().is_none() {
            install(&["postgresql"])?;
        }
        let programs = programs().ok_or("the package postgresql did not bring a server")?;
        let other = match id(&["-u"])? {
            0 => Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)),
            _ => None,
        };
        let folder = std::env::temp_dir().join(format!("mainstay-xtask-{}", std::process::id()));
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let port = free.local_addr().map_err(|e| e.to_string())?.port();
        drop(free);
        let server = Postgres { programs, folder, port, other };
        server.make().and_then(|()| server.control(&["-w", "-t", "60", "start"]))?;
        Ok(server)
    }

    fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    fn make(&self) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        fs::create_dir_all(&self.folder).map_err(told)?;
        let secret = self.folder.join("password");
        fs::write(&secret, PASSWORD).map_err(told)?;
        for path in [&self.folder, &secret] {
            if let Some((uid, gid)) = self.other {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(told)?;
            }
        }
        let mut init = self.command("initdb");
        init.arg("-D").arg(self.data()).args([
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
        ]);
        init.args(["--locale=C", "--no-sync", "--no-instructions", "--pwfile"]).arg(&secret);
        done(&mut init)?;
        let file = self.data().join("postgresql.conf");
        let (port, sockets) = (self.port, self.folder.display());
        let settings = format!(
            "{}\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 300\n\
             shared_buffers = 64MB\nlisten_addresses = '127.0.0.1'\nport = {port}\n\
             unix_socket_directories = '{sockets}'\n",
            fs::read_to_string(&file).map_err(told)?
        );
        fs::write(&file, settings).map_err(told)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn control(&self, arguments: &[&str]) -> Result<(), String> {
        let mut control = self.command("pg_ctl");
        control.arg("-D").arg(self.data()).arg("-l").arg(self.folder.join("log")).args(arguments);
        done(&mut control)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid).current_dir("/");
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Whatever is left is in the temporary folder.
        let _ = self.control(&["-m", "immediate", "-w", "stop"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running Redis or Valkey that keeps nothing; killed when dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    address: SocketAddr,
}

impl Redis {
    /// Starts it in a directory.
    ///
    /// # Errors
    ///
    /// None is installed, or it does not start.
    pub(crate) fn start(directory: &Path) -> Result<Redis, String> {
        let server = program("valkey-server").or_else(|| program("redis-server"));
        let address = free_address()?;
        let mut command = Command::new(server.ok_or("there is neither Redis nor Valkey")?);
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = command.spawn().map_err(|e| format!("start Redis: {e}"))?;
        let (redis, began) = (Redis { child, address }, Instant::now());
        while TcpStream::connect(address).is_err() {
            if began.elapsed() > LIMIT {
                return Err("Redis does not listen".to_owned());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end_group(&mut self.child);
    }
}

/// Sees to it that there is a Redis or a Valkey to start.
fn redis() -> Result<(), String> {
    if program("valkey-server").is_some() {
        return Ok(());
    }
    need(&[Need { program: "redis-server", package: "redis-server" }])
}

/// The newest server's programs, where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let all = fs::read_dir("/usr/lib/postgresql").ok()?;
    let all = all.flatten().map(|entry| entry.path().join("bin"));
    all.filter(|path| is_server(path)).max()
}

fn is_server(path: &Path) -> bool {
    path.join("initdb").is_file() && path.join("pg_ctl").is_file()
}

fn id(arguments: &[&str]) -> Result<u32, String> {
    let ran = run(Command::new("id").args(arguments), Show::Never, Duration::from_secs(10));
    let number = ran.lines.first().and_then(|line| line.parse().ok()).filter(|_| ran.ok);
    number.ok_or_else(|| format!("`id {}` gives no number", arguments.join(" ")))
}

fn done(command: &mut Command) -> Result<(), String> {
    let ran = run(command, Show::OnFailure, LIMIT);
    if ran.ok { Ok(()) } else { Err(format!("{}: {}", command.get_program().display(), ran.end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_there_for_a_run_and_gone_after_it() {
        if programs().is_none() || program("redis-server").is_none() {
            println!("LEFT OUT, nothing was tested: PostgreSQL or Redis is not installed");
            return;
        }
        let servers = Servers::start();
        assert!(servers.missing.is_empty(), "{:?}", servers.missing);
        let postgres = servers.postgres.as_ref().expect("it was started");
        let (port, folder) = (postgres.port, postgres.folder.clone());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        let variables = servers.variables();
        assert_eq!(variables[0].0, "MAINSTAY_TEST_POSTGRES");
        assert_eq!(variables[1], ("MAINSTAY_TEST_REQUIRED", "1".to_owned()));
        drop(servers);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        assert!(!folder.exists());
    }
}
