//! The contract of tower, asked of every layer: readiness, clones, drops, and types that may move.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use mainstay::policy::{BreakerPolicy, Limits, RetryPolicy, TimeoutPolicy};
use mainstay::spec::ProviderSpec;
use mainstay::tower::{
    BreakerLayer, FallbackLayer, PacerLayer, RetryLayer, Stack, StackLayer, TimeoutLayer,
    ValidateLayer,
};
use mainstay::validate::Level;
use tower_layer::Layer;
use tower_service::Service;

use crate::script::{CHAT, Outcome, Say, Scripted, ask, chat, nothing_is_left, post};

struct Case {
    name: &'static str,
    layer: fn(Scripted) -> Stack<Scripted>,
    /// Attempts that a call may make when the first ones are not answered.
    attempts: u32,
}

const CASES: &[Case] = &[
    Case { name: "stack", layer: |below| StackLayer::new().layer(below), attempts: 6 },
    Case {
        name: "retry",
        layer: |below| RetryLayer::new(RetryPolicy::default()).layer(below),
        attempts: 6,
    },
    Case {
        name: "breaker",
        layer: |below| BreakerLayer::new(BreakerPolicy::default()).layer(below),
        attempts: 1,
    },
    Case {
        name: "pacer",
        layer: |below| PacerLayer::new(Limits::default()).layer(below),
        attempts: 1,
    },
    Case {
        name: "timeout",
        layer: |below| TimeoutLayer::new(TimeoutPolicy::default()).layer(below),
        attempts: 1,
    },
    Case {
        name: "validate",
        layer: |below| ValidateLayer::new(Level::Strict).layer(below),
        attempts: 1,
    },
    // The same place twice: a call may be sent there twice.
    Case { name: "fallback", layer: fallback, attempts: 2 },
];

fn fallback(below: Scripted) -> Stack<Scripted> {
    let url = "http://api.test/v1".parse().unwrap();
    let provider = |name: &str| ProviderSpec::at(name, &url, "sk-any", None);
    FallbackLayer::new(vec![provider("one"), provider("two")]).layer(below)
}

fn may_move<T: Send + 'static>(value: T) -> T {
    value
}

fn is_shared<T: Send + Sync + Clone + 'static>(_: &T) {}

#[tokio::test(start_paused = true)]
async fn every_layer_calls_only_what_has_said_that_it_is_ready() {
    for case in CASES {
        // It is slow to say so, and panics when it is called without having been asked.
        let service = Scripted::of_hosts(&[("api.test", &[])], 3);
        let layered = (case.layer)(service.clone());
        is_shared(&layered);
        let calls = (0..20).map(|_| {
            let mut layered = layered.clone();
            tokio::spawn(may_move(async move { ask(&mut layered, chat()).await }))
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), Ok((200, 1, CHAT.into())), "{}", case.name);
        }
        assert_eq!(service.seen().len(), 20, "{}", case.name);
        nothing_is_left(&service, &layered, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn of_every_layer_a_service_that_will_never_be_ready_is_a_failed_attempt() {
    for case in CASES {
        let service = Scripted::new(&[Say::NotReady]);
        let mut layered = (case.layer)(service.clone());
        let outcome = ask(&mut layered, chat()).await;
        let wanted: Outcome =
            if case.attempts > 1 { Ok((200, 2, CHAT.into())) } else { Err("connection") };
        assert_eq!(outcome, wanted, "{}", case.name);
        let called = usize::from(case.attempts > 1);
        assert_eq!(service.seen().len(), called, "{}: what is not ready is not called", case.name);
        nothing_is_left(&service, &layered, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn clones_of_every_layer_share_and_layers_do_not() {
    for case in CASES {
        let service = Scripted::new(&[]);
        let (first, other) = ((case.layer)(service.clone()), (case.layer)(service.clone()));
        ask(&mut first.clone(), chat()).await.unwrap();
        let known = |stack: &Stack<Scripted>| !stack.snapshot().is_empty();
        assert!(known(&first), "{}: what a clone has learnt is not known", case.name);
        assert!(!known(&other), "{}: what another has learnt is known", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_through_every_layer_can_be_dropped_at_every_wait() {
    for case in CASES {
        let mut polls = 0;
        loop {
            let script = [Say::Slow(60), Say::Limit(Some(20)), Say::Faulty, Say::Refused];
            let service =
                Scripted::of_hosts(&[("api.test", &script[usize::from(polls % 2 == 1)..])], 2);
            let layered = (case.layer)(service.clone());
            let mut asked = layered.clone();
            let ended = dropped_after(polls, ask(&mut asked, chat())).await;
            nothing_is_left(&service, &layered, polls);
            // Both scripts have been played to their ends.
            if ended && polls % 2 == 0 {
                break;
            }
            polls += 1;
            assert!(polls < 200, "{}: it never ends", case.name);
        }
        assert!(polls >= 6, "{}: only {polls} places to leave at", case.name);
    }
}

/// Polls a future so often, with time going by, and drops it. Whether it ended by itself.
async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn the_body_of_every_layers_answer_drops_what_is_below() {
    let streamed = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    for case in CASES {
        let service = Scripted::new(&[Say::Cut]);
        let mut layered = (case.layer)(service.clone());
        let request = post("http://api.test/v1/chat/completions", streamed);
        let answer = layered.call(request).await.unwrap();
        assert_eq!(service.alive(), 1, "{}", case.name);
        drop(answer);
        nothing_is_left(&service, &layered, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn futures_of_every_layer_do_not_borrow_the_service() {
    for case in CASES {
        let service = Scripted::new(&[]);
        let mut layered = (case.layer)(service.clone());
        let (one, two) = (may_move(layered.call(chat())), may_move(layered.call(chat())));
        drop(layered);
        let both: [Pin<Box<dyn Future<Output = _> + Send>>; 2] = [one, two];
        for call in both {
            assert_eq!(call.await.unwrap().status(), 200, "{}", case.name);
        }
        assert_eq!(service.alive(), 0, "{}", case.name);
    }
}
