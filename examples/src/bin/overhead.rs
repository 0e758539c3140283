//! What a call costs its process: bare hyper, the library, the layers around another client, and
//! async-openai with its retry layer, in one run against a server that answers at once.
//!
//! ```text
//! cargo run --release --manifest-path examples/Cargo.toml --bin overhead
//! ```
//!
//! Time is CPU time of the calling thread, by the kernel; allocations are counted by the allocator,
//! on that thread. Rounds are interleaved, and the median of each contestant is told.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use async_openai::config::OpenAIConfig;
use async_openai::middleware::{ReqwestService, retry::OpenAIRetryLayer};
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay::client::Body;
use mainstay::tower::StackLayer;
use mainstay_examples::Failed;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

const ROUNDS: usize = 9;
const CALLS: u32 = 2_000;
const WARM: u32 = 300;

/// Counts allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

// SAFETY: every request is passed on to the system's allocator as it is; counting touches no memory
// but a cell of the thread, which needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|cell| {
            let (count, bytes) = cell.get();
            cell.set((count + 1, bytes + layout.size() as u64));
        });
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Nanoseconds this thread has been on a processor.
fn busy() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Answers every request of one connection with the same completion.
fn serve(mut stream: TcpStream) {
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "word ".repeat(50)},
            "finish_reason": "stop", "logprobs": null}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 50, "total_tokens": 300},
    })
    .to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\n\
         content-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let (mut held, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let Ok(read @ 1..) = stream.read(&mut piece) else { return };
        held.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&held).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
        let length: usize = length.split("\r\n").next().unwrap_or("0").parse().unwrap_or(0);
        if held.len() >= head.len() + 4 + length {
            held.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn server() -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            std::thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// CPU nanoseconds, allocations and allocated bytes of a call.
#[derive(Clone, Copy, Debug)]
struct Cost {
    nanos: u64,
    allocations: u64,
    bytes: u64,
}

async fn cost(mut call: impl AsyncFnMut() -> Result<(), Failed>) -> Result<Cost, Failed> {
    for _ in 0..WARM {
        call().await?;
    }
    let (before, (count, bytes)) = (busy(), ALLOCATED.get());
    for _ in 0..CALLS {
        call().await?;
    }
    let (after, (counted, allocated)) = (busy(), ALLOCATED.get());
    let calls = u64::from(CALLS);
    Ok(Cost {
        nanos: (after - before) / calls,
        allocations: (counted - count) / calls,
        bytes: (allocated - bytes) / calls,
    })
}

/// A kilobyte of chat.
fn prompt() -> String {
    "a word of it ".repeat(70)
}

fn asked() -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": prompt()}]})
}

fn typed() -> Result<CreateChatCompletionRequest, Failed> {
    let message = ChatCompletionRequestUserMessageArgs::default().content(prompt()).build()?;
    let mut request = CreateChatCompletionRequestArgs::default();
    Ok(request.model("gpt-4o").messages(vec![message.into()]).build()?)
}

fn request(url: &str, body: &Bytes) -> Result<http::Request<Full<Bytes>>, Failed> {
    let request = http::Request::post(url)
        .header("host", "127.0.0.1")
        .header("authorization", "Bearer sk-any")
        .header("content-type", "application/json");
    Ok(request.body(Full::new(body.clone()))?)
}

const NAMES: [&str; 5] = [
    "bare hyper, one connection",
    "mainstay, raw",
    "mainstay, parsed",
    "mainstay's stack on hyper-util",
    "async-openai, retry layer",
];

async fn round(address: SocketAddr) -> Result<[Cost; 5], Failed> {
    let base = format!("http://{address}/v1");
    let body = Bytes::from(asked().to_string());

    let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let driver = tokio::spawn(connection);
    let hyper = cost(async || {
        let answer = sender.send_request(request("/v1/chat/completions", &body)?).await?;
        answer.into_body().collect().await?;
        Ok(())
    })
    .await?;
    drop(sender);
    driver.await??;

    let client = mainstay::Client::builder().base_url(&base).key("sk-any").build()?;
    let raw = cost(async || {
        let body = Body::Json(body.clone());
        client.raw(http::Method::POST, "/chat/completions", body).await?;
        Ok(())
    })
    .await?;
    let asked = asked();
    let parsed = cost(async || {
        client.chat().create(&asked).await?;
        Ok(())
    })
    .await?;

    let own = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let stack = StackLayer::new().layer(own);
    let url = format!("{base}/chat/completions");
    let layers = cost(async || {
        let answer = stack.clone().oneshot(request(&url, &body)?).await?;
        answer.into_body().collect().await?;
        Ok(())
    })
    .await?;

    let service = OpenAIRetryLayer::default().layer(ReqwestService::new(reqwest::Client::new()));
    let config = OpenAIConfig::new().with_api_base(&base).with_api_key("sk-any");
    let theirs = async_openai::Client::with_config(config).with_http_service(service);
    let request = typed()?;
    let theirs = cost(async || {
        theirs.chat().create(request.clone()).await?;
        Ok(())
    })
    .await?;
    Ok([hyper, raw, parsed, layers, theirs])
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all[all.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let address = server()?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(address).await?);
    }
    println!(
        "{CALLS} calls a round, {ROUNDS} rounds, a body of {} bytes",
        asked().to_string().len()
    );
    println!("{:32} {:>10} {:>8} {:>10}  over hyper", "a call", "CPU ns", "allocs", "bytes");
    let of =
        |at: usize, what: fn(&Cost) -> u64| median(rounds.iter().map(|r| what(&r[at])).collect());
    let nanos: Vec<u64> = (0..NAMES.len()).map(|at| of(at, |cost| cost.nanos)).collect();
    for (at, name) in NAMES.iter().enumerate() {
        let (allocations, bytes) = (of(at, |cost| cost.allocations), of(at, |cost| cost.bytes));
        let over = nanos[at].saturating_sub(nanos[0]);
        let more = allocations.saturating_sub(of(0, |cost| cost.allocations));
        println!(
            "{name:32} {:>10} {allocations:>8} {bytes:>10}  +{over} ns, +{more} allocations",
            nanos[at]
        );
    }
    let ratio = nanos[2] as f64 / nanos[4] as f64;
    println!("mainstay (parsed) : async-openai with its retry layer = {ratio:.2} : 1");
    Ok(())
}
