//! Batches: their lines are really run, by the same model that answers single requests.
//!
//! Source: OpenAI API description of 2026-08 and the guide on batches, read 2026-11: a line has
//! `custom_id`, `method`, `url` and `body`; answers and errors come in files of their own.

use super::table::{Table, page};
use super::{OBJECTS_MAX, Shelf, Visit, metadata_of, wished};
use crate::provider::chat::CREATED;
use crate::provider::conclude::alone;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// The most lines that are run; a file with more fails the batch.
const LINES_MAX: usize = 10_000;
/// The endpoints that lines may name.
const ENDPOINTS: [&str; 5] = [
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
];

/// All batches, and since when each is in the state it is in.
#[derive(Debug)]
pub(crate) struct Batches {
    table: Table,
    since: BTreeMap<String, Duration>,
}

impl Default for Batches {
    fn default() -> Batches {
        Batches { table: Table::new(OBJECTS_MAX), since: BTreeMap::new() }
    }
}

/// What became of the lines of a batch.
#[derive(Debug, Default)]
struct Outcome {
    answers: String,
    errors: String,
    completed: u64,
    failed: u64,
}

impl Shelf {
    /// Answers a request below `/batches`.
    pub(super) fn batches_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", []) => self.make_batch(&visit.body, visit.now),
            ("GET", []) => {
                let ids: Vec<String> = self.batches.since.keys().cloned().collect();
                for id in ids {
                    self.batch_goes_on(&id, visit.now);
                }
                Ok(page(self.batches.table.iter().collect(), visit.query, true))
            }
            ("GET", [id]) => self.batch(id, visit.now).cloned(),
            ("POST", [id, "cancel"]) => {
                let lenient = self.invents;
                let batch = self.batch(id, visit.now)?;
                let status = batch["status"].as_str().unwrap_or_default();
                if !lenient && !matches!(status, "validating" | "in_progress" | "finalizing") {
                    let message = format!("Cannot cancel a batch with status '{status}'.");
                    return Err(Refusal { status: 409, ..Refusal::new(409, message) });
                }
                enter(batch, "cancelling");
                let told = batch.clone();
                self.batches.since.insert((*id).to_owned(), visit.now);
                Ok(told)
            }
            _ => Err(visit.unknown()),
        }
    }

    fn batch(&mut self, id: &str, now: Duration) -> Result<&mut Value, Refusal> {
        self.batch_goes_on(id, now);
        let made_up = self.invents.then(|| {
            let body = json!({ "endpoint": "/v1/responses", "input_file_id": "file-made-up" });
            batch_object(id, &body)
        });
        self.batches.table.open(id, "batch", made_up)
    }

    fn make_batch(&mut self, body: &Value, now: Duration) -> Result<Value, Refusal> {
        let text = |name: &str| body[name].as_str().ok_or_else(|| Refusal::missing(name));
        let endpoint = text("endpoint")?;
        if !ENDPOINTS.contains(&endpoint) && !self.invents {
            return Err(Refusal::no_choice("endpoint", endpoint, &ENDPOINTS));
        }
        let window = text("completion_window")?;
        if window != "24h" {
            return Err(Refusal::no_choice("completion_window", window, &["24h"]));
        }
        let lenient = self.invents;
        let file = self.file(text("input_file_id")?)?;
        if file["purpose"] != "batch" && !lenient {
            let message = format!(
                "The purpose of '{}' is {}, not batch.",
                text("input_file_id")?,
                file["purpose"]
            );
            return Err(Refusal::new(400, message));
        }
        let id = self.id("batch_");
        let batch = batch_object(&id, body);
        self.batches.table.push(batch.clone());
        while self.batches.since.len() >= OBJECTS_MAX {
            self.batches.since.pop_first();
        }
        self.batches.since.insert(id, now);
        Ok(batch)
    }

    /// Brings a batch to where it is now.
    fn batch_goes_on(&mut self, id: &str, now: Duration) {
        loop {
            let Some(since) = self.batches.since.get(id).copied() else { return };
            let due = since.saturating_add(self.step);
            let Some(batch) = self.batches.table.get(id).cloned() else { return };
            if now < due {
                return;
            }
            self.batches.since.insert(id.to_owned(), due);
            match batch["status"].as_str().unwrap_or_default() {
                "validating" => self.validate_batch(&batch),
                "in_progress" => self.run_batch(&batch),
                "finalizing" => self.change_batch(id, |batch| enter(batch, "completed")),
                "cancelling" => self.change_batch(id, |batch| enter(batch, "cancelled")),
                _ => {
                    self.batches.since.remove(id);
                    return;
                }
            }
        }
    }

    fn change_batch(&mut self, id: &str, change: impl FnOnce(&mut Value)) {
        if let Some(batch) = self.batches.table.get_mut(id) {
            change(batch);
        }
    }

    fn lines_of(&self, batch: &Value) -> Vec<String> {
        let file = batch["input_file_id"].as_str().unwrap_or_default();
        let content = self.files.content(file).cloned().unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }

    fn validate_batch(&mut self, batch: &Value) {
        let id = batch["id"].as_str().unwrap_or_default().to_owned();
        let lines = self.lines_of(batch);
        let mut errors = faults_of(&lines, batch["endpoint"].as_str().unwrap_or_default());
        if wished(batch, "metadata") == Some("failed") {
            errors.push(fault_at("sim", "The batch was asked to fail.", None));
        }
        let total = lines.len();
        self.change_batch(&id, |batch| {
            batch["request_counts"] = json!({ "total": total, "completed": 0, "failed": 0 });
            if errors.is_empty() {
                enter(batch, "in_progress");
            } else {
                batch["errors"] = json!({ "object": "list", "data": errors });
                enter(batch, "failed");
            }
        });
    }

    fn run_batch(&mut self, batch: &Value) {
        let id = batch["id"].as_str().unwrap_or_default().to_owned();
        if wished(batch, "metadata") == Some("expired") {
            return self.change_batch(&id, |batch| enter(batch, "expired"));
        }
        let mut outcome = Outcome::default();
        for (at, line) in self.lines_of(batch).iter().enumerate() {
            outcome.run(&id, at, line, &self.manner);
        }
        let output = (!outcome.answers.is_empty()).then(|| {
            self.add_made_file(&format!("{id}_output.jsonl"), "batch_output", outcome.answers)
        });
        let errors = (!outcome.errors.is_empty()).then(|| {
            self.add_made_file(&format!("{id}_error.jsonl"), "batch_output", outcome.errors)
        });
        let (completed, failed) = (outcome.completed, outcome.failed);
        self.change_batch(&id, |batch| {
            batch["output_file_id"] = json!(output);
            batch["error_file_id"] = json!(errors);
            batch["request_counts"] =
                json!({ "total": completed + failed, "completed": completed, "failed": failed });
            enter(batch, "finalizing");
        });
    }
}

impl Outcome {
    /// Runs one line.
    fn run(
        &mut self,
        batch: &str,
        at: usize,
        line: &str,
        manner: &crate::provider::speech::Manner,
    ) {
        let line: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        let number = at as u64 + 1;
        let path = line["url"].as_str().unwrap_or_default();
        let answer = alone(path, line["body"].to_string().as_bytes(), manner, number);
        let id = format!("batch_req_{batch}_{number}");
        let mut told = json!({ "id": id, "custom_id": line["custom_id"] });
        let sound = if let Some((status, body)) = answer {
            told["response"] = json!({
                "status_code": status, "request_id": format!("req_{id}"), "body": body,
            });
            told["error"] = Value::Null;
            status == 200
        } else {
            let message = "The request could not be completed.";
            told["response"] = Value::Null;
            told["error"] = json!({ "code": "request_timeout", "message": message });
            false
        };
        let (file, count) = if sound {
            (&mut self.answers, &mut self.completed)
        } else {
            (&mut self.errors, &mut self.failed)
        };
        *count += 1;
        writeln!(file, "{told}").expect("writing to a string cannot fail");
    }
}

fn fault_at(code: &str, message: &str, line: Option<usize>) -> Value {
    json!({ "code": code, "message": message, "param": null, "line": line })
}

/// What is wrong with the lines of a batch, at most ten things.
fn faults_of(lines: &[String], endpoint: &str) -> Vec<Value> {
    if lines.is_empty() {
        return vec![fault_at("empty_file", "The input file has no lines.", None)];
    }
    if lines.len() > LINES_MAX {
        let message = format!("The simulator runs at most {LINES_MAX} lines, not {}.", lines.len());
        return vec![fault_at("too_many_tasks", &message, None)];
    }
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let parsed = serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
        let fault = match parsed {
            None => Some(("invalid_json_line", "This line is not parseable as valid JSON.")),
            Some(line) => match line["custom_id"].as_str() {
                None => {
                    Some(("missing_required_parameter", "Missing required parameter: 'custom_id'."))
                }
                Some(id) if !seen.insert(id.to_owned()) => Some((
                    "duplicate_custom_id",
                    "The custom_id for this request is a duplicate of another request.",
                )),
                Some(_) if line["url"] != endpoint => Some((
                    "mismatched_endpoint",
                    "The URL of this request is not the endpoint of the batch.",
                )),
                Some(_) => None,
            },
        };
        faults.extend(fault.map(|(code, message)| fault_at(code, message, Some(at + 1))));
        if faults.len() >= 10 {
            break;
        }
    }
    faults
}

/// Enters a state, and notes when.
fn enter(batch: &mut Value, status: &str) {
    batch["status"] = status.into();
    batch[format!("{status}_at")] = CREATED.into();
}

fn batch_object(id: &str, body: &Value) -> Value {
    json!({
        "id": id, "object": "batch", "endpoint": body["endpoint"], "errors": null,
        "input_file_id": body["input_file_id"], "completion_window": "24h", "status": "validating",
        "output_file_id": null, "error_file_id": null, "created_at": CREATED, "in_progress_at": null,
        "expires_at": CREATED + 86_400, "finalizing_at": null, "completed_at": null,
        "failed_at": null, "expired_at": null, "cancelling_at": null, "cancelled_at": null,
        "request_counts": { "total": 0, "completed": 0, "failed": 0 }, "metadata": metadata_of(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_run_are_named() {
        let line = |id: &str, url: &str| json!({ "custom_id": id, "url": url }).to_string();
        let chat = "/v1/chat/completions";
        let check = |lines: &[String], want: &[&str]| {
            let faults = faults_of(lines, chat);
            let codes: Vec<&str> =
                faults.iter().filter_map(|fault| fault["code"].as_str()).collect();
            assert_eq!(codes, want);
        };
        check(&[line("a", chat), line("b", chat)], &[]);
        check(&[], &["empty_file"]);
        check(&[line("a", chat), line("a", chat)], &["duplicate_custom_id"]);
        check(&["{".into(), line("a", "/v1/files")], &["invalid_json_line", "mismatched_endpoint"]);
        check(&["{}".into()], &["missing_required_parameter"]);
    }
}
