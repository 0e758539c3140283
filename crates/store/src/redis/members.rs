//! Who else is there: every node says once a second that it lives.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::link::{Link, LinkError};
use super::resp::Value;
use super::script::Script;

/// Time between two heartbeats of a node.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A node that was not heard of for this long does not count.
const GONE_AFTER_MS: &[u8] = b"5000";
/// What is not touched for this long is forgotten: 48 h.
const KEPT_MS: &[u8] = b"172800000";
/// Heartbeats whose largest number of nodes counts: one missed beat must not raise anybody's share.
const BEATS: usize = 10;
/// Nodes listed at most.
const LISTED_MAX: &[u8] = b"999";

/// When each node was heard of last, by the server's clock.
const SEEN: &str = "{mainstay}:nodes:v1";
/// What each node says of itself.
const ABOUT: &str = "{mainstay}:about:v1";

/// Notes one heartbeat and counts those who live. A clock that was set back leaves marks in its
/// future; they are taken away, and whoever lives makes a new one within a second.
static BEAT: Script = Script::new(
    "beat/1",
    "local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local gone = tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now + gone), '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - gone), 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return redis.call('ZCARD', KEYS[1])",
);

/// A node that stops by itself is not missed.
static LEAVE: Script = Script::new(
    "leave/1",
    "redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])",
);

/// Who lives, and when he was heard of.
static LIST: Script = Script::new(
    "list/1",
    "local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local found = redis.call('ZRANGE', KEYS[1], 0, ARGV[1], 'WITHSCORES')
local out = {}
for i = 1, #found, 2 do
  local ago = math.max(0, now - tonumber(found[i + 1]))
  out[#out + 1] = {found[i], ago, redis.call('HGET', KEYS[2], found[i]) or ''}
end
return out",
);

/// A node as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// When it was heard of last, by the server's clock.
    pub ago: Duration,
    /// What it says of itself.
    pub about: String,
}

/// A node among others.
#[derive(Debug)]
pub struct Members {
    link: Link,
    name: String,
    about: Mutex<String>,
    seen: Mutex<[u32; BEATS]>,
    nodes: AtomicU32,
}

impl Members {
    /// Before the first heartbeat it is alone, as far as it knows. `name` is no other node's.
    pub fn new(link: Link, name: String, about: String) -> Members {
        Members {
            link,
            name,
            about: Mutex::new(about),
            seen: Mutex::new([1; BEATS]),
            nodes: AtomicU32::new(1),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many nodes there are, itself counted: the most of the last ten heartbeats that went
    /// through, so at least 1. While the shared store is away it stays what it was.
    pub fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed)
    }

    /// What it says of itself from the next heartbeat on.
    pub fn describe(&self, about: String) {
        *self.about.lock().unwrap_or_else(PoisonError::into_inner) = about;
    }

    /// Says that this node lives, and counts those who do.
    ///
    /// # Errors
    ///
    /// The shared store has no answer; the number stays what it was.
    pub async fn beat(&self) -> Result<u32, LinkError> {
        let about = self.about.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let args = [self.name.as_bytes(), about.as_bytes(), GONE_AFTER_MS, KEPT_MS];
        let counted = self.link.script(&BEAT, &[SEEN, ABOUT], &args).await?;
        let counted = counted.as_int().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.rotate_right(1);
        seen[0] = counted.max(1);
        let most = seen.iter().copied().max().unwrap_or(1);
        self.nodes.store(most, Ordering::Relaxed);
        Ok(counted)
    }

    /// Says that this node stops.
    ///
    /// # Errors
    ///
    /// The shared store has no answer; the others notice within five seconds.
    pub async fn leave(&self) -> Result<(), LinkError> {
        self.link.script(&LEAVE, &[SEEN, ABOUT], &[self.name.as_bytes()]).await.map(drop)
    }

    /// Who lives, at most 1,000 of them.
    ///
    /// # Errors
    ///
    /// The shared store has no answer.
    pub async fn list(&self) -> Result<Vec<Member>, LinkError> {
        let listed = self.link.script(&LIST, &[SEEN, ABOUT], &[LISTED_MAX]).await?;
        Ok(listed.items().iter().filter_map(member).collect())
    }
}

fn member(value: &Value) -> Option<Member> {
    let [name, ago, about] = value.items() else { return None };
    let text = |value: &Value| Some(String::from_utf8_lossy(value.as_bytes()?).into_owned());
    let ago = Duration::from_millis(u64::try_from(ago.as_int()?).ok()?);
    Some(Member { name: text(name)?, ago, about: text(about)? })
}
