//! What tests of money stand on: a provider, and whole answers told from broken ones.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use mainstay_core::dice::Dice;
use mainstay_core::money::{Price, Quantity, Usd};
use mainstay_sim::{Sim, SimConfig};
use mainstay_store::testing::free_port;
use serde_json::Value;

/// An address that is free at this moment.
pub(crate) fn free() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Sends and reads to the end of the connection; `None` when nothing came.
pub(crate) fn exchange(addr: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    // A connection that breaks leaves what came before.
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then_some(answer)
}

/// A chat with a key, of a random form and at most so many tokens long; whether it is a stream.
pub(crate) fn chat(key: &str, dice: &mut Dice, tokens_max: u64) -> (Vec<u8>, bool) {
    let (stream, most) = (dice.below(2) == 0, 1 + dice.below(tokens_max));
    let body = format!(
        r#"{{"model":"gpt-4o","stream":{stream},{}"max_tokens":{most},"messages":[{{"role":"user","content":"hello there"}}]}}"#,
        if stream { r#""stream_options":{"include_usage":true},"# } else { "" }
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    (request.into_bytes(), stream)
}

/// The id of a chat that was answered to its end, and what it has cost; `None` when it was not.
pub(crate) fn paid(answer: &[u8], stream: bool) -> Option<(String, Usd)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let usage = whole(body, stream).filter(|_| head.starts_with("HTTP/1.1 200"))?;
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    let number = |name: &str| usage[name].as_u64().unwrap();
    let quantity = Quantity {
        input: number("prompt_tokens"),
        output: number("completion_tokens"),
        ..Quantity::default()
    };
    let cost = Price::tokens(2_500_000, 1_250_000, 10_000_000).cost(&quantity).unwrap();
    Some((id, cost))
}

/// The usage of an answer that came to its end.
fn whole(body: &str, stream: bool) -> Option<Value> {
    if !stream {
        return Some(serde_json::from_str::<Value>(body).ok()?["usage"].clone());
    }
    // The end of the chunks, so that not even the last line may be missing.
    let body = body.strip_suffix("0\r\n\r\n").filter(|body| body.contains("data: [DONE]"))?;
    let at = body.rfind("\"usage\":{")? + "\"usage\":".len();
    serde_json::Deserializer::from_str(&body[at..]).into_iter::<Value>().next()?.ok()
}

/// A provider, and what it runs on.
pub(crate) fn simulator() -> (tokio::runtime::Runtime, Sim) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let config = SimConfig { listen: "127.0.0.1:0".parse().unwrap(), ..SimConfig::default() };
    let sim = runtime.block_on(Sim::start(config)).unwrap();
    (runtime, sim)
}
