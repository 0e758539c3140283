//! Before a connection is used: what is at the other end, and can it do what is needed?

use super::connect::{Conn, Dialer};
use super::resp::{Value, command};

/// A hash that no script has.
const NO_SCRIPT: &[u8] = b"0000000000000000000000000000000000000000";
/// Both need to be there inside of scripts.
const TIME_SCRIPT: &[u8] = b"local t = redis.call('TIME') return {tonumber(t[1]), tonumber(t[2])}";

/// What is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// `Redis` or `Valkey`.
    pub product: String,
    /// Its version; empty when it does not tell.
    pub version: String,
    /// What it throws away when its memory is full, such as `noeviction`; empty when it does not
    /// tell.
    pub eviction: String,
    /// Its memory limit in bytes; 0: none.
    pub memory_max: u64,
}

impl ServerInfo {
    /// What somebody should know who looks after it.
    pub fn warning(&self) -> Option<String> {
        let evicts = self.memory_max > 0 && !matches!(self.eviction.as_str(), "" | "noeviction");
        evicts.then(|| {
            format!(
                "the shared store throws keys away when its memory is full (maxmemory-policy {}): a limit whose \
                 state is thrown away starts afresh. Set `maxmemory-policy noeviction`",
                self.eviction
            )
        })
    }
}

/// Asks the server who it is and tries what will be needed of it: scripts by text and by hash, the
/// time inside of a script, publishing.
pub(super) async fn check(dialer: &Dialer, conn: &mut Conn) -> Result<ServerInfo, String> {
    let questions = [
        command(&[b"INFO"]),
        command(&[b"EVAL", TIME_SCRIPT, b"0"]),
        command(&[b"EVALSHA", NO_SCRIPT, b"0"]),
        command(&[b"PUBLISH", b"{mainstay}:check:v1", b""]),
    ];
    let answers = dialer.within(conn.ask(&questions)).await?;
    let [info, time, by_hash, published] = &answers[..] else {
        return Err("the server left questions unanswered".to_owned());
    };
    let info = Info::of(info)?;
    if time.ints().is_none_or(|parts| parts.len() != 2) {
        return Err(cannot("run a script (EVAL) that asks for the time", time));
    }
    if !matches!(by_hash, Value::ServerError(error) if error.code == "NOSCRIPT") {
        return Err(cannot("run a script by its hash (EVALSHA)", by_hash));
    }
    if published.as_int().is_none() {
        return Err(cannot("publish a message (PUBLISH)", published));
    }
    Ok(info.server())
}

fn cannot(what: &str, answer: &Value) -> String {
    let answer = match answer {
        Value::ServerError(error) => format!("{} {}", error.code, error.text),
        Value::Nil
        | Value::Int(_)
        | Value::SimpleString(_)
        | Value::BulkString(_)
        | Value::Array(_) => "it answered something else".to_owned(),
    };
    format!("the server cannot {what}, which is needed: {answer}")
}

/// The server's own description: lines of `name:value`.
struct Info(String);

impl Info {
    fn of(answer: &Value) -> Result<Info, String> {
        match answer {
            Value::BulkString(text) => {
                let info = Info(String::from_utf8_lossy(text).into_owned());
                match (info.get("role"), info.get("loading")) {
                    ("slave", _) => {
                        Err("this server is a replica; name its master, or sentinels".to_owned())
                    }
                    (_, "1") => Err("the server is loading its data".to_owned()),
                    _ => Ok(info),
                }
            }
            // Some hosted servers do not tell; what is needed is tried anyway.
            Value::ServerError(error) if error.code == "ERR" || error.code == "NOPERM" => {
                Ok(Info(String::new()))
            }
            Value::ServerError(error) => Err(format!("{} {}", error.code, error.text)),
            Value::Nil | Value::Int(_) | Value::SimpleString(_) | Value::Array(_) => {
                Err("the server does not speak Redis's protocol".to_owned())
            }
        }
    }

    fn get(&self, name: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("").trim()
    }

    fn server(&self) -> ServerInfo {
        let valkey = self.get("valkey_version");
        let (product, version) = match valkey {
            "" => ("Redis", self.get("redis_version")),
            version => ("Valkey", version),
        };
        ServerInfo {
            product: product.to_owned(),
            version: version.to_owned(),
            eviction: self.get("maxmemory_policy").to_owned(),
            memory_max: self.get("maxmemory").parse().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Result<ServerInfo, String> {
        Ok(Info::of(&Value::BulkString(text.as_bytes().to_vec()))?.server())
    }

    #[test]
    fn a_server_is_told_by_its_own_words() {
        let redis = info(
            "redis_version:7.0.15\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n",
        );
        let redis = redis.expect("a master");
        assert_eq!((redis.product.as_str(), redis.version.as_str()), ("Redis", "7.0.15"));
        assert_eq!(redis.warning(), None, "without a limit nothing is thrown away");
        let valkey = info(
            "redis_version:7.2.4\r\nvalkey_version:8.1.1\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n",
        );
        let valkey = valkey.expect("it tells no role");
        assert_eq!((valkey.product.as_str(), valkey.version.as_str()), ("Valkey", "8.1.1"));
        assert!(valkey.warning().expect("a warning").contains("noeviction"));
        assert!(info("role:slave\r\n").expect_err("a replica").contains("replica"));
        assert!(info("role:master\r\nloading:1\r\n").expect_err("not yet").contains("loading"));
    }
}
