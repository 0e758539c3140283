//! What tests of money stand on: a provider, and whole answers told from broken ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mainstay_sim::{Sim, SimConfig};
use serde_json::Value;

/// An address that is free at this moment.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
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

/// The usage of an answer that came to its end.
pub(crate) fn whole(body: &str, stream: bool) -> Option<Value> {
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
