//! Makes a store with many keys, and measures what they cost a gateway: time to read them, memory, and a
//! lookup. `cargo xtask keys` runs it, then starts a gateway on the store it made.
//!
//! Arguments: the file to make, and how many keys.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a tool that measures")]

use std::path::Path;
use std::time::Instant;

use mainstay_core::dice::Dice;
use mainstay_core::store::{Store, UnixMillis};
use mainstay_store::{KeySnapshot, Sqlite, Verdict, digest, mint};
use rusqlite::{Connection, params};

/// Keys whose whole text is kept, to be looked up.
const SAMPLE: usize = 4_096;
/// Lookups in one measurement.
const LOOKUPS: usize = 2_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("write a file and a number of keys".into());
    };
    let (path, count): (_, usize) = (Path::new(&path), count.parse()?);
    let began = Instant::now();
    let sample = fill(path, count)?;
    println!("made {count} keys in {:.1} s", began.elapsed().as_secs_f64());
    let store = Sqlite::open(path)?;
    let (before, began) = (resident()?, Instant::now());
    let snapshot = KeySnapshot::default().apply(store.changes_since(0)?);
    let took = began.elapsed();
    let grown = resident()?.saturating_sub(before);
    println!(
        "read {} keys in {:.2} s; {} MiB more in memory, {} bytes a key",
        snapshot.len(),
        took.as_secs_f64(),
        grown >> 20,
        grown / count.max(1)
    );
    let (whole, record) = (lookup(&snapshot, &sample), find(&snapshot, &sample));
    println!("a lookup, checksum and SHA-256 of the secret included: {whole:.0} ns");
    println!("finding the record alone: {record:.0} ns");
    Ok(())
}

/// Fills a new store. Rows are written beside the store's own way, which commits each key by itself.
fn fill(path: &Path, count: usize) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    drop(Sqlite::open(path)?);
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", false)?;
    let mut sample = Vec::new();
    let every = (count / SAMPLE).max(1);
    let change = connection.transaction()?;
    change.execute("UPDATE epoch SET value = value + 1", [])?;
    let mut put = change.prepare(
        "INSERT INTO key (public, digest, name, project, scopes, models, created_at, changed)
         VALUES (?1, ?2, ?3, 'proj_default', '', '[]', 0, 2)",
    )?;
    for number in 0..count {
        let key = mint()?;
        let hash = digest(key.secret().as_bytes());
        put.execute(params![key.public().as_str(), hash.0, format!("key {number}")])?;
        if number % every == 0 {
            sample.push(key.expose().to_owned());
        }
    }
    drop(put);
    change.commit()?;
    Ok(sample)
}

/// Nanoseconds that it takes to say what a bearer string is worth, of keys in no order.
fn lookup(snapshot: &KeySnapshot, sample: &[String]) -> f64 {
    let mut dice = Dice::new(1);
    let (began, mut known) = (Instant::now(), 0_usize);
    for _ in 0..LOOKUPS {
        let place = usize::try_from(dice.below(sample.len() as u64)).unwrap_or(0);
        let verdict = snapshot.verify(sample[place].as_bytes(), UnixMillis(1));
        known += usize::from(matches!(verdict, Verdict::Known { .. }));
    }
    assert_eq!(known, LOOKUPS, "every one is known");
    nanos(began)
}

fn find(snapshot: &KeySnapshot, sample: &[String]) -> f64 {
    let publics: Vec<_> = sample.iter().filter_map(|key| key.get(6..18)?.parse().ok()).collect();
    assert_eq!(publics.len(), sample.len(), "the public part is where it was");
    let mut dice = Dice::new(2);
    let (began, mut found) = (Instant::now(), 0_usize);
    for _ in 0..LOOKUPS {
        let place = usize::try_from(dice.below(publics.len() as u64)).unwrap_or(0);
        found += usize::from(snapshot.find(&publics[place]).is_some());
    }
    assert_eq!(found, LOOKUPS, "every one is found");
    nanos(began)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn nanos(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64 / LOOKUPS as f64
}

/// Bytes in memory.
fn resident() -> Result<usize, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB")).ok_or("no VmRSS")?;
    Ok(kilobytes.trim().parse::<usize>()? << 10)
}
