//! Which server it is: the one named, the one that sentinels name, or one of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connect::Dialer;
use super::node::Node;
use super::resp::{Value, command};
use super::slots::slot;
use super::url::Host;

/// Time between two questions about who is master.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at a cluster's slots, unless a server says that they moved.
const MAP_EVERY: Duration = Duration::from_secs(5);
/// Shortest time between two of them.
const MAP_REST: Duration = Duration::from_millis(100);
/// Masters of a cluster at most.
const MASTERS_MAX: usize = 1_000;

/// How a node finds its server.
#[derive(Clone)]
pub(super) enum Locate {
    Fixed(Host),
    Sentinels(String),
}

impl Locate {
    /// Where it is now.
    pub(super) async fn find(&self, dialer: &Dialer) -> Result<Host, String> {
        match self {
            Locate::Fixed(host) => Ok(host.clone()),
            Locate::Sentinels(service) => master(dialer, service).await,
        }
    }

    /// Until it is another one than `host`.
    pub(super) async fn moved(&self, dialer: &Dialer, host: &Host) {
        match self {
            Locate::Fixed(_) => std::future::pending().await,
            Locate::Sentinels(service) => loop {
                sleep(ASK_EVERY).await;
                if master(dialer, service).await.is_ok_and(|now| now != *host) {
                    return;
                }
            },
        }
    }
}

/// Asks the sentinels in turn for the master of a service.
async fn master(dialer: &Dialer, service: &str) -> Result<Host, String> {
    let mut whys = Vec::new();
    for sentinel in &dialer.url.hosts {
        match dialer.within(ask_sentinel(dialer, sentinel, service)).await {
            Ok(host) => return Ok(host),
            Err(why) => whys.push(format!("sentinel {sentinel}: {why}")),
        }
    }
    Err(whys.join("; "))
}

async fn ask_sentinel(dialer: &Dialer, sentinel: &Host, service: &str) -> Result<Host, String> {
    let mut conn = dialer.open_sentinel(sentinel).await?;
    let question = command(&[b"SENTINEL", b"get-master-addr-by-name", service.as_bytes()]);
    match conn.ask(&[question]).await?.pop() {
        Some(Value::ServerError(error)) => Err(format!("{} {}", error.code, error.text)),
        Some(Value::Array(parts)) => {
            host_of(&parts, sentinel).ok_or_else(|| "its answer is no address".to_owned())
        }
        Some(_) | None => Err(format!("it knows no service `{service}`")),
    }
}

/// An address as servers write it: name and port; an empty name is the one that was asked.
fn host_of(parts: &[Value], asked: &Host) -> Option<Host> {
    let name = match (parts.first()?, parts.first()?.as_bytes()) {
        (Value::Nil, _) | (_, Some([])) => asked.name.clone(),
        (_, name) => String::from_utf8(name?.to_vec()).ok()?,
    };
    Some(Host { name, port: u16::try_from(parts.get(1)?.as_int()?).ok()? })
}

/// The masters of a cluster and which slots they have.
pub(super) struct Cluster {
    dialer: Arc<Dialer>,
    runtime: tokio::runtime::Handle,
    stall: Duration,
    state: Mutex<Map>,
    stale: Notify,
}

#[derive(Default)]
struct Map {
    /// First slot of a range, its last, whose it is.
    ranges: BTreeMap<u16, (u16, Host)>,
    nodes: BTreeMap<Host, Node>,
    /// Why the slots could not be read the last time.
    trouble: Option<Arc<str>>,
}

impl Cluster {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        runtime: tokio::runtime::Handle,
        stall: Duration,
    ) -> Cluster {
        Cluster { dialer, runtime, stall, state: Mutex::default(), stale: Notify::new() }
    }

    /// The node that a key is at; `None` while nobody has its slot.
    pub(super) fn node_of(&self, key: &str) -> Option<Node> {
        let (slot, state) = (slot(key), self.lock());
        let (_, (last, host)) = state.ranges.range(..=slot).next_back()?;
        if slot > *last { None } else { state.nodes.get(host).cloned() }
    }

    /// The node at an address that a server sent us to: `host:port`.
    pub(super) fn node_at(&self, address: &str, asked: &str) -> Option<Node> {
        let (name, port) = address.rsplit_once(':')?;
        let name = if name.is_empty() { asked } else { name };
        let host = Host { name: name.to_owned(), port: port.parse().ok()? };
        let mut state = self.lock();
        if state.nodes.len() >= MASTERS_MAX && !state.nodes.contains_key(&host) {
            return None;
        }
        Some(self.node(&mut state, host))
    }

    /// The slots are not where they were.
    pub(super) fn is_stale(&self) {
        self.stale.notify_one();
    }

    /// Any node, and all of them.
    pub(super) fn nodes(&self) -> Vec<Node> {
        self.lock().nodes.values().cloned().collect()
    }

    /// Why nothing is known of the slots, while that is so.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        let state = self.lock();
        if state.ranges.is_empty() { state.trouble.clone() } else { None }
    }

    /// Keeps the slots up to date, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            match self.read().await {
                Ok(ranges) => self.take(ranges),
                Err(why) => self.lock().trouble = Some(why.into()),
            }
            sleep(MAP_REST).await;
            let known = !self.lock().ranges.is_empty();
            let rest = if known { MAP_EVERY } else { MAP_REST };
            // Either the time is over or somebody says that they moved.
            let _ = timeout(rest, self.stale.notified()).await;
        }
    }

    fn take(&self, ranges: BTreeMap<u16, (u16, Host)>) {
        let mut state = self.lock();
        let hosts: BTreeSet<Host> = ranges.values().map(|(_, host)| host.clone()).collect();
        state.nodes.retain(|host, _| hosts.contains(host));
        for host in hosts {
            self.node(&mut state, host);
        }
        state.ranges = ranges;
        state.trouble = None;
    }

    fn node(&self, state: &mut Map, host: Host) -> Node {
        let make =
            || Node::spawn(&self.runtime, &self.dialer, Locate::Fixed(host.clone()), self.stall);
        state.nodes.entry(host.clone()).or_insert_with(make).clone()
    }

    /// Asks whoever answers first: those known, then those named.
    async fn read(&self) -> Result<BTreeMap<u16, (u16, Host)>, String> {
        let known: Vec<Host> = self.lock().nodes.keys().cloned().collect();
        let mut whys = Vec::new();
        for host in known.iter().chain(&self.dialer.url.hosts) {
            let asking = async {
                let mut conn = self.dialer.open(host).await?;
                Ok(conn.ask(&[command(&[b"CLUSTER", b"SLOTS"])]).await?.pop())
            };
            match self.dialer.within(asking).await {
                Ok(Some(Value::ServerError(error))) => {
                    whys.push(format!("{} {}", error.code, error.text));
                }
                Ok(Some(value)) => return ranges(&value, host),
                Ok(None) => whys.push("no answer".to_owned()),
                Err(why) => whys.push(why),
            }
        }
        Err(whys.pop().unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        // Every change of it is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `CLUSTER SLOTS`: for each range its first and last slot, then master and replicas.
fn ranges(answer: &Value, asked: &Host) -> Result<BTreeMap<u16, (u16, Host)>, String> {
    let mut ranges = BTreeMap::new();
    for range in answer.items().iter().take(MASTERS_MAX * 16) {
        let [first, last, master, ..] = range.items() else { continue };
        let edge = |value: &Value| value.as_int().and_then(|slot| u16::try_from(slot).ok());
        let host = host_of(master.items(), asked);
        if let (Some(first), Some(last), Some(host)) = (edge(first), edge(last), host) {
            ranges.insert(first, (last, host));
        }
    }
    if ranges.is_empty() { Err("the cluster has no slots yet".to_owned()) } else { Ok(ranges) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_read_as_it_describes_itself() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let asked = Host { name: "seed".to_owned(), port: 1 };
        let node = |name: Value, port| Value::Array(vec![name, Value::Int(port), text("id")]);
        let answer = Value::Array(vec![
            Value::Array(vec![
                Value::Int(0),
                Value::Int(8_000),
                node(text("a"), 7),
                node(text("b"), 8),
            ]),
            Value::Array(vec![Value::Int(8_001), Value::Int(16_383), node(Value::Nil, 9)]),
            Value::Array(vec![Value::Int(1)]),
        ]);
        let found = ranges(&answer, &asked).expect("two ranges");
        assert_eq!(found.len(), 2);
        assert_eq!(found[&0], (8_000, Host { name: "a".to_owned(), port: 7 }));
        assert_eq!(found[&8_001].1.name, "seed", "no name is the one that was asked");
        assert!(ranges(&Value::Array(Vec::new()), &asked).is_err());
    }
}
