//! Servers under test: the release binary on a free port, with an empty directory of its own.

use crate::places::binary;
use crate::process::{end_group, signal};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take from its start to its first answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to drain and stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Variables of the developer's own that a server under test must not see.
const SURROUNDINGS: [&str; 6] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "MAINSTAY_CONFIG",
    "HTTPS_PROXY",
    "DATABASE_URL",
    "REDIS_URL",
];

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its administration listens; the data address for the simulator.
    pub(crate) admin: SocketAddr,
    /// The key it printed, empty for the simulator.
    pub(crate) key: String,
    /// From its start to its first answer.
    pub(crate) start_up: Duration,
    log: PathBuf,
}

impl Server {
    /// Starts `mainstay sim`.
    ///
    /// # Errors
    ///
    /// Why it did not start, with the end of its output.
    pub(crate) fn sim(
        directory: &Path,
        arguments: &[&str],
        core: Option<u32>,
    ) -> Result<Server, String> {
        let address = free_address()?;
        let listen = address.to_string();
        let arguments = [&["sim", "--listen", &listen][..], arguments].concat();
        let log = directory.join("sim.log");
        let tool = core.map_or_else(Vec::new, taskset);
        let mut server = Server::spawn(&tool, directory, &arguments, [address; 2], log)?;
        server.wait_for("/v1/models", false)?;
        Ok(server)
    }

    /// Starts `mainstay serve` with a configuration file made of `config`.
    ///
    /// # Errors
    ///
    /// Why it did not start, with the end of its output.
    pub(crate) fn serve(
        directory: &Path,
        config: &str,
        core: Option<u32>,
    ) -> Result<Server, String> {
        let tool = core.map_or_else(Vec::new, taskset);
        Server::serve_under(&tool, directory, config)
    }

    /// Starts `mainstay serve` as an argument of another command.
    ///
    /// # Errors
    ///
    /// Why it did not start, with the end of its output.
    pub(crate) fn serve_under(
        tool: &[String],
        directory: &Path,
        config: &str,
    ) -> Result<Server, String> {
        let mut server = Server::start(tool, directory, config)?;
        // Where callers bring the provider's key there is none of ours to print.
        server.wait_for("/healthz", !config.contains("auth = \"pass\""))?;
        Ok(server)
    }

    /// As [`Server::serve`], on a store that has keys already, so that none is printed.
    ///
    /// # Errors
    ///
    /// Why it did not start, with the end of its output.
    pub(crate) fn serve_known(
        directory: &Path,
        config: &str,
        core: Option<u32>,
    ) -> Result<Server, String> {
        let tool = core.map_or_else(Vec::new, taskset);
        let mut server = Server::start(&tool, directory, config)?;
        server.wait_for("/healthz", false)?;
        Ok(server)
    }

    /// `mainstay serve` with this configuration, on free ports.
    fn start(tool: &[String], directory: &Path, config: &str) -> Result<Server, String> {
        let file = directory.join("mainstay.toml");
        fs::write(&file, config).map_err(|e| format!("write {}: {e}", file.display()))?;
        let (address, admin) = (free_address()?, free_address()?);
        let (listen, admin_listen) = (address.to_string(), admin.to_string());
        let arguments = ["serve", "--listen", &listen, "--admin-listen", &admin_listen];
        Server::spawn(tool, directory, &arguments, [address, admin], directory.join("serve.log"))
    }

    fn spawn(
        tool: &[String],
        directory: &Path,
        arguments: &[&str],
        [address, admin]: [SocketAddr; 2],
        log: PathBuf,
    ) -> Result<Server, String> {
        let program = binary();
        let mut command = match tool {
            [] => Command::new(&program),
            [tool, rest @ ..] => {
                let mut command = Command::new(tool);
                command.args(rest).arg(&program);
                command
            }
        };
        let out = File::create(&log).map_err(|e| format!("create {}: {e}", log.display()))?;
        let errors = out.try_clone().map_err(|e| format!("share {}: {e}", log.display()))?;
        command.args(arguments).current_dir(directory).process_group(0);
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        for variable in SURROUNDINGS {
            command.env_remove(variable);
        }
        let child = command.spawn().map_err(|e| format!("start {}: {e}", program.display()))?;
        let (key, start_up) = (String::new(), Duration::ZERO);
        Ok(Server { child, address, admin, key, start_up, log })
    }

    /// Waits for the first answer, and for the printed key when there has to be one.
    fn wait_for(&mut self, path: &str, with_key: bool) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < START_LIMIT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status}:\n{}", self.output()));
            }
            if get(self.address, path).is_some_and(|(status, _)| status == 200) {
                self.start_up = began.elapsed();
                self.key = printed_key(&self.output()).unwrap_or_default();
                if !with_key || !self.key.is_empty() {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(5));
        }
        let missing = if with_key { " and printed key" } else { "" };
        Err(format!("no answer on {path}{missing} in {START_LIMIT:?}:\n{}", self.output()))
    }

    /// The process, for measuring.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Is the process there?
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The base URL that an SDK is given.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal("TERM", &self.child.id().to_string());
        let began = Instant::now();
        while self.is_alive() && began.elapsed() < STOP_LIMIT {
            sleep(Duration::from_millis(20));
        }
        end_group(&mut self.child);
    }
}

/// What keeps a command on one core.
fn taskset(core: u32) -> Vec<String> {
    vec!["taskset".to_owned(), "-c".to_owned(), core.to_string()]
}

/// A loopback address that is free at this moment.
///
/// # Errors
///
/// The text of the system's error.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("bind: {e}"))?;
    listener.local_addr().map_err(|e| format!("local address: {e}"))
}

/// The first `sk-ms-…` in a text.
pub(crate) fn printed_key(text: &str) -> Option<String> {
    let at = text.find("sk-ms-")?;
    let key =
        text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    Some(key.collect())
}

/// Status and body of a GET, on a connection of its own; none when there is no answer in 2 s.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let limit = Duration::from_secs(2);
    let mut socket = TcpStream::connect_timeout(&address, limit).ok()?;
    socket.set_read_timeout(Some(limit)).ok()?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer sk-none\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_in_what_a_first_run_prints() {
        let text = "first key: sk-ms-abc123-DEF_4\n\n  curl -H 'authorization: Bearer sk-ms-other'";
        assert_eq!(printed_key(text).as_deref(), Some("sk-ms-abc123-DEF_4"));
        assert_eq!(printed_key("no key"), None);
    }
}
