//! One gateway over PostgreSQL and Redis, and what a call costs while one of them is frozen or gone: a call that
//! needs nothing of it goes as always.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mainstay_store::testing::postgres::Own;
use mainstay_store::testing::redis::RedisServer;

#[path = "support/caller.rs"]
mod caller;
#[path = "support/process.rs"]
mod process;

use caller::Caller;
use process::{Gateway, TOKEN, new_key, until};

/// Calls of one round, and rounds: the middle of the rounds' 99th percentiles is compared, because anything
/// else on the machine shows in a single one.
const CALLS: usize = 400;
const ROUNDS: usize = 5;
/// What a clock and a scheduler may add to a thing that takes one or two milliseconds.
const SLACK: Duration = Duration::from_millis(2);

struct World {
    _folder: tempfile::TempDir,
    postgres: Own,
    redis: Mutex<RedisServer>,
    gateway: Gateway,
    key: String,
}

impl World {
    fn new() -> Option<World> {
        let postgres = Own::start("fsync = off")?;
        let redis = RedisServer::start()?;
        let folder = tempfile::tempdir().expect("a directory");
        let config =
            format!("[store]\nurl = \"{}\"\n[admin]\ntoken = \"{TOKEN}\"\n", postgres.url());
        std::fs::write(folder.path().join("mainstay.toml"), config).expect("written");
        let (_, key) = new_key(folder.path());
        let gateway = Gateway::start(folder.path(), &redis.url(), "serves http").0;
        Some(World { _folder: folder, postgres, redis: Mutex::new(redis), gateway, key })
    }

    /// The time that 99 of 100 calls took at most.
    fn p99(&self) -> Duration {
        let mut caller = Caller::to(self.gateway.port);
        let mut took: Vec<Duration> = (0..CALLS)
            .map(|_| {
                let began = Instant::now();
                let (status, head, body) = caller.chat(&self.key);
                assert_eq!(status, 200, "{head}{body}");
                began.elapsed()
            })
            .collect();
        took.sort();
        took[CALLS * 99 / 100 - 1]
    }

    fn is_well(&self) {
        until("all is well again", || {
            let mut caller = Caller::to(self.gateway.port);
            let (_, _, body) = caller.ask("GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
            let up = self.gateway.metric("mainstay_shared_store_up") == 1;
            up && body.contains("ready") && !body.contains("degraded")
        });
    }

    fn is_degraded(&self, reason: &str) {
        until("it is noticed", || {
            let mut caller = Caller::to(self.gateway.port);
            caller.ask("GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").2.contains(reason)
        });
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_call_takes_as_long_as_always_while_a_store_is_away() {
    let Some(world) = World::new() else { return };
    world.p99();
    let mut times: [Vec<Duration>; 5] = Default::default();
    for _ in 0..ROUNDS {
        world.is_well();
        times[0].push(world.p99());

        world.postgres.freeze();
        // From the first moment on, before anybody has noticed.
        times[1].push(world.p99());
        world.postgres.thaw();
        world.is_well();

        world.postgres.stop();
        world.is_degraded("store_away");
        times[2].push(world.p99());
        world.postgres.start_again();
        world.is_well();

        let mut redis = world.redis.lock().expect("nobody panicked");
        redis.freeze();
        times[3].push(world.p99());
        redis.thaw();
        world.is_well();

        redis.kill();
        times[4].push(world.p99());
        redis.run();
    }
    let [normal, frozen_postgres, no_postgres, frozen_redis, no_redis] = times.map(middle);
    println!(
        "p99 of {CALLS} calls, middle of {ROUNDS}: {normal:?} normal, PostgreSQL frozen {frozen_postgres:?} and gone \
         {no_postgres:?}, Redis frozen {frozen_redis:?} and gone {no_redis:?}"
    );
    for (what, away) in [
        ("PostgreSQL frozen", frozen_postgres),
        ("PostgreSQL gone", no_postgres),
        ("Redis frozen", frozen_redis),
        ("Redis gone", no_redis),
    ] {
        assert!(away <= normal * 2 + SLACK, "{what}: {away:?}, normally {normal:?}");
    }
}
