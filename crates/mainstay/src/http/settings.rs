//! Settings of the transport, each with a unit and a default.

use std::time::Duration;

/// Bounds of connections and of what a provider may send.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// How long an unused connection is kept. Default 55 s, below the 60 s after which common
    /// servers and balancers close it; at least 10 ms.
    pub idle_max: Duration,
    /// Most unused HTTP/1.1 connections kept for one destination. Default 4096: answers come in bursts,
    /// and what is closed behind one is made anew for the calls of the next.
    pub idle_connections_max: usize,
    /// Most HTTP/1.1 connections to one destination; an attempt beyond waits, within its connect
    /// timeout, for one to become free. Default `None`: the limit is how many attempts are made.
    pub connections_max: Option<usize>,
    /// Most header lines in an answer. Default 100, for which no memory beside the stack is
    /// needed.
    pub headers_max: usize,
    /// Most bytes in an answer's head. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Largest piece of an HTTP/1.1 body handed on at once, bytes; 8 KiB at least. Default 64 KiB.
    pub piece_bytes_max: usize,
    /// Bytes a provider may send ahead on one HTTP/2 stream. Default 512 KiB.
    pub h2_stream_window: u32,
    /// Bytes a provider may send ahead on one HTTP/2 connection. Default 32 MiB: so many streams
    /// whose callers do not read must stand still before they hold up the others.
    pub h2_connection_window: u32,
    /// After how much silence an HTTP/2 connection is pinged. Default 20 s.
    pub h2_ping_after: Duration,
    /// How long a ping's answer may take before the connection is given up. Default 10 s.
    pub h2_ping_timeout: Duration,
}

impl HttpSettings {
    /// How often unused connections are looked at: ten times in their longest life.
    pub(super) fn sweep_every(&self) -> Duration {
        (self.idle_max / SWEEPS_A_LIFE).max(Duration::from_millis(1))
    }
}

/// The number of header lines for which there is room on the stack.
pub(super) const HEADERS_MAX: usize = 100;
/// How many sweeps an unused connection sees at most.
pub(super) const SWEEPS_A_LIFE: u32 = 10;

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            idle_max: Duration::from_secs(55),
            idle_connections_max: 4096,
            connections_max: None,
            headers_max: HEADERS_MAX,
            head_bytes_max: 64 * 1024,
            piece_bytes_max: 64 * 1024,
            h2_stream_window: 512 * 1024,
            h2_connection_window: 32 * 1024 * 1024,
            h2_ping_after: Duration::from_secs(20),
            h2_ping_timeout: Duration::from_secs(10),
        }
    }
}
