//! PostgreSQL for tests: one server that all tests share, each in a schema of its own, and servers of
//! one test alone, which it may stop, restart and freeze.
//!
//! `MAINSTAY_TEST_POSTGRES` names a server to share; else one is started from the programs in
//! `/usr/lib/postgresql`, as the user `postgres` when root asks (PostgreSQL refuses root), and ended
//! half a minute after the last test that used it.

use std::fs::{File, create_dir_all, read_to_string, write};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::{free_port, left_out};

/// The password of the user `postgres` of servers started here.
const PASSWORD: &str = "not a secret: a server for tests";
/// The same, as a URL has it.
const PASSWORD_IN_URL: &str = "not%20a%20secret%3A%20a%20server%20for%20tests";
/// How long a server may take to start on a machine that does much else.
const START_MAX: Duration = Duration::from_secs(60);
/// Nothing of a test outlives the machine, so nothing is brought to the disk.
const SETTINGS: &str = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
    max_connections = 300\nshared_buffers = 32MB\nlisten_addresses = '127.0.0.1'\n\
    log_min_messages = error\n";

/// The URL of an empty schema on the server that tests share; `None`, said loudly, when there is none.
///
/// # Panics
///
/// `MAINSTAY_TEST_REQUIRED=1` and there is none.
pub fn fresh_url() -> Option<String> {
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    match SHARED.get_or_init(Shared::find) {
        Ok(shared) => Some(shared.fresh()),
        Err(why) => {
            left_out(why);
            None
        }
    }
}

/// The schema that a URL of ours names.
pub fn schema(url: &str) -> &str {
    url.rsplit_once("schema=").map_or("mainstay", |(_, schema)| schema)
}

/// Does SQL in the schema of a URL, as somebody does who has nothing to do with us, and gives the
/// first column of the rows of its last statement.
///
/// # Panics
///
/// There is no server, or it does not take the SQL.
#[cfg(feature = "postgres")]
pub fn sql(url: &str, text: &str) -> Vec<String> {
    let (base, _) = url.split_once('?').unwrap_or((url, ""));
    let text = format!("SET search_path TO {}; {text}", schema(url));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let connecting = tokio_postgres::connect(base, tokio_postgres::NoTls);
        let (client, connection) = connecting.await.expect("a server");
        tokio::spawn(connection);
        let messages = client.simple_query(&text).await.expect("sound SQL");
        messages
            .iter()
            .filter_map(|message| {
                let tokio_postgres::SimpleQueryMessage::Row(row) = message else { return None };
                row.get(0).map(str::to_owned)
            })
            .collect()
    })
}

/// The server that tests share.
struct Shared {
    url: String,
    /// Held for as long as this process may use it.
    _use: Option<File>,
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "a test asks who runs it")]
    fn find() -> Result<Shared, String> {
        match std::env::var("MAINSTAY_TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Ok(Shared { url, _use: None }),
            Ok(_) | Err(_) => start_shared(),
        }
    }

    fn fresh(&self) -> String {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}schema=t_{:016x}", self.url, u64::from_le_bytes(bytes))
    }
}

/// Finds the server that another test has started, or starts it, and stays among its users.
fn start_shared() -> Result<Shared, String> {
    let user = User::find()?;
    let folder = std::env::temp_dir().join(format!("mainstay-test-postgres-{}", user.name()));
    create_dir_all(&folder).map_err(|error| error.to_string())?;
    user.own(&folder)?;
    let open = |name: &str| {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        options.open(folder.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let (starting, users) = (open("starting")?, open("users")?);
    starting.lock().map_err(|error| error.to_string())?;
    let place = folder.join("url");
    let known = read_to_string(&place).ok().filter(|url| answers(url));
    let url = if let Some(url) = known {
        url
    } else {
        let data = folder.join("data");
        let _ = std::fs::remove_dir_all(&data);
        let server = Started::new(&user, &data, "")?;
        let url = server.url();
        write(&place, &url).map_err(|error| error.to_string())?;
        reap(&folder, &data, &user)?;
        url
    };
    users.lock_shared().map_err(|error| error.to_string())?;
    Ok(Shared { url, _use: Some(users) })
}

/// Whether the server of a URL takes connections.
fn answers(url: &str) -> bool {
    let Some((_, rest)) = url.rsplit_once('@') else { return false };
    let port = rest.split_once(':').and_then(|(_, rest)| rest.split('/').next());
    let port = port.and_then(|port| port.parse().ok());
    port.is_some_and(|port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// Leaves somebody behind who ends the server when nobody has used it for a while.
fn reap(folder: &Path, data: &Path, user: &User) -> Result<(), String> {
    const SCRIPT: &str = r#"
        cd "$1" || exit 1
        idle=0
        while [ "$idle" -lt 3 ]; do
            sleep 10
            if flock -n -x users true; then idle=$((idle + 1)); else idle=0; fi
            if [ "$idle" -ge 3 ]; then
                flock -x starting flock -n -x users sh -c 'rm -f url; "$0" -D "$1" -m immediate stop' "$2" "$3" || idle=0
            fi
        done
        rm -rf "$3""#;
    let mut command = user.command("sh");
    command.args(["-c", SCRIPT, "reaper"]).arg(folder).arg(user.program("pg_ctl")).arg(data);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|error| error.to_string())
}

/// A server of one test alone.
#[derive(Debug)]
pub struct Own {
    started: Option<Started>,
    /// Its files, taken away at the end.
    _folder: TempDir,
}

impl Own {
    /// Starts a server with these further lines in its settings; `None`, said loudly, when that is
    /// not possible here.
    ///
    /// # Panics
    ///
    /// `MAINSTAY_TEST_REQUIRED=1` and it is not possible.
    pub fn start(settings: &str) -> Option<Own> {
        let started = || {
            let user = User::find()?;
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            user.own(folder.path())?;
            let started = Started::new(&user, &folder.path().join("data"), settings)?;
            Ok::<Own, String>(Own { started: Some(started), _folder: folder })
        };
        started().map_err(|why| left_out(&why)).ok()
    }

    fn server(&self) -> &Started {
        self.started.as_ref().expect("it is there until it is dropped")
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.server().url()
    }

    /// Its folder, for files that its settings name.
    pub fn data(&self) -> &Path {
        &self.server().data
    }

    /// Lets it speak TLS with these files from now on.
    pub fn use_certificate(&self, certificate: &Path, key: &Path) {
        let server = self.server();
        for (file, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let place = server.data.join(name);
            let _ = std::fs::remove_file(&place);
            std::fs::copy(file, &place).expect("the test's own ground");
            server.user.own(&place).expect("the test's own ground");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&place, mode).expect("the test's own ground");
        }
        let mut lines = File::options().append(true).open(server.data.join("postgresql.conf"));
        let lines = lines.as_mut().expect("the test's own ground");
        writeln!(lines, "ssl = on").expect("the test's own ground");
        self.stop();
        self.start_again();
    }

    /// Ends it as an administrator does who does not wait for anybody.
    pub fn stop(&self) {
        self.server().control(&["-m", "fast", "-w", "stop"]).expect("it can be stopped");
    }

    /// Starts it again, on the same port.
    pub fn start_again(&self) {
        self.server().start().expect("it starts again");
    }

    /// Freezes it: connections are taken by the system, and nothing answers.
    pub fn freeze(&self) {
        self.server().signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.server().signal("CONT");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            started.signal("CONT");
            // It may have been stopped already.
            let _ = started.control(&["-m", "immediate", "-w", "stop"]);
        }
    }
}

/// A server that was started here.
#[derive(Debug)]
struct Started {
    user: User,
    data: PathBuf,
    port: u16,
}

impl Started {
    fn new(user: &User, data: &Path, settings: &str) -> Result<Started, String> {
        let secret = data.with_extension("password");
        write(&secret, PASSWORD).map_err(|error| error.to_string())?;
        user.own(&secret)?;
        let mut init = user.command(user.program("initdb"));
        init.arg("-D").arg(data).args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"]);
        init.args(["--locale=C", "--no-sync", "--no-instructions", "--pwfile"]).arg(&secret);
        done(&mut init)?;
        let port = free_port();
        let sockets = data.display();
        let mut lines = File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .map_err(|error| error.to_string())?;
        writeln!(
            lines,
            "{SETTINGS}port = {port}\nunix_socket_directories = '{sockets}'\n{settings}"
        )
        .map_err(|error| error.to_string())?;
        let started = Started { user: user.clone(), data: data.to_owned(), port };
        started.start()?;
        Ok(started)
    }

    fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD_IN_URL}@127.0.0.1:{}/postgres", self.port)
    }

    fn start(&self) -> Result<(), String> {
        let limit = START_MAX.as_secs().to_string();
        let log = self.data.join("log.txt");
        let log = log.to_string_lossy();
        self.control(&["-w", "-t", &limit, "-l", &log, "start"])
    }

    fn control(&self, arguments: &[&str]) -> Result<(), String> {
        let mut control = self.user.command(self.user.program("pg_ctl"));
        control.arg("-D").arg(&self.data).args(arguments);
        done(&mut control)
    }

    /// Sends a signal to the server and each of its processes, the server first.
    fn signal(&self, name: &str) {
        let pid = read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let Some(pid) = pid.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else {
            return;
        };
        let all = std::iter::once(pid).chain(children(pid)).map(|pid| pid.to_string());
        let mut kill = Command::new("kill");
        kill.args(["-s", name]).args(all).stderr(Stdio::null());
        // Children come and go; the server itself is what counts.
        let _ = kill.status();
    }
}

fn children(parent: u32) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    all.flatten()
        .filter_map(pid)
        .filter(|pid| {
            let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The name, in brackets, may have blanks; behind it come the state and the parent.
            let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
            behind.split_whitespace().nth(1).and_then(|text| text.parse().ok()) == Some(parent)
        })
        .collect()
}

/// Who runs servers, and with which programs.
#[derive(Clone, Debug)]
struct User {
    programs: PathBuf,
    /// The user and group `postgres`, where this process is root's.
    other: Option<(u32, u32)>,
}

impl User {
    fn find() -> Result<User, String> {
        let all = std::fs::read_dir("/usr/lib/postgresql");
        let all = all.map_err(|_| "PostgreSQL is not installed: apt-get install postgresql")?;
        let mut programs: Vec<PathBuf> =
            all.flatten().map(|entry| entry.path().join("bin")).collect();
        programs.retain(|path| path.join("initdb").is_file());
        programs.sort();
        let programs = programs.pop().ok_or("/usr/lib/postgresql has no server")?;
        let other = if number(&["-u"])? == 0 {
            Some((number(&["-u", "postgres"])?, number(&["-g", "postgres"])?))
        } else {
            None
        };
        Ok(User { programs, other })
    }

    fn name(&self) -> String {
        self.other.map_or_else(|| "own".to_owned(), |(uid, _)| uid.to_string())
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid).current_dir("/");
        }
        command
    }

    /// Gives a file to who runs servers.
    fn own(&self, path: &Path) -> Result<(), String> {
        let Some((uid, gid)) = self.other else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(|error| error.to_string())
    }
}

fn number(arguments: &[&str]) -> Result<u32, String> {
    let Output { status, stdout, .. } =
        Command::new("id").args(arguments).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&stdout);
    let number = text.trim().parse().ok().filter(|_| status.success());
    number.ok_or_else(|| format!("there is no user for servers: `id {}`", arguments.join(" ")))
}

/// Runs a command to its end. Its output goes to a file: a server that it leaves behind would keep
/// a pipe open.
fn done(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut said = tempfile::tempfile().map_err(|error| error.to_string())?;
    let copy = || said.try_clone().map_err(|error| error.to_string());
    command.stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    let _ = std::io::Seek::rewind(&mut said);
    let _ = std::io::Read::read_to_string(&mut said, &mut text);
    Err(format!("{name} ended with {status}: {text}"))
}
