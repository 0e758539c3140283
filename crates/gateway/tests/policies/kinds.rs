//! Fallback by kind: what each of the 37 kinds of failure means for the target that comes next.

use std::net::SocketAddr;

use mainstay_core::failure::Kind;
use mainstay_sim::{Scenario, Sim, SimConfig};

use crate::script::{gateway, sound};

/// Final: the request is at fault, so that nobody else is asked.
const NOBODY: [Kind; 10] = [
    Kind::UnsupportedRegion,
    Kind::InvalidRequest,
    Kind::MissingRequiredField,
    Kind::InvalidValue,
    Kind::UnsupportedParameter,
    Kind::ContentPolicy,
    Kind::NotFound,
    Kind::Conflict,
    Kind::UnprocessableEntity,
    Kind::MethodNotAllowed,
];
/// The target may be well in a moment, and has the prompt cached: three attempts, then the next target.
/// A status that means nothing (the simulator says 999) may pass as well.
const SAME_FIRST: [Kind; 5] = [
    Kind::InternalError,
    Kind::BadGateway,
    Kind::StreamInterrupted,
    Kind::MalformedResponse,
    Kind::Unknown,
];
/// Room comes back when a call ends, and nobody says when: as many tries as a fault gets.
const WAITED_OUT: [Kind; 1] = [Kind::ConcurrentLimit];

/// Attempts, and whether the second target answered.
fn wanted(kind: Kind) -> (u32, bool) {
    if NOBODY.contains(&kind) {
        return (1, false);
    }
    let stays = SAME_FIRST.contains(&kind) || WAITED_OUT.contains(&kind);
    (if stays { 4 } else { 2 }, true)
}

async fn sim() -> Sim {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let scenario = Scenario::from_toml("").expect("a sound scenario");
    Sim::start(SimConfig { listen, scenario }).await.expect("a port")
}

const POLICY: &str = "[policy.retry]\ntransient_base = \"1ms\"\ntransient_cap = \"5ms\"\n\
                      [policy.fallback]\nwait_max = \"200ms\"\n[policy.timeouts]\nheaders = \"3s\"\n";

/// Two simulators, of which the first fails by the model's name, and a route for each kind.
fn config(first: &Sim, second: &Sim) -> String {
    let provider = |(name, sim): (&str, &Sim)| {
        let url = sim.base_url();
        format!("[[provider]]\nname = \"{name}\"\nbase_url = \"{url}\"\napi_key = \"k\"\n")
    };
    let route = |kind: &Kind| {
        let name = kind.name();
        format!("[[route]]\nmodel = \"{name}\"\ntargets = [\"a/sim-{name}\", \"b/gpt-4o\"]\n")
    };
    let providers = [("a", first), ("b", second)].map(provider).concat();
    let routes: String = Kind::ALL.iter().map(route).collect();
    format!("{POLICY}{providers}{routes}")
}

#[test]
fn each_kind_moves_on_stays_or_ends_the_call() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (first, second) = runtime.block_on(async { (sim().await, sim().await) });
    let front = gateway(&sound(&config(&first, &second)));
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let name = kind.name();
        let body = format!(r#"{{"model":"{name}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let reply = front.post("/v1/chat/completions", &body);
        let attempts = reply.header("x-mainstay-attempts").and_then(|n| n.parse().ok());
        let by_second = reply.status == 200 && reply.header("x-mainstay-provider") == Some("b");
        println!("{name:28} {attempts:?} attempts, {} {by_second}", reply.status);
        let found = (attempts.unwrap_or(0), by_second);
        if found != wanted(kind) {
            wrong.push(format!("{name}: {found:?}, not {:?}: {}", wanted(kind), reply.head));
        }
        if !by_second {
            assert_eq!(reply.header("x-mainstay-kind"), Some(name), "{}", reply.head);
            assert_eq!(reply.header("x-should-retry"), Some("false"), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
