//! `[policy.timeouts]`, `[policy.stream]`, `[policy.hedge]`, `[policy.validate]`, `[policy.errors]`.

use std::net::TcpStream;
use std::time::Duration;

use super::{Knob, lines, order, pace};
use crate::script::Say::{Cut, Slow, Stalls};
use crate::script::{Cast, chat, gateway, sound};

fn timeouts(with: bool, own: &str) -> String {
    lines(with, "[policy.timeouts]\n", own)
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        key: "policy.timeouts.connect",
        without: "slow",
        with: "fast",
        play: |with| {
            let silent = Silent::new();
            let policy = "[policy.retry]\nattempts_max = 1\nattempts_per_call_max = 1\n[policy.timeouts]\ntotal = \"1500ms\"\n";
            let config = sound(&format!(
                "{}[[provider]]\nname = \"a\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"\n",
                lines(with, policy, "connect = \"100ms\""),
                silent.addr
            ));
            let front = gateway(&config);
            pace(1000, || assert!(chat(&front, false).status >= 500)).to_owned()
        },
    },
    Knob {
        key: "policy.timeouts.first_content_soft",
        without: "a 200",
        with: "ab 200",
        play: |with| {
            order(&timeouts(with, "first_content_soft = \"100ms\""), &[&[Slow(600)], &[]], 1, true)
        },
    },
    Knob {
        key: "policy.timeouts.first_content",
        without: "a 200",
        with: "aa 200",
        play: |with| order(&timeouts(with, "first_content = \"200ms\""), &[&[Slow(700)]], 1, true),
    },
    Knob {
        key: "policy.timeouts.idle",
        without: "whole",
        with: "broken",
        play: |with| {
            let policy = format!(
                "{}[policy.stream]\nrecovery = \"error\"\n",
                timeouts(with, "idle = \"200ms\"")
            );
            stream_of(&policy, Stalls(700))
        },
    },
    Knob {
        key: "policy.timeouts.headers",
        without: "a 200",
        with: "aa 200",
        play: |with| order(&timeouts(with, "headers = \"200ms\""), &[&[Slow(700)]], 1, false),
    },
    Knob {
        key: "policy.timeouts.total",
        without: "a 200",
        with: "a 504",
        play: |with| order(&timeouts(with, "total = \"200ms\""), &[&[Slow(700)]], 1, false),
    },
    Knob {
        key: "policy.stream.recovery",
        without: "whole",
        with: "broken",
        play: |with| stream_of(&lines(with, "[policy.stream]\n", "recovery = \"error\""), Cut),
    },
    Knob {
        key: "policy.validate.level",
        without: "400",
        with: "200",
        play: |with| {
            let cast = Cast::new(&[&[]]);
            let front =
                gateway(&cast.config(&lines(with, "[policy.validate]\n", "level = \"off\""), ""));
            front.post("/v1/chat/completions", r#"{"model":"m","messages":7}"#).status.to_string()
        },
    },
    Knob {
        key: "policy.hedge.enabled",
        without: "a 200",
        with: "ab 200",
        play: |with| {
            let policy = lines(with, "[policy.hedge]\ndelay = \"100ms\"\n", "enabled = true");
            order(&policy, &[&[Slow(600)], &[]], 1, true)
        },
    },
    Knob {
        key: "policy.hedge.delay",
        without: "a 200",
        with: "ab 200",
        play: |with| {
            let policy = lines(with, "[policy.hedge]\nenabled = true\n", "delay = \"100ms\"");
            order(&policy, &[&[Slow(600)], &[]], 1, true)
        },
    },
    Knob {
        key: "policy.errors.codes",
        without: "missing_required_field",
        with: "missing_required_parameter",
        play: |with| {
            let cast = Cast::new(&[&[]]);
            let front =
                gateway(&cast.config(&lines(with, "[policy.errors]\n", "codes = \"openai\""), ""));
            let reply = front.post("/v1/chat/completions", r#"{"model":"m"}"#);
            reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
        },
    },
];

/// Whether a stream whose first telling goes wrong ends whole.
fn stream_of(policy: &str, say: crate::script::Say) -> String {
    let cast = Cast::new(&[&[say]]);
    let front = gateway(&cast.config(policy, ""));
    let reply = chat(&front, true);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let whole = text.contains("two") && text.contains("[DONE]");
    if whole { "whole" } else { "broken" }.to_owned()
}

/// A port that takes no more connections: its backlog is full, so that connecting hangs.
struct Silent {
    addr: std::net::SocketAddr,
    _socket: socket2::Socket,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    fn new() -> Silent {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("a free port");
        socket.listen(0).expect("it listens");
        let addr = socket.local_addr().expect("an address").as_socket().expect("IPv4");
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            waiting.push(stream);
            assert!(waiting.len() < 64, "the backlog never fills");
        }
        Silent { addr, _socket: socket, _waiting: waiting }
    }
}
