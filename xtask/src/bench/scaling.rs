//! How cost grows: with bodies, connections, keys, targets and workers.
//!
//! Each point is measured for each gateway in turn, beside nginx where nginx has such a thing, and all
//! points once a round. A cliff is a point whose cost is out of line with its neighbours'.

use super::figures::Figures;
use super::load::{Load, chat};
use super::{Peer, Place, config, limit_the_project, measure, tool};
use crate::places::root;
use crate::process::{Show, run};
use crate::server::{Server, printed_key};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Sizes of a prompt in KiB.
const BODIES: [usize; 4] = [1, 10, 100, 1024];
/// Connections with a call each; one process may have 20,000 files open where this was written.
const CONNECTIONS: [u32; 6] = [1, 16, 256, 1_000, 4_000, 10_000];
/// Connections that are made anew in a second of measurement: with so many more seconds a call's share
/// in making its connection stays the same.
const CONNECTIONS_A_SECOND: u64 = 500;
const MANY_KEYS: u32 = 10_000;
/// A route has at most 64.
const TARGETS: [u32; 4] = [1, 8, 32, 64];
/// Connections where something else is measured.
const USUAL: u32 = 64;

/// Rounds, and seconds of a measurement.
type Length = (u64, u64);

impl Place {
    /// Every point, so many rounds.
    pub(super) fn scale(
        &self,
        length: Length,
        directory: &Path,
        figures: &mut Figures,
    ) -> Result<(), String> {
        for round in 1..=length.0 {
            self.bodies_and_connections(round, length.1, figures)?;
        }
        compare(length, &self.by_keys(directory)?, figures)?;
        compare(length, &self.by_targets(directory)?, figures)?;
        compare(length, &self.by_workers(directory)?, figures)
    }

    fn bodies_and_connections(
        &self,
        round: u64,
        secs: u64,
        figures: &mut Figures,
    ) -> Result<(), String> {
        for kib in BODIES {
            let (test, body) = (format!("body {kib} KiB"), chat(kib * 1024, false));
            for peer in self.proxies() {
                let line = measure(&self.load, peer, (round, &test), &body, (secs, 16), 1.0)?;
                let moved = line.value("per_second").unwrap_or(0.0) * body.len() as f64;
                figures.add(line.with("mb_per_second", moved / 1e6))?;
            }
        }
        for connections in CONNECTIONS {
            let (test, body) = (format!("{connections} connections"), chat(800, false));
            let secs = secs.max(u64::from(connections) / CONNECTIONS_A_SECOND);
            for peer in self.proxies() {
                figures.add(measure(
                    &self.load,
                    peer,
                    (round, &test),
                    &body,
                    (secs, connections),
                    1.0,
                )?)?;
            }
        }
        Ok(())
    }

    fn by_keys(&self, directory: &Path) -> Result<Vec<Variant>, String> {
        [1, MANY_KEYS]
            .into_iter()
            .map(|count| {
                let name = format!("{count} keys");
                Variant::start(
                    &name,
                    directory,
                    &config(&self.sim.base_url(), 1),
                    Some(1),
                    |place| {
                        if count > 1 {
                            make_keys(&place.join("mainstay.db"), count)
                        } else {
                            Ok(())
                        }
                    },
                )
            })
            .collect()
    }

    fn by_targets(&self, directory: &Path) -> Result<Vec<Variant>, String> {
        TARGETS
            .into_iter()
            .map(|count| {
                let name = format!("{count} targets");
                Variant::start(&name, directory, &many_targets(&self.sim, count), Some(1), |_| {
                    Ok(())
                })
            })
            .collect()
    }

    /// On both cores, which they share with the load.
    fn by_workers(&self, directory: &Path) -> Result<Vec<Variant>, String> {
        [1, 2]
            .into_iter()
            .map(|workers| {
                let name = format!("{workers} workers");
                Variant::start(
                    &name,
                    directory,
                    &config(&self.sim.base_url(), workers),
                    None,
                    |_| Ok(()),
                )
            })
            .collect()
    }
}

/// The usual load on each gateway in turn, so many rounds.
fn compare(
    (rounds, secs): Length,
    variants: &[Variant],
    figures: &mut Figures,
) -> Result<(), String> {
    let body = chat(800, false);
    for round in 1..=rounds {
        for Variant { test, server, load } in variants {
            let peer = Peer { name: "mainstay", address: server.address, pid: server.pid() };
            figures.add(measure(load, peer, (round, test), &body, (secs, USUAL), 1.0)?)?;
        }
    }
    Ok(())
}

/// A gateway that differs in one thing, and a load with its key.
pub(super) struct Variant {
    pub(super) test: String,
    pub(super) server: Server,
    pub(super) load: Load,
}

impl Variant {
    /// `prepared` is given the directory before the gateway starts there.
    pub(super) fn start(
        test: &str,
        directory: &Path,
        config: &str,
        core: Option<u32>,
        prepared: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<Variant, String> {
        let place = directory.join(test.replace(' ', "-"));
        fs::create_dir_all(&place).map_err(|e| format!("create {}: {e}", place.display()))?;
        prepared(&place)?;
        let server = Server::serve_known(&place, config, core)?;
        limit_the_project(&place)?;
        let told = tool(&place, "key create --name bench")?;
        let key = printed_key(&told).ok_or("`key create` printed no key")?;
        // The gateway notices the key.
        sleep(Duration::from_millis(1500));
        let load = Load::new(&place, &key);
        Ok(Variant { test: test.to_owned(), server, load })
    }
}

/// A store with so many keys.
fn make_keys(store: &Path, count: u32) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--locked",
        "--release",
        "-p",
        "mainstay-store",
        "--example",
        "keys",
        "--",
    ]);
    command.arg(store).arg(count.to_string()).current_dir(root());
    let ran = run(&mut command, Show::OnFailure, Duration::from_mins(20));
    if ran.ok { Ok(()) } else { Err(format!("{count} keys: {}", ran.end)) }
}

/// So many providers, all of them the simulator, that share a model's calls.
fn many_targets(sim: &Server, count: u32) -> String {
    let mut text = String::from("[server]\nworkers = 1\n");
    let mut targets = Vec::new();
    for number in 1..=count {
        let _ = write!(
            text,
            "[[provider]]\nname = \"sim{number}\"\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-bench-{number}\"\n",
            sim.base_url()
        );
        targets.push(format!("\"sim{number}/gpt-4.1-mini\""));
    }
    let targets = targets.join(", ");
    text + &format!(
        "[[route]]\nmodel = \"gpt-4.1-mini\"\ntargets = [{targets}]\nstrategy = \"least_busy\"\n"
    )
}
