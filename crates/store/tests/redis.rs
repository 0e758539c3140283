//! The link on real servers: what it says, how fast it gives up, and that it comes back by itself.

use std::time::Duration;

use mainstay_store::redis::{
    Event, Link, LinkError, LinkSettings, LinkState, Members, Script, Subscription, Value,
};
use mainstay_store::testing::redis::RedisServer;
use tokio::time::Instant;

static ADD: Script =
    Script::new("test add/1", "return {redis.call('INCRBY', KEYS[1], ARGV[1]), KEYS[2] or ''}");

/// What a quiet machine answers in a millisecond may take longer where tests share two cores.
const DEADLINE: Duration = Duration::from_secs(2);

fn open(url: &str) -> Link {
    let url = url.parse().expect("a URL");
    Link::open(LinkSettings { deadline: DEADLINE, ..LinkSettings::new(url) }).expect("a thread")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn up(link: &Link) {
    until("the link is up", || link.state() == LinkState::Up).await;
}

async fn down(link: &Link) {
    until("the link is down", || matches!(link.state(), LinkState::Down(_))).await;
}

#[tokio::test]
async fn scripts_run_by_hash_and_are_brought_along_when_the_server_does_not_know_them() {
    let Some(mut server) = RedisServer::start() else { return };
    let link = open(&server.url());
    up(&link).await;
    let add = || link.script(&ADD, &["{t}:n", "{t}:m"], &[b"2"]);
    for sum in [2, 4, 6] {
        let answer = add().await.expect("an answer");
        assert_eq!(answer.items()[0], Value::Int(sum));
        assert_eq!(answer.items()[1].as_bytes(), Some(&b"{t}:m"[..]));
    }
    let calls = server.ask("INFO commandstats").expect("statistics");
    let count = |name: &str| {
        let line = calls.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split(['=', ',']).nth(1).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    // One of each is the check before use; the text went over once more, not three times.
    assert_eq!((count("cmdstat_evalsha:"), count("cmdstat_eval:")), (4, 2), "{calls}");
    server.kill();
    server.run();
    up(&link).await;
    until("a new server has a new sum", || true).await;
    let mut again = add().await;
    while again.is_err() {
        again = add().await;
    }
    assert_eq!(again.expect("an answer").items()[0], Value::Int(2), "an empty server");
}

#[tokio::test]
async fn many_questions_at_once_get_each_its_own_answer() {
    let Some(server) = RedisServer::start() else { return };
    // How soon they come is not asked here.
    let (url, deadline) = (server.url().parse().expect("a URL"), Duration::from_secs(30));
    let link = Link::open(LinkSettings { deadline, ..LinkSettings::new(url) }).expect("a thread");
    up(&link).await;
    let ask = |number: u32| {
        let link = link.clone();
        tokio::spawn(async move {
            let text = number.to_string();
            let answer = link.command("k", &[b"ECHO", text.as_bytes()]).await.expect("an answer");
            assert_eq!(answer, Value::BulkString(text.into_bytes()));
        })
    };
    let asked: Vec<_> = (0..1_000).map(ask).collect();
    for one in asked {
        one.await.expect("its own answer");
    }
}

#[tokio::test]
async fn a_frozen_server_costs_each_caller_milliseconds_and_then_nothing() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.url().parse().expect("a URL");
    let deadline = Duration::from_millis(20);
    let link = Link::open(LinkSettings { deadline, ..LinkSettings::new(url) }).expect("a thread");
    up(&link).await;
    server.freeze();
    let began = Instant::now();
    let first = link.command("k", &[b"GET", b"k"]).await;
    assert!(matches!(first, Err(LinkError::Timeout(_) | LinkError::Down(_))), "{first:?}");
    down(&link).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let (mut slow, mut refused) = (Vec::new(), 0);
    for _ in 0..1_000 {
        let began = Instant::now();
        let answer = link.command("k", &[b"GET", b"k"]).await;
        assert!(answer.is_err());
        refused += u32::from(matches!(answer, Err(LinkError::Down(_))));
        slow.extend(Some(began.elapsed()).filter(|took| *took >= Duration::from_millis(200)));
    }
    assert!(refused >= 990, "the breaker refuses without asking: {refused} of 1,000");
    // A machine that stands still for a moment holds up one of them, a wait by rule all.
    assert!(slow.len() <= 10, "{slow:?}");
    server.thaw();
    up(&link).await;
    let mut answer = link.command("k", &[b"GET", b"k"]).await;
    while answer.is_err() {
        answer = link.command("k", &[b"GET", b"k"]).await;
    }
    assert_eq!(answer, Ok(Value::Nil));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_found_when_it_comes() {
    let Some(mut server) = RedisServer::start() else { return };
    server.kill();
    let link = open(&server.url());
    down(&link).await;
    let refused = link.command("k", &[b"GET", b"k"]).await;
    assert!(
        matches!(&refused, Err(LinkError::Down(why)) if why.contains("refused")),
        "{refused:?}"
    );
    server.run();
    up(&link).await;
    assert_eq!(link.server().expect("it is up").warning(), None);
}

#[tokio::test]
async fn a_login_is_needed_where_the_server_wants_one_and_never_shown() {
    let Some(server) = RedisServer::with(&["--requirepass", "hush"]) else { return };
    let good = open(&format!("redis://:hush@127.0.0.1:{}", server.port()));
    up(&good).await;
    let bad = open(&format!("redis://:wrong-hush@127.0.0.1:{}", server.port()));
    down(&bad).await;
    assert!(!format!("{good:?}{bad:?}").contains("hush"));
    let none = open(&server.url());
    down(&none).await;
    let LinkState::Down(why) = none.state() else { panic!("it is down") };
    assert!(why.contains("NOAUTH"), "{why}");
}

#[tokio::test]
async fn what_is_no_shared_store_is_told_apart_and_why() {
    let Some(master) = RedisServer::start() else { return };
    let port = master.port().to_string();
    let Some(replica) = RedisServer::with(&["--replicaof", "127.0.0.1", &port]) else { return };
    let link = open(&replica.url());
    until(
        "it says that it is a replica",
        || matches!(link.state(), LinkState::Down(why) if why.contains("replica")),
    )
    .await;
    let Some(banned) = RedisServer::with(&["--rename-command", "EVALSHA", ""]) else { return };
    let link = open(&banned.url());
    until(
        "it says what is missing",
        || matches!(link.state(), LinkState::Down(why) if why.contains("EVALSHA")),
    )
    .await;
    let more = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let Some(evicting) = RedisServer::with(&more) else { return };
    let link = open(&evicting.url());
    up(&link).await;
    let warning = link.server().expect("it is up").warning().expect("a warning");
    assert!(warning.contains("allkeys-lru"), "{warning}");
}

#[tokio::test]
async fn keys_in_different_slots_are_a_mistake_that_no_server_has_to_find() {
    let link = open("redis://127.0.0.1:1");
    let asked = link.script(&ADD, &["{a}:n", "{b}:n"], &[]).await;
    assert_eq!(asked, Err(LinkError::ApartKeys("test add/1")));
}

async fn event(subscription: &mut Subscription) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await;
    next.expect("within 20 s").expect("the link is open")
}

#[tokio::test]
async fn messages_are_heard_and_every_gap_is_told() {
    let Some(mut server) = RedisServer::start() else { return };
    let link = open(&server.url());
    up(&link).await;
    let mut ear = link.subscribe(&["one", "two"]);
    assert_eq!(event(&mut ear).await, Event::Listening);
    for (channel, payload) in [("two", "first"), ("one", "second")] {
        link.publish(channel, payload.as_bytes()).await.expect("published");
        let heard = Event::Message { channel: channel.to_owned(), payload: payload.into() };
        assert_eq!(event(&mut ear).await, heard);
    }
    server.kill();
    assert_eq!(event(&mut ear).await, Event::Deaf);
    server.run();
    assert_eq!(event(&mut ear).await, Event::Listening);
    server.freeze();
    assert_eq!(event(&mut ear).await, Event::Deaf, "silence is a gap too");
    server.thaw();
    assert_eq!(event(&mut ear).await, Event::Listening);
}

#[tokio::test]
async fn nodes_count_each_other_and_the_number_stays_while_the_store_is_away() {
    let Some(mut server) = RedisServer::start() else { return };
    let link = open(&server.url());
    up(&link).await;
    let member = |name: &str| Members::new(link.clone(), name.to_owned(), format!("about {name}"));
    let (one, two, three) = (member("one"), member("two"), member("three"));
    assert_eq!(one.nodes(), 1, "alone before the first heartbeat");
    for node in [&one, &two, &three, &one] {
        node.beat().await.expect("a heartbeat");
    }
    assert_eq!((one.nodes(), two.nodes(), three.nodes()), (3, 2, 3));
    let mut names: Vec<String> = one
        .list()
        .await
        .expect("a list")
        .into_iter()
        .map(|found| found.name + &found.about)
        .collect();
    names.sort();
    assert_eq!(names, ["oneabout one", "threeabout three", "twoabout two"]);
    two.leave().await.expect("gone");
    assert_eq!(one.beat().await, Ok(2));
    assert_eq!(one.nodes(), 3, "a smaller number counts once ten heartbeats agree");
    for _ in 0..10 {
        one.beat().await.expect("a heartbeat");
    }
    assert_eq!(one.nodes(), 2);
    server.kill();
    down(&link).await;
    assert!(one.beat().await.is_err());
    assert_eq!(one.nodes(), 2);
}

#[tokio::test]
async fn a_node_that_is_not_heard_of_does_not_count_and_a_clock_set_back_makes_no_ghosts() {
    let Some(server) = RedisServer::start() else { return };
    let link = open(&server.url());
    up(&link).await;
    let now = server.ask("TIME").expect("the time");
    let seconds: u64 = now.lines().nth(2).and_then(|line| line.parse().ok()).expect("seconds");
    // One of long ago, and one from before the clock was set back by an hour.
    for (name, at) in [("old", seconds - 60), ("future", seconds + 3_600)] {
        server.ask(&format!("ZADD {{mainstay}}:nodes:v1 {at}000 {name}")).expect("written");
    }
    let one = Members::new(link.clone(), "one".to_owned(), String::new());
    assert_eq!(one.beat().await, Ok(1));
    let ttl = server.ask("PTTL {mainstay}:nodes:v1").expect("a time");
    let ttl: u64 = ttl.trim_start_matches(':').trim().parse().expect("milliseconds");
    assert!((172_000_000..=172_800_000).contains(&ttl), "kept for 48 h, not for ever: {ttl}");
}
