//! The hand on the shared store that everybody clones.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::check::ServerInfo;
use super::connect::Dialer;
use super::node::{Node, NodeState};
use super::resp::{ServerError, Value, command};
use super::script::Script;
use super::slots::slot;
use super::subscription::Subscription;
use super::topology::{Cluster, Locate};
use super::url::{Form, RedisUrl};

/// How the shared store is reached.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Where it is.
    pub url: RedisUrl,
    /// A PEM file of authorities that TLS trusts beside the system's and those of `SSL_CERT_FILE`.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for an answer. Default 20 ms.
    pub deadline: Duration,
    /// Longest time for each step of connecting. Default 1 s.
    pub connect: Duration,
    /// What the server shows in its list of clients.
    pub client: String,
}

impl LinkSettings {
    /// The defaults, for one URL.
    pub fn new(url: RedisUrl) -> LinkSettings {
        LinkSettings {
            url,
            ca_file: None,
            deadline: Duration::from_millis(20),
            connect: Duration::from_secs(1),
            client: "mainstay".to_owned(),
        }
    }
}

/// Whether the shared store can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It has not been reached yet, nor been missed.
    Connecting,
    /// It answers.
    Up,
    /// It does not, and why: asking it fails at once.
    Down(Arc<str>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not asked: it is known to be away.
    #[error("the shared store is away: {0}")]
    Down(Arc<str>),
    /// It was asked and did not answer in time. It may have done what it was asked.
    #[error("the shared store did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection broke off before the answer. It may have done what it was asked.
    #[error("the connection to the shared store broke off before it answered")]
    Lost,
    /// It was not asked: too many questions wait.
    #[error("too many questions wait for the shared store")]
    Full,
    /// It refused.
    #[error("the shared store refused: {} {}", .0.code, .0.text)]
    Refused(ServerError),
    /// Keys that must be in one place are not: a mistake of this program.
    #[error("the keys of script `{0}` are not in one slot")]
    ApartKeys(&'static str),
}

/// What has come of calls so far.
#[derive(Debug, Default)]
pub struct LinkCounts {
    /// Answered.
    pub answered: AtomicU64,
    /// Without an answer in time.
    pub late: AtomicU64,
    /// Not asked: it was away.
    pub refused: AtomicU64,
    /// Answered by a refusal, broken off, or one too many.
    pub failed: AtomicU64,
}

/// The link. Clones share it; the last one's end closes it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    servers: Servers,
    dialer: Arc<Dialer>,
    runtime: Handle,
    deadline: Duration,
    counts: LinkCounts,
    end: Arc<Notify>,
}

enum Servers {
    One(Node),
    Cluster(Arc<Cluster>),
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

impl Link {
    /// Begins to connect, on a thread of its own, and returns at once: a store that is away is no
    /// reason not to start.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn open(settings: LinkSettings) -> io::Result<Link> {
        let deadline = settings.deadline;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let end = Arc::new(Notify::new());
        let ended = Arc::clone(&end);
        let work = move || runtime.block_on(ended.notified());
        thread::Builder::new().name("shared-store".to_owned()).spawn(work)?;
        let form = settings.url.form.clone();
        let first = settings.url.hosts.first().cloned();
        let dialer = Arc::new(Dialer::new(settings));
        // Three answers late in a row are a silence, not a hiccup.
        let stall = deadline * 3;
        let one = |locate| Servers::One(Node::spawn(&handle, &dialer, locate, stall));
        let servers = match (form, first) {
            (Form::Sentinel(service), _) => one(Locate::Sentinels(service)),
            (Form::Single, Some(host)) => one(Locate::Fixed(host)),
            (Form::Cluster, _) | (Form::Single, None) => {
                let cluster = Arc::new(Cluster::new(Arc::clone(&dialer), handle.clone(), stall));
                handle.spawn(Arc::clone(&cluster).keep());
                Servers::Cluster(cluster)
            }
        };
        let counts = LinkCounts::default();
        Ok(Link(Arc::new(Inner { servers, dialer, runtime: handle, deadline, counts, end })))
    }

    /// Whether it can be asked. Cheap; for a cluster it looks at every master.
    pub fn state(&self) -> LinkState {
        match &self.0.servers {
            Servers::One(node) => state_of(&node.state()),
            Servers::Cluster(cluster) => {
                if let Some(why) = cluster.trouble() {
                    return LinkState::Down(why);
                }
                let nodes = cluster.nodes();
                let states = nodes.iter().map(|node| state_of(&node.state()));
                let worst = states.into_iter().find(|state| *state != LinkState::Up);
                match worst {
                    Some(state) => state,
                    None if nodes.is_empty() => LinkState::Connecting,
                    None => LinkState::Up,
                }
            }
        }
    }

    /// Who answers, while somebody does.
    pub fn server(&self) -> Option<Arc<ServerInfo>> {
        let nodes = match &self.0.servers {
            Servers::One(node) => vec![node.clone()],
            Servers::Cluster(cluster) => cluster.nodes(),
        };
        nodes.iter().find_map(|node| match node.state() {
            NodeState::Up(info) => Some(info),
            NodeState::Connecting | NodeState::Silent | NodeState::Down(_) => None,
        })
    }

    /// Where it is, without user and password.
    pub fn place(&self) -> String {
        self.0.dialer.url.to_string()
    }

    /// What has come of calls so far.
    pub fn counts(&self) -> &LinkCounts {
        &self.0.counts
    }

    /// Longest wait for an answer.
    pub fn deadline(&self) -> Duration {
        self.0.deadline
    }

    /// Runs a script. `keys` are all keys that it touches, in one slot: with the same text in
    /// braces.
    ///
    /// # Errors
    ///
    /// It has no answer; see [`LinkError`] for whether it may have run.
    pub async fn script(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, LinkError> {
        if keys.windows(2).any(|pair| slot(pair[0]) != slot(pair[1])) {
            return Err(LinkError::ApartKeys(script.name()));
        }
        let key = keys.first().copied().unwrap_or_default();
        let until = Instant::now() + self.0.deadline;
        let asked = self.ask(key, by_hash(script, keys, args), until).await;
        let asked = match asked {
            // It is not known there, so nothing has run.
            Err(LinkError::Refused(error)) if error.code == "NOSCRIPT" => {
                self.ask(key, by_text(script, keys, args), until).await
            }
            other => other,
        };
        self.count(&asked);
        asked
    }

    /// Gives one command that touches `key` only.
    ///
    /// # Errors
    ///
    /// It has no answer; see [`LinkError`] for whether it may have run.
    pub async fn command(&self, key: &str, parts: &[&[u8]]) -> Result<Value, LinkError> {
        let asked = self.ask(key, command(parts), Instant::now() + self.0.deadline).await;
        self.count(&asked);
        asked
    }

    /// Tells everybody who listens to a channel.
    ///
    /// # Errors
    ///
    /// It has no answer; see [`LinkError`] for whether it may have been told.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), LinkError> {
        self.command(channel, &[b"PUBLISH", channel.as_bytes(), message]).await.map(drop)
    }

    /// Listens to channels until the subscription is dropped.
    pub fn subscribe(&self, channels: &[&str]) -> Subscription {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        Subscription::start(&self.0.runtime, &self.0.dialer, channels)
    }

    async fn ask(&self, key: &str, frame: Vec<u8>, until: Instant) -> Result<Value, LinkError> {
        match &self.0.servers {
            Servers::One(node) => self.ask_node(node, (frame, 0), until).await,
            Servers::Cluster(cluster) => {
                let Some(node) = cluster.node_of(key) else {
                    cluster.is_stale();
                    let why = cluster.trouble();
                    let nobody = || "no server has the slot of the key".into();
                    return Err(LinkError::Down(why.unwrap_or_else(nobody)));
                };
                let asked = self.ask_node(&node, (frame.clone(), 0), until).await;
                match asked {
                    Err(LinkError::Refused(error)) => {
                        self.follow(cluster, error, frame, until).await
                    }
                    other => other,
                }
            }
        }
    }

    /// Goes where a server of a cluster says that the key is; it has done nothing itself. Once.
    async fn follow(
        &self,
        cluster: &Cluster,
        error: ServerError,
        frame: Vec<u8>,
        until: Instant,
    ) -> Result<Value, LinkError> {
        let asking = match error.code.as_str() {
            "MOVED" => false,
            "ASK" => true,
            _ => return Err(LinkError::Refused(error)),
        };
        if !asking {
            cluster.is_stale();
        }
        let asked = self.0.dialer.url.hosts.first().map_or("", |host| host.name.as_str());
        let address = error.text.split(' ').nth(1).unwrap_or_default();
        let Some(node) = cluster.node_at(address, asked) else {
            return Err(LinkError::Refused(error));
        };
        let job = if asking { ([command(&[b"ASKING"]), frame].concat(), 1) } else { (frame, 0) };
        self.ask_node(&node, job, until).await
    }

    async fn ask_node(
        &self,
        node: &Node,
        (frame, skip): (Vec<u8>, u8),
        until: Instant,
    ) -> Result<Value, LinkError> {
        if let LinkState::Down(why) = state_of(&node.state()) {
            return Err(LinkError::Down(why));
        }
        let told = node.send(frame, skip).map_err(|_| LinkError::Full)?;
        match timeout_at(until, told).await {
            Ok(Ok(Value::ServerError(error))) => Err(LinkError::Refused(error)),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(LinkError::Lost),
            Err(_) => Err(LinkError::Timeout(self.0.deadline)),
        }
    }

    fn count(&self, asked: &Result<Value, LinkError>) {
        let counts = &self.0.counts;
        let counter = match asked {
            Ok(_) => &counts.answered,
            Err(LinkError::Timeout(_)) => &counts.late,
            Err(LinkError::Down(_)) => &counts.refused,
            Err(
                LinkError::Lost | LinkError::Full | LinkError::Refused(_) | LinkError::ApartKeys(_),
            ) => &counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("place", &self.place())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn state_of(state: &NodeState) -> LinkState {
    match state {
        NodeState::Connecting => LinkState::Connecting,
        NodeState::Up(_) => LinkState::Up,
        NodeState::Silent => LinkState::Down("it is connected and does not answer".into()),
        NodeState::Down(why) => LinkState::Down(Arc::clone(why)),
    }
}

fn by_hash(script: &Script, keys: &[&str], args: &[&[u8]]) -> Vec<u8> {
    call(b"EVALSHA", script.sha().as_bytes(), keys, args)
}

fn by_text(script: &Script, keys: &[&str], args: &[&[u8]]) -> Vec<u8> {
    call(b"EVAL", script.text().as_bytes(), keys, args)
}

fn call(verb: &[u8], script: &[u8], keys: &[&str], args: &[&[u8]]) -> Vec<u8> {
    let count = keys.len().to_string();
    let mut parts = vec![verb, script, count.as_bytes()];
    parts.extend(keys.iter().map(|key| key.as_bytes()));
    parts.extend(args);
    command(&parts)
}
