//! What must not be done twice is sent once, unless the provider shows that it has not begun.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::provider::{Provider, json};
use crate::support::{Reply, front};

/// A provider that loses its first answer, or says `first` in its place, and is well from then on.
fn once_then_well(first: Option<String>) -> Provider {
    let asked = AtomicUsize::new(0);
    Provider::new(move |_, stream| {
        let said = match (asked.fetch_add(1, Ordering::SeqCst), &first) {
            (0, None) => return false,
            (0, Some(first)) => first.clone(),
            _ => json("200 OK", "", r#"{"id":"obj_1","object":"thing"}"#),
        };
        stream.write_all(said.as_bytes()).is_ok()
    })
}

/// What a caller gets, and how often the provider was asked.
fn posted(path: &str, first: Option<&str>) -> (Reply, usize) {
    let provider = once_then_well(first.map(|status| json(status, "", r#"{"error":{}}"#)));
    let front = front(provider.addr, "");
    let reply = front.post(path, "{}");
    (reply, provider.seen().len())
}

#[test]
fn what_starts_work_is_not_sent_again_after_its_answer_was_lost() {
    let once =
        ["/v1/batches", "/v1/fine_tuning/jobs", "/v1/videos", "/v1/organization/admin_api_keys"];
    for path in once {
        for (first, status) in [(None, 502), (Some("500 Oops"), 500), (Some("504 Late"), 504)] {
            let (reply, asked) = posted(path, first);
            assert_eq!((reply.status, asked), (status, 1), "{path} {first:?}");
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{path} {first:?}");
            assert_eq!(reply.header("x-mainstay-attempts"), Some("1"), "{path} {first:?}");
        }
    }
    let (reply, _) = posted("/v1/batches", None);
    let message = reply.refused(502, "connection");
    assert!(message.contains("must not be done twice"), "{message}");
}

#[test]
fn what_starts_work_is_sent_again_when_it_was_refused() {
    for first in ["503 Away", "429 Slow down", "529 Busy"] {
        let (reply, asked) = posted("/v1/batches", Some(first));
        assert_eq!((reply.status, asked), (200, 2), "{first}: {}", reply.head);
    }
}

#[test]
fn what_only_makes_an_answer_or_an_object_is_sent_again() {
    for path in ["/v1/rerank", "/v1/vector_stores", "/v1/assistants"] {
        for first in [None, Some("500 Oops")] {
            let provider = once_then_well(first.map(|status| json(status, "", "{}")));
            let front = front(provider.addr, "");
            let reply = front.post(path, r#"{"model":"gpt-4o"}"#);
            assert_eq!((reply.status, provider.seen().len()), (200, 2), "{path} {first:?}");
        }
    }
}
