//! Runs of assistants: the run as it is told, and the stream of its events.
//!
//! Source: OpenAI API description of 2026-08, assistants, their objects and stream events.

use crate::provider::answer::{Answer, Mark, Reel, Shape};
use crate::provider::chat::CREATED;
use crate::provider::request::{Call, Special};
use crate::provider::shelf::{Ending, Place, thread_object};
use crate::provider::speech::Speech;
use serde_json::{Value, json};

/// The run that was begun, or the stream of its events.
pub(crate) fn answer(call: &Call, speech: &Speech, stream: bool) -> Answer {
    let Special::Run(place) = &call.special else { return Answer::json(200, "{}".into()) };
    if stream {
        return events(call, place, speech, &Ending::of(call, speech));
    }
    let mut answer = Answer::told(run_object(place, "queued"));
    // Tells the helpers of the official SDKs how long to wait before they ask again.
    answer.headers.push(("openai-poll-after-ms", "20".into()));
    answer
}

fn usage((prompt, answer): (u64, u64)) -> Value {
    json!({
        "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
    })
}

/// A run in some state.
pub(crate) fn run_object(place: &Place, status: &str) -> Value {
    let mut run = json!({
        "id": place.run, "object": "thread.run", "created_at": CREATED, "assistant_id": place.assistant,
        "thread_id": place.thread, "status": status,
        "started_at": (status != "queued").then_some(CREATED), "expires_at": CREATED + 600,
        "cancelled_at": null, "failed_at": null,
        "completed_at": (status == "completed").then_some(CREATED), "required_action": null,
        "last_error": null, "model": place.model, "instructions": "", "tools": [], "metadata": {},
        "incomplete_details": null, "usage": null, "temperature": 1.0, "top_p": 1.0,
        "max_prompt_tokens": null, "max_completion_tokens": null,
        "truncation_strategy": { "type": "auto", "last_messages": null },
        "response_format": "auto", "tool_choice": "auto", "parallel_tool_calls": true,
    });
    for (name, value) in place.fields.as_object().into_iter().flatten() {
        run[name] = value.clone();
    }
    run
}

/// Brings a run to its end.
pub(crate) fn end_run(run: &mut Value, place: &Place, ending: &Ending, used: (u64, u64)) {
    run["status"] = ending.status().into();
    run["started_at"] = CREATED.into();
    run["required_action"] = Value::Null;
    match ending {
        Ending::Completed => run["completed_at"] = CREATED.into(),
        Ending::Action { name, arguments } => {
            let calls = json!([tool_call(place, name, arguments, false)]);
            run["required_action"] = json!({
                "type": "submit_tool_outputs", "submit_tool_outputs": { "tool_calls": calls },
            });
        }
        Ending::Failed(code, message) => {
            run["failed_at"] = CREATED.into();
            run["last_error"] = json!({ "code": code, "message": message });
        }
        Ending::Expired => {}
        Ending::Cancelled => run["cancelled_at"] = CREATED.into(),
        Ending::Incomplete(reason) => run["incomplete_details"] = json!({ "reason": reason }),
    }
    if !matches!(ending, Ending::Action { .. }) {
        run["usage"] = usage(used);
    }
}

/// A call of a tool; with room for what it gives back in a step.
fn tool_call(place: &Place, name: &str, arguments: &str, in_step: bool) -> Value {
    let mut function = json!({ "name": name, "arguments": arguments });
    if in_step {
        function["output"] = Value::Null;
    }
    json!({ "id": format!("call_{}", place.step), "type": "function", "function": function })
}

/// A step that has begun: calls of tools where the run ends with one, else a message.
pub(crate) fn step_object(place: &Place, ending: Option<&Ending>) -> Value {
    let (kind, details) = if let Some(Ending::Action { name, arguments }) = ending {
        let calls = [tool_call(place, name, arguments, true)];
        ("tool_calls", json!({ "type": "tool_calls", "tool_calls": calls }))
    } else {
        let made = json!({ "message_id": place.message });
        ("message_creation", json!({ "type": "message_creation", "message_creation": made }))
    };
    json!({
        "id": place.step, "object": "thread.run.step", "created_at": CREATED, "run_id": place.run,
        "assistant_id": place.assistant, "thread_id": place.thread, "type": kind,
        "status": "in_progress", "cancelled_at": null, "completed_at": null, "expired_at": null,
        "failed_at": null, "last_error": null, "metadata": {}, "step_details": details, "usage": null,
    })
}

/// Brings a step to its end with its run. One that waits for tools goes on.
pub(crate) fn end_step(step: &mut Value, ending: &Ending, used: (u64, u64)) {
    let (status, at) = match ending {
        Ending::Action { .. } => return,
        Ending::Completed | Ending::Incomplete(_) => ("completed", "completed_at"),
        Ending::Failed(..) => ("failed", "failed_at"),
        Ending::Expired => ("expired", "expired_at"),
        Ending::Cancelled => ("cancelled", "cancelled_at"),
    };
    step["status"] = status.into();
    step[at] = CREATED.into();
    step["usage"] = usage(used);
    if let Ending::Failed(code, message) = ending {
        // A step has two of the three codes of a run.
        let code = if *code == "invalid_prompt" { "server_error" } else { code };
        step["last_error"] = json!({ "code": code, "message": message });
    }
}

/// A message that the assistant writes; whole once there is a text.
pub(crate) fn message_object(place: &Place, over: Option<(&str, &Ending)>) -> Value {
    let content = over
        .map(|(text, _)| json!({ "type": "text", "text": { "value": text, "annotations": [] } }));
    let cut = matches!(over, Some((_, Ending::Incomplete(_))));
    let status = match over {
        None => "in_progress",
        Some(_) if cut => "incomplete",
        Some(_) => "completed",
    };
    json!({
        "id": place.message, "object": "thread.message", "created_at": CREATED,
        "assistant_id": place.assistant, "thread_id": place.thread, "run_id": place.run,
        "status": status, "incomplete_details": cut.then(|| json!({ "reason": "max_tokens" })),
        "incomplete_at": cut.then_some(CREATED),
        "completed_at": (status == "completed").then_some(CREATED),
        "role": "assistant", "content": content.as_slice(), "attachments": [], "metadata": {},
    })
}

/// Writes the named events of a run.
struct Script(Reel);

impl Script {
    fn say(&mut self, mark: Mark, name: &str, data: &Value) {
        self.0.event(mark, |out| {
            out.extend(["event: ", name, "\ndata: ", &data.to_string(), "\n\n"]);
        });
    }
}

fn events(call: &Call, place: &Place, speech: &Speech, ending: &Ending) -> Answer {
    let mut script = Script(Reel::with_room(6_144 + speech.len() * 220));
    open(&mut script, place, ending);
    match ending {
        Ending::Action { name, .. } => say_call(&mut script, place, speech, name),
        Ending::Completed | Ending::Incomplete(_) => {
            say_text(&mut script, place, speech, usize::MAX);
        }
        // What fails has begun to speak.
        Ending::Failed(..) | Ending::Expired | Ending::Cancelled => {
            say_text(&mut script, place, speech, speech.len() / 2);
        }
    }
    let used = (call.prompt_tokens, speech.len() as u64);
    if matches!(ending, Ending::Completed | Ending::Incomplete(_)) {
        let message = message_object(place, Some((&speech.text, ending)));
        let name = if matches!(ending, Ending::Completed) { "completed" } else { "incomplete" };
        script.say(Mark::Finish, &format!("thread.message.{name}"), &message);
    }
    if !matches!(ending, Ending::Action { .. }) {
        let mut step = step_object(place, Some(ending));
        end_step(&mut step, ending, used);
        let name = step["status"].as_str().unwrap_or_default().to_owned();
        script.say(Mark::Finish, &format!("thread.run.step.{name}"), &step);
    }
    let mut run = run_object(place, "in_progress");
    end_run(&mut run, place, ending, used);
    script.say(Mark::Finish, &format!("thread.run.{}", ending.status()), &run);
    script.0.event(Mark::Done, |out| out.push_str("event: done\ndata: [DONE]\n\n"));
    Answer::stream(Shape::Runs, script.0.finish())
}

/// Everything before the first content.
fn open(script: &mut Script, place: &Place, ending: &Ending) {
    if place.new_thread {
        script.say(Mark::Open, "thread.created", &thread_object(&place.thread));
    }
    match &place.answered {
        Some(step) => script.say(Mark::Open, "thread.run.step.completed", step),
        None => script.say(Mark::Open, "thread.run.created", &run_object(place, "queued")),
    }
    script.say(Mark::Open, "thread.run.queued", &run_object(place, "queued"));
    script.say(Mark::Open, "thread.run.in_progress", &run_object(place, "in_progress"));
    let mut step = step_object(place, Some(ending));
    if let Ending::Action { .. } = ending {
        // The arguments grow in the events that follow.
        step["step_details"]["tool_calls"] = json!([]);
    }
    script.say(Mark::Open, "thread.run.step.created", &step);
    script.say(Mark::Open, "thread.run.step.in_progress", &step);
    if !matches!(ending, Ending::Action { .. }) {
        let message = message_object(place, None);
        script.say(Mark::Open, "thread.message.created", &message);
        script.say(Mark::Open, "thread.message.in_progress", &message);
    }
}

fn say_text(script: &mut Script, place: &Place, speech: &Speech, most: usize) {
    for token in speech.tokens().take(most) {
        let part = json!({ "index": 0, "type": "text", "text": { "value": token } });
        let delta = json!({
            "id": place.message, "object": "thread.message.delta", "delta": { "content": [part] },
        });
        script.say(Mark::Content, "thread.message.delta", &delta);
    }
}

fn say_call(script: &mut Script, place: &Place, speech: &Speech, name: &str) {
    let delta = |call: Value| {
        let details = json!({ "type": "tool_calls", "tool_calls": [call] });
        json!({
            "id": place.step, "object": "thread.run.step.delta", "delta": { "step_details": details },
        })
    };
    let mut first = tool_call(place, name, "", true);
    first["index"] = 0.into();
    script.say(Mark::Open, "thread.run.step.delta", &delta(first));
    for token in speech.tokens() {
        let call = json!({ "index": 0, "type": "function", "function": { "arguments": token } });
        script.say(Mark::Content, "thread.run.step.delta", &delta(call));
    }
}
