//! Fine-tuning jobs as records: nothing is trained, but the job goes through its states and leaves
//! events, checkpoints, a result file and the name of a model.

use super::runs::{Ending, wanted};
use super::table::{Table, deleted, page};
use super::{OBJECTS_MAX, Shelf, Visit, metadata_of};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// All jobs, since when each is in its state, and the permissions on checkpoints.
#[derive(Debug)]
pub(crate) struct Tuning {
    jobs: Table,
    since: BTreeMap<String, Duration>,
    permissions: Table,
}

impl Tuning {
    pub(crate) fn new() -> Tuning {
        let (jobs, permissions) = (Table::new(OBJECTS_MAX), Table::new(OBJECTS_MAX));
        Tuning { jobs, since: BTreeMap::new(), permissions }
    }
}

impl Shelf {
    /// Answers a request below `/fine_tuning`.
    pub(super) fn tuning_at(
        &mut self,
        visit: &Visit<'_>,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("POST", ["jobs"]) => self.make_job(&visit.body, visit.now),
            ("GET", ["jobs"]) => Ok(page(self.tuning.jobs.iter().collect(), visit.query, true)),
            ("GET", ["jobs", id]) => self.job(id, visit.now).cloned(),
            ("POST", ["jobs", id, action @ ("cancel" | "pause" | "resume")]) => {
                self.move_job(id, action, visit.now)
            }
            ("GET", ["jobs", id, "events"]) => {
                let events = events_of(self.job(id, visit.now)?);
                Ok(page(events.iter().collect(), visit.query, true))
            }
            ("GET", ["jobs", id, "checkpoints"]) => {
                let points = checkpoints_of(self.job(id, visit.now)?);
                Ok(page(points.iter().collect(), visit.query, true))
            }
            ("POST", ["alpha", "graders", "validate"]) => {
                Ok(json!({ "grader": visit.body["grader"] }))
            }
            ("POST", ["alpha", "graders", "run"]) => Ok(graded(&visit.body)),
            ("POST", ["checkpoints", point, "permissions"]) => self.permit(point, &visit.body),
            ("GET", ["checkpoints", point, "permissions"]) => {
                let fits = |one: &&Value| one["sim_checkpoint"] == *point;
                let found: Vec<Value> =
                    self.tuning.permissions.iter().filter(fits).map(permission_told).collect();
                Ok(page(found.iter().collect(), visit.query, true))
            }
            ("DELETE", ["checkpoints", _, "permissions", id]) => {
                let known = self.tuning.permissions.remove(id);
                if known || self.invents {
                    return Ok(deleted(id, "checkpoint.permission"));
                }
                Err(super::table::absent("permission", id))
            }
            _ => Err(visit.unknown()),
        }
    }

    fn job(&mut self, id: &str, now: Duration) -> Result<&mut Value, Refusal> {
        self.job_goes_on(id, now);
        let body = json!({ "model": "gpt-4o-mini", "training_file": "file-made-up" });
        let made_up = self.invents.then(|| job_object(id, &body));
        self.tuning.jobs.open(id, "fine-tuning job", made_up)
    }

    fn make_job(&mut self, body: &Value, now: Duration) -> Result<Value, Refusal> {
        let text = |name: &str| body[name].as_str().ok_or_else(|| Refusal::missing(name));
        text("model")?;
        self.file(text("training_file")?)?;
        let id = self.id("ftjob-");
        let job = job_object(&id, body);
        self.tuning.jobs.push(job.clone());
        while self.tuning.since.len() >= OBJECTS_MAX {
            self.tuning.since.pop_first();
        }
        self.tuning.since.insert(id, now);
        Ok(job)
    }

    /// Cancels, pauses, or goes on.
    fn move_job(&mut self, id: &str, action: &str, now: Duration) -> Result<Value, Refusal> {
        let lenient = self.invents;
        let job = self.job(id, now)?;
        let status = job["status"].as_str().unwrap_or_default().to_owned();
        let fits = match action {
            "resume" => status == "paused",
            "pause" => matches!(status.as_str(), "queued" | "running"),
            _ => matches!(status.as_str(), "validating_files" | "queued" | "running" | "paused"),
        };
        if !fits && !lenient {
            let message = format!("Cannot {action} a job with status '{status}'.");
            return Err(Refusal::new(400, message));
        }
        if lenient {
            // Made up for it alone: it is told in a state that the action leaves.
            job["status"] = if action == "cancel" { "cancelled" } else { "running" }.into();
            return Ok(job.clone());
        }
        let next = match action {
            "resume" => "queued",
            "pause" => "paused",
            _ => "cancelled",
        };
        job["status"] = next.into();
        let told = job.clone();
        self.tuning.since.insert(id.to_owned(), now);
        Ok(told)
    }

    fn job_goes_on(&mut self, id: &str, now: Duration) {
        loop {
            let Some(since) = self.tuning.since.get(id).copied() else { return };
            let due = since.saturating_add(self.step);
            if now < due {
                return;
            }
            let Some(job) = self.tuning.jobs.get(id).cloned() else { return };
            let next = match job["status"].as_str().unwrap_or_default() {
                "validating_files" => "queued",
                "queued" => "running",
                "running" => "over",
                _ => return,
            };
            self.tuning.since.insert(id.to_owned(), due);
            if next == "over" {
                return self.finish_job(id, &job);
            }
            if let Some(job) = self.tuning.jobs.get_mut(id) {
                job["status"] = next.into();
            }
        }
    }

    fn finish_job(&mut self, id: &str, job: &Value) {
        let model = job["model"].as_str().unwrap_or_default().to_owned();
        let failed = match wanted(&model) {
            Some(Ending::Failed(code, message)) => Some((code, message)),
            _ => None,
        };
        let file = failed.is_none().then(|| {
            let csv = "step,train_loss\n1,0.5\n2,0.25\n".to_owned();
            self.add_made_file("step_metrics.csv", "fine-tune-results", csv)
        });
        let Some(job) = self.tuning.jobs.get_mut(id) else { return };
        job["finished_at"] = CREATED.into();
        if let Some((code, message)) = failed {
            job["status"] = "failed".into();
            job["error"] = json!({ "code": code, "message": message, "param": "training_file" });
            return;
        }
        job["status"] = "succeeded".into();
        job["trained_tokens"] = 1_000.into();
        job["result_files"] = json!([file]);
        job["fine_tuned_model"] = format!("ft:{model}:org-sim::{id}").into();
    }

    fn permit(&mut self, point: &str, body: &Value) -> Result<Value, Refusal> {
        let projects = body["project_ids"].as_array();
        let projects = projects.ok_or_else(|| Refusal::missing("project_ids"))?;
        let mut made = Vec::new();
        for project in projects.iter().filter_map(Value::as_str) {
            let permission = json!({
                "id": self.id("cp_"), "object": "checkpoint.permission", "created_at": CREATED,
                "project_id": project, "sim_checkpoint": point,
            });
            made.push(permission_told(&permission));
            self.tuning.permissions.push(permission);
        }
        Ok(page(made.iter().collect(), super::Query("order=asc"), false))
    }
}

fn permission_told(permission: &Value) -> Value {
    let mut told = permission.clone();
    if let Some(fields) = told.as_object_mut() {
        fields.remove("sim_checkpoint");
    }
    told
}

fn job_object(id: &str, body: &Value) -> Value {
    let integrations = body.get("integrations").filter(|list| list.is_array());
    json!({
        "id": id, "object": "fine_tuning.job", "created_at": CREATED, "error": null,
        "fine_tuned_model": null, "finished_at": null,
        "hyperparameters": { "n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto" },
        "model": body["model"], "organization_id": "org-sim", "result_files": [],
        "status": "validating_files", "trained_tokens": null, "training_file": body["training_file"],
        "validation_file": body["validation_file"], "integrations": integrations.cloned(),
        "seed": body["seed"].as_u64().unwrap_or(1), "estimated_finish": null, "method": null,
        "metadata": metadata_of(body),
    })
}

/// What the job has told so far: one event for each state that it has reached.
fn events_of(job: &Value) -> Vec<Value> {
    let id = job["id"].as_str().unwrap_or_default();
    let reached: &[(&str, &str)] = match job["status"].as_str().unwrap_or_default() {
        "validating_files" => &[("info", "Validating training file")],
        "queued" | "paused" => &[
            ("info", "Validating training file"),
            ("info", "Files validated, moving job to queued state"),
        ],
        "running" => &[
            ("info", "Validating training file"),
            ("info", "Files validated, moving job to queued state"),
            ("info", "Fine-tuning job started"),
        ],
        "succeeded" => &[
            ("info", "Validating training file"),
            ("info", "Files validated, moving job to queued state"),
            ("info", "Fine-tuning job started"),
            ("info", "The job has successfully completed"),
        ],
        "cancelled" => &[("info", "Validating training file"), ("warn", "The job was cancelled")],
        _ => &[("info", "Validating training file"), ("error", "The job failed")],
    };
    let told = reached.iter().enumerate().map(|(at, (level, message))| {
        json!({
            "id": format!("ftevent-{id}-{at}"), "object": "fine_tuning.job.event",
            "created_at": CREATED, "level": level, "message": message, "type": "message", "data": {},
        })
    });
    told.collect()
}

fn checkpoints_of(job: &Value) -> Vec<Value> {
    let Some(model) = job["fine_tuned_model"].as_str() else { return Vec::new() };
    let id = job["id"].as_str().unwrap_or_default();
    let told = (1..=2).map(|step| {
        json!({
            "id": format!("ftckpt_{id}_{step}"), "object": "fine_tuning.job.checkpoint",
            "created_at": CREATED, "fine_tuned_model_checkpoint": format!("{model}:ckpt-step-{step}"),
            "fine_tuning_job_id": id, "step_number": step,
            "metrics": { "step": f64::from(step), "train_loss": 1.0 / f64::from(step * 2) },
        })
    });
    told.collect()
}

/// A grader that finds the sample right if it is, for a check of strings, and half right else.
fn graded(body: &Value) -> Value {
    let grader = &body["grader"];
    let reward = match grader["type"].as_str() {
        Some("string_check") if grader["reference"] == body["model_sample"] => 1.0,
        Some("string_check") => 0.0,
        Some(_) | None => 0.5,
    };
    json!({
        "reward": reward, "sub_rewards": {}, "model_grader_token_usage_per_model": {},
        "metadata": {
            "name": grader["name"].as_str().unwrap_or("grader"),
            "type": grader["type"].as_str().unwrap_or("string_check"),
            "execution_time": 0.001, "scores": {}, "token_usage": null, "sampled_model_name": null,
            "errors": {
                "formula_parse_error": false, "sample_parse_error": false,
                "truncated_observation_error": false, "unresponsive_reward_error": false,
                "invalid_variable_error": false, "other_error": false,
                "python_grader_server_error": false, "python_grader_server_error_type": null,
                "python_grader_runtime_error": false, "python_grader_runtime_error_details": null,
                "model_grader_server_error": false, "model_grader_refusal_error": false,
                "model_grader_parse_error": false, "model_grader_server_error_details": null,
            },
        },
    })
}
