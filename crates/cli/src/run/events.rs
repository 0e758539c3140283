//! What happens in a run, as JSON lines for programs. Never a prompt, an answer or a key.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
            let event = if end.kind.is_some() { "failed" } else { "answered" };
            json!({
                "event": event,
                "custom_id": end.custom_id,
                "status": end.status,
                "kind": end.kind.map(Kind::name),
                "attempts": end.attempts,
                "waited_ms": millis(end.waited),
                "took_ms": millis(end.took),
                "input_tokens": end.used.map(|used| used.input),
                "output_tokens": end.used.map(|used| used.output),
            })
        })
    }

    /// A request is put off.
    pub(crate) fn put_off(
        &mut self,
        custom_id: &str,
        kind: Kind,
        wait: Duration,
    ) -> Result<(), Trouble> {
        self.write(|| {
            let kind = kind.name();
            json!({"event": "put_off", "custom_id": custom_id, "kind": kind, "wait_ms": millis(wait)})
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
