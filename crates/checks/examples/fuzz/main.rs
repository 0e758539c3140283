//! Fuzzing without a nightly compiler: seeds, changed at random, given to the targets in turn.
//!
//! `cargo xtask fuzz --minutes N [--target peek|validate|count] [--seed S]`. An input that breaks a promise,
//! or takes longer than a second, is written to `fuzz/findings/` and the run fails.
#![expect(clippy::print_stdout, reason = "a loop tells how it went")]

mod targets;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A target's name, which is also the folder of its seeds, and what it does.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 3] =
    [("peek", targets::peeked), ("validate", targets::validated), ("count", targets::counted)];

/// Pieces that parsers treat apart.
const WORDS: [&str; 36] = [
    "\"model\"",
    "\"messages\"",
    "\"stream\"",
    "\"role\"",
    "\"content\"",
    "\"type\"",
    "\"tools\"",
    "\"n\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-0",
    "1e999",
    "99999999999999999999",
    "0.1",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "\\",
    "\"",
    "\u{feff}",
    "é",
    "漢",
    "🙂",
    " the",
    "\n\n\n",
    "    ",
    "\r\n--XX\r\n",
    "--XX--",
    "Content-Disposition: form-data; name=\"model\"",
    "<|endoftext|>",
];
/// Longest input, in bytes.
const LENGTH_MAX: usize = 16 * 1024;
/// Longest time for one input in a build without optimisation.
const TIME_MAX: Duration = Duration::from_secs(1);

/// A small generator: a failure comes again with its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or(0)
    }
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    // A finding is told once, by the input that made it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut findings = 0;
    let targets: Vec<&Target> = TARGETS
        .iter()
        .filter(|(name, _)| options.only.as_deref().is_none_or(|only| only == *name))
        .collect();
    let share = options.time / u32::try_from(targets.len().max(1)).unwrap_or(1);
    for (name, target) in targets {
        findings += fuzz(name, *target, share, options.seed);
    }
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Options {
    time: Duration,
    only: Option<String>,
    seed: u64,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { time: Duration::from_secs(60), only: None, seed: 1 };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: no number"));
            match word.as_str() {
                "--minutes" => options.time = Duration::from_secs(number()? * 60),
                "--seconds" => options.time = Duration::from_secs(number()?),
                "--seed" => options.seed = number()?.max(1),
                "--target" => options.only = Some(value),
                _ => {
                    return Err(format!(
                        "{word} is not known: --minutes, --seconds, --target, --seed"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// Runs one target; gives the number of findings, and stops at ten.
fn fuzz(name: &str, target: fn(&[u8]), time: Duration, seed: u64) -> usize {
    let seeds = seeds(name);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (began, mut runs, mut findings) = (Instant::now(), 0_u64, 0);
    // What the lookups of a first use take is no finding.
    target(b"{}");
    for input in &seeds {
        findings += usize::from(!holds(name, target, input));
    }
    while began.elapsed() < time && findings < 10 {
        let input = changed(&seeds, &mut random);
        findings += usize::from(!holds(name, target, &input));
        runs += 1;
    }
    let secs = began.elapsed().as_secs();
    println!("{name}: {runs} inputs from {} seeds in {secs} s, {findings} findings", seeds.len());
    findings
}

/// Whether the target's promises hold for an input, in time; writes one for which they do not.
fn holds(name: &str, target: fn(&[u8]), input: &[u8]) -> bool {
    let timed = |clock: fn() -> Duration| {
        let began = clock();
        catch_unwind(AssertUnwindSafe(|| target(input))).map(|()| clock().saturating_sub(began))
    };
    // A busy machine takes the processor away for seconds: what seems slow is measured again, by the
    // time on the processor.
    let found = match timed(wall) {
        Ok(took) if took > TIME_MAX => timed(on_processor),
        found @ (Ok(_) | Err(_)) => found,
    };
    let why = match found {
        Ok(took) if took <= TIME_MAX => return true,
        Ok(took) => format!("took {took:?}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default()
        }
    };
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = root().join("findings");
    let path = folder.join(format!("{name}-{:016x}", hasher.finish()));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input));
    println!("{name}: {why}\n  {} {written:?}", path.display());
    false
}

fn wall() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

/// The time that this thread has had a processor, where the system tells; else the time of day.
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(wall, Duration::from_nanos)
}

/// A seed with one to eight changes.
fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        let size = random.below(10);
        let to = (at + random.below(1 << size)).min(input.len());
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap_or(0),
            2 => drop(input.drain(at..to)),
            3 => {
                let piece = input[at..to].to_vec();
                let place = random.below(input.len() + 1);
                input.splice(place..place, piece);
            }
            4 => input.truncate(at),
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let end = (from + random.below(200)).min(other.len());
                input.splice(at..at, other[from..end].iter().copied());
            }
            6 => {
                let piece = input[at..to].repeat(1 + random.below(40));
                input.splice(at..to, piece);
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at, word.bytes());
            }
        }
        input.truncate(LENGTH_MAX);
    }
    input
}

/// The seeds of a target, in order; they are kept in the repository.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("seeds").join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
