//! `[[provider]]`, its limits and what it supports.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Knob, lines};
use crate::script::Say::{Cut, Slow, TooLong};
use crate::script::{Cast, OPENING, Say, body, chat, gateway, sound};
use crate::support::provider::{Provider, completion};

/// One provider with these lines more; what it saw of one call: the request line and a header.
fn seen(section: &str, header: &str) -> String {
    let provider = Provider::fixed(completion());
    let section = section.replace("ADDR", &provider.addr.to_string());
    let front = gateway(&sound(&format!("[[provider]]\n{section}\n")));
    assert_eq!(chat(&front, false).status, 200);
    let seen = &provider.seen()[0];
    let line =
        seen.head.lines().next().unwrap_or_default().replace("post ", "").replace(" http/1.1", "");
    format!("{line} {}", seen.header(header).unwrap_or("-"))
}

const PLAIN: &str = "name = \"a\"\nbase_url = \"http://ADDR/v1\"\n";

/// How long `calls` calls at once take with these limits.
fn pace_of(limits: &str, calls: usize, say: Say, millis: u64) -> String {
    let script = vec![say; calls];
    let cast = Cast::new(&[&script]);
    let front = gateway(&cast.config("", limits));
    let began = Instant::now();
    let mut callers: Vec<_> = (0..calls).map(|_| front.connect()).collect();
    for caller in &mut callers {
        caller.send(&front.post_bytes("/v1/chat/completions", "", &body(false)));
    }
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 200);
    }
    if began.elapsed() > Duration::from_millis(millis) { "slow" } else { "fast" }.to_owned()
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        key: "provider.name",
        without: "openai",
        with: "mine",
        play: |with| {
            let provider = Provider::fixed(completion());
            let text = format!(
                "[[provider]]\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
                provider.addr
            );
            let front = gateway(&sound(&lines(with, &text, "name = \"mine\"")));
            chat(&front, false).header("x-mainstay-provider").unwrap_or("-").to_owned()
        },
    },
    Knob {
        key: "provider.kind",
        without: "/openai/chat/completions bearer k",
        with: "/openai/deployments/m/chat/completions?api-version=1 -",
        play: |with| {
            let shared = "name = \"a\"\nbase_url = \"http://ADDR/openai\"\napi_key = \"k\"\n";
            seen(&lines(with, shared, "kind = \"azure\"\napi_version = \"1\""), "authorization")
        },
    },
    Knob {
        key: "provider.base_url",
        without: "/v1/chat/completions -",
        with: "/under/v2/chat/completions -",
        play: |with| {
            let path = if with { "under/v2" } else { "v1" };
            seen(
                &format!("name = \"a\"\nbase_url = \"http://ADDR/{path}\"\napi_key = \"k\"\n"),
                "x-none",
            )
        },
    },
    Knob {
        key: "provider.api_key",
        without: "/v1/chat/completions bearer one",
        with: "/v1/chat/completions bearer two",
        play: |with| {
            let key = if with { "two" } else { "one" };
            seen(&format!("{PLAIN}api_key = \"{key}\""), "authorization")
        },
    },
    Knob {
        key: "provider.api_keys",
        without: "1 key",
        with: "2 keys",
        play: |with| {
            let provider = Provider::fixed(completion());
            let keys = if with { "api_keys = [\"k1\", \"k2\"]" } else { "api_key = \"k1\"" };
            let text = format!(
                "[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\n{keys}\n",
                provider.addr
            );
            let front = gateway(&sound(&text));
            (0..4).for_each(|_| drop(chat(&front, false)));
            let keys: std::collections::BTreeSet<_> = provider
                .seen()
                .iter()
                .map(|seen| seen.header("authorization").map(str::to_owned))
                .collect();
            format!("{} key{}", keys.len(), if keys.len() == 1 { "" } else { "s" })
        },
    },
    Knob {
        key: "provider.headers",
        without: "/v1/chat/completions -",
        with: "/v1/chat/completions 7",
        play: |with| {
            seen(
                &lines(with, &format!("{PLAIN}api_key = \"k\"\n"), "headers = { x-extra = \"7\" }"),
                "x-extra",
            )
        },
    },
    Knob {
        key: "provider.proxy",
        without: "200, nothing to the proxy",
        with: "502, to the proxy: connect upstream.test:80",
        play: |with| {
            let refusal = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
            let proxy = Provider::fixed(refusal);
            let provider = Provider::fixed(completion());
            let host = if with { "upstream.test:80".to_owned() } else { provider.addr.to_string() };
            let text = format!(
                "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n[[provider]]\nname = \"a\"\nbase_url = \"http://{host}/v1\"\napi_key = \"k\"\n"
            );
            let front =
                gateway(&sound(&lines(with, &text, &format!("proxy = \"http://{}\"", proxy.addr))));
            let status = chat(&front, false).status;
            let asked = proxy.seen();
            let asked = asked.first().and_then(|seen| seen.head.lines().next());
            let asked = asked.map_or_else(
                || "nothing to the proxy".to_owned(),
                |line| format!("to the proxy: {}", line.replace(" http/1.1", "")),
            );
            format!("{}, {asked}", if status == 200 { 200 } else { 502 })
        },
    },
    Knob { key: "provider.ca_file", without: "refused", with: "200", play: tls },
    Knob {
        key: "provider.model_map",
        without: "m",
        with: "m-2024",
        play: |with| {
            let provider = Provider::fixed(completion());
            let text = format!(
                "[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
                provider.addr
            );
            let front = gateway(&sound(&lines(with, &text, "model_map = { m = \"m-2024\" }")));
            chat(&front, false);
            let value: serde_json::Value =
                serde_json::from_slice(&provider.seen()[0].body).expect("JSON");
            value["model"].as_str().unwrap_or_default().to_owned()
        },
    },
    Knob {
        key: "provider.omit",
        without: "7 null",
        with: "null null",
        play: |with| sent_seed(with, "omit = [\"seed\"]"),
    },
    Knob {
        key: "provider.rename",
        without: "7 null",
        with: "null 7",
        play: |with| sent_seed(with, "rename = { seed = \"random_seed\" }"),
    },
    Knob {
        key: "provider.windows",
        without: "ab",
        with: "a",
        play: |with| {
            let cast = Cast::new(&[&[TooLong], &[]]);
            let mut config = cast.config("", &lines(with, "", "windows = { m = 1000 }"));
            if with {
                config.providers[1].windows.insert("m".to_owned(), 500);
            }
            let front = gateway(&config);
            chat(&front, false);
            cast.order()
        },
    },
    Knob {
        key: "provider.models",
        without: "200",
        with: "404",
        play: |with| {
            let provider = Provider::fixed(completion());
            let text = format!(
                "[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
                provider.addr
            );
            let front = gateway(&sound(&lines(with, &text, "models = [\"other\"]")));
            chat(&front, false).status.to_string()
        },
    },
    Knob {
        key: "provider.limits.rpm",
        without: "fast",
        with: "slow",
        play: |with| pace_of(&lines(with, "", "limits = { rpm = 120 }"), 4, Say::Well, 700),
    },
    Knob {
        key: "provider.limits.tpm",
        without: "fast",
        with: "slow",
        play: |with| pace_of(&lines(with, "", "limits = { tpm = 600 }"), 4, Slow(300), 900),
    },
    Knob {
        key: "provider.limits.concurrency",
        without: "fast",
        with: "slow",
        play: |with| pace_of(&lines(with, "", "limits = { concurrency = 1 }"), 3, Slow(300), 750),
    },
    Knob {
        key: "provider.supports.prefill",
        without: "the same request",
        with: "what was said so far",
        play: |with| {
            let cast = Cast::new(&[&[Cut]]);
            let policy = "[policy.stream]\nrecovery = \"continue\"\n";
            let front =
                gateway(&cast.config(policy, &lines(with, "", "supports = { prefill = true }")));
            chat(&front, true);
            let seen = cast.providers[0].seen();
            let again = String::from_utf8_lossy(&seen[1].body).into_owned();
            let so_far = again.contains(OPENING.trim_end());
            if so_far { "what was said so far" } else { "the same request" }.to_owned()
        },
    },
    Knob {
        key: "provider.api_version",
        without: "/openai/deployments/m/chat/completions?api-version=1 -",
        with: "/openai/deployments/m/chat/completions?api-version=2 -",
        play: |with| {
            let shared = "name = \"a\"\nkind = \"azure\"\nbase_url = \"http://ADDR/openai\"\napi_key = \"k\"\n";
            let version = if with { "2" } else { "1" };
            seen(&format!("{shared}api_version = \"{version}\""), "x-none")
        },
    },
];

/// `seed` and `random_seed` as they reach the provider, when the caller sends `seed`.
fn sent_seed(with: bool, quirk: &str) -> String {
    let provider = Provider::fixed(completion());
    let text = format!(
        "[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
        provider.addr
    );
    let front = gateway(&sound(&lines(with, &text, quirk)));
    let asked = r#"{"model":"m","seed":7,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(front.post("/v1/chat/completions", asked).status, 200);
    let sent: serde_json::Value = serde_json::from_slice(&provider.seen()[0].body).expect("JSON");
    format!("{} {}", sent["seed"], sent["random_seed"])
}

/// A provider behind a certificate of its own.
fn tls(with: bool) -> String {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).expect("it is written");
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a sound certificate");
    let (listener, config) =
        (std::net::TcpListener::bind("127.0.0.1:0").expect("a port"), Arc::new(config));
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection =
                rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut first = [0; 4096];
            // What was refused at the handshake cannot be read from.
            if std::io::Read::read(&mut stream, &mut first).is_ok() {
                let _ = stream.write_all(completion().as_bytes());
            }
        }
    });
    let text = format!(
        "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n[[provider]]\nname = \"a\"\nbase_url = \"https://localhost:{port}/v1\"\napi_key = \"k\"\n"
    );
    let front = gateway(&sound(&lines(with, &text, &format!("ca_file = \"{}\"", file.display()))));
    match chat(&front, false).status {
        200 => "200".to_owned(),
        _ => "refused".to_owned(),
    }
}
