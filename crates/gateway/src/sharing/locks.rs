//! Who carries out what an idempotency key stands for, among several gateways.
//!
//! A lock is a key of the shared store with a time to live, renewed while its request runs. The
//! answer is in the store that all gateways have; it is kept before the lock is given back, so
//! whoever takes the lock next finds it. While the shared store is away each gateway knows only its
//! own requests, which is told as degraded.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::store::ReplayPlace;
use mainstay_store::redis::{Link, LinkError, Script, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// How long a lock outlives the gateway that held it.
const TTL: Duration = Duration::from_secs(15);
/// Age at which a lock is renewed, and again after as long.
const RENEW_AFTER: Duration = Duration::from_secs(5);
/// Locks in one renewal.
const RENEWED: usize = 200;

/// Takes a lock that nobody holds; tells who does.
static TAKE: Script = Script::new(
    "lock/1",
    "local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]",
);

/// Gives a lock back, unless it is somebody else's by now.
static RELEASE: Script = Script::new(
    "unlock/1",
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0",
);

/// Makes those last that are ours, and takes again those that the server has lost.
static RENEW: Script = Script::new(
    "relock/1",
    "local kept = 0
for i, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if not held or held == ARGV[i + 1] then
    redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1])
    kept = kept + 1
  end
end
return kept",
);

/// Whose turn it is to carry a request out.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Ours; without a lock when the shared store did not answer.
    Ours(Option<Lock>),
    /// Another gateway's, which is at it.
    Theirs,
    /// Another gateway is at another request under the same key.
    AnotherRequest,
}

/// The locks of this gateway.
#[derive(Debug)]
pub(crate) struct Locks {
    link: Link,
    node: String,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    held: HashMap<ReplayPlace, Held>,
    /// To be given back.
    freed: Vec<(ReplayPlace, String)>,
}

#[derive(Debug)]
struct Held {
    token: String,
    renewed: Instant,
}

/// A lock that is held. Dropping it gives it back, a moment later.
#[derive(Debug)]
pub(crate) struct Lock {
    locks: Arc<Locks>,
    place: ReplayPlace,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.locks.lock();
        if let Some(held) = state.held.remove(&self.place) {
            state.freed.push((self.place, held.token));
            drop(state);
            self.locks.freed.notify_one();
        }
    }
}

impl Locks {
    /// First and longest rest before asking again for a lock that another gateway holds.
    pub(crate) const REST_MIN: Duration = Duration::from_millis(25);
    /// See [`Locks::REST_MIN`].
    pub(crate) const REST_MAX: Duration = Duration::from_millis(400);

    pub(super) fn new(link: Link, node: String) -> Locks {
        Locks { link, node, state: Mutex::default(), freed: Notify::new() }
    }

    /// Takes the lock of a key for a request with this fingerprint. One question of at most
    /// `shared.deadline`.
    pub(crate) async fn take(self: &Arc<Self>, place: ReplayPlace, fingerprint: [u8; 32]) -> Turn {
        let print = hex(&fingerprint[..16]);
        let token = {
            let mut state = self.lock();
            state.count += 1;
            format!("{print}:{}:{}", self.node, state.count)
        };
        let ttl = TTL.as_millis().to_string();
        let key = key_of(place);
        let taken = self.link.script(&TAKE, &[&key], &[token.as_bytes(), ttl.as_bytes()]).await;
        match taken {
            Ok(held) if held.as_bytes() == Some(token.as_bytes()) => {
                Turn::Ours(Some(self.hold(place, token)))
            }
            Ok(Value::BulkString(held)) if held.starts_with(print.as_bytes()) => Turn::Theirs,
            Ok(_) => Turn::AnotherRequest,
            // It may have been taken all the same; then it has to be given back.
            Err(LinkError::Timeout(_) | LinkError::Lost) => {
                Turn::Ours(Some(self.hold(place, token)))
            }
            Err(
                LinkError::Down(_)
                | LinkError::Full
                | LinkError::Refused(_)
                | LinkError::ApartKeys(_),
            ) => Turn::Ours(None),
        }
    }

    fn hold(self: &Arc<Self>, place: ReplayPlace, token: String) -> Lock {
        self.lock().held.insert(place, Held { token, renewed: Instant::now() });
        Lock { locks: Arc::clone(self), place }
    }

    /// Gives back what is freed and renews what is held, for ever.
    pub(super) async fn renew(&self) {
        loop {
            let _ = timeout(RENEW_AFTER / 5, self.freed.notified()).await;
            let freed = std::mem::take(&mut self.lock().freed);
            for (place, token) in freed {
                // One that is not given back ends by itself.
                let _ = self.link.script(&RELEASE, &[&key_of(place)], &[token.as_bytes()]).await;
            }
            let due = self.due();
            if due.is_empty() {
                continue;
            }
            let keys: Vec<String> = due.iter().map(|(place, _)| key_of(*place)).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let ttl = TTL.as_millis().to_string();
            let tokens = due.iter().map(|(_, token)| token.as_bytes());
            let args: Vec<&[u8]> = std::iter::once(ttl.as_bytes()).chain(tokens).collect();
            if self.link.script(&RENEW, &keys, &args).await.is_ok() {
                self.renewed(&due);
            } else {
                sleep(RENEW_AFTER / 5).await;
            }
        }
    }

    fn due(&self) -> Vec<(ReplayPlace, String)> {
        let state = self.lock();
        let old = state.held.iter().filter(|(_, held)| held.renewed.elapsed() >= RENEW_AFTER);
        old.take(RENEWED).map(|(place, held)| (*place, held.token.clone())).collect()
    }

    fn renewed(&self, done: &[(ReplayPlace, String)]) {
        let mut state = self.lock();
        for (place, token) in done {
            if let Some(held) = state.held.get_mut(place).filter(|held| held.token == *token) {
                held.renewed = Instant::now();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of it is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All locks are in one slot, so that one script renews many.
fn key_of(place: ReplayPlace) -> String {
    format!("{{mainstay:idempotency}}:v1:{}", hex(&place.0))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    text
}
