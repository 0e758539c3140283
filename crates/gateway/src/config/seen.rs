//! `[log]` and `[records]`: what is written down of calls.

use std::time::Duration;

use super::reader::{Reader, Section};

/// How much of a request's body may be written down, of calls that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bodies {
    /// Nothing.
    #[default]
    Off,
    /// Its parameters, and the length of each text in its place.
    Shape,
    /// All of it, with keys masked.
    Content,
}

impl Bodies {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Bodies::Off => "off",
            Bodies::Shape => "shape",
            Bodies::Content => "content",
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Lines as JSON objects; otherwise as text.
    pub json: bool,
    /// The lowest level that is written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// What is logged of bodies.
    pub bodies: Bodies,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { json: false, level: "info", bodies: Bodies::Off }
    }
}

/// How records of requests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// Whether they are at all.
    pub enabled: bool,
    /// Records at most.
    pub count_max: u64,
    /// How long a record is kept.
    pub keep: Duration,
    /// What is kept of bodies.
    pub bodies: Bodies,
    /// Finished calls that may wait to be told, for each worker.
    pub queue_max: u64,
}

impl Default for RecordSettings {
    fn default() -> Self {
        RecordSettings {
            enabled: true,
            count_max: 100_000,
            keep: Duration::from_hours(24 * 7),
            bodies: Bodies::Shape,
            queue_max: 8_192,
        }
    }
}

const BODIES: [(&str, Bodies); 3] =
    [("off", Bodies::Off), ("shape", Bodies::Shape), ("content", Bodies::Content)];

pub(super) fn read_log(reader: &mut Reader<'_>, root: &Section<'_>) -> LogSettings {
    let mut log = LogSettings::default();
    let Some(section) = reader.sub(root, "log", "log") else { return log };
    if let Some(found) = reader.word(&section, "format", &[("text", false), ("json", true)]) {
        log.json = found.value;
    }
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    if let Some(found) = reader.word(&section, "level", &levels) {
        log.level = found.value;
    }
    if let Some(found) = reader.word(&section, "bodies", &BODIES) {
        log.bodies = found.value;
    }
    log
}

pub(super) fn read_records(reader: &mut Reader<'_>, root: &Section<'_>) -> RecordSettings {
    let mut records = RecordSettings::default();
    let Some(section) = reader.sub(root, "records", "records") else { return records };
    records.enabled = reader.flag(&section, "enabled").unwrap_or(records.enabled);
    if let Some(found) = reader.number(&section, "count_max", 1_000..=10_000_000) {
        records.count_max = found.value;
    }
    let range = Duration::from_mins(1)..=Duration::from_hours(24 * 366);
    if let Some(found) = reader.wait(&section, "keep", range) {
        records.keep = found.value;
    }
    if let Some(found) = reader.word(&section, "bodies", &BODIES) {
        records.bodies = found.value;
    }
    if let Some(found) = reader.number(&section, "queue_max", 64..=1_000_000) {
        records.queue_max = found.value;
    }
    records
}
