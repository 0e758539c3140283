//! Runs on threads: queued, in progress, waiting for tools, over.

use super::table::{absent, page, push};
use super::threads::{IN_THREAD_MAX, Thread};
use super::{Shelf, Visit, overlay, text_of};
use crate::provider::chat::CREATED;
use crate::provider::refusal::Refusal;
use crate::provider::request::{Ask, Call, Special, Task, task_of_run};
use crate::provider::runs::{end_run, end_step, message_object, run_object, step_object};
use crate::provider::speech::Speech;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a run may wait for its tools. Source: OpenAI API reference, runs expire ten minutes after
/// they were made, read 2026-11.
const EXPIRES: Duration = Duration::from_mins(10);

/// Where a run stands, and the ids of what it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) thread: String,
    pub(crate) assistant: String,
    pub(crate) run: String,
    pub(crate) step: String,
    pub(crate) message: String,
    pub(crate) model: String,
    /// The thread was made by the same request.
    pub(crate) new_thread: bool,
    /// What the run was asked for and repeats: instructions, tools and the like.
    pub(crate) fields: Value,
    /// The step whose tools have answered, when the run goes on after them.
    pub(crate) answered: Option<Value>,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    /// It waits for this tool to be called with these arguments.
    Action {
        name: String,
        arguments: String,
    },
    /// With this code and message in `last_error`.
    Failed(&'static str, &'static str),
    Expired,
    Cancelled,
    /// For this reason.
    Incomplete(&'static str),
}

impl Ending {
    /// The end of a call: what its model asks for by its name, or what its answer is.
    ///
    /// Source of the codes: OpenAI API description of 2026-08, `RunObject.last_error` and
    /// `incomplete_details`.
    pub(crate) fn of(call: &Call, speech: &Speech) -> Ending {
        match wanted(&call.model) {
            Some(ending) => ending,
            None => match &call.task {
                Task::Tool { name, arguments } => {
                    Ending::Action { name: name.clone(), arguments: arguments.clone() }
                }
                Task::Text | Task::Json(_) if speech.cut => {
                    Ending::Incomplete("max_completion_tokens")
                }
                Task::Text | Task::Json(_) => Ending::Completed,
            },
        }
    }

    /// The state that the run has then.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Action { .. } => "requires_action",
            Ending::Failed(..) => "failed",
            Ending::Expired => "expired",
            Ending::Cancelled => "cancelled",
            Ending::Incomplete(_) => "incomplete",
        }
    }
}

/// The names after `sim-run-` that a model may have, so that what runs on it comes to this end.
pub(crate) const WANTED: [(&str, Ending); 7] = [
    (
        "server_error",
        Ending::Failed("server_error", "Sorry, something went wrong. The run failed."),
    ),
    (
        "rate_limit_exceeded",
        Ending::Failed(
            "rate_limit_exceeded",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
    ),
    (
        "invalid_prompt",
        Ending::Failed("invalid_prompt", "The prompt was flagged by the usage policy."),
    ),
    ("expired", Ending::Expired),
    ("cancelled", Ending::Cancelled),
    ("incomplete", Ending::Incomplete("max_completion_tokens")),
    ("prompt_tokens", Ending::Incomplete("max_prompt_tokens")),
];

/// The end that a model asks for by its name; `-` and `_` are the same.
pub(crate) fn wanted(model: &str) -> Option<Ending> {
    let name = model.strip_prefix("sim-run-")?.replace('-', "_");
    WANTED.iter().find(|(known, _)| *known == name).map(|(_, ending)| ending.clone())
}

/// A run that was made.
#[derive(Debug)]
pub(super) struct Run {
    value: Value,
    steps: Vec<Value>,
    place: Place,
    text: String,
    ending: Ending,
    /// Tokens of the prompts and of the answers.
    usage: (u64, u64),
    /// Since when it is in the state it is in.
    since: Duration,
}

impl Run {
    fn status(&self) -> &str {
        self.value["status"].as_str().unwrap_or_default()
    }

    fn is_busy(&self) -> bool {
        matches!(self.status(), "queued" | "in_progress" | "requires_action" | "cancelling")
    }

    /// Brings it to where it is now; the message that it writes on the way.
    fn go_on(&mut self, step: Duration, now: Duration) -> Option<Value> {
        let mut wrote = None;
        loop {
            let stays = match self.status() {
                "queued" | "in_progress" | "cancelling" => step,
                "requires_action" => EXPIRES,
                _ => return wrote,
            };
            if now < self.since.saturating_add(stays) {
                return wrote;
            }
            self.since = self.since.saturating_add(stays);
            match self.status() {
                "queued" => {
                    self.value["status"] = "in_progress".into();
                    self.value["started_at"] = CREATED.into();
                }
                "in_progress" => wrote = self.end(),
                "cancelling" => self.end_as(&Ending::Cancelled),
                _ => self.end_as(&Ending::Expired),
            }
        }
    }

    fn end(&mut self) -> Option<Value> {
        let ending = self.ending.clone();
        let mut step = step_object(&self.place, Some(&ending));
        end_step(&mut step, &ending, self.usage);
        self.steps.push(step);
        self.end_as(&ending);
        let written = matches!(ending, Ending::Completed | Ending::Incomplete(_));
        written.then(|| message_object(&self.place, Some((&self.text, &ending))))
    }

    fn end_as(&mut self, ending: &Ending) {
        end_run(&mut self.value, &self.place, ending, self.usage);
        if matches!(ending, Ending::Expired | Ending::Cancelled)
            && let Some(step) = self.steps.last_mut().filter(|step| step["status"] == "in_progress")
        {
            step["status"] = ending.status().into();
        }
    }
}

impl Thread {
    /// Brings its runs to where they are now.
    pub(super) fn go_on(&mut self, step: Duration, now: Duration) {
        for run in &mut self.runs {
            if let Some(message) = run.go_on(step, now) {
                // A text beyond the bound is dropped with its message, as the run has ended anyway.
                let text = run.text.len();
                if self.messages.get(&run.place.message).is_none() {
                    self.text += text;
                    self.messages.push(message);
                }
            }
        }
    }

    fn run(&mut self, id: &str) -> Result<&mut Run, Refusal> {
        self.runs.iter_mut().find(|run| run.value["id"] == id).ok_or_else(|| absent("run", id))
    }
}

impl Shelf {
    /// Answers a request below the runs of a thread.
    pub(super) fn runs_at(
        &mut self,
        visit: &Visit<'_>,
        thread: &str,
        parts: &[&str],
    ) -> Result<Value, Refusal> {
        match (visit.method, parts) {
            ("GET", []) => {
                let runs = &self.thread(thread, visit.now)?.runs;
                Ok(page(runs.iter().map(|run| &run.value).collect(), visit.query, true))
            }
            ("GET", [run]) => Ok(self.run(visit, thread, run)?.value.clone()),
            ("POST", [run]) => {
                let run = self.run(visit, thread, run)?;
                overlay(&mut run.value, &visit.body, &["metadata"]);
                Ok(run.value.clone())
            }
            ("POST", [run, "cancel"]) => {
                let lenient = self.invents;
                let run = self.run(visit, thread, run)?;
                if !lenient && !matches!(run.status(), "queued" | "in_progress" | "requires_action")
                {
                    let message = format!("Cannot cancel run with status '{}'.", run.status());
                    return Err(Refusal::new(400, message));
                }
                run.value["status"] = "cancelling".into();
                run.since = visit.now;
                Ok(run.value.clone())
            }
            ("GET", [run, "steps"]) => {
                let steps = &self.run(visit, thread, run)?.steps;
                Ok(page(steps.iter().collect(), visit.query, true))
            }
            ("GET", [run, "steps", id]) => {
                let invents = self.invents;
                let run = self.run(visit, thread, run)?;
                let found = run.steps.iter().find(|step| step["id"] == *id).cloned();
                let made_up = || invents.then(|| step_object(&run.place, None));
                found.or_else(made_up).ok_or_else(|| absent("run step", id))
            }
            _ => Err(visit.unknown()),
        }
    }

    fn run(&mut self, visit: &Visit<'_>, thread: &str, id: &str) -> Result<&mut Run, Refusal> {
        let invents = self.invents;
        let found = self.thread(thread, visit.now)?;
        if invents && found.run(id).is_err() {
            let place = made_up(thread, id);
            let value = run_object(&place, "completed");
            let ending = Ending::Completed;
            let (steps, text) = (Vec::new(), String::new());
            let run = Run { value, steps, place, text, ending, usage: (1, 1), since: visit.now };
            push(&mut found.runs, run, IN_THREAD_MAX);
        }
        found.run(id)
    }

    /// A thread takes messages and runs only while none of its runs is under way.
    pub(super) fn refuse_if_busy(
        &mut self,
        thread: &str,
        now: Duration,
        message: bool,
    ) -> Result<(), Refusal> {
        let busy = self.thread(thread, now)?.runs.iter().rev().find(|run| run.is_busy());
        let Some(run) = busy else { return Ok(()) };
        let id = run.value["id"].as_str().unwrap_or_default();
        // Source: messages of the service in public issue trackers, read 2026-11.
        let text = if message {
            format!("Can't add messages to {thread} while a run {id} is active.")
        } else {
            format!("Thread {thread} already has an active run {id}.")
        };
        Err(Refusal::new(400, text))
    }

    pub(super) fn make_thread_and_run(&mut self, visit: &Visit<'_>) -> Result<Call, Refusal> {
        // Looked for first, so that a wrong assistant leaves no thread behind.
        let assistant = visit.body["assistant_id"].as_str();
        self.assistant(assistant.ok_or_else(|| Refusal::missing("assistant_id"))?)?;
        let thread = self.make_thread(&visit.body["thread"])?;
        self.begin_run(visit, &thread, true)
    }

    /// The call of a model that a run is.
    pub(super) fn begin_run(
        &mut self,
        visit: &Visit<'_>,
        thread: &str,
        new_thread: bool,
    ) -> Result<Call, Refusal> {
        let body = &visit.body;
        let id = body["assistant_id"].as_str().ok_or_else(|| Refusal::missing("assistant_id"))?;
        let assistant = self.assistant(id)?.clone();
        self.refuse_if_busy(thread, visit.now, false)?;
        for message in body["additional_messages"].as_array().into_iter().flatten() {
            self.add_message(thread, message, visit.now)?;
        }
        let mut fields = fields_of(&assistant);
        overlay(&mut fields, body, &RUN_FIELDS);
        if let Some(more) = body["additional_instructions"].as_str() {
            let said = fields["instructions"].as_str().unwrap_or_default();
            fields["instructions"] = format!("{said} {more}").trim().into();
        }
        let model = body["model"].as_str().or_else(|| assistant["model"].as_str());
        let place = Place {
            thread: thread.to_owned(),
            assistant: id.to_owned(),
            run: self.id("run_"),
            step: self.id("step_"),
            message: self.id("msg_"),
            model: model.unwrap_or_default().to_owned(),
            new_thread,
            fields,
            answered: None,
        };
        let found = self.thread(thread, visit.now)?;
        let user = found.messages.iter().rev().find(|message| message["role"] == "user");
        let text = user.and_then(|message| text_of(&message["content"])).unwrap_or_default();
        let ask = Ask { heard: text.len(), text };
        let prompt_tokens = found.text.div_ceil(4).max(1) as u64;
        let task = task_of_run(&place.fields, &ask);
        Ok(call_of(body, place, ask, task, prompt_tokens))
    }

    /// The call that a run goes on with when its tools have answered.
    pub(super) fn take_outputs(
        &mut self,
        visit: &Visit<'_>,
        thread: &str,
        id: &str,
    ) -> Result<Call, Refusal> {
        let outputs = visit.body["tool_outputs"].as_array();
        let outputs = outputs.ok_or_else(|| Refusal::missing("tool_outputs"))?;
        let (step, message) = (self.id("step_"), self.id("msg_"));
        let invents = self.invents;
        let run = self.run(visit, thread, id)?;
        if run.status() != "requires_action" && !invents {
            let message =
                format!("Runs in status \"{}\" do not accept tool outputs.", run.status());
            return Err(Refusal::new(400, message));
        }
        let calls = run.value.pointer("/required_action/submit_tool_outputs/tool_calls");
        let calls = calls.and_then(Value::as_array).cloned().unwrap_or_default();
        let given = |call: &Value| outputs.iter().find(|one| one["tool_call_id"] == call["id"]);
        if let Some(call) = calls.iter().find(|call| given(call).is_none()) {
            let message = format!("Expected tool outputs for call_ids [{}], got none.", call["id"]);
            return Err(Refusal::new(400, message));
        }
        let text: String = outputs.iter().filter_map(|output| output["output"].as_str()).collect();
        let mut answered = run.steps.last().cloned().unwrap_or(Value::Null);
        for call in answered
            .pointer_mut("/step_details/tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            call["function"]["output"] =
                given(call).map_or(Value::Null, |output| output["output"].clone());
        }
        if answered.is_object() {
            answered["status"] = "completed".into();
            answered["completed_at"] = CREATED.into();
        }
        let place = Place {
            step,
            message,
            new_thread: false,
            answered: Some(answered),
            ..run.place.clone()
        };
        let prompt_tokens = run.usage.0 + text.len().div_ceil(4).max(1) as u64;
        let ask = Ask { heard: text.len(), text };
        Ok(call_of(&visit.body, place, ask, Task::Text, prompt_tokens))
    }

    /// Notes a run that was made, and what is to come of it. A run is made even when nobody hears of
    /// it; one that was told as a stream is over with it.
    pub(crate) fn ran(
        &mut self,
        place: &Place,
        call: &Call,
        speech: &Speech,
        sound: bool,
        now: Duration,
    ) {
        let step = if call.stream { Duration::ZERO } else { self.step };
        let ending = if sound {
            Ending::of(call, speech)
        } else {
            Ending::Failed("server_error", "The run came to a bad end.")
        };
        let Ok(thread) = self.thread(&place.thread, now) else { return };
        let usage = (call.prompt_tokens, speech.len() as u64);
        let (place, text) = (place.clone(), speech.text.clone());
        if let Ok(run) = thread.run(&place.run) {
            run.value = run_object(&place, "queued");
            if let (Some(answered), Some(last)) = (&place.answered, run.steps.last_mut()) {
                *last = answered.clone();
            }
            let usage = (usage.0, run.usage.1 + usage.1);
            let steps = std::mem::take(&mut run.steps);
            *run = Run { value: run.value.take(), steps, place, text, ending, usage, since: now };
        } else {
            let value = run_object(&place, "queued");
            let run = Run { value, steps: Vec::new(), place, text, ending, usage, since: now };
            push(&mut thread.runs, run, IN_THREAD_MAX);
        }
        // A run that nobody will hear the end of is looked at by nobody, and ends at once.
        if call.stream || !sound {
            thread.go_on(step.min(Duration::ZERO), now);
        }
    }
}

/// What a run repeats of what it was asked for.
const RUN_FIELDS: [&str; 11] = [
    "instructions",
    "tools",
    "metadata",
    "temperature",
    "top_p",
    "max_prompt_tokens",
    "max_completion_tokens",
    "truncation_strategy",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
];

/// What a run takes over from its assistant.
fn fields_of(assistant: &Value) -> Value {
    let mut fields = json!({ "instructions": "", "metadata": {} });
    let taken = ["instructions", "tools", "temperature", "top_p", "response_format"];
    overlay(&mut fields, assistant, &taken);
    fields
}

fn call_of(body: &Value, place: Place, ask: Ask, task: Task, prompt_tokens: u64) -> Call {
    let max = place.fields["max_completion_tokens"].as_u64();
    Call {
        model: place.model.clone(),
        stream: body["stream"].as_bool().unwrap_or(false),
        include_usage: true,
        n: 1,
        max_tokens: max.and_then(|max| u32::try_from(max).ok()),
        user: None,
        prompt_tokens,
        ask,
        task,
        special: Special::Run(Box::new(place)),
        keep: false,
    }
}

fn made_up(thread: &str, run: &str) -> Place {
    Place {
        thread: thread.to_owned(),
        assistant: "asst_made_up".into(),
        run: run.to_owned(),
        step: "step_made_up".into(),
        message: "msg_made_up".into(),
        model: "gpt-4o".into(),
        new_thread: false,
        fields: fields_of(&Value::Null),
        answered: None,
    }
}
