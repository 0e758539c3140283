//! Every billable family is metered: what an answer costs is price times what the provider told or, where
//! it tells nothing, what was asked for; all of it under a hard budget.

use std::collections::BTreeMap;

use mainstay_core::money::Usd;
use mainstay_core::store::UsageStore;

use super::support::provider::Provider;
use super::support::{Caller, until};
use super::{Bank, UnixMillis, text};

/// USD 1 and 2 a million tokens in and out, 0.50 cached, a cent a picture, and so on.
const FAMILIES: &str = "
[[price]]
model = \"fam-*\"
input_per_1m = \"1\"
cached_input_per_1m = \"0.50\"
output_per_1m = \"2\"
characters_per_1m = \"15\"
per_image = \"0.01\"
per_minute = \"0.006\"
per_request = \"0.001\"
";

/// What is asked, what is answered, and what it costs.
struct Family {
    model: &'static str,
    path: &'static str,
    body: &'static str,
    answer: &'static str,
    cost: &'static str,
}

const TOKENS: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":40}}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","output":[],"usage":{"input_tokens":100,"output_tokens":50,"total_tokens":150}}"#;
const PICTURES: &str = r#"{"created":1,"data":[{"b64_json":"eA=="},{"b64_json":"eA=="}]}"#;

/// A request costs 0.001; 100 tokens in 0.0001, 50 out 0.0001, 40 of the former cached 0.00002 less.
const ALL: [Family; 11] = [
    Family {
        model: "fam-chat",
        path: "/v1/chat/completions",
        body: r#"{"model":"fam-chat","messages":[{"role":"user","content":"hi"}]}"#,
        answer: TOKENS,
        cost: "0.00118",
    },
    Family {
        model: "fam-completions",
        path: "/v1/completions",
        body: r#"{"model":"fam-completions","prompt":"hi"}"#,
        answer: r#"{"id":"x","object":"text_completion","choices":[{"index":0,"text":"hi","finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}}"#,
        cost: "0.0012",
    },
    Family {
        model: "fam-responses",
        path: "/v1/responses",
        body: r#"{"model":"fam-responses","input":"hi"}"#,
        answer: RESPONSE,
        cost: "0.0012",
    },
    Family {
        model: "fam-embeddings",
        path: "/v1/embeddings",
        body: r#"{"model":"fam-embeddings","input":"hi"}"#,
        answer: r#"{"object":"list","data":[],"model":"x","usage":{"prompt_tokens":100,"total_tokens":100}}"#,
        cost: "0.0011",
    },
    Family {
        model: "fam-images",
        path: "/v1/images/generations",
        body: r#"{"model":"fam-images","prompt":"a cat","n":2}"#,
        answer: PICTURES,
        cost: "0.021",
    },
    Family {
        model: "fam-edits",
        path: "/v1/images/edits",
        body: "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nfam-edits\r\n--b\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n2\r\n--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"i.png\"\r\n\r\nx\r\n--b--\r\n",
        answer: PICTURES,
        cost: "0.021",
    },
    Family {
        model: "fam-variations",
        path: "/v1/images/variations",
        body: "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nfam-variations\r\n--b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"i.png\"\r\n\r\nx\r\n--b--\r\n",
        answer: PICTURES,
        cost: "0.011",
    },
    Family {
        model: "fam-speech",
        path: "/v1/audio/speech",
        body: r#"{"model":"fam-speech","input":"ten letter","voice":"alloy"}"#,
        answer: "sound",
        cost: "0.00115",
    },
    // 976 bytes of form are counted as 61 ms of sound: 0.006 × 61 / 60,000.
    Family {
        model: "fam-hearing",
        path: "/v1/audio/transcriptions",
        body: "SOUND",
        answer: r#"{"text":"hi"}"#,
        cost: "0.0010061",
    },
    // And here the answer tells them: 0.006 × 7,250 / 60,000.
    Family {
        model: "fam-timed",
        path: "/v1/audio/translations",
        body: "SOUND",
        answer: r#"{"task":"translate","duration":7.25,"text":"hi"}"#,
        cost: "0.001725",
    },
    Family {
        model: "fam-runs",
        path: "/v1/threads/thread_1/runs",
        body: r#"{"assistant_id":"asst_1","model":"fam-runs","max_prompt_tokens":100,"max_completion_tokens":50}"#,
        answer: r#"{"id":"run_1","object":"thread.run","status":"queued"}"#,
        cost: "0.0012",
    },
];

/// A form with a file, of exactly 976 bytes.
fn sound(model: &str) -> String {
    let start = format!(
        "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n"
    );
    let end = "\r\n--b--\r\n";
    format!("{start}{}{end}", "s".repeat(976 - start.len() - end.len()))
}

fn provider() -> Provider {
    Provider::new(|seen, stream| {
        let line = seen.head.lines().next().unwrap_or_default().to_owned();
        let family = ALL.iter().find(|one| line.starts_with(&format!("post {} ", one.path)));
        let answer = family.map_or(r#"{"id":"modr-1","results":[]}"#, |one| one.answer);
        let kind = if answer.starts_with('{') { "application/json" } else { "audio/mpeg" };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        std::io::Write::write_all(stream, head.as_bytes()).is_ok()
    })
}

/// Requests and cost of each model, as far as they are settled.
fn costs(bank: &Bank) -> BTreeMap<String, (u64, Usd)> {
    let mut costs = BTreeMap::new();
    let read = bank.store.usage(UnixMillis(0), None, &mut |row| {
        costs.insert(row.model, (row.requests, row.cost));
    });
    read.expect("a store works");
    costs
}

#[test]
fn every_billable_family_costs_its_price_and_moderations_nothing() {
    let provider = provider();
    let bank = Bank::open(provider.addr, FAMILIES);
    bank.budget("100");
    for family in &ALL {
        let body = match family.body {
            "SOUND" => sound(family.model),
            body => body.to_owned(),
        };
        let kind = if body.starts_with("--b") {
            "multipart/form-data; boundary=b"
        } else {
            "application/json"
        };
        let request = bank.request(family.path, &body);
        let request = String::from_utf8(request).expect("text");
        let mut caller = Caller::to(bank.addr);
        let typed = format!("content-type: {kind}");
        caller.send(request.replacen("content-type: application/json", &typed, 1).as_bytes());
        let reply = caller.answer();
        assert_eq!(reply.status, 200, "{}: {}", family.path, text(&reply));
    }
    let moderated = bank.post("/v1/moderations", r#"{"input":"hi"}"#);
    assert_eq!(moderated.status, 200, "{}", text(&moderated));
    for family in &ALL {
        let wanted = (1, Usd::parse(family.cost).expect("an amount"));
        until(&format!("{} is settled at {}", family.path, family.cost), || {
            let found = costs(&bank).get(family.model).copied();
            assert!(found.is_none_or(|found| found == wanted), "{}: {found:?}", family.path);
            found.is_some()
        });
    }
    assert_eq!(costs(&bank).len(), ALL.len(), "{:?}", costs(&bank));
    let sum = ALL.iter().map(|one| Usd::parse(one.cost).expect("an amount"));
    let sum = sum.fold(Usd::ZERO, |sum, cost| sum.plus(cost).expect("a sum"));
    assert_eq!(bank.close(), sum, "and nothing else was settled");
}

#[test]
fn a_likely_reserve_holds_less_and_leaves_a_debt_that_keeps_others_out() {
    let provider = provider();
    // Output of 50 tokens where one is held for: 0.0002 more than was held.
    let likely = format!("{FAMILIES}[budget]\nreserve = \"likely\"\noutput_likely = 1\n");
    let bank = Bank::open(provider.addr, &likely);
    bank.budget("0.0012");
    let ask = || bank.post("/v1/chat/completions", ALL[0].body).status;
    assert_eq!(ask(), 200, "what is likely fits");
    until("the debt is known", || ask() == 429);
    let settled = bank.close();
    assert_eq!(settled, Usd::parse(ALL[0].cost).expect("an amount"), "settled by usage");
    let worst = Bank::open(provider.addr, FAMILIES);
    worst.budget("0.0012");
    assert_eq!(
        worst.post("/v1/chat/completions", ALL[0].body).status,
        429,
        "4096 tokens do not fit"
    );
    assert_eq!(worst.close(), Usd::ZERO);
}
