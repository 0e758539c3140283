//! A call that is dropped, wherever it stands, leaves nothing behind: no attempt, no place in a
//! queue, nothing that keeps the next call waiting.
#![expect(
    clippy::unwrap_used,
    reason = "the tests' own ground: what is missing there fails the test"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay::Client;
use mainstay::failure::Kind;
use mainstay::policy::Limits;
use mainstay::upstream::{AnswerHead, Attempt, AttemptEvent, AttemptRequest, Upstream};
use serde_json::{Value, json};

/// A provider of one answer, told one piece a poll; counts the attempts that are alive.
#[derive(Clone)]
struct Scripted {
    script: Arc<Vec<Piece>>,
    alive: Arc<AtomicUsize>,
    /// Rises with each poll of the caller.
    turn: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Piece {
    /// Nothing until the caller asks again.
    Wait,
    Sending,
    Head {
        status: u16,
        events: bool,
    },
    Data(&'static str),
    End,
}

struct Playing {
    from: Scripted,
    at: usize,
    /// The turn in which it began to wait.
    since: Option<usize>,
}

impl Upstream for Scripted {
    type Attempt = Playing;

    fn start(&self, _: AttemptRequest) -> Playing {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Playing { from: self.clone(), at: 0, since: None }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.from.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Attempt for Playing {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        let piece = self.from.script.get(self.at).copied().unwrap_or(Piece::Wait);
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
                    headers,
                })
            }
            Piece::Data(text) => AttemptEvent::Data(Bytes::from_static(text.as_bytes())),
            Piece::End => AttemptEvent::End,
        })
    }
}

const CHAT: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const BROKEN: &str = r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#;
const DELTA: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn request() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
}

struct World {
    upstream: Scripted,
    client: Client<Scripted>,
}

impl World {
    fn new(script: Vec<Piece>, limits: Limits) -> World {
        let upstream =
            Scripted { script: Arc::new(script), alive: Arc::default(), turn: Arc::default() };
        let client = Client::builder().limits(limits).build_over(upstream.clone()).unwrap();
        World { upstream, client }
    }

    #[track_caller]
    fn nothing_is_left(&self, after: usize) {
        assert_eq!(self.upstream.alive.load(Ordering::SeqCst), 0, "after {after} polls");
        for target in self.client.engine().snapshot() {
            let counts = (target.in_flight, target.pacer.in_flight, target.pacer.queued);
            assert_eq!(counts, (0, 0, 0), "after {after} polls");
        }
    }
}

/// Polls `make()`'s future up to `polls` times and drops it. `true` when it ended by itself.
async fn polled<F: Future>(world: &World, make: impl FnOnce() -> F, polls: usize) -> bool {
    let mut future = pin!(make());
    for _ in 0..polls {
        let ended = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if ended {
            return true;
        }
        world.upstream.turn.fetch_add(1, Ordering::SeqCst);
        // Timers move on between polls.
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_can_be_left_at_every_wait() {
    use Piece::{Data, End, Head, Sending, Wait};
    let head = Head { status: 200, events: false };
    let (start, end) = CHAT.split_at(40);
    let world = World::new(
        vec![Wait, Sending, Wait, head, Wait, Data(start), Wait, Data(end), Wait, End],
        Limits::default(),
    );
    let mut ended = false;
    let mut polls = 0;
    while !ended {
        ended = polled(
            &world,
            || async { world.client.chat().create(&request()).await.unwrap() },
            polls,
        )
        .await;
        world.nothing_is_left(polls);
        polls += 1;
        assert!(polls < 100, "it never ends");
    }
    assert!(polls > 4, "only {polls} places to leave at");
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_left_at_every_wait() {
    use Piece::{Data, End, Head, Sending, Wait};
    let head = Head { status: 200, events: true };
    let world = World::new(
        vec![
            Wait,
            Sending,
            Wait,
            head,
            Wait,
            Data(DELTA),
            Wait,
            Data(DELTA),
            Wait,
            Data(LAST),
            Wait,
            End,
        ],
        Limits::default(),
    );
    let all = async || {
        let mut events = world.client.chat().stream(&request()).await.unwrap();
        while let Some(chunk) = events.next().await {
            chunk.unwrap();
        }
    };
    let mut ended = false;
    let mut polls = 0;
    while !ended {
        ended = polled(&world, &all, polls).await;
        world.nothing_is_left(polls);
        polls += 1;
        assert!(polls < 100, "it never ends");
    }
    assert!(polls > 5, "only {polls} places to leave at");
}

#[tokio::test(start_paused = true)]
async fn backoff_and_queues_can_be_left_too() {
    use Piece::{Data, End, Head, Sending};
    let head = Head { status: 500, events: false };
    let world = World::new(vec![Sending, head, Data(BROKEN), End], Limits::default());
    for polls in 0..40 {
        let _ = polled(
            &world,
            || async { world.client.chat().create(&request()).await.map(drop) },
            polls,
        )
        .await;
        world.nothing_is_left(polls);
    }
    // One at a time is allowed: the second waits in the queue behind the first, and leaves.
    let one = Limits { concurrency: Some(1), ..Limits::default() };
    let world = World::new(vec![Piece::Wait; 1_000], one);
    let first = world.client.chat();
    let body = request();
    let mut first = Box::pin(first.create(&body));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    for polls in 1..5 {
        assert!(
            !polled(
                &world,
                || async { world.client.chat().create(&request()).await.map(drop) },
                polls
            )
            .await
        );
        let queued: u32 = world.client.engine().snapshot().iter().map(|t| t.pacer.queued).sum();
        assert_eq!(queued, 0, "after {polls} polls");
    }
    drop(first);
    world.nothing_is_left(0);
}

#[tokio::test]
async fn an_answer_of_another_form_is_told_without_its_content() {
    use Piece::{Data, End, Head, Sending};
    let head = Head { status: 200, events: false };
    let world = World::new(vec![Sending, head, Data(CHAT), End], Limits::default());
    let error = world.client.chat().create_as::<Vec<u8>>(&request()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::MalformedResponse);
    assert!(!error.to_string().contains("assistant"), "{error}");
}
