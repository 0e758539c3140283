//! Promises of sending: signed, tried again, each receiver on its own, nothing waited for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use mainstay_core::alerts::Sighting;
use mainstay_core::failure::{Kind, Origin};
use mainstay_core::store::{FailureNote, UnixMillis};

use super::watcher::{Look, Watcher};
use super::*;
use crate::config::{Config, Environment, parse};

const SECRET: &str = "0123456789abcdef";
const QUICK: post::Waits = &[Duration::from_millis(5), Duration::from_millis(5)];

/// A receiver that gives these answers in turn, the last one for ever, and what it was sent.
fn receiver(answers: &'static [&'static str]) -> (SocketAddr, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut number = 0;
        for mut stream in listener.incoming().flatten() {
            while let Some(sent) = request(&mut stream) {
                let answer = answers[number.min(answers.len() - 1)];
                number += 1;
                let _ = tell.send(sent);
                let text = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                if stream.write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (address, told)
}

fn request(stream: &mut impl Read) -> Option<(String, String)> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).to_ascii_lowercase();
            let length = header(&head, "content-length").parse::<usize>().expect("a length");
            if seen.len() >= at + 4 + length {
                let body = String::from_utf8_lossy(&seen[at + 4..]).into_owned();
                return Some((head, body));
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => seen.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

fn settings(receivers: &str) -> Arc<AlertSettings> {
    let text = format!("[alerts]\nstore_after = \"0s\"\ncalm = \"0s\"\n{receivers}");
    let config: Config = parse("t", &text, &Environment::default()).expect("sound");
    Arc::new(config.alerts)
}

fn to(name: &str, address: SocketAddr, more: &str) -> String {
    format!("[[alert]]\nname = \"{name}\"\nurl = \"http://{address}/in?x=1\"\n{more}\n")
}

fn watcher(settings: &Arc<AlertSettings>) -> (Watcher, Arc<Board>) {
    let board = Arc::new(Board::default());
    let made = Watcher::with_waits(Arc::clone(settings), Arc::clone(&board), QUICK);
    (made.expect("a thread"), board)
}

fn trouble(records: Option<&str>) -> Look {
    Look { records: records.map(str::to_owned), ..Look::default() }
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_notice_is_signed_tried_again_and_its_end_is_told() {
    let (address, told) = receiver(&["500 Oops", "200 OK"]);
    let settings = settings(&to("ops", address, &format!("secret = \"{SECRET}\"")));
    let (mut watcher, board) = watcher(&settings);
    watcher.look(&trouble(Some("the disk is full")), UnixMillis(1_000));
    let (head, body) = told.recv_timeout(LONG).expect("the first try");
    let (again, same) = told.recv_timeout(LONG).expect("the second try");
    assert_eq!(body, same);
    assert_eq!(header(&head, message::DELIVERY), header(&again, message::DELIVERY));
    assert!(head.starts_with("post /in?x=1 http/1.1"), "{head}");
    // As docs/alerts.md tells receivers to do.
    let signature = header(&head, message::SIGNATURE);
    let seconds = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap();
    let at = UnixMillis(seconds.parse::<u64>().unwrap() * 1_000);
    assert_eq!(signature, message::signature(SECRET, at, &body));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["rule"], &body["change"]), (&"store_degraded".into(), &"raised".into()));
    assert_eq!(body["what"], "the store cannot keep records: the disk is full");

    watcher.look(&trouble(Some("the disk is full")), UnixMillis(2_000));
    assert_eq!(board.object()["active"].as_array().unwrap().len(), 1);
    watcher.look(&trouble(None), UnixMillis(3_000));
    let (_, body) = told.recv_timeout(LONG).expect("the recovery");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["change"], "recovered", "told once while it lasted");
    let shown = board.object();
    assert_eq!(shown["active"].as_array().unwrap().len(), 0);
    assert_eq!(shown["recent"].as_array().unwrap().len(), 2);
    drop(watcher);
    let receiver = &board.object()["receivers"][0];
    assert_eq!((&receiver["delivered"], &receiver["failed"]), (&2.into(), &0.into()), "{receiver}");
}

#[test]
fn a_dead_receiver_holds_up_nobody_and_is_told_of() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (alive, told) = receiver(&["204 No Content"]);
    let settings = settings(&(to("dead", dead, "") + &to("alive", alive, "kind = \"slack\"")));
    let (mut watcher, board) = watcher(&settings);
    watcher.look(&trouble(Some("x")), UnixMillis(1_000));
    let (_, body) = told.recv_timeout(LONG).expect("the living one is told");
    assert!(serde_json::from_str::<Value>(&body).unwrap()["text"].is_string(), "{body}");
    drop(watcher);
    let shown = board.object();
    assert_eq!(shown["receivers"][0]["failed"], 1, "{shown}");
    assert!(shown["receivers"][0]["trouble"].as_str().unwrap().contains("listens"), "{shown}");
    assert_eq!(shown["receivers"][1]["delivered"], 1, "{shown}");
}

#[test]
fn a_refusal_for_good_is_not_tried_again_and_rules_choose() {
    let (gone, told) = receiver(&["410 Gone"]);
    let (other, nothing) = receiver(&["200 OK"]);
    let settings = settings(&(to("gone", gone, "") + &to("other", other, "rules = [\"budget\"]")));
    let (mut watcher, board) = watcher(&settings);
    watcher.look(&trouble(Some("x")), UnixMillis(1_000));
    told.recv_timeout(LONG).expect("one try");
    drop(watcher);
    assert!(told.try_recv().is_err() && nothing.try_recv().is_err());
    assert_eq!(board.object()["receivers"][0]["failed"], 1);
}

#[test]
fn what_waits_is_bounded_and_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let text = format!("queue_max = 2\n{}", to("silent", address, ""));
    let settings = settings(&text);
    let (mut watcher, board) = watcher(&settings);
    let (owner, spent, limit) = ("project `web`", "1", "2");
    for percent in 0..20 {
        watcher.see(UnixMillis(1_000), Sighting::Budget { owner, percent, spent, limit });
    }
    watcher.look(&Look::default(), UnixMillis(1_000));
    drop(watcher); // gives what waits two seconds, not one try of ten
    let receiver = &board.object()["receivers"][0];
    let dropped = receiver["dropped"].as_u64().unwrap();
    assert!((17..=18).contains(&dropped), "{receiver}");
}

#[test]
fn calls_are_counted_by_whose_fault_they_are() {
    let settings = settings("");
    let (mut watcher, board) = watcher(&settings);
    let mut call = |kind: Kind, origin: Origin, times: u32| {
        for _ in 0..times {
            watcher.finished(&sample(kind, origin), UnixMillis(1_000));
        }
        watcher.look(&Look::default(), UnixMillis(1_000));
        let shown = board.object();
        let active = shown["active"].as_array().unwrap().clone();
        active.iter().map(|one| one["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(call(Kind::InvalidValue, Origin::Caller, 40).is_empty());
    assert!(call(Kind::Overloaded, Origin::Provider, 2).is_empty());
    assert_eq!(call(Kind::Overloaded, Origin::Provider, 1), ["permanent_failure"]);
    let both = call(Kind::Overloaded, Origin::Provider, 20);
    assert_eq!(both.len(), 2, "{both:?}");
}

/// A call that failed at its one target.
pub(crate) fn sample(kind: Kind, origin: Origin) -> mainstay_core::store::RequestRecord {
    use mainstay_core::store::{AttemptNote, RequestId, RequestRecord};
    let attempt = AttemptNote {
        provider: "up".into(),
        credential: 0,
        model: Some("m".into()),
        start: Duration::ZERO,
        waited: Duration::ZERO,
        cause: "".into(),
        took: Duration::ZERO,
        lasted: Duration::ZERO,
        status: Some(503),
        kind: Some(kind),
        bytes: 0,
        usage: None,
        state: None,
    };
    RequestRecord {
        id: RequestId::parse("req_00112233445566778899aabbccddeeff").expect("an id"),
        at: UnixMillis(0),
        key: None,
        key_name: "".into(),
        org: "".into(),
        project: "".into(),
        endpoint: mainstay_core::wire::endpoint::Endpoint::Chat,
        model: Some("m".into()),
        served: Some("m".into()),
        provider: Some("up".into()),
        stream: false,
        status: 503,
        failed: Some(FailureNote::new(kind, origin)),
        took: Duration::ZERO,
        waited: Duration::ZERO,
        first_content: None,
        overhead: Duration::ZERO,
        attempts_sent: 1,
        usage: None,
        counted: false,
        cost: None,
        sdk_retry: 0,
        attempts: vec![attempt],
    }
}
