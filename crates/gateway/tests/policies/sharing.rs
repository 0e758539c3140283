//! Limits that several keys or models share are kept together: by configuration, and where answers
//! name the account.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use mainstay_sim::{Scenario, Sim, SimConfig};

use crate::knobs::sharing::{busy, call_all};
use crate::outage::stats;
use crate::script::{gateway, sound};

/// The vendor names both on every answer.
const SAME: &str = "openai-organization: acme\r\nopenai-project: proj_1\r\n";
const HALF: &str = "openai-organization: acme\r\n";

/// The most calls at once under a cap of one, after each of two keys has had an answer.
fn at_once_after_a_first_word(more: &'static str, limits: &str) -> usize {
    let (provider, most) = busy(more);
    let front = gateway(&sound(&format!(
        "[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_keys = [\"k\", \"l\"]\nlimits = {{ {limits} }}\n",
        provider.addr
    )));
    call_all(&front, &["m"]);
    call_all(&front, &["m"]);
    let keys: std::collections::BTreeSet<String> = provider
        .seen()
        .iter()
        .filter_map(|s| s.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(keys.len(), 2, "both keys have been used");
    call_all(&front, &["m", "m", "m", "m"]);
    most.load(Ordering::SeqCst)
}

#[test]
fn keys_whose_answers_name_one_organization_and_project_count_together() {
    assert_eq!(at_once_after_a_first_word(SAME, "concurrency = 1"), 1);
}

#[test]
fn keys_count_apart_where_answers_do_not_name_both_or_the_configuration_says_so() {
    // Calls that may meet do not on a machine that stands still for a moment.
    for (more, limits) in [(HALF, "concurrency = 1"), (SAME, "concurrency = 1, shared = \"apart\"")]
    {
        assert!((0..3).any(|_| at_once_after_a_first_word(more, limits) == 2), "{limits}");
    }
}

/// Two keys and two models before one limit of 1,200 requests a minute: 120 calls by twelve callers,
/// and how many of them the provider refused.
fn refused(shared: &str) -> u64 {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let scenario = "limits_per = \"all\"\n[limits]\nrpm = 1200\nburst = \"1s\"\n[latency]\nheaders = \"60ms\"\n";
    let scenario = Scenario::from_toml(scenario).expect("a sound scenario");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = runtime.block_on(Sim::start(SimConfig { listen, scenario })).expect("a port");
    let front = gateway(&sound(&format!(
        "[[provider]]\nname = \"a\"\nbase_url = \"{}\"\napi_keys = [\"k\", \"l\"]\nlimits = {{ shared = \"{shared}\" }}\n",
        sim.base_url()
    )));
    for _ in 0..10 {
        call_all(&front, &["m", "n", "m", "n", "m", "n", "m", "n", "m", "n", "m", "n"]);
    }
    let stats = stats(sim.addr());
    stats["refused"]
        .as_object()
        .map_or(0, |by| by.values().filter_map(serde_json::Value::as_u64).sum())
}

#[test]
fn one_limit_over_two_keys_and_two_models_is_kept_together() {
    const ROUNDS: usize = 3;
    let bad: Vec<(u64, u64)> = std::iter::repeat_with(|| (refused("all"), refused("apart")))
        .take(ROUNDS)
        .inspect(|(together, apart)| {
            println!("refused of 120: {together} together, {apart} apart");
        })
        .take_while(|(together, apart)| *together > 6 || together * 3 >= *apart)
        .collect();
    assert!(bad.len() < ROUNDS, "refused of 120, together and apart: {bad:?}");
}
