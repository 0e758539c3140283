//! The first pass over the input: everything that can be known before the first request is sent.
//! Ids that stand twice, lines that cannot be sent, and, when asked for, every fault of a body.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_core::validate::{Level, validate};
use mainstay_gateway::config::{ConfigFault, Severity};
use sha2::{Digest, Sha256};

use super::estimate::Estimate;
use super::ids::{Id, Ids, hex, id_of};
use super::line::{self, Line};
use super::place::{RECORD_VERSION, Record};
use super::source::{Lines, unreadable};
use crate::exit::Exit;
use crate::trouble::Trouble;

/// Faults told one by one; the rest is counted.
const TOLD_MAX: usize = 20;

/// What a first pass found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Every line.
    pub(crate) ids: Ids,
    /// What to remember of the input.
    pub(crate) record: Record,
    /// What it will take, by model.
    pub(crate) estimate: Estimate,
}

/// Reads all of the input, which people know as `shown`.
pub(crate) fn scan(
    path: &Path,
    shown: &str,
    level: Option<Level>,
    exact: bool,
) -> Result<Scan, Trouble> {
    let mut lines = Lines::open(path)?;
    let mut found = Found { estimate: Estimate::new(exact), ..Found::default() };
    while let Some((number, bytes)) = lines.next().map_err(|error| unreadable(path, &error))? {
        found.line(number, bytes, level);
    }
    found.end(path, shown)
}

#[derive(Default)]
struct Found {
    hash: Sha256,
    lines: u64,
    ids: Vec<Id>,
    faults: Vec<(u64, String)>,
    faulty: u64,
    estimate: Estimate,
}

impl Found {
    fn line(&mut self, number: u64, bytes: &[u8], level: Option<Level>) {
        self.hash.update(bytes);
        self.hash.update(b"\n");
        self.lines += 1;
        match line::read(bytes, number) {
            Err(why) => self.fault(number, why),
            Ok(line) => {
                self.ids.push(id_of(&line.custom_id));
                let body = bytes.get(line.body.clone()).unwrap_or_default();
                if let Some(level) = level {
                    self.validate(number, &line, body, level);
                }
                self.estimate.add(&line, body);
            }
        }
    }

    fn validate(&mut self, number: u64, line: &Line, body: &[u8], level: Level) {
        let report = validate(line.endpoint, level, body);
        if let Some(first) = report.faults.first() {
            let more = match report.faults.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            self.fault(number, format!("{} ({}){more}", first.message, first.code()));
        }
    }

    fn fault(&mut self, number: u64, why: String) {
        self.faulty += 1;
        if self.faults.len() < TOLD_MAX {
            self.faults.push((number, why));
        }
    }

    fn end(self, path: &Path, shown: &str) -> Result<Scan, Trouble> {
        if self.lines == 0 {
            let what = format!("`{shown}` is empty");
            let fix = "give one request a line";
            return Err(Trouble::new(Exit::Failed, what, "there is no request in it", fix));
        }
        if self.faulty > 0 {
            let what = |number| format!("line {number} cannot be sent");
            let faults = self
                .faults
                .iter()
                .map(|(number, why)| fault(shown, *number, what(*number), why.clone()))
                .collect();
            let what = format!("{} of {} lines cannot be sent", self.faulty, self.lines);
            let why = if self.faulty > TOLD_MAX as u64 {
                format!("the first {TOLD_MAX} are listed above; nothing was sent")
            } else {
                "they are listed above; nothing was sent".to_owned()
            };
            return Err(refused(what, why, "correct them, or take them out", faults));
        }
        let ids = Ids::new(self.ids).or_else(|twice| Err(doubles(path, shown, &twice)?))?;
        let fingerprint = hex(&self.hash.finalize());
        let record = Record { version: RECORD_VERSION, fingerprint, lines: self.lines };
        Ok(Scan { ids, record, estimate: self.estimate })
    }
}

/// Says where each id that stands twice stands. Outer error: the input cannot be read again.
fn doubles(path: &Path, shown: &str, twice: &[Id]) -> Result<Trouble, Trouble> {
    let mut wanted: BTreeMap<Id, (String, Vec<u64>)> =
        twice.iter().take(TOLD_MAX).map(|id| (*id, (String::new(), Vec::new()))).collect();
    let mut lines = Lines::open(path)?;
    while let Some((number, bytes)) = lines.next().map_err(|error| unreadable(path, &error))? {
        let Ok(line) = line::read(bytes, number) else { continue };
        if let Some((custom_id, numbers)) = wanted.get_mut(&id_of(&line.custom_id)) {
            *custom_id = line.custom_id;
            if numbers.len() < TOLD_MAX {
                numbers.push(number);
            }
        }
    }
    let faults = wanted
        .into_values()
        .map(|(id, numbers)| {
            let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let what = format!("`custom_id` {:?} stands on lines {}", cut(&id), list.join(", "));
            let why = "answers are told apart by it".to_owned();
            fault(shown, numbers.first().copied().unwrap_or(0), what, why)
        })
        .collect();
    let what = format!("{} `custom_id`s stand more than once", twice.len());
    let fix = "give each line a `custom_id` of its own";
    Ok(refused(what, "nothing was sent".to_owned(), fix, faults))
}

/// An id as it can be shown.
fn cut(id: &str) -> String {
    const SHOWN_MAX: usize = 80;
    match id.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &id[..at]),
        None => id.to_owned(),
    }
}

fn fault(file: &str, line: u64, what: String, why: String) -> ConfigFault {
    ConfigFault {
        severity: Severity::Error,
        file: file.to_owned(),
        line: u32::try_from(line).ok(),
        what,
        why,
        fix: "correct the line, or take it out".to_owned(),
    }
}

fn refused(what: String, why: String, fix: &str, faults: Vec<ConfigFault>) -> Trouble {
    let mut trouble = Trouble::new(Exit::Failed, what, why, fix);
    trouble.faults = faults;
    trouble
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn scanned(text: &str, level: Option<Level>) -> Result<Scan, Trouble> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        scan(file.path(), "in", level, false)
    }

    fn line(id: &str, body: &str) -> String {
        format!("{{\"custom_id\":\"{id}\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n")
    }

    #[test]
    fn ids_that_stand_twice_are_refused_with_their_lines() {
        let body = r#"{"model":"m","messages":[]}"#;
        let text: String = ["a", "b", "a", "c", "b", "a"].map(|id| line(id, body)).concat();
        let refused = scanned(&text, None).unwrap_err();
        assert_eq!(refused.exit, Exit::Failed);
        let mut told: Vec<&str> = refused.faults.iter().map(|f| f.what.as_str()).collect();
        told.sort_unstable();
        assert_eq!(
            told,
            ["`custom_id` \"a\" stands on lines 1, 3, 6", "`custom_id` \"b\" stands on lines 2, 5"]
        );
    }

    #[test]
    fn every_faulty_line_is_told_before_anything_is_sent() {
        let text = format!("{}{{\n{}", line("a", r#"{"model":"m"}"#), line("b", "7"));
        let refused = scanned(&text, None).unwrap_err();
        let lines: Vec<_> = refused.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [Some(2), Some(3)]);
        let refused = scanned(&line("a", r#"{"model":"m"}"#), Some(Level::Lenient)).unwrap_err();
        assert!(refused.faults[0].why.contains("messages"), "{:?}", refused.faults);
        scanned(&line("a", r#"{"model":"m"}"#), None).unwrap();
        assert!(scanned("\n \n", None).unwrap_err().what.contains("empty"));
    }

    #[test]
    fn the_fingerprint_follows_the_lines_and_not_their_ends() {
        let text = line("a", r#"{"model":"m"}"#);
        let print = |text: &str| scanned(text, None).unwrap().record.fingerprint;
        assert_eq!(print(&text), print(&text.replace('\n', "\r\n")));
        assert_ne!(print(&text), print(&text.replace("\"m\"", "\"n\"")));
    }
}
