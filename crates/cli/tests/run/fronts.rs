//! Invariant 14, the runner's share: a line is walked by the same attempts as a call of the library and
//! a call in the laboratory, under the runner's policies. (Gateway and layers:
//! `crates/gateway/tests/policies/fronts.rs`.)

use std::fmt::Write;
use std::time::Duration;

use mainstay::call::{AttemptRecord, Call};
use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::spec::{EngineSpec, ProviderSpec};
use mainstay::{Engine, policy::Policy};
use mainstay_sim::lab::{self, How, Note, ProviderScene, Scene, Scripted, Telling, Traffic};
use serde_json::Value;

use crate::world::{World, chat, chats};

/// What the provider does with its first requests; after them it answers well.
#[derive(Clone, Copy)]
enum Say {
    Failed,
    Away(Option<u64>),
    Refused(u64),
    Faulted,
}

struct Story {
    name: &'static str,
    script: &'static [Say],
    lines: u32,
}

use Say::{Away, Failed, Faulted, Refused};

const STORIES: &[Story] = &[
    Story { name: "clean lines", script: &[], lines: 3 },
    Story { name: "faults that pass", script: &[Failed, Failed], lines: 2 },
    Story { name: "a limit with a time", script: &[Refused(150)], lines: 1 },
    Story { name: "away with a time", script: &[Away(Some(400))], lines: 1 },
    Story { name: "a line's fault", script: &[Faulted], lines: 2 },
    Story { name: "faults and a limit", script: &[Failed, Refused(120), Failed], lines: 1 },
    Story { name: "a circuit opens and closes", script: &[Away(None); 5], lines: 2 },
    Story { name: "a probe fails", script: &[Away(None); 6], lines: 1 },
    Story { name: "a line that brings faults about", script: &[Failed; 5], lines: 1 },
];

/// One attempt: what was waited for before it, how it ended.
type Row = (String, &'static str);

/// Of each line, the attempts of its first walk.
type Walks = Vec<Vec<Row>>;

#[test]
fn runner_library_and_laboratory_make_the_same_attempts() {
    for story in STORIES {
        let library = in_library(story);
        assert_eq!(in_laboratory(story), library, "{}: laboratory and library", story.name);
        assert_eq!(in_runner(story), library, "{}: runner and library", story.name);
        println!("{:28} {library:?}", story.name);
    }
}

/// What a run says of its policies: time is bounded by its deadline alone, and a wait by an hour.
fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.timeouts.total = None;
    policy.retry.wait_max = Duration::from_secs(3600);
    policy
}

fn scenario(story: &Story) -> String {
    let mut text = String::new();
    for (n, say) in (1..).zip(story.script) {
        let wait = |millis: u64| format!("retry_after = \"{millis}ms\"");
        let fault = match *say {
            Failed => "status = 500".to_owned(),
            Away(None) => "kind = \"service_unavailable\"".to_owned(),
            Away(Some(millis)) => format!("status = 503\n{}", wait(millis)),
            Refused(millis) => format!("kind = \"rate_limit_other\"\n{}", wait(millis)),
            Faulted => "status = 400".to_owned(),
        };
        writeln!(text, "[[fault]]\nnth = {n}\n{fault}").expect("memory");
    }
    text
}

fn ending(status: Option<u64>) -> &'static str {
    match status {
        Some(200) => "well",
        Some(429) => "refused",
        Some(400) => "at fault",
        _ => "failed",
    }
}

fn in_laboratory(story: &Story) -> Walks {
    let scripted = |say: &Say| match *say {
        Failed => Scripted::Failed,
        Away(millis) => Scripted::Unavailable(millis.map(Duration::from_millis)),
        Refused(millis) => Scripted::Refused(Some(Duration::from_millis(millis))),
        Faulted => Scripted::Faulted,
    };
    let provider = ProviderScene {
        initial: 1.0,
        telling: Telling::Nothing,
        latency: (0.001, 0.002),
        script: story.script.iter().map(scripted).collect(),
        ..ProviderScene::default()
    };
    let scene = Scene {
        providers: vec![provider],
        traffic: Traffic::Workers(1),
        jobs: story.lines,
        policy: policy(),
        ..Scene::default()
    };
    let mut walks = vec![Vec::new(); story.lines as usize];
    let mut before = "";
    let run = lab::watch(&scene, |_, note| match *note {
        Note::Sent { cause, .. } => before = cause.name(),
        Note::Ended { call, how, .. } => {
            let how = match how {
                How::Well { .. } => "well",
                How::Refused(_) => "refused",
                How::Faulted => "at fault",
                How::Failed(_) | How::TooLong | How::TimedOut | How::Left => "failed",
            };
            walks[call as usize].push((before.to_owned(), how));
        }
        Note::Came { .. }
        | Note::Waits { .. }
        | Note::Delivers { .. }
        | Note::Circuit { .. }
        | Note::Retry { .. }
        | Note::Done { .. } => {}
    });
    assert_eq!(run.accusations, [], "{}", story.name);
    walks
}

fn in_library(story: &Story) -> Walks {
    let world = World::new(&scenario(story));
    let url = world.base_url().parse().expect("a URL");
    let providers = vec![ProviderSpec::at("openai", &url, "sk-test", None)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let engine = Engine::new(EngineSpec { providers, routes: Vec::new(), policy: policy() });
        let upstream = std::sync::Arc::new(HttpUpstream::new(HttpSettings::default()));
        let mut walks = Vec::new();
        for n in 0..story.lines {
            let line: Value = serde_json::from_str(&chat(n, "gpt-4o-mini")).expect("JSON");
            let body = line["body"].to_string().into();
            let path = "/chat/completions".to_owned();
            let post = http::Method::POST;
            let call = Call::json("req_test".to_owned(), post, path, body, engine.now());
            let call = call.unwrap_or_else(|fault| panic!("{}", fault.message));
            let trace = match engine.call(&upstream, call).whole(1 << 20).await {
                Ok(whole) => whole.trace,
                Err(refusal) => refusal.trace,
            };
            let row = |record: &AttemptRecord| {
                (record.wait_cause.to_owned(), ending(record.status.map(u64::from)))
            };
            walks.push(trace.records.iter().map(row).collect());
        }
        walks
    })
}

fn in_runner(story: &Story) -> Walks {
    let world = World::new(&scenario(story));
    world.input(&chats(story.lines as usize));
    let done = world.run(&["--concurrency", "1", "--events", "events.jsonl"]);
    let events = std::fs::read_to_string(world.path("events.jsonl")).unwrap();
    let mut walks = vec![Vec::new(); story.lines as usize];
    let mut told = 0;
    for event in events.lines() {
        let event: Value = serde_json::from_str(event).unwrap();
        let Some(line) = event["custom_id"].as_str() else { continue };
        let rows: Vec<Row> = match event["trace"].as_array() {
            Some(each) => each
                .iter()
                .map(|one| {
                    (one["wait_cause"].as_str().unwrap().to_owned(), ending(one["status"].as_u64()))
                })
                .collect(),
            // One attempt that was sent at once and answered.
            None => vec![(String::new(), ending(event["status"].as_u64()))],
        };
        told += rows.len() as u64;
        let walk = &mut walks[line.parse::<usize>().unwrap()];
        if walk.is_empty() {
            *walk = rows;
        }
    }
    assert_eq!(told, world.attempts(), "{}: attempts told and made\n{done:?}", story.name);
    walks
}
