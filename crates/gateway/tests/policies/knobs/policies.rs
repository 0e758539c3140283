//! `[policy.retry]`, `[policy.breaker]`, `[policy.fallback]`.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Knob, lines, order, pace, spread};
use crate::script::Say::{Away, Failed, Locked, Refused, Slow, Well};
use crate::script::{Cast, Say, body, chat, gateway, play, sound};
use crate::support::provider::Provider;

const QUICK: &str = "transient_base = \"1ms\"\ntransient_cap = \"5ms\"\n";

/// `[policy.retry]` with quick backoff, the lines that both share, and the key's own.
fn retry(with: bool, shared: &str, own: &str) -> String {
    format!("[policy.retry]\n{QUICK}{}", lines(with, shared, own))
}

/// `[policy.breaker]`, and no patience: what an open circuit refuses is seen at once.
fn breaker(with: bool, shared: &str, own: &str) -> String {
    format!(
        "[policy.retry]\n{QUICK}patience = \"0s\"\n[policy.breaker]\n{}",
        lines(with, shared, own)
    )
}

const FOR_EVER: &[Say] = &[Failed; 40];
const AWAY: &[Say] = &[Away(None); 40];

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        key: "policy.retry.attempts_max",
        without: "aaab 200",
        with: "ab 200",
        play: |with| order(&retry(with, "", "attempts_max = 1"), &[FOR_EVER, &[]], 1, false),
    },
    Knob {
        key: "policy.retry.attempts_per_call_max",
        without: "aaaaaa 500",
        with: "aa 500",
        play: |with| {
            let policy = retry(with, "attempts_max = 2\n", "attempts_per_call_max = 2");
            order(&format!("{policy}[policy.breaker]\nenabled = false\n"), &[FOR_EVER], 1, false)
        },
    },
    Knob {
        key: "policy.retry.attempts_brown_out_max",
        without: "200 after 9",
        with: "500 after 6",
        play: brown_out,
    },
    Knob {
        key: "policy.retry.wait_max",
        without: "aa 200",
        with: "a 429",
        play: |with| {
            order(&retry(with, "", "wait_max = \"100ms\""), &[&[Refused(Some(300))]], 1, false)
        },
    },
    Knob {
        key: "policy.retry.patience",
        without: "aa 200",
        with: "a 503",
        play: |with| {
            let policy = retry(with, "", "patience = \"0s\"");
            let policy = format!("{policy}[policy.breaker]\nfailures = 1\nopen = \"200ms\"\n");
            order(&policy, &[&[Away(None)]], 1, false)
        },
    },
    Knob {
        key: "policy.retry.transient_base",
        without: "slow",
        with: "fast",
        play: |with| {
            let policy = lines(
                with,
                "[policy.breaker]\nenabled = false\n[policy.retry]\n",
                "transient_base = \"1ms\"",
            );
            spread(150, &policy, &[Failed; 5])
        },
    },
    Knob {
        key: "policy.retry.transient_cap",
        without: "slow",
        with: "fast",
        play: |with| {
            let shared = "[policy.breaker]\nenabled = false\n[policy.retry]\nattempts_per_call_max = 9\ntransient_base = \"20ms\"\n";
            let policy = lines(with, shared, "transient_cap = \"20ms\"");
            spread(500, &policy, &[Failed; 8])
        },
    },
    Knob {
        key: "policy.retry.throttled_base",
        without: "slow",
        with: "fast",
        play: |with| rest_after_a_limit(with, "", "throttled_base = \"20ms\"", 1, 400),
    },
    Knob {
        key: "policy.retry.throttled_cap",
        without: "slow",
        with: "fast",
        play: |with| {
            rest_after_a_limit(
                with,
                "throttled_base = \"400ms\"\n",
                "throttled_cap = \"400ms\"",
                3,
                750,
            )
        },
    },
    Knob {
        key: "policy.retry.budget_capacity",
        without: "aa 200",
        with: "a 500",
        play: |with| order(&retry(with, "", "budget_capacity = 0"), &[&[Failed]], 1, false),
    },
    Knob {
        key: "policy.retry.budget_transient",
        without: "aa 200",
        with: "a 500",
        play: |with| order(&retry(with, "", "budget_transient = 600"), &[&[Failed]], 1, false),
    },
    Knob {
        key: "policy.retry.budget_throttled",
        without: "aba 200",
        with: "ab 401",
        play: |with| {
            let shared = "attempts_max = 1\nthrottled_base = \"20ms\"\n";
            let policy = retry(with, shared, "budget_throttled = 600");
            let seen = order(&policy, &[&[Refused(None)], &[Locked]], 1, false);
            // Whose refusal the caller gets in the end is not this key's business.
            if seen.starts_with("ab ") { "ab 401".to_owned() } else { seen }
        },
    },
    Knob {
        key: "policy.retry.in_flight_min",
        without: "aa",
        with: "a",
        play: |with| {
            let policy = retry(with, "", "in_flight_min = 0");
            let seen = order(
                &format!("{policy}[policy.timeouts]\ntotal = \"600ms\"\n"),
                &[&[Failed]],
                1,
                false,
            );
            seen.split(' ').next().unwrap_or_default().to_owned()
        },
    },
    Knob {
        key: "policy.retry.in_flight_share",
        without: "slow",
        with: "fast",
        play: |with| {
            let policy = retry(with, "in_flight_min = 0\n", "in_flight_share = 1.0");
            let cast = Cast::new(&[&[Slow(700), Slow(700), Slow(700), Failed, Well]]);
            let front = gateway(
                &cast.config(&format!("{policy}[policy.timeouts]\ntotal = \"900ms\"\n"), ""),
            );
            let mut others: Vec<_> = (0..3).map(|_| front.connect()).collect();
            for other in &mut others {
                other.send(&front.post_bytes("/v1/chat/completions", "", &body(false)));
            }
            crate::support::until("three calls to be under way", || cast.told().len() == 3);
            pace(400, || drop(chat(&front, false))).to_owned()
        },
    },
    Knob {
        key: "policy.breaker.enabled",
        without: "aaaaa 503",
        with: "aaaaaa 503",
        play: |with| order(&breaker(with, "", "enabled = false"), &[AWAY], 1, false),
    },
    Knob {
        key: "policy.breaker.failures",
        without: "aaaaa 503",
        with: "aa 503",
        play: |with| order(&breaker(with, "", "failures = 2"), &[AWAY], 1, false),
    },
    Knob {
        key: "policy.breaker.ratio",
        without: "aaaaa 200 200 200 200",
        with: "aaaa 200 200 200 503",
        play: |with| {
            let policy = breaker(with, "failures = 1000\nratio_min = 4\n", "ratio = 0.25");
            order(&policy, &[&[Well, Well, Well, Away(None)]], 4, false)
        },
    },
    Knob {
        key: "policy.breaker.ratio_min",
        without: "aa 200",
        with: "a 503",
        play: |with| {
            order(&breaker(with, "failures = 1000\n", "ratio_min = 1"), &[&[Away(None)]], 1, false)
        },
    },
    Knob {
        key: "policy.breaker.window",
        without: "200 200 503",
        with: "200 200 200",
        play: |with| {
            let policy = breaker(with, "failures = 1000\nratio_min = 4\n", "window = \"1s\"");
            let cast = Cast::new(&[&[Away(None), Well, Well, Away(None)]]);
            let front = gateway(&cast.config(&policy, ""));
            let mut seen = vec![chat(&front, false).status, chat(&front, false).status];
            std::thread::sleep(std::time::Duration::from_millis(1400));
            seen.push(chat(&front, false).status);
            seen.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
        },
    },
    Knob {
        key: "policy.breaker.open",
        without: "slow",
        with: "fast",
        play: |with| {
            let policy = lines(with, "[policy.breaker]\nfailures = 1\n", "open = \"100ms\"");
            spread(400, &policy, &[Away(None)])
        },
    },
    Knob {
        key: "policy.breaker.open_max",
        without: "503 503",
        with: "503 200",
        play: |with| {
            let policy = breaker(with, "failures = 1\n", "open_max = \"1s\"");
            let cast = Cast::new(&[&[Away(Some(500_000))]]);
            let front = gateway(&cast.config(&policy, ""));
            let first = chat(&front, false).status;
            std::thread::sleep(std::time::Duration::from_millis(1100));
            format!("{first} {}", chat(&front, false).status)
        },
    },
    Knob {
        key: "policy.fallback.wait_max",
        without: "aa 200",
        with: "ab 200",
        play: |with| {
            let policy = lines(with, "[policy.fallback]\n", "wait_max = \"100ms\"");
            order(&policy, &[&[Refused(Some(300))], &[]], 1, false)
        },
    },
];

/// A target refuses without a time as often as it is tried, and is left; the other one cannot
/// answer, so that the first is waited for. Whether that rest is long.
fn rest_after_a_limit(with: bool, shared: &str, own: &str, refusals: usize, millis: u64) -> String {
    let shared = format!("attempts_max = {refusals}\n{shared}");
    let cast = Cast::new(&[&vec![Refused(None); refusals], &[Locked]]);
    let front = gateway(&cast.config(&retry(with, &shared, own), ""));
    assert_eq!(chat(&front, false).status, 200);
    let told = cast.told();
    let (left, back) = (&told[told.len() - 2], &told[told.len() - 1]);
    assert_eq!((left.0, back.0), ('b', 'a'), "{}", cast.order());
    let rest = back.2 - left.2;
    if rest > std::time::Duration::from_millis(millis) { "slow" } else { "fast" }.to_owned()
}

/// A provider that fails a quarter of what it is asked, and one caller eight times in a row.
fn brown_out(with: bool) -> String {
    let asked = AtomicU32::new(0);
    let unlucky = AtomicU32::new(0);
    let provider = Provider::new(move |seen, stream| {
        let bad_luck = seen.body.windows(7).any(|part| part == b"unlucky");
        let fails = if bad_luck {
            unlucky.fetch_add(1, Ordering::SeqCst) < 8
        } else {
            asked.fetch_add(1, Ordering::SeqCst) % 4 == 3
        };
        play(if fails { Failed } else { Well }, seen, stream)
    });
    let policy = retry(with, "", "attempts_brown_out_max = 6");
    let steady = "[policy.breaker]\nfailures = 1000\nratio = 1.0\n";
    let front = gateway(&sound(&format!(
        "{policy}{steady}[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
        provider.addr
    )));
    for _ in 0..40 {
        assert_eq!(chat(&front, false).status, 200);
    }
    let reply = front.post("/v1/chat/completions", &body(false).replace("hi", "unlucky"));
    format!("{} after {}", reply.status, reply.header("x-mainstay-attempts").unwrap_or("-"))
}
