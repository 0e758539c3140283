//! What the system says of processes and cores.

use crate::process::{Show, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long it may take to bind a thread.
const LIMIT: Duration = Duration::from_secs(10);

/// Kernel clock ticks a second in `/proc/PID/stat`: 100 on every Linux that Debian builds.
const TICKS: f64 = 100.0;

/// User and system time of a process and its descendants, in seconds.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    tree(pid).into_iter().map(|pid| ticks(pid).map_or(0.0, |(_, ticks)| ticks / TICKS)).sum()
}

/// Resident memory of a process and its descendants.
pub(super) fn memory_mib(pid: u32) -> f64 {
    let resident = |pid: u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rest = &text[text.find("VmRSS:")? + "VmRSS:".len()..];
        rest.split_whitespace().next()?.parse().ok()
    };
    tree(pid).into_iter().filter_map(resident).sum::<f64>() / 1024.0
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

/// Binds the thread that calls to a core.
pub(super) fn bind(core: u32) -> Result<(), String> {
    let own = fs::read_link("/proc/thread-self").map_err(|e| format!("/proc/thread-self: {e}"))?;
    let id = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut command = Command::new("taskset");
    command.args(["-cp", &core.to_string(), &id]);
    let ran = run(&mut command, Show::OnFailure, LIMIT);
    if ran.ok { Ok(()) } else { Err(format!("taskset: {}", ran.end)) }
}

/// Where the kernel tells of each thread of a process and its descendants.
pub(super) fn threads(pid: u32) -> Vec<PathBuf> {
    let of = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tree(pid).into_iter().flat_map(of).map(|entry| entry.path()).collect()
}

/// What the cores have done so far: ticks in all and idle ones.
pub(super) struct Cores(Vec<(f64, f64)>);

impl Cores {
    /// As of this moment.
    pub(super) fn now() -> Cores {
        Cores::read(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// Fields of `cpuN`: user, nice, system, idle, iowait, irq, softirq, steal. Source: proc(5).
    fn read(text: &str) -> Cores {
        let line = |line: &str| -> Option<(f64, f64)> {
            let (name, rest) = line.split_once(' ')?;
            name.strip_prefix("cpu").filter(|number| !number.is_empty())?;
            let ticks: Vec<f64> = rest.split(' ').take(8).filter_map(|n| n.parse().ok()).collect();
            Some((ticks.iter().sum(), ticks.get(3)? + ticks.get(4)?))
        };
        Cores(text.lines().filter_map(line).collect())
    }

    /// The share of time that each core was busy since, for the first two.
    pub(super) fn busy_since(&self) -> Vec<(String, f64)> {
        let share = |((before, idle_before), (after, idle_after)): (&(f64, f64), &(f64, f64))| {
            1.0 - (idle_after - idle_before) / (after - before).max(1.0)
        };
        let now = Cores::now();
        let shares = self.0.iter().zip(&now.0).map(share).take(2);
        shares.enumerate().map(|(core, share)| (format!("core{core}_busy"), share)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tree_has_its_root_and_costs_time() {
        let own = std::process::id();
        assert!(tree(own).contains(&own) && ticks(own).is_some() && memory_mib(own) > 0.0);
    }

    #[test]
    fn cores_are_read_as_the_kernel_tells_them() {
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 1 0 0 9 0 0 0 0 0 0\nintr 5\n";
        assert_eq!(Cores::read(text).0, [(36.0, 9.0), (10.0, 9.0)]);
    }
}
