//! What tower's contract asks of a layer: readiness, clones, drops; and that requests and answers
//! pass as they are.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use http_body_util::BodyExt;
use mainstay::policy::{BreakerPolicy, Policy};
use mainstay::tower::StackLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::script::{ASKED, CHAT, FAULT, Mark, Say, Scripted, ask, chat, nothing_is_left, post};

fn is_sound<T: Send + Sync + Clone + 'static>(_: &T) {}
fn is_sync<T: Send + Sync>(_: &T) {}
fn may_move<T: Send + 'static>(value: T) -> T {
    value
}

#[tokio::test(start_paused = true)]
async fn a_service_is_called_only_when_it_has_said_that_it_is_ready() {
    // The script panics where it is not so; it is slow to say it, and each attempt is a clone's.
    let service = Scripted::of_hosts(&[("api.test", &[Say::Faulty, Say::Faulty])], 3);
    let stack = StackLayer::new().layer(service.clone());
    is_sound(&stack);
    let calls = (0..20).map(|_| {
        let mut stack = stack.clone();
        tokio::spawn(may_move(async move { ask(&mut stack, chat()).await }))
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().0, 200);
    }
    assert_eq!(service.seen().len(), 22);
    nothing_is_left(&service, &stack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_will_never_be_ready_is_a_failed_attempt() {
    let service = Scripted::new(&[Say::NotReady, Say::NotReady]);
    let mut stack = StackLayer::new().layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok((200, 3, CHAT.into())));
    assert_eq!(service.seen().len(), 1, "what is not ready is not called");
}

#[tokio::test(start_paused = true)]
async fn clones_share_what_was_learnt_and_layers_do_not() {
    let breaker = BreakerPolicy { failures: 3, ..BreakerPolicy::default() };
    let mut policy = Policy { breaker, ..Policy::default() };
    policy.retry.patience = std::time::Duration::ZERO;
    let layer = StackLayer::new().policy(policy);
    let service = Scripted::new(&[Say::Faulty; 3]);
    let mut stack = layer.layer(service.clone());
    assert_eq!(ask(&mut stack, chat()).await, Ok((500, 3, FAULT.into())));
    assert_eq!(ask(&mut stack.clone(), chat()).await, Err("service_unavailable"), "it is open");
    assert_eq!(ask(&mut layer.layer(service.clone()), chat()).await.unwrap().0, 200);
    // Another host has a circuit of its own.
    let other = post("http://other.test/v1/chat/completions", ASKED);
    assert_eq!(ask(&mut stack, other).await.unwrap().0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_every_wait_and_leaves_nothing() {
    // Head and body, a fault and its backoff, a limit and its queue: each poll may be the last.
    let script = [Say::Faulty, Say::Limit(Some(20)), Say::Refused];
    let mut polls = 0;
    loop {
        let service = Scripted::of_hosts(&[("api.test", &script)], 2);
        let stack = StackLayer::new().layer(service.clone());
        let ended = {
            let mut asked = stack.clone();
            let mut call = pin!(ask(&mut asked, chat()));
            let mut ended = false;
            for _ in 0..polls {
                ended = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
                if ended {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            ended
        };
        nothing_is_left(&service, &stack, polls);
        if ended {
            break;
        }
        polls += 1;
        assert!(polls < 200, "it never ends");
    }
    assert!(polls > 10, "only {polls} places to leave at");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_drops_what_is_below() {
    let service = Scripted::new(&[Say::Cut]);
    let mut stack = StackLayer::new().layer(service.clone());
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let answer = stack.call(post("http://api.test/v1/chat/completions", body)).await.unwrap();
    assert_eq!(service.alive(), 1);
    drop(answer);
    nothing_is_left(&service, &stack, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_pass_as_they_are() {
    let service = Scripted::new(&[Say::Faulty]);
    let mut stack = StackLayer::new().layer(service.clone());
    let mut request = post("http://api.test/v1/chat/completions?x=y", ASKED);
    for (name, value) in [("authorization", "Bearer sk-own"), ("x-api-key", "k"), ("cookie", "c")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(Mark(7));
    assert_eq!(ask(&mut stack, request).await, Ok((200, 2, CHAT.into())));
    let seen = service.seen();
    assert_eq!(seen.len(), 2);
    for seen in &seen {
        assert_eq!((&seen.method, seen.mark), (&http::Method::POST, Some(Mark(7))));
        assert_eq!(seen.uri.to_string(), "http://api.test/v1/chat/completions?x=y");
        assert_eq!(seen.body, ASKED);
        for (name, value) in
            [("authorization", "Bearer sk-own"), ("x-api-key", "k"), ("cookie", "c")]
        {
            assert_eq!(seen.headers[name], value);
        }
        assert_eq!(seen.headers["accept-encoding"], "identity");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_answer_passes_as_it_came_with_its_meaning_beside_it() {
    let service = Scripted::new(&[Say::Faulty; 20]);
    let mut stack = StackLayer::new().layer(service);
    let answer = stack.call(chat()).await.unwrap();
    is_sync(answer.body());
    let error = answer.extensions().get::<Arc<mainstay::Error>>().unwrap();
    assert_eq!((error.kind().name(), error.status()), ("internal_error", Some(500)));
    assert!(error.retryable() && !error.records().is_empty(), "{error}");
    assert_eq!((answer.status().as_u16(), answer.headers()["content-length"].len()), (500, 2));
    assert!(answer.body().trace().is_none());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), FAULT);
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_ends_in_an_error() {
    let service = Scripted::new(&[Say::Cut; 2]);
    let mut stack = StackLayer::new().layer(service.clone());
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let outcome = ask(&mut stack, post("http://api.test/v1/chat/completions", body)).await;
    assert_eq!(outcome, Err("stream_interrupted"));
    assert_eq!(service.seen().len(), 2, "it was told a second time, and broke again");
    nothing_is_left(&service, &stack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_is_refused_and_not_sent() {
    let service = Scripted::new(&[]);
    let mut stack = StackLayer::new().body_max(20).layer(service.clone());
    let error = stack.call(chat()).await.unwrap_err();
    assert_eq!(error.kind().name(), "request_too_large");
    assert!(error.to_string().contains("longer than 20 bytes"), "{error}");
    assert_eq!(service.seen().len(), 0);
}
