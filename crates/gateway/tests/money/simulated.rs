//! The gateway before the simulator, which keeps a bill of what it has answered: bill and ledger agree to
//! the pico-USD.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_core::dice::Dice;
use mainstay_core::money::{Price, Quantity, Usd, default_prices};
use mainstay_sim::{Scenario, Sim, SimConfig};
use mainstay_store::LedgerFile;

use super::support::{Caller, Reply};
use super::{Bank, CHAT, simulator, text};

/// What the simulator has billed, by model.
fn billed(sim: SocketAddr) -> Vec<(String, Quantity)> {
    let mut caller = Caller::to(sim);
    caller.send(b"GET /sim/stats HTTP/1.1\r\nhost: x\r\n\r\n");
    let stats = caller.answer().json();
    let bills = stats["billed"].as_object().expect("bills by model").iter();
    let bills = bills.map(|(model, bill)| {
        let number = |name: &str| bill[name].as_u64().expect("a number");
        let quantity = Quantity {
            requests: number("answers"),
            input: number("input_tokens"),
            output: number("output_tokens"),
            images: number("images"),
            sound_ms: number("sound_ms"),
            characters: number("characters"),
            ..Quantity::default()
        };
        (model.clone(), quantity)
    });
    bills.collect()
}

/// The same at the shipped prices.
fn due(sim: SocketAddr) -> Usd {
    let price = |model: &str| -> Price {
        let row = default_prices().iter().find(|row| row.model == model && !row.tuned);
        row.expect("a shipped price").price
    };
    billed(sim).iter().fold(Usd::ZERO, |sum, (model, quantity)| {
        sum.plus(price(model).cost(quantity).expect("a cost")).expect("a sum")
    })
}

/// Sends a form with a recording.
fn hear(bank: &Bank, path: &str, fields: &[(&str, &str)]) -> Reply {
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF and more\r\n--b--\r\n";
    let body: String = fields.iter().map(part).chain([file.to_owned()]).collect();
    let request = String::from_utf8(bank.request(path, &body)).expect("text");
    let typed = "content-type: multipart/form-data; boundary=b";
    let mut caller = Caller::to(bank.addr);
    caller.send(request.replacen("content-type: application/json", typed, 1).as_bytes());
    let reply = caller.answer();
    assert_eq!(reply.status, 200, "{path} {fields:?}: {}", text(&reply));
    reply
}

#[test]
fn what_is_heard_is_paid_by_the_second_or_by_the_token_as_the_provider_tells() {
    const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    bank.budget("100");
    let timed = ("model", "whisper-1");
    // The simulator hears a second a word.
    let short = hear(&bank, TRANSCRIPTIONS, &[timed, ("prompt", "in 7 words")]);
    assert_eq!(short.json()["usage"]["seconds"], 7.0, "{}", text(&short));
    let verbose = ("response_format", "verbose_json");
    hear(&bank, TRANSCRIPTIONS, &[timed, verbose, ("prompt", "in 61 words")]);
    let translated = hear(&bank, "/v1/audio/translations", &[timed, verbose]);
    assert!(translated.json()["usage"].is_null(), "its length is told by `duration` alone");
    let tokens = ("model", "gpt-4o-transcribe");
    hear(&bank, TRANSCRIPTIONS, &[tokens, ("prompt", "in 9 words")]);
    let stream = hear(&bank, TRANSCRIPTIONS, &[tokens, ("stream", "true")]);
    assert!(text(&stream).contains("transcript.text.done"), "{}", text(&stream));
    let path = bank.path();
    let folder = bank.leave();
    let mut ledger = LedgerFile::open(&path).expect("a ledger");
    let mut guessed = 0;
    let read = ledger.export(&mut |row| guessed += u64::from(row.basis.estimated));
    read.expect("a sound file");
    assert_eq!(guessed, 0, "nothing was estimated");
    let found = ledger.verify().expect("a sound file");
    assert!(found.is_sound() && found.ended == 5, "{found:?}");
    assert_eq!(found.settled, due(sim.addr()), "{:?}", billed(sim.addr()));
    let sound: u64 = billed(sim.addr()).iter().map(|(_, quantity)| quantity.sound_ms).sum();
    assert_eq!(sound, 1_000 * (7 + 61 + 16), "seconds were billed, not bytes of files");
    drop(folder);
}

/// A provider that fails now and then before it answers.
fn failing() -> (tokio::runtime::Runtime, Sim) {
    const TROUBLES: &str = "
[[fault]]
status = 500
share = 0.05
[[fault]]
fault = \"reset_before_headers\"
share = 0.05
[[fault]]
kind = \"overloaded\"
share = 0.05
";
    let scenario = Scenario::from_toml(TROUBLES).expect("a sound scenario");
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
    let listen = "127.0.0.1:0".parse().expect("an address");
    let sim = runtime.block_on(Sim::start(SimConfig { listen, scenario }));
    (runtime, sim.expect("the simulator starts"))
}

#[test]
fn sixty_four_callers_and_the_simulators_own_bill() {
    const CALLERS: u64 = 64;
    const ROUNDS: u64 = 20;
    let (_runtime, sim) = failing();
    let more = "[policy.breaker]\nenabled = false\n[policy.retry]\ntransient_base = \"1ms\"\ntransient_cap = \"10ms\"\n";
    let bank = Bank::open(sim.addr(), more);
    bank.budget("0.3");
    let (refused, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let (bank, refused, answered) = (&bank, &refused, &answered);
            scope.spawn(move || {
                let mut dice = Dice::new(number);
                for _ in 0..ROUNDS {
                    let (stream, words) = (dice.below(2) == 0, 1 + dice.below(80));
                    let most = words + dice.below(40);
                    let reply = bank.post(CHAT, &format!(
                        r#"{{"model":"gpt-4o","stream":{stream},"max_tokens":{most},"messages":[{{"role":"user","content":"say it in {words} words"}}]}}"#
                    ));
                    let counter = if reply.status == 429 { refused } else { answered };
                    counter.fetch_add(u64::from(matches!(reply.status, 200 | 429)), Ordering::Relaxed);
                }
            });
        }
    });
    let settled = bank.close();
    let answers: u64 = billed(sim.addr()).iter().map(|(_, quantity)| quantity.requests).sum();
    let (refused, answered) = (refused.into_inner(), answered.into_inner());
    assert_eq!((settled, answers), (due(sim.addr()), answered));
    let limit = Usd::parse("0.3").expect("an amount");
    assert!(settled <= limit, "{settled} of {limit}");
    assert!(settled > limit.percent(80).expect("a share"), "most of it was used: {settled}");
    assert!(refused > 100, "the budget was felt: {refused} refused, {answered} answered");
}

#[test]
fn a_request_that_comes_again_is_billed_and_charged_once() {
    let (_runtime, sim) = simulator();
    let bank = Bank::open(sim.addr(), "");
    let ask = |key: &str, stream: bool| {
        let body = format!(
            r#"{{"model":"gpt-4o","stream":{stream},"messages":[{{"role":"user","content":"hello there"}}]}}"#
        );
        let request = String::from_utf8(bank.request(CHAT, &body)).expect("text");
        let keyed = format!("host: x\r\nidempotency-key: {key}\r\n");
        let mut caller = Caller::to(bank.addr);
        caller.send(request.replacen("host: x\r\n", &keyed, 1).as_bytes());
        let reply = caller.answer();
        assert_eq!(reply.status, 200, "{}", text(&reply));
        reply
    };
    for (key, stream) in [("whole", false), ("stream", true)] {
        let barrier = Barrier::new(16);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    barrier.wait();
                    ask(key, stream);
                });
            }
        });
        let later = ask(key, stream);
        assert_eq!(later.header("x-mainstay-idempotent-replay"), Some("true"));
    }
    let path = bank.path();
    let folder = bank.leave();
    let found = LedgerFile::open(&path).expect("a ledger").verify().expect("a sound file");
    assert_eq!((found.ended, found.settled), (2, due(sim.addr())), "{found:?}");
    assert!(found.settled > Usd::ZERO);
    let answers: Vec<u64> = billed(sim.addr()).iter().map(|(_, one)| one.requests).collect();
    assert_eq!(answers, [2], "two requests were sent of 34 that came");
    drop(folder);
}
