//! One attempt at a time: a whole answer, a stream, backoff, the queue of a limit.

use std::task::{Context, Waker};
use std::time::Duration;

use mainstay::failure::Kind;
use mainstay::policy::Limits;

use crate::world::{BROKEN, CHAT, DELTA, LAST, Piece, World, polled, request};

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
            Duration::ZERO,
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
        ended = polled(&world, &all, polls, Duration::ZERO).await;
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
            Duration::ZERO,
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
                polls,
                Duration::ZERO
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
