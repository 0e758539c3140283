//! Every rule around hyper-util's client, and that client as the transport of `mainstay::Client`.
//!
//! ```text
//! cargo run --manifest-path examples/Cargo.toml --bin wrap_hyper_util
//! ```

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use mainstay::call::Trace;
use mainstay::tower::{OverService, StackLayer};
use mainstay_examples::{Failed, provider};
use serde_json::json;
use tower::{Layer, ServiceExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let sim = provider("[[fault]]\nstatus = 503\nfirst = 2\n").await?;
    let asked = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]});

    // hyper-util repeats a request by itself when its connection was closed: not below a plan.
    let mut own = legacy::Client::builder(TokioExecutor::new());
    let own = own.retry_canceled_requests(false).build_http::<Full<Bytes>>();

    let stack = StackLayer::new().layer(own.clone());
    let request = http::Request::post(format!("{}/chat/completions", sim.base_url()))
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-any")
        .body(Full::from(asked.to_string()))?;
    let answer = stack.oneshot(request).await?;
    let trace = answer.extensions().get::<Trace>().cloned().unwrap_or_default();
    let body = answer.into_body().collect().await?.to_bytes();
    println!("stack:  {} attempts, {} bytes", trace.attempts, body.len());
    assert_eq!(trace.attempts, 3);

    let builder = mainstay::Client::builder().base_url(&sim.base_url()).key("sk-any");
    let client = builder.build_over(OverService::new(own))?;
    let answer = client.chat().create(&asked).await?;
    println!("client: {}", answer["choices"][0]["message"]["content"]);
    Ok(())
}
