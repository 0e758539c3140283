//! What tests of the scripts on a real server have in common.

use std::time::Duration;

use tokio::time::Instant;

use super::link::{Link, LinkSettings, LinkState};
use super::script::Script;
use crate::testing::redis::RedisServer;

/// A script with a clock that the test sets: its last argument.
pub(super) fn timed(script: &Script, name: &'static str) -> Script {
    let text = script.text();
    let asked = "local time = redis.call('TIME')\n\
                 local now = tonumber(time[1]) * 1000000 + tonumber(time[2])\n";
    assert!(text.contains(asked), "the script asks the server for its time");
    let set = text.replace(asked, "local now = tonumber(ARGV[#ARGV])\n");
    Script::new(name, Box::leak(set.into_boxed_str()))
}

/// A link that is up.
pub(super) async fn open(server: &RedisServer) -> Link {
    let settings = LinkSettings::new(server.url().parse().expect("a URL"));
    let deadline = Duration::from_secs(2);
    let link = Link::open(LinkSettings { deadline, ..settings }).expect("a thread");
    let began = Instant::now();
    while link.state() != LinkState::Up {
        assert!(began.elapsed() < Duration::from_secs(20), "the link is up within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    link
}
