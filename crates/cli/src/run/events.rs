//! What happens in a run, as JSON lines for programs. Never a prompt, an answer or a key.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay::call::AttemptRecord;
use mainstay_core::failure::Kind;
use mainstay_core::wire::usage::Usage;
use serde_json::{Value, json};

use super::tally::{Progress, Summary};
use crate::trouble::Trouble;

/// Writes events; without a file it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Events {
    file: Option<(PathBuf, BufWriter<File>)>,
}

/// The end of one line's walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineEnd<'a> {
    pub(crate) custom_id: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) kind: Option<Kind>,
    pub(crate) attempts: u32,
    /// Each attempt, in order of start.
    pub(crate) records: &'a [AttemptRecord],
    pub(crate) waited: Duration,
    pub(crate) took: Duration,
    pub(crate) used: Option<Usage>,
}

impl Events {
    /// Appends to a file.
    pub(crate) fn open(path: Option<&Path>) -> Result<Events, Trouble> {
        let Some(path) = path else { return Ok(Events::default()) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| Trouble::file("write", path, &error))?;
        Ok(Events { file: Some((path.to_owned(), BufWriter::new(file))) })
    }

    /// The run begins.
    pub(crate) fn started(&mut self, total: u64, earlier: u64) -> Result<(), Trouble> {
        self.write(|| json!({"event": "started", "total": total, "earlier": earlier}))
    }

    /// A line is answered or failed.
    pub(crate) fn line(&mut self, end: &LineEnd<'_>) -> Result<(), Trouble> {
        self.write(|| {
            let name = if end.kind.is_some() { "failed" } else { "answered" };
            let event = json!({
                "event": name,
                "custom_id": end.custom_id,
                "status": end.status,
                "kind": end.kind.map(Kind::name),
                "attempts": end.attempts,
                "waited_ms": millis(end.waited),
                "took_ms": millis(end.took),
                "input_tokens": end.used.map(|used| used.input),
                "output_tokens": end.used.map(|used| used.output),
            });
            with_trace(event, end.records)
        })
    }

    /// A request is put off after these attempts.
    pub(crate) fn put_off(
        &mut self,
        custom_id: &str,
        kind: Kind,
        wait: Duration,
        records: &[AttemptRecord],
    ) -> Result<(), Trouble> {
        self.write(|| {
            let (kind, wait) = (kind.name(), millis(wait));
            let event =
                json!({"event": "put_off", "custom_id": custom_id, "kind": kind, "wait_ms": wait});
            with_trace(event, records)
        })
    }

    /// How it stands.
    pub(crate) fn progress(&mut self, progress: &Progress) -> Result<(), Trouble> {
        self.write(|| progress_object(progress))?;
        self.flush()
    }

    /// It is over.
    pub(crate) fn ended(&mut self, summary: &Summary) -> Result<(), Trouble> {
        self.write(|| {
            let mut object = summary_object(summary);
            object["event"] = Value::from("ended");
            object
        })?;
        self.flush()
    }

    fn write(&mut self, event: impl FnOnce() -> Value) -> Result<(), Trouble> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let mut event = event();
        let unix = mainstay::clock::unix_now().unwrap_or_default();
        event["at_ms"] = Value::from(millis(unix));
        writeln!(file, "{event}").map_err(|error| Trouble::file("write", path, &error))
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.flush().map_err(|error| Trouble::file("write", path, &error))
    }
}

/// Adds each attempt, where there is more to tell than one that was sent at once and answered.
fn with_trace(mut event: Value, records: &[AttemptRecord]) -> Value {
    if let [] | [AttemptRecord { kind: None, wait_cause: "", .. }] = records {
        return event;
    }
    let each = records.iter().map(|record| {
        json!({
            "wait_cause": record.wait_cause,
            "waited_ms": millis(record.waited),
            "took_ms": millis(record.took),
            "status": record.status,
            "kind": record.kind.map(Kind::name),
        })
    });
    event["trace"] = each.collect();
    event
}

fn progress_object(progress: &Progress) -> Value {
    json!({
        "event": "progress",
        "total": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "under_way": progress.under_way,
        "put_off": progress.put_off,
        "lines_per_s": progress.lines_rate,
        "tokens_per_s": progress.tokens_rate,
        "limit_requests_per_s": progress.learnt.requests,
        "limit_tokens_per_s": progress.learnt.tokens,
        "cost_usd": progress.cost.map(|cost| cost.to_string()),
        "left_s": progress.left.map(|left| left.as_secs()),
    })
}

/// A summary for programs.
pub(crate) fn summary_object(summary: &Summary) -> Value {
    let failed: serde_json::Map<String, Value> =
        summary.failed.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
    json!({
        "total": summary.total,
        "answered": summary.answered,
        "failed": summary.failures(),
        "unfinished": summary.unfinished(),
        "earlier": summary.earlier,
        "failed_by_kind": failed,
        "stopped": summary.stop.map(super::stop_name),
        "attempts": summary.attempts,
        "input_tokens": summary.used.input,
        "output_tokens": summary.used.output,
        "cost_usd": summary.cost.map(|cost| cost.to_string()),
        "took_s": summary.took.as_secs_f64(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_off_or_took_more_than_one_attempt_tells_each() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("events.jsonl");
        let mut events = Events::open(Some(&path)).unwrap();
        let failed = AttemptRecord {
            status: Some(503),
            kind: Some(Kind::ServiceUnavailable),
            took: Duration::from_millis(7),
            ..AttemptRecord::default()
        };
        let again = AttemptRecord {
            status: Some(200),
            wait_cause: "backoff",
            waited: Duration::from_millis(90),
            ..AttemptRecord::default()
        };
        let at_once = AttemptRecord { status: Some(200), ..AttemptRecord::default() };
        let wait = Duration::from_secs(2);
        events.put_off("a", Kind::ServiceUnavailable, wait, std::slice::from_ref(&failed)).unwrap();
        for records in [&[failed, again][..], &[at_once]] {
            let end = LineEnd {
                custom_id: "a",
                status: Some(200),
                kind: None,
                attempts: 1,
                records,
                waited: Duration::ZERO,
                took: Duration::ZERO,
                used: None,
            };
            events.line(&end).unwrap();
        }
        events.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let told: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&told[0]["event"], &told[0]["wait_ms"]), (&json!("put_off"), &json!(2000)));
        let first = json!({
            "wait_cause": "", "waited_ms": 0, "took_ms": 7, "status": 503,
            "kind": "service_unavailable",
        });
        assert_eq!(told[0]["trace"], json!([first]));
        assert_eq!(told[1]["trace"][0], first);
        assert_eq!(told[1]["trace"][1]["wait_cause"], "backoff");
        assert!(told[2].get("trace").is_none(), "{}", told[2]);
    }
}
