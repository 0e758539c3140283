//! The link to servers that are not always in one place: behind sentinels, and in a cluster.

use std::time::Duration;

use mainstay_store::redis::{Event, Link, LinkSettings, LinkState, Script, Value};
use mainstay_store::testing::redis::RedisServer;
use tokio::time::Instant;

static ADD: Script = Script::new("test add/1", "return redis.call('INCRBY', KEYS[1], ARGV[1])");

fn open(url: &str) -> Link {
    let settings = LinkSettings::new(url.parse().expect("a URL"));
    // An addition that is late is made a second time.
    let deadline = Duration::from_secs(2);
    Link::open(LinkSettings { deadline, ..settings }).expect("a thread")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} within 60 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks until there is an answer.
async fn add(link: &Link, key: &str) -> Value {
    let began = Instant::now();
    loop {
        match link.script(&ADD, &[key], &[b"1"]).await {
            Ok(value) => return value,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn after_a_fail_over_the_sentinels_lead_to_the_new_master() {
    let Some(mut master) = RedisServer::start() else { return };
    let port = master.port().to_string();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]).expect("a replica");
    until("the replica follows", || {
        replica.ask("INFO replication").is_some_and(|info| info.contains("master_link_status:up"))
    })
    .await;
    let sentinel = RedisServer::sentinel(&master).expect("a sentinel");
    until("the sentinel knows the replica", || {
        let known = sentinel.ask("SENTINEL replicas main").unwrap_or_default();
        known.contains(&replica.port().to_string())
    })
    .await;
    let link = open(&format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port()));
    let mut ear = link.subscribe(&["news"]);
    assert_eq!(ear.next().await, Some(Event::Listening));
    assert_eq!(add(&link, "n").await, Value::Int(1));
    master.kill();
    until("the link is down", || matches!(link.state(), LinkState::Down(_))).await;
    until("the link is up again", || link.state() == LinkState::Up).await;
    let sum = add(&link, "n").await.as_int().expect("a number");
    assert!((1..=2).contains(&sum), "a fail-over may lose the last writes: {sum}");
    assert!(replica.ask("GET n").is_some_and(|found| found.contains(&sum.to_string())));
    assert_eq!(ear.next().await, Some(Event::Deaf));
    assert_eq!(ear.next().await, Some(Event::Listening), "at the new master");
    let unknown = open(&format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port()));
    until(
        "it says that there is no such service",
        || matches!(unknown.state(), LinkState::Down(why) if why.contains("other")),
    )
    .await;
}

fn node_id(server: &RedisServer) -> String {
    let id = server.ask("CLUSTER MYID").expect("an id");
    id.lines().nth(1).expect("a line").to_owned()
}

#[tokio::test]
async fn a_cluster_is_asked_where_a_key_is_also_after_it_moved() {
    let Some(mut servers) = RedisServer::cluster(|| (Vec::new(), None)) else { return };
    let link = open(&format!("redis+cluster://127.0.0.1:{}", servers[1].port()));
    until("the cluster is known", || link.state() == LinkState::Up).await;
    for number in 0..60 {
        assert_eq!(add(&link, &format!("k{number}")).await, Value::Int(1));
    }
    let shares = servers.each_ref().map(|server| server.ask("DBSIZE").expect("a number"));
    assert!(shares.iter().all(|share| share.trim() != ":0"), "each has some: {shares:?}");

    // `foo` is in slot 12,182, the third one's; its slot goes to the first.
    assert_eq!(add(&link, "foo").await, Value::Int(1));
    let (from, to) = (&servers[2], &servers[0]);
    from.ask("DEL foo").expect("an answer");
    to.ask(&format!("CLUSTER SETSLOT 12182 IMPORTING {}", node_id(from))).expect("an answer");
    from.ask(&format!("CLUSTER SETSLOT 12182 MIGRATING {}", node_id(to))).expect("an answer");
    // Neither has it: the old one sends on, for this question only.
    assert_eq!(add(&link, "foo").await, Value::Int(1));
    for server in [to, from] {
        server.ask(&format!("CLUSTER SETSLOT 12182 NODE {}", node_id(to))).expect("an answer");
    }
    assert_eq!(add(&link, "foo").await, Value::Int(2), "the old one says for good where it is");

    let mut ear = link.subscribe(&["news"]);
    assert_eq!(ear.next().await, Some(Event::Listening));
    link.publish("news", b"hello").await.expect("published");
    let heard = Event::Message { channel: "news".to_owned(), payload: b"hello".to_vec() };
    assert_eq!(ear.next().await, Some(heard), "whichever server was told");

    servers[2].kill();
    until("a part of it is missing", || matches!(link.state(), LinkState::Down(_))).await;
}
