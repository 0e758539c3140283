//! `[[route]]` and its targets.

use super::{Knob, lines};
use crate::script::Say::{Failed, Slow};
use crate::script::{Cast, body, chat, gateway, sound};

/// Two providers and this route; what the providers saw of `calls` calls for `m`.
fn routed(route: &str, calls: u32) -> String {
    let cast = Cast::new(&[&[], &[]]);
    let front = gateway(&sound(&format!("{}{route}", cast.sections(""))));
    (0..calls).for_each(|_| drop(chat(&front, false)));
    let model = |seen: &crate::support::provider::Seen| {
        let value: serde_json::Value = serde_json::from_slice(&seen.body).expect("JSON");
        value["model"].as_str().unwrap_or_default().to_owned()
    };
    let seen =
        |at: usize| cast.providers[at].seen().iter().map(model).collect::<Vec<_>>().join(",");
    format!("a:{} b:{}", seen(0), seen(1))
}

/// A busy first target, then one call.
fn while_a_is_busy(strategy: &str) -> String {
    let cast = Cast::new(&[&[Slow(500)], &[]]);
    let route = format!("[[route]]\nmodel = \"m\"\ntargets = [\"a\", \"b\"]\n{strategy}\n");
    let front = gateway(&sound(&format!("{}{route}", cast.sections(""))));
    let mut other = front.connect();
    other.send(&front.post_bytes("/v1/chat/completions", "", &body(false)));
    crate::support::until("the first call to be under way", || cast.told().len() == 1);
    chat(&front, false);
    cast.order()
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        key: "route.model",
        without: "a:m b:",
        with: "a: b:m",
        play: |with| {
            let pattern = if with { "m*" } else { "other*" };
            routed(&format!("[[route]]\nmodel = \"{pattern}\"\ntargets = [\"b\"]\n"), 1)
        },
    },
    Knob {
        key: "route.targets",
        without: "a:m b:",
        with: "a: b:large",
        play: |with| {
            let targets = if with { "\"b/large\"" } else { "\"a\"" };
            routed(&format!("[[route]]\nmodel = \"m\"\ntargets = [{targets}]\n"), 1)
        },
    },
    Knob {
        key: "route.strategy",
        without: "aa",
        with: "ab",
        play: |with| while_a_is_busy(&lines(with, "", "strategy = \"least_busy\"")),
    },
    Knob {
        key: "route.policy",
        without: "aa 200",
        with: "a 500",
        play: |with| {
            let cast = Cast::new(&[&[Failed]]);
            let policy = "policy = { retry = { attempts_max = 1, attempts_per_call_max = 1 } }";
            let route = lines(with, "[[route]]\nmodel = \"m\"\ntargets = [\"a\"]\n", policy);
            let front = gateway(&sound(&format!("{}{route}", cast.sections(""))));
            let status = chat(&front, false).status;
            format!("{} {status}", cast.order())
        },
    },
    Knob {
        key: "route.target.target",
        without: "a:m b:",
        with: "a: b:large",
        play: |with| {
            let target = if with { "b/large" } else { "a" };
            routed(
                &format!("[[route]]\nmodel = \"m\"\ntargets = [{{ target = \"{target}\" }}]\n"),
                1,
            )
        },
    },
    Knob {
        key: "route.target.weight",
        without: "shared",
        with: "almost all to b",
        play: |with| {
            let weight = if with { ", weight = 1000" } else { "" };
            let route = format!(
                "[[route]]\nmodel = \"m\"\nstrategy = \"weighted\"\ntargets = [\"a\", {{ target = \"b\"{weight} }}]\n"
            );
            let seen = routed(&route, 30);
            let to_a = seen.split(' ').next().unwrap_or_default().matches('m').count();
            // Even weights give `a` fewer than three of thirty once in two million times.
            if to_a < 3 { "almost all to b" } else { "shared" }.to_owned()
        },
    },
];
