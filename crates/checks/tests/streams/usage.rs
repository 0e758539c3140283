//! Tokens used: asked for on the caller's behalf, taken out again, and known at every end of a call.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use mainstay::call::{Call, CallBody};
use mainstay::upstream::{
    AnswerHead, Attempt, AttemptEvent, AttemptRequest, RequestBody, Upstream,
};
use mainstay_core::policy::Policy;
use mainstay_core::wire::request::peek;

use crate::sdk::{self, SDKS, Sdk};
use crate::world::{
    APIS, Api, World, engine, holds, one_is_good, paced, paced_secs, pair, policy, provider, sim,
    world,
};

const ASKED: &str = "say it in 12 words";

fn asking<U: Upstream>(world: &World<U>, api: Api, more: &str) -> Call {
    let mut call = world.call(api, "gpt-4o", ASKED, true);
    let CallBody::Buffered(body) = &call.body else { panic!("a body in memory") };
    let text = std::str::from_utf8(body).expect("JSON");
    let text = format!("{}{more}}}", text.strip_suffix('}').expect("an object"));
    call.body = CallBody::Buffered(Bytes::from(text));
    call.add_usage = true;
    call
}

#[tokio::test]
async fn usage_is_asked_for_in_every_form_of_the_options_and_seen_only_by_who_asked() {
    let sim = sim("").await;
    let world = world(vec![provider("primary", sim.addr().port())], &policy());
    for (more, his) in [
        ("", false),
        (",\"stream_options\":null", false),
        (",\"stream_options\":{}", false),
        (",\"stream_options\": { \"include_usage\" : false }", false),
        (",\"stream_options\":{\"include_obfuscation\":false}", false),
        (",\"stream_options\":{\"include_usage\":true}", true),
    ] {
        for (api, looked) in [Api::Chat, Api::ChatTool, Api::Completions]
            .into_iter()
            .flat_map(|api| [(api, false), (api, true)])
        {
            let mut call = asking(&world, api, more);
            if looked && let CallBody::Buffered(body) = &call.body {
                // As a gateway has it that has looked into the body already.
                call.usage_ask = peek(body, call.endpoint).expect("sound").usage_ask();
            }
            let got = world.run(call).await.expect("an answer");
            let used = got.trace.used.expect("known");
            assert!(!used.counted && used.usage.output > 0, "{api:?} {more}: {used:?}");
            for sdk in SDKS {
                let read = sdk::read(sdk, &got.body, got.cut.is_some());
                assert!(read.looks_whole() && read.marker, "{api:?} {more}: {}", got.text());
                assert_eq!(read.usage.is_some(), his, "{api:?} {more}: {}", got.text());
            }
            assert_eq!(got.text().contains("\"choices\":[]"), his, "{api:?} {more}");
        }
    }
}

/// A server of the kind that does not know `stream_options`, and what it was sent.
struct Old {
    seen: Arc<Mutex<Vec<String>>>,
}

struct Said(Vec<AttemptEvent>);

impl Upstream for Old {
    type Attempt = Said;

    fn start(&self, request: AttemptRequest) -> Said {
        let RequestBody::Full(body) = &request.body else { panic!("a body in memory") };
        let body = String::from_utf8_lossy(body).into_owned();
        let refuses = body.contains("stream_options");
        self.seen.lock().expect("no panic holds it").push(body);
        let (status, kind, text) = if refuses {
            let error = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}"#;
            (400, "application/json", error)
        } else {
            (
                200,
                "text/event-stream",
                "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            )
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        let status = StatusCode::from_u16(status).expect("a status");
        Said(vec![
            AttemptEvent::End,
            AttemptEvent::Data(Bytes::from_static(text.as_bytes())),
            AttemptEvent::Head(AnswerHead { status, headers: headers.into() }),
        ])
    }
}

impl Attempt for Said {
    fn poll_event(&mut self, _cx: &mut Context<'_>) -> Poll<AttemptEvent> {
        self.0.pop().map_or(Poll::Pending, Poll::Ready)
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_option_is_asked_without_it_and_not_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let old = Old { seen: Arc::clone(&seen) };
    let providers = vec![provider("primary", 1)];
    let world = World { engine: engine(providers, &Policy::default()), upstream: Arc::new(old) };
    for attempts in [2, 1] {
        let got = world.run(asking(&world, Api::Chat, "")).await.expect("an answer");
        assert_eq!(got.trace.attempts, attempts);
        assert!(got.trace.used.expect("counted").counted);
    }
    let his = ",\"stream_options\":{\"include_usage\":true}";
    let refusal = world.run(asking(&world, Api::Chat, his)).await.err().expect("his own wish");
    assert_eq!(refusal.trace.attempts, 1);
    assert_eq!(seen.lock().expect("no panic holds it").len(), 4);
}

#[tokio::test]
async fn what_was_used_is_known_of_a_stream_that_was_cut_and_of_its_completion() {
    let cut = "[latency]\ntoken = \"2ms\"\n[[fault]]\nfault = \"cut_rst\"\nafter = 6\n";
    for api in APIS {
        one_is_good(async || {
            let pair = pair(cut, "").await;
            let got = pair.world.run(pair.world.call(api, "gpt-4o", ASKED, true)).await;
            let got = got.expect("whole");
            let records = &got.trace.records;
            let overtaken = got.took >= policy().timeouts.first_content_soft;
            holds(!overtaken, format_args!("{api:?}: {:?}, {records:?}", got.took))?;
            assert_eq!(records.len(), 2, "{api:?}");
            let first = records[0].used.expect("the broken one is counted");
            assert!(first.counted && (3..14).contains(&first.usage.output), "{api:?}: {first:?}");
            let second = records[1].used.expect("the second telling");
            assert!(second.usage.output >= 12, "{api:?}: {second:?}");
            assert!(got.trace.used.expect("known").usage.output >= 12, "{api:?}");
            Ok(())
        })
        .await;
    }
    let broken = pair(cut, cut).await;
    let got = broken.world.run(broken.world.call(Api::Chat, "gpt-4o", ASKED, true)).await;
    let got = got.expect("a head");
    assert!(got.cut.is_some());
    let used = got.trace.used.expect("what was delivered is counted");
    assert!(used.counted && (3..14).contains(&used.usage.output), "{used:?}");
}

#[tokio::test]
async fn what_was_used_is_known_when_the_caller_leaves() {
    let sim = sim("[latency]\ntoken = \"10ms\"\n").await;
    let world = world(vec![provider("primary", sim.addr().port())], &policy());
    for api in APIS {
        let call = world.call(api, "gpt-4o", "say it in 500 words", true);
        let (_, mut body) =
            world.engine.call(&world.upstream, call).answer().await.expect("a head");
        for _ in 0..20 {
            body.frame().await.expect("a frame").expect("data");
        }
        body.leave();
        let used = body.trace().used.expect("what came so far is counted");
        assert!(used.counted && (5..60).contains(&used.usage.output), "{api:?}: {used:?}");
        assert_eq!(body.trace().records[0].used, Some(used), "{api:?}");
        assert!(body.frame().await.is_none(), "{api:?}: nothing follows");
        let held: u32 = world.engine.snapshot().iter().map(|target| target.in_flight).sum();
        assert_eq!(held, 0, "{api:?}: permits are back");
    }
}

#[tokio::test]
async fn who_lost_a_race_is_on_record_as_having_said_nothing() {
    let late = format!("[[fault]]\nfault = \"slow_first_token\"\nfor = \"{}\"\n", paced_secs(20.0));
    one_is_good(async || {
        let pair = pair(&late, "").await;
        let mut call = pair.world.call(Api::Chat, "gpt-4o", ASKED, true);
        call.add_usage = true;
        let got = pair.world.run(call).await.expect("an answer");
        let won = got.begun.provider.as_deref() == Some("fallback");
        let late = got.took >= paced(Duration::from_secs(20));
        holds(won && !late, format_args!("{:?}, {:?}", got.took, got.trace.records))?;
        let [loser, winner] = &got.trace.records[..] else { panic!("{:?}", got.trace.records) };
        assert_eq!((&*loser.provider, loser.used), ("primary", None));
        assert_eq!(winner.used, got.trace.used);
        assert!(sdk::read(Sdk::Python, &got.body, false).usage.is_none());
        Ok(())
    })
    .await;
}
