//! Why a gateway does not start: what, why, and what to do.

use std::net::SocketAddr;
use std::path::Path;

/// Why a gateway does not start or ended badly. All of these are faults of the surroundings: exit
/// code 3.
#[derive(Debug)]
pub struct ServeError {
    /// What could not be done.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl ServeError {
    /// The exit code of a program that stops for it.
    pub const EXIT_CODE: u8 = 3;

    pub(crate) fn listen(address: SocketAddr, flag: &str, error: &std::io::Error) -> ServeError {
        use std::io::ErrorKind;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's list is open")]
        let fix = match error.kind() {
            ErrorKind::AddrInUse => format!(
                "stop the program that uses port {} (`ss -ltnp 'sport = :{0}'` shows it), or choose another with \
                 `{flag} HOST:PORT`",
                address.port()
            ),
            ErrorKind::AddrNotAvailable => {
                format!(
                    "use an address of this machine, or 0.0.0.0 for all: `{flag} 0.0.0.0:{}`",
                    address.port()
                )
            }
            ErrorKind::PermissionDenied => {
                format!(
                    "ports below 1024 need a right; use one above: `{flag} {}:8080`",
                    address.ip()
                )
            }
            _ => format!("choose another address with `{flag} HOST:PORT`"),
        };
        ServeError { what: format!("could not listen on {address}"), why: error.to_string(), fix }
    }

    pub(crate) fn tls(path: &Path, why: impl std::fmt::Display) -> ServeError {
        ServeError {
            what: format!("could not use `{}` for TLS", path.display()),
            why: why.to_string(),
            fix: "server.tls.cert is a PEM chain with the server's own certificate first, server.tls.key its PEM \
                  private key; check both paths and their permissions"
                .to_owned(),
        }
    }

    pub(crate) fn runtime(why: &std::io::Error) -> ServeError {
        ServeError {
            what: "could not start the worker threads".to_owned(),
            why: why.to_string(),
            fix: "raise the limits of threads and open files (`ulimit -u -n`), or lower `server.workers`".to_owned(),
        }
    }
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  why: {}\n  fix: {}", self.what, self.why, self.fix)
    }
}

impl std::error::Error for ServeError {}
