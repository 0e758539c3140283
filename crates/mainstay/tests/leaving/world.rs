//! A provider of scripts, told one piece a poll, and a client before it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay::Client;
use mainstay::client::ClientBuilder;
use mainstay::policy::Limits;
use mainstay::upstream::{AnswerHead, Attempt, AttemptEvent, AttemptRequest, Upstream};
use mainstay_core::classify::TransportFault;
use serde_json::{Value, json};

/// A script for each attempt in the order in which they are made; the last one for all further ones.
/// Counts the attempts that are alive.
#[derive(Clone)]
pub(crate) struct Scripted {
    scripts: Arc<Vec<Vec<Piece>>>,
    pub(crate) made: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    /// The most that were alive at once.
    pub(crate) alive_max: Arc<AtomicUsize>,
    /// Rises with each poll of the caller.
    turn: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// Nothing until the caller asks again.
    Wait,
    Sending,
    Head {
        status: u16,
        events: bool,
    },
    Data(&'static str),
    End,
    /// The connection breaks.
    Broken,
}

pub(crate) struct Playing {
    from: Scripted,
    script: usize,
    at: usize,
    /// The turn in which it began to wait.
    since: Option<usize>,
}

impl Upstream for Scripted {
    type Attempt = Playing;

    fn start(&self, _: AttemptRequest) -> Playing {
        let alive = self.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.alive_max.fetch_max(alive, Ordering::SeqCst);
        let script = self.made.fetch_add(1, Ordering::SeqCst).min(self.scripts.len() - 1);
        Playing { from: self.clone(), script, at: 0, since: None }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.from.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Attempt for Playing {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        let piece = self.from.scripts[self.script].get(self.at).copied().unwrap_or(Piece::Wait);
        let turn = self.from.turn.load(Ordering::SeqCst);
        if matches!(piece, Piece::Wait) && *self.since.get_or_insert(turn) < turn {
            self.since = None;
            self.at += 1;
            return self.poll_event(cx);
        }
        self.at += usize::from(!matches!(piece, Piece::Wait));
        Poll::Ready(match piece {
            Piece::Wait => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Piece::Sending => AttemptEvent::Sending { reused: false },
            Piece::Head { status, events } => {
                let kind = if events { "text/event-stream" } else { "application/json" };
                let mut headers = HeaderMap::new();
                headers.insert("content-type", kind.parse().unwrap());
                AttemptEvent::Head(AnswerHead {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers: headers.into(),
                })
            }
            Piece::Data(text) => AttemptEvent::Data(Bytes::from_static(text.as_bytes())),
            Piece::End => AttemptEvent::End,
            Piece::Broken => AttemptEvent::Fault(TransportFault::CutMidBody),
        })
    }
}

pub(crate) const CHAT: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
pub(crate) const BROKEN: &str = r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#;
pub(crate) const DELTA: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
pub(crate) const LAST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// Long enough to be gone on from when it breaks off.
pub(crate) const OPENING: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"There was once a sentence that went on and on, until somebody cut it; \"},\"finish_reason\":null}]}\n\n";

pub(crate) fn request() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
}

pub(crate) struct World {
    pub(crate) upstream: Scripted,
    pub(crate) client: Client<Scripted>,
}

impl World {
    /// Every attempt is played by the same script.
    pub(crate) fn new(script: Vec<Piece>, limits: Limits) -> World {
        World::of(vec![script], Client::builder().limits(limits))
    }

    pub(crate) fn of(scripts: Vec<Vec<Piece>>, builder: ClientBuilder) -> World {
        let upstream = Scripted {
            scripts: Arc::new(scripts),
            made: Arc::default(),
            alive: Arc::default(),
            alive_max: Arc::default(),
            turn: Arc::default(),
        };
        let client = builder.build_over(upstream.clone()).unwrap();
        World { upstream, client }
    }

    #[track_caller]
    pub(crate) fn nothing_is_left(&self, after: usize) {
        assert_eq!(self.upstream.alive.load(Ordering::SeqCst), 0, "after {after} polls");
        for target in self.client.engine().snapshot() {
            let counts = (target.in_flight, target.pacer.in_flight, target.pacer.queued);
            assert_eq!(counts, (0, 0, 0), "after {after} polls");
        }
    }
}

/// Polls `make()`'s future up to `polls` times, `pause` apart, and drops it. `true` when it ended by
/// itself.
pub(crate) async fn polled<F: Future>(
    world: &World,
    make: impl FnOnce() -> F,
    polls: usize,
    pause: Duration,
) -> bool {
    let mut future = pin!(make());
    for _ in 0..polls {
        let ended = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if ended {
            return true;
        }
        world.upstream.turn.fetch_add(1, Ordering::SeqCst);
        // Timers move on between polls.
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
    false
}
