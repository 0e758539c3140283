//! `Idempotency-Key`: one request under a key is carried out once, whoever sends it again and when.

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use mainstay_core::store::Change::To;
use mainstay_core::store::{DEFAULT_ORG, LimitPatch, LimitStore, Scopes, Subject, UnixMillis};
use support::provider::{COMPLETION, Provider, completion, json};
use support::{CHAT, Front, Reply, STREAM, add_key, front, until};

const CHATS: &str = "/v1/chat/completions";
const REPLAY: &str = "x-mainstay-idempotent-replay";

impl Front {
    /// A chat call under a key.
    fn chat(&self, key: &str, body: &str) -> Reply {
        self.raw(&self.post_bytes(CHATS, &format!("idempotency-key: {key}\r\n"), body))
    }
}

#[test]
fn a_request_that_comes_again_gets_the_first_answer() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let first = front.chat("k1", CHAT);
    assert_eq!((first.status, first.header(REPLAY)), (200, None));
    let again = front.chat("k1", CHAT);
    assert_eq!((again.status, again.header(REPLAY)), (200, Some("true")));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(provider.seen().len(), 1);
    assert_eq!(front.chat("k2", CHAT).header(REPLAY), None, "another key is another request");
    let plain = front.post(CHATS, CHAT);
    assert_eq!(plain.header(REPLAY), None, "without the header nothing is kept");
    assert_eq!(provider.seen().len(), 3);
}

#[test]
fn sixty_four_at_once_are_carried_out_once() {
    let provider = Provider::new(|_, stream| {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(completion().as_bytes()).is_ok()
    });
    let front = front(provider.addr, "");
    // One request is all there is: who gets an answer again takes nothing.
    let one = LimitPatch { rpm: To(1), ..LimitPatch::default() };
    let organization = Subject::Organization(DEFAULT_ORG.into());
    front.store.set_limit(&organization, None, &one, UnixMillis(0)).expect("a sound limit");
    until("the limit is heard of", || {
        front.gateway.limits_epoch() >= front.store.limits_since(0).expect("memory").0
    });
    let (barrier, replayed) = (Barrier::new(64), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                barrier.wait();
                let reply = front.chat("k", CHAT);
                assert_eq!(reply.status, 200, "{}", reply.head);
                assert_eq!(reply.body, COMPLETION.as_bytes());
                if reply.header(REPLAY).is_some() {
                    replayed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((provider.seen().len(), replayed.load(Ordering::SeqCst)), (1, 63));
    assert_eq!(front.gateway.admitted(), 0);
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    assert_eq!(front.chat("k", CHAT).status, 200);
    let other = CHAT.replace("hi", "ho");
    let message = front.chat("k", &other).refused(409, "conflict");
    assert!(message.contains("Idempotency-Key"), "{message}");
    let path = front.raw(&front.post_bytes(
        "/v1/responses",
        "idempotency-key: k\r\n",
        r#"{"model":"gpt-4o","input":"hi"}"#,
    ));
    assert_eq!(path.refused(409, "conflict"), message);
    assert_eq!(path.header("x-should-retry"), Some("false"));
    assert_eq!(provider.seen().len(), 1);
    let mine = front.chat("k", CHAT);
    assert_eq!(mine.header(REPLAY), Some("true"), "the first one's answer stays");
}

#[test]
fn keys_of_different_callers_are_different_keys() {
    let provider = Provider::fixed(completion());
    let mut front = front(provider.addr, "");
    assert_eq!(front.chat("k", CHAT).status, 200);
    front.key = add_key(&*front.store, Scopes::default(), None);
    until("the new key works", || front.get("/v1/models").status != 401);
    let before = provider.seen().len();
    assert_eq!(front.chat("k", &CHAT.replace("hi", "ho")).header(REPLAY), None);
    assert_eq!(provider.seen().len(), before + 1);
}

#[test]
fn a_failure_that_may_pass_frees_the_key_and_one_that_will_not_is_told_again() {
    let turn = AtomicUsize::new(0);
    let provider = Provider::new(move |seen, stream| {
        let bad = seen.body.windows(3).any(|part| part == b"bad");
        let text = if bad {
            json("400 Bad Request", "", r#"{"error":{"message":"no such thing","code":"x"}}"#)
        } else if turn.fetch_add(1, Ordering::SeqCst) == 0 {
            json(
                "503 Service Unavailable",
                "retry-after: 9000\r\n",
                r#"{"error":{"message":"later"}}"#,
            )
        } else {
            completion()
        };
        stream.write_all(text.as_bytes()).is_ok()
    });
    let front = front(provider.addr, "");
    assert_eq!(front.chat("k", CHAT).status, 503);
    let second = front.chat("k", CHAT);
    assert_eq!((second.status, second.header(REPLAY)), (200, None), "it is carried out");
    let bad = CHAT.replace("hi", "bad");
    let first = front.chat("b", &bad);
    assert_eq!(first.status, 400);
    let sent = provider.seen().len();
    let again = front.chat("b", &bad);
    assert_eq!((again.status, again.header(REPLAY)), (400, Some("true")));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("x-mainstay-kind"), first.header("x-mainstay-kind"));
    assert_eq!(provider.seen().len(), sent);
}

#[test]
fn a_first_one_that_leaves_makes_room_for_the_next() {
    let turn = AtomicUsize::new(0);
    let provider = Provider::new(move |_, stream| {
        if turn.fetch_add(1, Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_secs(3));
            return false;
        }
        stream.write_all(completion().as_bytes()).is_ok()
    });
    let front = front(provider.addr, "");
    let mut first = front.connect();
    first.send(&front.post_bytes(CHATS, "idempotency-key: k\r\n", CHAT));
    until("the first is under way", || provider.seen().len() == 1);
    let mut second = front.connect();
    second.send(&front.post_bytes(CHATS, "idempotency-key: k\r\n", CHAT));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(provider.seen().len(), 1, "the second waits");
    drop(first);
    let reply = second.answer();
    assert_eq!((reply.status, reply.header(REPLAY)), (200, None));
}

#[test]
fn who_waits_too_long_is_told_to_come_again() {
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let provider = Provider::new(move |_, stream| {
        let told = gone.lock().expect("no panic").recv_timeout(Duration::from_secs(60)).is_ok();
        told && stream.write_all(completion().as_bytes()).is_ok()
    });
    let front = front(provider.addr, "");
    let mut first = front.connect();
    first.send(&front.post_bytes(CHATS, "idempotency-key: k\r\n", CHAT));
    until("the first is under way", || provider.seen().len() == 1);
    let hurry = "idempotency-key: k\r\nx-mainstay-timeout-ms: 100\r\n";
    let reply = front.raw(&front.post_bytes(CHATS, hurry, CHAT));
    reply.refused(409, "conflict");
    assert_eq!(reply.header("x-should-retry"), Some("true"));
    go.send(()).expect("the provider waits");
    assert_eq!(first.answer().status, 200);
    assert_eq!(front.chat("k", CHAT).header(REPLAY), Some("true"));
}

#[test]
fn a_stream_is_told_again_event_by_event() {
    let events = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let provider = Provider::new(move |_, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(format!("{head}{events}").as_bytes());
        false
    });
    let front = front(provider.addr, "");
    let first = front.chat("s", STREAM);
    assert_eq!(first.status, 200);
    assert_eq!(String::from_utf8_lossy(&first.body), events);
    let again = front.chat("s", STREAM);
    assert_eq!(again.header(REPLAY), Some("true"));
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert_eq!(again.body, first.body);
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn an_answer_too_large_to_keep_is_not_carried_out_again() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "[idempotency]\nbody_max = \"16B\"\n");
    assert_eq!(front.chat("k", CHAT).status, 200);
    let message = front.chat("k", CHAT).refused(409, "conflict");
    assert!(message.contains("body_max"), "{message}");
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn a_malformed_key_is_refused_and_other_methods_have_none() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    for key in ["", &"k".repeat(256), "\u{fc}"] {
        front.chat(key, CHAT).refused(400, "invalid_value");
    }
    assert!(provider.seen().is_empty());
    let get = format!(
        "GET /v1/files/file-1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: g\r\n\r\n",
        front.key
    );
    for _ in 0..2 {
        assert_eq!(front.raw(get.as_bytes()).header(REPLAY), None);
    }
    assert_eq!(provider.seen().len(), 2);
}

#[test]
fn where_it_is_switched_off_every_request_is_carried_out() {
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "[idempotency]\nenabled = false\n");
    for _ in 0..2 {
        assert_eq!(front.chat("k", CHAT).header(REPLAY), None);
    }
    assert_eq!(provider.seen().len(), 2);
}
