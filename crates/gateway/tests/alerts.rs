//! Alerts of a running gateway: a target that keeps failing is told to a webhook, shown to the
//! administration, and told to be well again.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mainstay_core::money::Usd;
use mainstay_core::money::budget::{Alert, Owner};
use mainstay_core::store::{BudgetStore as _, UnixMillis};
use serde_json::Value;
use support::{CHAT, TOKEN, front};

const LONG: Duration = Duration::from_secs(20);

/// A provider that fails while `down`, and the URL it is at.
fn provider(down: &Arc<AtomicBool>) -> std::net::SocketAddr {
    let down = Arc::clone(down);
    let answer = move |_: &str| {
        let (status, body) = if down.load(Ordering::SeqCst) {
            (
                "503 Service Unavailable",
                r#"{"error":{"message":"overloaded","type":"server_error"}}"#,
            )
        } else {
            (
                "200 OK",
                r#"{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
            )
        };
        let json = "content-type: application/json";
        format!("HTTP/1.1 {status}\r\n{json}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    serve(answer)
}

/// A webhook that takes everything, and what it was sent.
fn webhook() -> (std::net::SocketAddr, mpsc::Receiver<Value>) {
    let (tell, told) = mpsc::channel();
    let answer = move |request: &str| {
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let _ = tell.send(serde_json::from_str(body).expect("JSON"));
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
    };
    (serve(answer), told)
}

fn serve(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                while let Some(request) = read(&mut stream) {
                    if stream.write_all(answer(&request).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn read(stream: &mut impl Read) -> Option<String> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |text| text.parse::<usize>().expect("a length"));
            if seen.len() >= at + 4 + length {
                return Some(String::from_utf8_lossy(&seen).into_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => seen.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn shown(front: &support::Front) -> Value {
    let mut caller = support::Caller::to(front.gateway.admin_addr());
    let ask = "GET /mainstay/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer";
    caller.send(format!("{ask} {TOKEN}\r\n\r\n").as_bytes());
    let reply = caller.answer();
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).expect("JSON")
}

#[test]
fn a_target_that_keeps_failing_is_told_once_and_its_recovery_too() {
    let down = Arc::new(AtomicBool::new(true));
    let (hook, told) = webhook();
    let more = format!(
        "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n[policy.breaker]\nenabled = false\n\
         [alerts]\ncalm = \"0s\"\n[[alert]]\nname = \"ops\"\nurl = \"http://{hook}/in\"\n"
    );
    let front = front(provider(&down), &more);
    for _ in 0..4 {
        assert_eq!(front.post("/v1/chat/completions", CHAT).status, 503);
    }
    let first = told.recv_timeout(LONG).expect("a message");
    assert_eq!((&first["rule"], &first["change"]), (&"permanent_failure".into(), &"raised".into()));
    assert_eq!(first["subject"], "up/gpt-4o");
    let now = shown(&front);
    assert_eq!(now["active"][0]["subject"], "up/gpt-4o", "{now}");
    assert!(now["active"][0]["what"].as_str().unwrap().contains("overloaded"), "{now}");

    down.store(false, Ordering::SeqCst);
    assert_eq!(front.post("/v1/chat/completions", CHAT).status, 200);
    let second = told.recv_timeout(LONG).expect("the recovery");
    assert_eq!((&second["rule"], &second["change"]), (&first["rule"], &"recovered".into()));
    let now = shown(&front);
    assert_eq!(now["active"].as_array().unwrap().len(), 0, "{now}");
    assert_eq!(now["recent"].as_array().unwrap().len(), 2, "{now}");
    assert_eq!(now["receivers"][0]["name"], "ops");
    drop(front);
    assert!(told.try_recv().is_err(), "told once each");
}

#[test]
fn a_circuit_that_stays_open_is_told_and_a_dead_webhook_holds_nobody_up() {
    let down = Arc::new(AtomicBool::new(true));
    let (hook, told) = webhook();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!(
        "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\npatience = \"0s\"\n\
         [policy.breaker]\nfailures = 2\nopen = \"60s\"\n\
         [alerts]\ncircuit_after = \"0s\"\nfailures = 100\n\
         [[alert]]\nname = \"dead\"\nurl = \"http://{dead}/\"\n\
         [[alert]]\nname = \"ops\"\nurl = \"http://{hook}/in\"\n"
    );
    let front = front(provider(&down), &more);
    for _ in 0..3 {
        assert_eq!(front.post("/v1/chat/completions", CHAT).status, 503);
    }
    let first = told.recv_timeout(LONG).expect("a message");
    assert_eq!((&first["rule"], &first["subject"]), (&"circuit_open".into(), &"up/gpt-4o".into()));
}

#[test]
fn a_budget_that_passes_a_percentage_is_told_once() {
    let (hook, told) = webhook();
    let more = format!("[[alert]]\nname = \"ops\"\nurl = \"http://{hook}/in\"\n");
    let front = front(provider(&Arc::new(AtomicBool::new(false))), &more);
    let alert = Alert {
        rule: 1,
        owner: Owner::Project("proj_web".into()),
        percent: 80,
        since: UnixMillis(0),
        settled: Usd::from_pico(4_000_000_000_000),
        limit: Usd::from_pico(5_000_000_000_000),
    };
    let later = UnixMillis(4_000_000_000_000);
    for _ in 0..2 {
        front.store.raise_alert("org-x", &alert, later).expect("a memory store works");
    }
    let first = told.recv_timeout(LONG).expect("a message");
    assert_eq!((&first["rule"], &first["change"]), (&"budget".into(), &"event".into()));
    assert_eq!(first["what"], "the budget of project `proj_web` has passed 80 %: 4.00 of 5.00 USD");
    assert!(shown(&front)["active"].as_array().unwrap().is_empty());
    drop(front);
    assert!(told.try_recv().is_err(), "told once");
}

#[test]
fn too_large_a_share_of_failures_is_told() {
    let down = Arc::new(AtomicBool::new(false));
    let (hook, told) = webhook();
    let more = format!(
        "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n[policy.breaker]\nenabled = false\n\
         [alerts]\nfailures = 100\nerror_calls_min = 8\nerror_percent = 50\n\
         [[alert]]\nname = \"ops\"\nurl = \"http://{hook}/in\"\nrules = [\"error_rate\"]\n"
    );
    let front = front(provider(&down), &more);
    for turn in 0..8 {
        down.store(turn >= 4, Ordering::SeqCst);
        front.post("/v1/chat/completions", CHAT);
    }
    let first = told.recv_timeout(LONG).expect("a message");
    assert_eq!((&first["rule"], &first["change"]), (&"error_rate".into(), &"raised".into()));
    assert!(first["what"].as_str().unwrap().contains('4'), "{first}");
}
