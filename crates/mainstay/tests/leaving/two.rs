//! Two attempts of one call: a race for the first content, a hedge, a broken stream that another goes
//! on with, a probe after a failure.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay::Client;
use mainstay::client::ClientBuilder;
use mainstay::policy::{
    BreakerPolicy, HedgePolicy, OpenFor, Policy, Route, RouteTarget, Strategy, TimeoutPolicy,
};
use mainstay::spec::ProviderSpec;

use crate::world::Piece::{Broken, Data, End, Head, Sending, Wait};
use crate::world::{BROKEN, CHAT, LAST, OPENING, Piece, World, polled, request};

/// Time between two polls of a call.
const PAUSE: Duration = Duration::from_millis(20);
const STREAM: Piece = Head { status: 200, events: true };

/// Two providers, the second when the first does not do.
fn two(policy: Policy) -> ClientBuilder {
    let provider = |name: &str| {
        ProviderSpec::at(name, &format!("http://{name}.test/v1").parse().unwrap(), "sk-any", None)
    };
    let target = |name: &str| RouteTarget { provider: name.to_owned(), model: None, weight: 1 };
    let route = Route {
        model: "m".to_owned(),
        targets: vec![target("first"), target("second")],
        strategy: Strategy::Order,
        policy,
    };
    Client::builder().provider(provider("first")).provider(provider("second")).route(route)
}

/// A stream in small steps.
fn steps() -> Vec<Piece> {
    vec![Wait, Sending, Wait, STREAM, Wait, Data(OPENING), Wait, Data(LAST), Wait, End]
}

async fn read_all(world: &World) {
    let mut events = world.client.chat().stream(&request()).await.unwrap();
    while let Some(chunk) = events.next().await {
        chunk.unwrap();
    }
}

/// Leaves a stream at every wait, in a new world each time; the last world, and how many waits.
async fn left_everywhere(make: impl Fn() -> World) -> (World, usize) {
    for polls in 0..400 {
        let world = make();
        let ended = polled(&world, || read_all(&world), polls, PAUSE).await;
        world.nothing_is_left(polls);
        if ended {
            return (world, polls);
        }
    }
    panic!("it never ends");
}

#[tokio::test(start_paused = true)]
async fn a_race_for_the_first_content_can_be_left_at_every_wait() {
    let timeouts =
        TimeoutPolicy { first_content_soft: Duration::from_millis(50), ..TimeoutPolicy::default() };
    let policy = Policy { timeouts, ..Policy::default() };
    // Both orders: the first one wins late, or the second does.
    for slow in [8, 60] {
        let first = [vec![Sending, STREAM], vec![Wait; slow], vec![Data(OPENING), Data(LAST), End]];
        let scripts = vec![first.concat(), steps()];
        let make = || World::of(scripts.clone(), two(policy.clone()));
        let (world, polls) = left_everywhere(make).await;
        assert_eq!(world.upstream.alive_max.load(Ordering::SeqCst), 2, "there was no race");
        assert!(polls > 8, "only {polls} places to leave at");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_can_be_left_at_every_wait() {
    let hedge = HedgePolicy { enabled: true, delay: Some(Duration::from_millis(50)) };
    let policy = Policy { hedge, ..Policy::default() };
    let first = [vec![Sending, STREAM], vec![Wait; 60], vec![Data(OPENING), Data(LAST), End]];
    let scripts = vec![first.concat(), steps()];
    let make = || World::of(scripts.clone(), two(policy.clone()));
    let (world, polls) = left_everywhere(make).await;
    assert_eq!(world.upstream.alive_max.load(Ordering::SeqCst), 2, "there was no hedge");
    assert!(polls > 8, "only {polls} places to leave at");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_that_another_goes_on_with_can_be_left_at_every_wait() {
    let first = vec![Sending, Wait, STREAM, Wait, Data(OPENING), Wait, Broken];
    let scripts = vec![first, steps()];
    let make = || World::of(scripts.clone(), two(Policy::default()));
    let (world, polls) = left_everywhere(make).await;
    assert_eq!(world.upstream.made.load(Ordering::SeqCst), 2, "nobody went on with it");
    assert!(polls > 8, "only {polls} places to leave at");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_probe_and_the_probe_can_be_left_and_another_call_gets_on() {
    let open = OpenFor::Fixed(Duration::from_millis(100));
    let breaker = BreakerPolicy { failures: 1, open, ..BreakerPolicy::default() };
    let broken = vec![Sending, Head { status: 500, events: false }, Data(BROKEN), End];
    let whole = Head { status: 200, events: false };
    let well = vec![Wait, Sending, Wait, whole, Wait, Data(CHAT), Wait, End];
    for polls in 0..400 {
        let policy = Policy { breaker: breaker.clone(), ..Policy::default() };
        let scripts = vec![broken.clone(), well.clone()];
        let world = World::of(scripts, Client::builder().policy(policy));
        let create = || async { world.client.chat().create(&request()).await.unwrap() };
        let ended = polled(&world, create, polls, PAUSE).await;
        world.nothing_is_left(polls);
        // The lease of a probe that was left is free: the next call closes the circuit.
        assert!(polled(&world, create, 400, PAUSE).await, "left after {polls} polls");
        world.nothing_is_left(polls);
        if ended {
            assert!(polls > 6, "only {polls} places to leave at");
            return;
        }
    }
    panic!("it never ends");
}
