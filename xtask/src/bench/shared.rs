//! What sharing costs: a gateway with a store of its own beside one with PostgreSQL and Redis.
//!
//! Both have a key with limits and a hard budget, in front of the same simulator, on the same core; each is
//! measured in turn, twice a round: as much as it carries, and a tenth of that, where what is done by the
//! clock weighs more. CPU is that of the gateway alone: the servers' is theirs.

use super::figures::{Figures, Line};
use super::load::{self, Load};
use super::machine::{Cores, cpu_seconds};
use super::scaling::Variant;
use super::{Peer, config, measure};
use crate::server::Server;
use crate::servers::{Redis, Servers};
use std::path::Path;
use std::time::Duration;

/// Connections under full load.
const CONNECTIONS: u32 = 64;
/// The part of full load that moderate load is.
const MODERATE: f64 = 0.1;
/// What sharing may cost of a call's CPU, as a multiple of a gateway's alone.
const MOST: f64 = 1.1;

/// Measures so many rounds of so many seconds, and tells how both compare.
///
/// # Errors
///
/// A server did not start, or an answer was no success.
pub(super) fn run(
    (rounds, secs): (u64, u64),
    directory: &Path,
    figures: &mut Figures,
) -> Result<(), String> {
    let servers = Servers::start();
    if let Some((what, why)) = servers.missing.first() {
        return Err(format!("{what}: {why}"));
    }
    let postgres = servers.postgres_url().ok_or("there is no PostgreSQL")?;
    let redis = Redis::start(directory)?;
    let sim = Server::sim(directory, &[], Some(0))?;
    let alone = config(&sim.base_url(), 1);
    let together =
        format!("{alone}[store]\nurl = \"{postgres}\"\n[shared]\nurl = \"{}\"\n", redis.url());
    let gateways = [("embedded", alone), ("shared", together)]
        .into_iter()
        .map(|(name, config)| Variant::start(name, directory, &config, Some(1), |_| Ok(())))
        .collect::<Result<Vec<Variant>, String>>()?;
    let body = load::chat(800, false);
    for round in 1..=rounds {
        let mut most = 0.0;
        for gateway in turned(&gateways, round) {
            let with = (secs, CONNECTIONS);
            let line =
                measure(&gateway.load, peer(gateway), (round, "full load"), &body, with, 1.0)?;
            most = line.value("per_second").unwrap_or_default();
            figures.add(line)?;
        }
        for gateway in turned(&gateways, round) {
            figures.add(moderate(gateway, round, secs, most * MODERATE)?)?;
        }
    }
    for test in ["full load", "moderate load"] {
        let [least, median, greatest] = figures.ratio((test, "cpu_us"), "shared", "embedded");
        let well = if median <= MOST { "within" } else { "ABOVE" };
        println!(
            "{test}: CPU a call with PostgreSQL and Redis is {least:.2} / {median:.2} / {greatest:.2} times that of a gateway alone, {well} {MOST}"
        );
    }
    Ok(())
}

/// Each first in its turn.
fn turned(gateways: &[Variant], round: u64) -> Vec<&Variant> {
    let mut all: Vec<&Variant> = gateways.iter().collect();
    if round.is_multiple_of(2) {
        all.reverse();
    }
    all
}

fn peer(gateway: &Variant) -> Peer {
    let name = if gateway.test == "shared" { "shared" } else { "embedded" };
    Peer { name, address: gateway.server.address, pid: gateway.server.pid() }
}

/// CPU of a gateway that carries so many calls a second.
fn moderate(gateway: &Variant, round: u64, secs: u64, rate: f64) -> Result<Line, String> {
    let (peer, load): (Peer, &Load) = (peer(gateway), &gateway.load);
    let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate.max(1.0));
    let (body, with) = (load::chat(800, false), (secs * 2, CONNECTIONS));
    let (cores, before) = (Cores::now(), cpu_seconds(peer.pid));
    let done = load.run_with_pauses(peer.address, &body, with, pause)?;
    let cpu_us = (cpu_seconds(peer.pid) - before) * 1e6 / done.requests.max(1.0);
    let mut line = Line::new(peer.name, round, "moderate load").with("cpu_us", cpu_us);
    line = line.with("per_second", done.per_second).with("failed", done.failed);
    for (name, share) in cores.busy_since() {
        line = line.with(&name, share);
    }
    Ok(line)
}
