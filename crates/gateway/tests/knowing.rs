//! What a provider would refuse never leaves: it is answered here with everything that is wrong.

mod support;

use serde_json::Value;
use support::front;
use support::provider::{Provider, completion};

/// The error object of a refusal that sent nothing.
fn error(reply: &support::Reply) -> Value {
    reply.json()["error"].take()
}

fn params(error: &Value) -> Vec<&str> {
    let faults = error["faults"].as_array().expect("faults");
    faults.iter().map(|fault| fault["param"].as_str().unwrap_or("")).collect()
}

#[test]
fn all_faults_are_told_and_nothing_is_sent() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let body = r#"{"messages":[{"content":"hi"},{"role":"user","content":7}],"n":"2"}"#;
    let reply = front.post("/v1/chat/completions", body);
    let message = reply.refused(400, "missing_required_field");
    assert!(message.contains("'model'") && message.contains("first of 4 faults"), "{message}");
    let error = error(&reply);
    assert_eq!(error["param"], "model");
    assert_eq!(params(&error), ["model", "messages[0].role", "messages[1].content", "n"]);
    assert!(error["faults"].as_array().expect("faults").iter().all(|fault| {
        fault["code"].is_string() && fault["message"].as_str().is_some_and(|text| text.len() > 20)
    }));
    assert!(provider.seen().is_empty());
}

#[test]
fn a_model_of_the_wrong_type_does_not_hide_the_other_faults() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let reply = front.post("/v1/chat/completions", r#"{"model":5,"messages":[],"stream":"yes"}"#);
    reply.refused(400, "invalid_value");
    assert_eq!(params(&error(&reply)), ["model", "messages", "stream"]);
    let twice = front.post("/v1/chat/completions", r#"{"model":"a","Model":"b","messages":[]}"#);
    twice.refused(400, "invalid_value");
    assert_eq!(params(&error(&twice)), ["model", "messages"]);
    assert!(provider.seen().is_empty());
}

#[test]
fn each_route_has_its_level() {
    let provider = Provider::fixed(completion());
    let routes = ["strict", "off", "lenient"].map(|level| {
        format!(
            "[[route]]\nmodel = \"{level}-*\"\ntargets = [\"up\"]\n\
             policy = {{ validate = {{ level = \"{level}\" }} }}\n"
        )
    });
    let front = front(provider.addr, &routes.concat());
    let call = |model: &str, rest: &str| {
        front.post("/v1/chat/completions", &format!(r#"{{"model":"{model}","messages":{rest}}}"#))
    };
    let odd = r#"[{"role":"user","content":"x"}],"temperature":9,"top_k":3"#;
    let broken = r#""none""#;
    for (model, odd_passes, broken_passes) in [
        ("strict-1", false, false),
        ("lenient-1", true, false),
        ("off-1", true, true),
        ("elsewhere", true, false),
    ] {
        assert_eq!(call(model, odd).status == 200, odd_passes, "{model}");
        assert_eq!(call(model, broken).status == 200, broken_passes, "{model}");
    }
    assert_eq!(params(&error(&call("strict-1", odd))), ["temperature", "top_k"]);
    assert_eq!(provider.seen().len(), 4);
}

const FORM: &str = "content-type: multipart/form-data; boundary=XX\r\n";

fn text(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(size: usize) -> String {
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"";
    format!("--XX\r\n{head}\r\n\r\n{}\r\n", "s".repeat(size))
}

/// Sends a form to `/audio/transcriptions`.
fn transcribe(front: &support::Front, head: &str, body: &str) -> support::Reply {
    let mut bytes = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{head}content-length: {}\r\n\r\n",
        front.key,
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body.as_bytes());
    front.raw(&bytes)
}

#[test]
fn a_form_that_no_server_takes_is_refused_before_it_is_sent() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let sound = format!("{}{}--XX--\r\n", text("model", "whisper-1"), file(10));
    for (head, body, kind, word) in [
        ("content-type: multipart/form-data\r\n", sound.as_str(), "invalid_request", "boundary"),
        (FORM, "{}", "invalid_request", "boundary"),
        (FORM, "", "invalid_request", "empty"),
        (FORM, &sound.replace("filename", "name2"), "missing_required_field", "'file'"),
        (
            FORM,
            &sound.replace("--XX--", &(text("temperature", "hot") + "--XX--")),
            "invalid_value",
            "'temperature'",
        ),
        (
            FORM,
            &sound.replace("--XX--", &(text("model", "b") + "--XX--")),
            "invalid_value",
            "'model'",
        ),
    ] {
        let message = transcribe(&front, head, body).refused(400, kind);
        assert!(message.contains(word), "{message}");
    }
    assert!(provider.seen().is_empty());
    assert_eq!(transcribe(&front, FORM, &sound).status, 200);
    assert_eq!(provider.seen()[0].body, sound.as_bytes());
}

#[test]
fn a_large_form_is_checked_and_routed_by_its_head_as_it_passes() {
    let provider = Provider::fixed(completion());
    let front = front(
        provider.addr,
        "[server]\nreplay_max = \"64KiB\"\n[[route]]\nmodel = \"whisper-*\"\ntargets = [\"up/a-much-longer-name\"]\n\
         policy = { validate = { level = \"strict\" } }\n",
    );
    for size in [10, 100_000, 3_000_000] {
        let body = format!("{}{}--XX--\r\n", text("model", "whisper-1"), file(size));
        assert_eq!(transcribe(&front, FORM, &body).status, 200, "{size}");
        let seen = provider.seen().pop().expect("it was sent");
        assert_eq!(seen.body.len(), body.len() + "a-much-longer-name".len() - "whisper-1".len());
        let sent = String::from_utf8(seen.body).expect("text");
        assert_eq!(sent, body.replace("whisper-1", "a-much-longer-name"));
        let odd = format!("{}{body}", text("temperature", "7"));
        let odd = transcribe(&front, FORM, &odd);
        odd.refused(400, "invalid_value");
        assert_eq!(params(&error(&odd)), ["temperature"]);
    }
    let sent = provider.seen().len();
    let length = 26_214_401;
    let start = format!("{}{}", text("model", "whisper-1"), file(0).trim_end());
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{FORM}content-length: {length}\r\n\r\n{start}\r\n\r\n",
        front.key,
    );
    let mut caller = front.connect();
    caller.send(head.as_bytes());
    caller.send(&vec![b's'; length - start.len() - 4]);
    let message = caller.answer().refused(413, "request_too_large");
    assert!(message.contains("26214401 bytes"), "{message}");
    assert_eq!(provider.seen().len(), sent);
}

#[test]
fn a_key_for_certain_models_cannot_hide_another_behind_a_file() {
    let provider = Provider::fixed(completion());
    let mut front = front(provider.addr, "[server]\nreplay_max = \"64KiB\"\n");
    let only = vec!["whisper-1".into()];
    front.key = support::new_key(&*front.store, |new| new.models = only).1;
    support::until("the key is known", || front.get("/v1/models").status != 401);
    let form = |model: &str, size: usize, first: bool| {
        let (model, file) = (text("model", model), file(size));
        if first { format!("{model}{file}--XX--\r\n") } else { format!("{file}{model}--XX--\r\n") }
    };
    let sent = provider.seen().len();
    for (body, allowed) in [
        (form("whisper-1", 10, false), true),
        (form("whisper-1", 200_000, true), true),
        (form("gpt-4o-transcribe", 10, false), false),
        (form("gpt-4o-transcribe", 200_000, true), false),
        (form("whisper-1", 200_000, false), false),
    ] {
        let reply = transcribe(&front, FORM, &body);
        assert_eq!(reply.status == 200, allowed, "{}", String::from_utf8_lossy(&reply.body));
        if !allowed {
            assert!(reply.refused(400, "model_access_denied").contains("key"));
        }
    }
    assert_eq!(provider.seen().len(), sent + 2);
}
