//! The link to Redis or Valkey: what several gateways know together, a few milliseconds away.
//!
//! ```text
//!   Link ── a call ──▶ Node: one connection, commands in a pipeline, answers in order
//!     │                  ▲ connects, checks the server, notices silence, comes back by itself
//!     │                  └ finds the server: fixed, asked of sentinels, or by the cluster's slots
//!     ├── Subscription: messages of others, and word of every gap in them
//!     └── Members: who else is there, by heartbeat
//! ```
//!
//! * Nothing here is on the path of a request unless it is waited for by name, and then at most for
//!   [`LinkSettings::deadline`].
//! * The breaker is the connection's own state: while the server is silent or gone, every call is
//!   refused at once. No call finds out that it is back; the link's own thread does.
//! * Nothing is sent twice. A call without an answer may have been carried out.
//!
//! Only commands that Redis 6.2 and Valkey 7.2 both have are used.

mod check;
mod connect;
mod limits;
mod link;
mod members;
mod node;
mod pacing;
mod resp;
mod script;
mod slots;
mod subscription;
#[cfg(test)]
mod testing;
mod tls;
mod topology;
mod url;

pub use check::ServerInfo;
pub use limits::serve_limits;
pub use link::{Link, LinkCounts, LinkError, LinkSettings, LinkState};
pub use members::{BEAT_EVERY, Member, Members};
pub use pacing::serve_pacing;
pub use resp::{ServerError, Value};
pub use script::Script;
pub use subscription::{Event, Subscription};
pub use url::{NotARedisUrl, RedisUrl};
