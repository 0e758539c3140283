//! `cargo xtask bench`: what the gateway costs beside nginx in front of the same upstream.
//!
//! The load and the simulator share core 0, the proxy has core 1 to itself; the gateway has a key
//! with limits and a hard budget, and everything else as it comes. A round measures each proxy in
//! turn, so that a slow minute of the machine meets all of them. CPU is user and system time of the
//! proxy's whole process tree. How busy the cores were is in every line: while others work on the
//! machine, no figure counts. Differences under about 10 % are noise. How long a call takes is timed
//! between two [`ends`] that never sleep.

mod ends;
mod figures;
pub(crate) mod load;
mod machine;
mod pauses;
mod scaling;
mod shared;
mod streams;

use crate::debian::{Need, need};
use crate::nginx::Nginx;
use crate::places::{binary, fresh, known, option, program};
use crate::process::{Show, run as run_command};
use crate::server::Server;
use crate::test::build_release;
use ends::Ends;
use figures::{Figures, Line};
use load::Load;
use machine::{Cores, cpu_seconds, memory_mib};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

const NEEDS: &[Need] = &[
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "wrk", package: "wrk" },
    Need { program: "taskset", package: "util-linux" },
];

/// Words of a stream that is paced, and events around them: role, finish, usage, marker.
const WORDS: u32 = 50;
const EVENTS: f64 = WORDS as f64 + 3.0;
/// Streams held open for their memory.
const OPEN: usize = 1_000;

/// Builds, measures and prints the figures.
///
/// # Errors
///
/// When tools are missing, fewer than two cores are there, or an answer was no success.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &["--scaling", "--shared"], &["--rounds", "--secs", "--only", "--rate"])?;
    let number = |name: &str, default: u64| -> Result<u64, String> {
        option(arguments, name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| format!("{name} wants a number, not `{text}`"))
        })
    };
    let (rounds, secs) = (number("--rounds", 3)?.max(1), number("--secs", 4)?.max(1));
    let wish = Wish::read(option(arguments, "--only"), option(arguments, "--rate"))?;
    let apart = arguments.iter().find(|one| ["--scaling", "--shared"].contains(&one.as_str()));
    if let Some(apart) = apart.filter(|_| !wish.is_everything()) {
        return Err(format!("{apart} measures something else: it takes neither --only nor --rate"));
    }
    if available_parallelism().map_or(1, usize::from) < 2 {
        return Err("two cores are needed: one for the load, one for the proxy".to_owned());
    }
    need(NEEDS)?;
    if std::env::var_os("MAINSTAY_BIN").is_none() {
        build_release()?;
    }
    let directory = fresh("bench")?;
    let mut figures = Figures::new(&directory)?;
    if arguments.iter().any(|one| one == "--shared") {
        shared::run((rounds, secs), &directory, &mut figures)?;
        return counted(&figures);
    }
    let place = Place::set_up(&directory)?;
    let size = fs::metadata(binary()).map_or(0, |file| file.len());
    println!("start-up: {} ms to the first answer", place.gateway.start_up.as_millis());
    println!("binary: {:.1} MiB\n", size as f64 / f64::from(1 << 20));
    if arguments.iter().any(|one| one == "--scaling") {
        place.scale((rounds, secs), &directory, &mut figures)?;
    } else {
        place.all(&wish, (rounds, secs), &mut figures)?;
    }
    figures.print();
    counted(&figures)
}

fn counted(figures: &Figures) -> Result<(), String> {
    if figures.has_failures() {
        return Err("some answers were no successes: the figures do not count".to_owned());
    }
    Ok(())
}

/// What is measured: everything, or one part; and how often a second calls begin at half load.
struct Wish {
    only: Option<String>,
    rate: Option<f64>,
}

impl Wish {
    const PARTS: [&str; 5] = ["answers", "half-load", "streams", "first-event", "memory"];

    fn read(only: Option<&str>, rate: Option<&str>) -> Result<Wish, String> {
        if let Some(part) = only.filter(|part| !Wish::PARTS.contains(part)) {
            return Err(format!("there is no part `{part}`: {}", Wish::PARTS.join(", ")));
        }
        let calls = |text: &str| match text.parse::<u32>() {
            Ok(calls @ 1..=1_000_000) => Ok(f64::from(calls)),
            _ => Err(format!("--rate wants calls a second, 1 to 1000000, not `{text}`")),
        };
        Ok(Wish { only: only.map(str::to_owned), rate: rate.map(calls).transpose()? })
    }

    fn is_everything(&self) -> bool {
        self.only.is_none() && self.rate.is_none()
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

/// Everything that runs during a measurement.
struct Place {
    sim: Server,
    nginx: Nginx,
    gateway: Server,
    load: Load,
    between: Between,
}

/// Proxies between both ends.
struct Between {
    ends: Ends,
    nginx: Nginx,
    gateway: Server,
}

impl Between {
    fn set_up(directory: &Path) -> Result<Between, String> {
        let directory = directory.join("ends");
        fs::create_dir_all(&directory).map_err(|e| format!("make {}: {e}", directory.display()))?;
        let ends = Ends::start()?;
        let nginx = program("nginx").ok_or("nginx is missing")?;
        let nginx = Nginx::start(&nginx, &directory, ends.address, 1)?;
        let provider = format!("http://{}/v1", ends.address);
        let gateway = Server::serve(&directory, &config(&provider, 1), Some(1))?;
        limit_the_project(&directory)?;
        Ok(Between { ends, nginx, gateway })
    }
}

/// A proxy, or the simulator itself.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
}

impl Place {
    fn set_up(directory: &Path) -> Result<Place, String> {
        let sim = Server::sim(directory, &[], Some(0))?;
        let nginx = program("nginx").ok_or("nginx is missing")?;
        let nginx = Nginx::start(&nginx, directory, sim.address, 1)?;
        let gateway = Server::serve(directory, &config(&sim.base_url(), 1), Some(1))?;
        limit_the_project(directory)?;
        let load = Load::new(directory, &gateway.key);
        let between = Between::set_up(directory)?;
        Ok(Place { sim, nginx, gateway, load, between })
    }

    fn peers(&self) -> [Peer; 3] {
        [
            Peer { name: "direct", address: self.sim.address, pid: self.sim.pid() },
            Peer { name: "nginx", address: self.nginx.address, pid: self.nginx.pid() },
            Peer { name: "mainstay", address: self.gateway.address, pid: self.gateway.pid() },
        ]
    }

    fn proxies(&self) -> [Peer; 2] {
        let [_, nginx, gateway] = self.peers();
        [nginx, gateway]
    }

    fn idle(&self, figures: &mut Figures) -> Result<(), String> {
        for peer in self.proxies() {
            figures.add(Line::new(peer.name, 0, "idle").with("rss_mib", memory_mib(peer.pid)))?;
        }
        Ok(())
    }

    fn all(
        &self,
        wish: &Wish,
        (rounds, secs): (u64, u64),
        figures: &mut Figures,
    ) -> Result<(), String> {
        if wish.wants("memory") {
            self.idle(figures)?;
        }
        for round in 1..=rounds {
            self.round(wish, (round, secs), figures)?;
        }
        if wish.wants("memory") {
            self.open_streams(figures)?;
        }
        Ok(())
    }

    /// Each peer once: whole answers, first events at half load, paced streams, first events.
    fn round(
        &self,
        wish: &Wish,
        (round, secs): (u64, u64),
        figures: &mut Figures,
    ) -> Result<(), String> {
        let mut half = wish.rate;
        if wish.wants("answers") || (wish.wants("half-load") && half.is_none()) {
            let most = self.answers(round, secs, figures)?;
            half = half.or(Some(most / 2.0));
        }
        if let Some(half) = half.filter(|_| wish.wants("half-load")) {
            for peer in self.peers() {
                figures.add(self.evenly(half, peer, round, secs)?)?;
            }
        }
        if wish.wants("streams") {
            self.streams(round, secs, figures)?;
        }
        if wish.wants("first-event") {
            for peer in self.peers() {
                let first = streams::first_events(peer.address, &self.gateway.key, 200)?;
                let line = Line::new(peer.name, round, "first event").with("p50_us", first.p50);
                figures.add(line.with("p99_us", first.p99))?;
            }
        }
        Ok(())
    }

    /// Whole answers: how many the last one, the gateway, gives in a second.
    fn answers(&self, round: u64, secs: u64, figures: &mut Figures) -> Result<f64, String> {
        let (body, mut most) = (load::chat(800, false), 0.0);
        for peer in self.peers() {
            let line = measure(&self.load, peer, (round, "answers"), &body, (secs, 64), 1.0)?;
            most = line.value("per_second").unwrap_or_default();
            figures.add(line)?;
        }
        Ok(most)
    }

    fn streams(&self, round: u64, secs: u64, figures: &mut Figures) -> Result<(), String> {
        let scenario = format!("[answer]\nwords = {WORDS}\n[latency]\ntoken = \"10ms\"\n");
        streams::play(self.sim.address, &scenario)?;
        let body = load::chat(800, true);
        for peer in self.peers() {
            let line = measure(&self.load, peer, (round, "streams"), &body, (secs, 64), EVENTS)?;
            figures.add(line)?;
        }
        streams::play(self.sim.address, "")
    }

    /// First events and whole answers, so many evenly a second, between both ends.
    fn evenly(&self, per_second: f64, peer: Peer, round: u64, secs: u64) -> Result<Line, String> {
        let Between { ends, nginx, gateway } = &self.between;
        let to = match peer.name {
            "nginx" => (nginx.address, Some(nginx.pid())),
            "mainstay" => (gateway.address, Some(gateway.pid())),
            _ => (ends.address, None),
        };
        let time = Duration::from_secs(secs);
        ends.play(to, &gateway.key, per_second, Duration::from_millis(500))?;
        let told = ends.play(to, &gateway.key, per_second, time)?;
        let line = Line::new(peer.name, round, "first event at half load");
        let line = line.with("p50_us", told.first.p50).with("p99_us", told.first.p99);
        let line = line.with("whole_p50_us", told.whole.p50).with("whole_p99_us", told.whole.p99);
        let line = line.with("per_second", told.per_second);
        Ok(match told.watched {
            None => line,
            Some(watched) => line
                .with("steady_p50_us", watched.steady.p50)
                .with("steady_p99_us", watched.steady.p99)
                .with("felt", watched.felt)
                .with("paused_ms", watched.paused.as_secs_f64() * 1e3),
        })
    }

    /// Memory with a thousand streams that go on.
    fn open_streams(&self, figures: &mut Figures) -> Result<(), String> {
        streams::play(self.sim.address, "[answer]\nwords = 1000\n[latency]\ntoken = \"200ms\"\n")?;
        for peer in self.proxies() {
            let before = memory_mib(peer.pid);
            let open = streams::open(peer.address, &self.gateway.key, OPEN)?;
            sleep(Duration::from_secs(5));
            let (with, kib) = (memory_mib(peer.pid), |mib: f64| mib * 1024.0 / OPEN as f64);
            let line = Line::new(peer.name, 0, "open streams").with("streams", open.len() as f64);
            figures.add(line.with("rss_mib", with).with("kib_a_stream", kib(with - before)))?;
            drop(open);
            sleep(Duration::from_secs(1));
        }
        streams::play(self.sim.address, "")
    }
}

/// CPU of one peer under a closed loop of some connections. `pieces`: what one answer has.
fn measure(
    load: &Load,
    peer: Peer,
    (round, test): (u64, &str),
    body: &str,
    (secs, connections): (u64, u32),
    pieces: f64,
) -> Result<Line, String> {
    load.run(peer.address, body, 1, connections)?;
    let (cores, before) = (Cores::now(), cpu_seconds(peer.pid));
    let done = load.run(peer.address, body, secs, connections)?;
    let cpu_us = (cpu_seconds(peer.pid) - before) * 1e6 / done.requests.max(1.0);
    let mut line = Line::new(peer.name, round, test).with("per_second", done.per_second);
    line = line.with("cpu_us", cpu_us / pieces).with("failed", done.failed);
    for (name, share) in cores.busy_since() {
        line = line.with(&name, share);
    }
    Ok(line)
}

/// A gateway in front of a provider.
fn config(base_url: &str, workers: u32) -> String {
    format!(
        "[server]\nworkers = {workers}\n\n[[provider]]\nname = \"sim\"\nkind = \"openai\"\nbase_url = \"{base_url}\"\napi_key = \"sk-bench\"\n"
    )
}

/// A hard budget and limits that are never reached, and a second in which the gateway notices them.
fn limit_the_project(directory: &Path) -> Result<(), String> {
    for words in [
        "budget set --project default --amount 1000000 --period day",
        "limit set --project default --rpm 100000000 --tpm 1000000000000",
    ] {
        tool(directory, words)?;
    }
    sleep(Duration::from_millis(1500));
    Ok(())
}

/// Runs one of the binary's own commands beside the gateway's configuration: its output.
fn tool(directory: &Path, words: &str) -> Result<String, String> {
    let mut command = Command::new(binary());
    command.args(words.split(' ')).current_dir(directory);
    let ran = run_command(&mut command, Show::OnFailure, Duration::from_secs(30));
    if ran.ok { Ok(ran.lines.join("\n")) } else { Err(format!("{words}: {}", ran.end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_everything_or_a_part() {
        let all = Wish::read(None, None).unwrap();
        assert!(all.is_everything() && Wish::PARTS.iter().all(|part| all.wants(part)));
        let half = Wish::read(Some("half-load"), Some("15000")).unwrap();
        assert!(half.wants("half-load") && !half.wants("answers") && half.rate == Some(15_000.0));
        assert!(Wish::read(Some("halfload"), None).is_err());
        for rate in ["0", "1000001", "many", "-1", ""] {
            assert!(Wish::read(None, Some(rate)).is_err(), "{rate}");
        }
    }
}
