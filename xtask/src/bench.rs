//! `cargo xtask bench`: CPU per request of the gateway beside nginx in front of the same upstream.
//!
//! The load (wrk) and the simulator share core 0, the proxy has core 1 to itself. A round measures
//! each proxy in turn, so that a slow minute of the machine meets all of them. CPU is user and
//! system time of the proxy's whole process tree. Differences under about 10 % are noise.

use crate::debian::{Need, need};
use crate::nginx::Nginx;
use crate::places::{binary, fresh, known, option, program};
use crate::process::{Show, run as run_command};
use crate::server::Server;
use crate::test::build_release;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

const NEEDS: &[Need] = &[
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "wrk", package: "wrk" },
    Need { program: "taskset", package: "util-linux" },
];

/// Kernel clock ticks a second in `/proc/PID/stat`: 100 on every Linux that Debian builds.
const TICKS: f64 = 100.0;
const CONNECTIONS: u32 = 64;
const BODY: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say hello in one short sentence."}],"max_tokens":16}"#;

/// One measurement of one proxy.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    cpu_us: f64,
    failed: f64,
}

/// Builds, measures and prints the figures.
///
/// # Errors
///
/// When tools are missing, fewer than two cores are there, or an answer was no success.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    known(arguments, &[], &["--rounds", "--secs"])?;
    let number = |name: &str, default: u64| -> Result<u64, String> {
        option(arguments, name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| format!("{name} wants a number, not `{text}`"))
        })
    };
    let (rounds, secs) = (number("--rounds", 3)?.max(1), number("--secs", 4)?.max(1));
    if available_parallelism().map_or(1, usize::from) < 2 {
        return Err("two cores are needed: one for the load, one for the proxy".to_owned());
    }
    need(NEEDS)?;
    build_release()?;
    let directory = fresh("bench")?;
    let place = Place::set_up(&directory)?;
    println!("idle memory of the gateway: {:.1} MiB", memory_mib(place.gateway.pid()));
    println!("start-up: {} ms to the first answer", place.gateway.start_up.as_millis());
    let size = fs::metadata(binary()).map_or(0, |file| file.len());
    println!("binary: {:.1} MiB\n", size as f64 / f64::from(1 << 20));
    let samples = place.measure(rounds, secs)?;
    println!(
        "\nmemory of the gateway after the load: {:.1} MiB\n",
        memory_mib(place.gateway.pid())
    );
    print_table(&samples);
    if samples.values().flatten().any(|sample| sample.failed > 0.0) {
        return Err("some answers were no successes: the figures do not count".to_owned());
    }
    Ok(())
}

/// Everything that runs during a measurement.
struct Place {
    sim: Server,
    nginx: Nginx,
    gateway: Server,
    script: PathBuf,
}

impl Place {
    fn set_up(directory: &Path) -> Result<Place, String> {
        let sim = Server::sim(directory, &[], Some(0))?;
        let nginx = program("nginx").ok_or("nginx is missing")?;
        let nginx = Nginx::start(&nginx, directory, sim.address, 1)?;
        let config = format!(
            "[server]\nworkers = 1\n\n[[provider]]\nname = \"sim\"\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-bench\"\n",
            sim.base_url()
        );
        let gateway = Server::serve(directory, &config, Some(1))?;
        let script = directory.join("chat.lua");
        let lua = format!(
            "wrk.method = \"POST\"\nwrk.body = [[{BODY}]]\nwrk.headers[\"content-type\"] = \"application/json\"\nwrk.headers[\"authorization\"] = \"Bearer {}\"\n",
            gateway.key
        );
        fs::write(&script, lua).map_err(|e| format!("write {}: {e}", script.display()))?;
        Ok(Place { sim, nginx, gateway, script })
    }

    fn measure(
        &self,
        rounds: u64,
        secs: u64,
    ) -> Result<BTreeMap<&'static str, Vec<Sample>>, String> {
        let peers = [
            ("1 direct", self.sim.address, self.sim.pid()),
            ("2 nginx", self.nginx.address, self.nginx.pid()),
            ("3 mainstay", self.gateway.address, self.gateway.pid()),
        ];
        let mut samples: BTreeMap<&'static str, Vec<Sample>> = BTreeMap::new();
        for round in 1..=rounds {
            for (name, address, pid) in peers {
                self.load(address, 1)?;
                let before = cpu_seconds(pid);
                let (requests, per_second, failed) = self.load(address, secs)?;
                let cpu_us = (cpu_seconds(pid) - before) * 1e6 / requests.max(1.0);
                println!(
                    "round {round} {name:<11} {per_second:>9.0} req/s {cpu_us:>8.1} µs CPU/request, {failed} failed"
                );
                samples.entry(name).or_default().push(Sample { per_second, cpu_us, failed });
            }
        }
        Ok(samples)
    }

    /// Requests done, requests a second, and answers that were no success.
    fn load(&self, address: SocketAddr, secs: u64) -> Result<(f64, f64, f64), String> {
        let mut wrk = Command::new("taskset");
        wrk.args([
            "-c",
            "0",
            "wrk",
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{secs}s"),
            "-s",
        ]);
        wrk.arg(&self.script).arg(format!("http://{address}/v1/chat/completions"));
        let ran = run_command(&mut wrk, Show::OnFailure, Duration::from_secs(secs + 60));
        if !ran.ok {
            return Err(format!("wrk: {}", ran.end));
        }
        let text = ran.lines.join("\n");
        let requests = number_before(&text, " requests in").ok_or("wrk printed no count")?;
        let rate = number_after(&text, "Requests/sec:").ok_or("wrk printed no rate")?;
        let refused = number_after(&text, "Non-2xx or 3xx responses:").unwrap_or(0.0);
        let broken = if text.contains("Socket errors:") { 1.0 } else { 0.0 };
        Ok((requests, rate, refused + broken))
    }
}

fn number_before(text: &str, mark: &str) -> Option<f64> {
    text[..text.find(mark)?].rsplit(char::is_whitespace).next()?.parse().ok()
}

fn number_after(text: &str, mark: &str) -> Option<f64> {
    text[text.find(mark)? + mark.len()..].split_whitespace().next()?.parse().ok()
}

/// User and system time of a process and its descendants, in seconds.
fn cpu_seconds(pid: u32) -> f64 {
    tree(pid).into_iter().map(|pid| ticks(pid).map_or(0.0, |(_, ticks)| ticks / TICKS)).sum()
}

fn tree(root: u32) -> Vec<u32> {
    let all: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(all.iter().filter(|pid| ticks(**pid).is_some_and(|(of, _)| of == parent)));
        at += 1;
    }
    found
}

/// Parent and user plus system time in ticks, from `/proc/PID/stat`: fields 4, 14 and 15; the
/// second field is a name in parentheses that may hold anything.
fn ticks(pid: u32) -> Option<(u32, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((fields.get(1)?.parse().ok()?, number(11)? + number(12)?))
}

/// Resident memory of a process tree.
fn memory_mib(pid: u32) -> f64 {
    let resident = |pid: u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        number_after(&text, "VmRSS:")
    };
    tree(pid).into_iter().filter_map(resident).sum::<f64>() / 1024.0
}

fn print_table(samples: &BTreeMap<&'static str, Vec<Sample>>) {
    println!("{:<12} {:>28} {:>28}", "", "req/s min/median/max", "CPU µs/request");
    for (name, all) in samples {
        let rates = spread(all.iter().map(|sample| sample.per_second));
        let costs = spread(all.iter().map(|sample| sample.cpu_us));
        println!("{name:<12} {:>28} {:>28}", show(rates, 0), show(costs, 1));
    }
    let cost = |name: &str| samples.get(name).into_iter().flatten().map(|sample| sample.cpu_us);
    let ratios = cost("3 mainstay").zip(cost("2 nginx")).map(|(ours, nginx)| ours / nginx);
    println!("CPU per request, mainstay to nginx: {}", show(spread(ratios), 2));
}

/// Least, median and greatest of some numbers.
fn spread(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut all: Vec<f64> = numbers.collect();
    all.sort_by(f64::total_cmp);
    match all.as_slice() {
        [] => [0.0; 3],
        some => [some[0], some[some.len() / 2], some[some.len() - 1]],
    }
}

fn show([least, median, greatest]: [f64; 3], digits: usize) -> String {
    format!("{least:.digits$} / {median:.digits$} / {greatest:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_wrk_prints_them() {
        let text = "  164050 requests in 3.00s, 30.1MB read\n  Non-2xx or 3xx responses: 12\nRequests/sec:  54683.2";
        assert_eq!(number_before(text, " requests in"), Some(164_050.0));
        assert_eq!(number_after(text, "Requests/sec:"), Some(54_683.2));
        assert_eq!(number_after(text, "Non-2xx or 3xx responses:"), Some(12.0));
    }

    #[test]
    fn a_process_tree_has_its_root_and_costs_time() {
        let own = std::process::id();
        assert!(tree(own).contains(&own) && ticks(own).is_some() && memory_mib(own) > 0.0);
    }

    #[test]
    fn a_spread_is_least_median_greatest() {
        assert_eq!(show(spread([3.0, 1.0, 2.0].into_iter()), 0), "1 / 2 / 3");
    }
}
