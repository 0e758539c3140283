//! Several gateways and one Redis: what one learns the others know, and what is left when the shared
//! store is away.

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_core::store::{Scopes, Store as _, UnixMillis};
use mainstay_gateway::config::{Config, Environment, parse};
use mainstay_store::Memory;
use mainstay_store::testing::redis::RedisServer;
use serde_json::Value;
use support::provider::{COMPLETION, Provider, completion, json};
use support::{CHAT, Caller, Front, Reply, TOKEN, add_key, soon, start_on, until};

const CHATS: &str = "/v1/chat/completions";
const DEGRADED: &str = "x-mainstay-degraded";

fn config(upstream: SocketAddr, shared: &str, more: &str) -> Config {
    let text = format!(
        "[shared]\nurl = \"{shared}\"\ndeadline = \"1s\"\n{more}\n[[provider]]\nname = \"up\"\n\
         base_url = \"http://{upstream}/v1\"\napi_key = \"sk-upstream-secret\"\n"
    );
    parse("test.toml", &text, &Environment::default()).expect("a sound configuration")
}

/// Two gateways over one store.
fn two(config: &Config) -> [Front; 2] {
    let store = Arc::new(Memory::new());
    [(); 2].map(|()| start_on(Arc::clone(&store), config, |_| {}))
}

/// Asks the administration of a gateway.
fn admin(front: &Front, method: &str, path: &str) -> Reply {
    let mut caller = Caller::to(front.gateway.admin_addr());
    caller.send(
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
             content-length: 0\r\n\r\n"
        )
        .as_bytes(),
    );
    caller.answer()
}

fn status(front: &Front) -> Value {
    admin(front, "GET", "/mainstay/status").json()
}

/// A chat call with another key than the gateway's first.
fn chat_with(front: &Front, key: &str) -> Reply {
    front.raw(
        format!(
            "POST {CHATS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{CHAT}",
            CHAT.len()
        )
        .as_bytes(),
    )
}

/// Waits until gateways count each other and hear what is told: these are two connections of each.
fn see_each_other(redis: &RedisServer, fronts: &[Front]) {
    let count = u64::try_from(fronts.len()).expect("a few");
    until("all gateways see each other", || {
        fronts.iter().all(|front| status(front)["shared"]["nodes"].as_u64() == Some(count))
    });
    until("all listen", || {
        let told = redis.ask("PUBSUB NUMSUB {mainstay}:changes:v1").unwrap_or_default();
        told.lines().last() == Some(&*format!(":{count}"))
    });
}

#[test]
fn gateways_find_each_other_and_say_so() {
    let Some(redis) = RedisServer::start() else { return };
    let provider = Provider::fixed(completion());
    let fronts = two(&config(provider.addr, &redis.url(), ""));
    see_each_other(&redis, &fronts);
    until("the link is up", || status(&fronts[0])["shared"]["state"] == "up");
    let shared = &status(&fronts[0])["shared"];
    assert_eq!(shared["url"], redis.url().as_str());
    assert!(shared["server"].as_str().is_some_and(|server| server.contains(' ')), "{shared}");
    for line in ["mainstay_nodes 2", "mainstay_shared_store_up 1"] {
        until(line, || {
            let page = String::from_utf8(admin(&fronts[1], "GET", "/metrics").body);
            page.expect("text").lines().any(|one| one == line)
        });
    }
    let [one, two] = fronts;
    one.gateway.stop();
    until("one is left", || status(&two)["shared"]["nodes"] == 1);
}

#[test]
fn a_revoked_key_is_refused_by_a_gateway_that_cannot_see_it_in_its_store() {
    let Some(redis) = RedisServer::start() else { return };
    let provider = Provider::fixed(completion());
    let config = config(provider.addr, &redis.url(), "");
    // Each has a store of its own, so what the second one knows it was told.
    let stores = [(); 2].map(|()| Arc::new(Memory::new()));
    let key = add_key(&*stores[0], Scopes::default(), None);
    let record = stores[0].keys().expect("memory").remove(0);
    let copy = mainstay_core::store::NewKey {
        public: record.public,
        digest: record.digest,
        name: "copy".to_owned(),
        project: None,
        user: None,
        scopes: record.scopes,
        models: Vec::new(),
        expires_at: None,
    };
    stores[1].create_key(copy, UnixMillis(0)).expect("a key");
    let fronts = stores.map(|store| start_on(store, &config, |_| {}));
    see_each_other(&redis, &fronts);
    until("the second one lets the key in", || chat_with(&fronts[1], &key).status == 200);
    let revoked = admin(&fronts[0], "POST", &format!("/mainstay/keys/{}/revoke", record.id()));
    assert_eq!(revoked.status, 200, "{}", revoked.head);
    let took = until("it is refused there", || chat_with(&fronts[1], &key).status == 401);
    println!("a revoked key was refused on the other gateway after {took:?}");
    chat_with(&fronts[1], &key).refused(401, "revoked_api_key");
}

#[test]
fn without_the_shared_store_calls_go_on_and_everybody_can_see_it() {
    let Some(mut redis) = RedisServer::start() else { return };
    let provider = Provider::fixed(completion());
    let fronts = two(&config(provider.addr, &redis.url(), ""));
    see_each_other(&redis, &fronts);
    let front = &fronts[0];
    let is_degraded = |front: &Front| front.post(CHATS, CHAT).header(DEGRADED).is_some();
    until("it is well", || !is_degraded(front));
    until("it says so", || front.get("/readyz").json() == serde_json::json!({"status": "ready"}));
    for frozen in [true, false] {
        if frozen {
            redis.freeze();
        } else {
            redis.kill();
        }
        until("it is noticed", || is_degraded(front));
        let reply = front.post(CHATS, CHAT);
        assert_eq!((reply.status, reply.header(DEGRADED)), (200, Some("shared_store_away")));
        assert_eq!(front.get("/livez").status, 200);
        let ready = front.get("/readyz");
        assert_eq!(
            (ready.status, &ready.json()["degraded"][0]),
            (200, &Value::from("shared_store_away"))
        );
        let page = String::from_utf8(admin(front, "GET", "/metrics").body).expect("text");
        assert!(page.contains("mainstay_degraded{reason=\"shared_store_away\"} 1"), "{page}");
        assert!(page.contains("mainstay_nodes 2"), "what was known last: {page}");
        if frozen {
            redis.thaw();
        } else {
            redis.run();
        }
        until("it is over by itself", || !is_degraded(front));
    }
    see_each_other(&redis, &fronts);
}

#[test]
fn a_gateway_starts_without_the_shared_store_and_takes_it_up_later() {
    let Some(mut redis) = RedisServer::start() else { return };
    redis.kill();
    let provider = Provider::fixed(completion());
    let store = Arc::new(Memory::new());
    let front = start_on(store, &config(provider.addr, &redis.url(), ""), |_| {});
    assert_eq!(front.post(CHATS, CHAT).status, 200);
    until("it is told", || front.post(CHATS, CHAT).header(DEGRADED).is_some());
    redis.run();
    until("it is taken up", || front.post(CHATS, CHAT).header(DEGRADED).is_none());
}

/// How long it takes both to refuse a key that was revoked in the store, as a command line does it.
fn refused_after_nobody_told(fronts: &[Front; 2]) -> Duration {
    let key = add_key(&*fronts[0].store, Scopes::default(), None);
    let id = fronts[0].store.keys().expect("memory").pop().expect("the newest").public;
    until("both let it in", || fronts.iter().all(|front| chat_with(front, &key).status == 200));
    fronts[0].store.revoke_key(id, UnixMillis(1)).expect("revoked");
    let each = fronts
        .each_ref()
        .map(|front| until("it is refused", || chat_with(front, &key).status == 401));
    each[0].max(each[1])
}

#[test]
fn without_redis_a_revoked_key_is_refused_within_five_seconds_because_the_store_is_looked_at() {
    let Some(mut redis) = RedisServer::start() else { return };
    let provider = Provider::fixed(completion());
    let fronts = two(&config(provider.addr, &redis.url(), ""));
    see_each_other(&redis, &fronts);
    for gone in [false, true] {
        if gone {
            redis.kill();
            until("both know", || {
                fronts.iter().all(|front| front.post(CHATS, CHAT).header(DEGRADED).is_some())
            });
        }
        soon(Duration::from_secs(if gone { 5 } else { 1 }), 3, || {
            let took = refused_after_nobody_told(&fronts);
            println!("Redis gone: {gone}; refused after {took:?}");
            took
        });
    }
}

#[test]
fn gateways_on_one_store_that_share_nothing_say_so_loudly() {
    let provider = Provider::fixed(completion());
    let text = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"sk-upstream-secret\"\n",
        provider.addr
    );
    let alone = parse("test.toml", &text, &Environment::default()).expect("a sound configuration");
    let [one, two] = two(&alone);
    let told = |front: &Front| front.get("/readyz").json()["degraded"][0] == "nothing_shared";
    until("both know", || told(&one) && told(&two));
    assert_eq!(one.post(CHATS, CHAT).header(DEGRADED), Some("nothing_shared"));
    let means = &status(&one)["degraded"][0];
    assert!(means["meaning"].as_str().is_some_and(|text| text.contains("REDIS_URL")), "{means}");
    drop(one);
    until("the one that is left is not degraded", || !told(&two));
}

/// Answers after a while, so that a second request comes while the first is under way.
fn slow(wait: Duration) -> Provider {
    Provider::new(move |_, stream| {
        std::thread::sleep(wait);
        stream.write_all(completion().as_bytes()).is_ok()
    })
}

#[test]
fn a_request_that_comes_to_both_gateways_is_carried_out_once() {
    let Some(redis) = RedisServer::start() else { return };
    let provider = slow(Duration::from_millis(700));
    let fronts = two(&config(provider.addr, &redis.url(), ""));
    see_each_other(&redis, &fronts);
    let key = &fronts[0].key;
    let ask = |front: &Front, body: &str| {
        front.raw(
            format!(
                "POST {CHATS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nidempotency-key: once\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
    };
    until("both know the key", || fronts.iter().all(|front| chat_with(front, key).status == 200));
    let before = provider.seen().len();
    let other = CHAT.replace("hi", "something else");
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|turn| {
                scope.spawn({
                    let front = &fronts[turn % 2];
                    move || ask(front, CHAT)
                })
            })
            .collect();
        until("the first is under way", || provider.seen().len() > before);
        for front in &fronts {
            ask(front, &other).refused(409, "conflict");
        }
        for call in calls {
            let reply = call.join().expect("no panic");
            assert_eq!(
                (reply.status, &reply.body[..]),
                (200, COMPLETION.as_bytes()),
                "{}",
                reply.head
            );
        }
    });
    assert_eq!(provider.seen().len(), before + 1, "carried out once");
    let locks = || redis.ask("KEYS *idempotency*").unwrap_or_default();
    until("the lock is given back", || locks().starts_with("*0"));
}

#[test]
fn what_one_gateway_finds_out_about_a_target_is_advice_for_the_others() {
    let Some(redis) = RedisServer::start() else { return };
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    let provider = Provider::new(move |_, stream| {
        let answer = if switch.load(Ordering::SeqCst) {
            json(
                "500 Internal Server Error",
                "",
                r#"{"error":{"message":"no","type":"server_error"}}"#,
            )
        } else {
            completion()
        };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let more = "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\npatience = \"100ms\"\n[policy.breaker]\nwindow = \"1s\"";
    let fronts = two(&config(provider.addr, &redis.url(), more));
    see_each_other(&redis, &fronts);
    let circuit = |front: &Front| {
        let providers = admin(front, "GET", "/mainstay/providers").json();
        providers["data"][0]["targets"][0]["circuit"].as_str().unwrap_or("none").to_owned()
    };
    for front in &fronts {
        assert_eq!(front.post(CHATS, CHAT).status, 200);
    }
    broken.store(true, Ordering::SeqCst);
    // One failure of its own: too few to open, enough to listen.
    fronts[1].post(CHATS, CHAT);
    assert_eq!(circuit(&fronts[1]), "closed");
    until("the first opens by its own findings", || {
        fronts[0].post(CHATS, CHAT);
        circuit(&fronts[0]) != "closed"
    });
    until("the second has taken the advice", || circuit(&fronts[1]) != "closed");
    broken.store(false, Ordering::SeqCst);
    for front in &fronts {
        until("a probe closes it", || {
            front.post(CHATS, CHAT);
            circuit(front) == "closed"
        });
    }
}
