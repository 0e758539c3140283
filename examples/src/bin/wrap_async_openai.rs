//! async-openai with every rule below it: its typed API, our attempts, waits, circuits and streams.
//!
//! ```text
//! cargo run --manifest-path examples/Cargo.toml --bin wrap_async_openai
//! ```

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs,
};
use mainstay::tower::StackLayer;
use mainstay_examples::{Failed, attempts, provider, reqwest_service};
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let sim = provider("[[fault]]\nstatus = 503\nfirst = 2\n").await?;
    let config = OpenAIConfig::new().with_api_base(sim.base_url()).with_api_key("sk-any");
    let client = async_openai::Client::with_config(config).with_http_service(wrapped()?);

    let message = ChatCompletionRequestUserMessageArgs::default().content("hello").build()?;
    let request = CreateChatCompletionRequestArgs::default()
        .model("gpt-4o")
        .messages(vec![message.into()])
        .build()?;
    let answer = client.chat().create(request).await?;
    println!("answer: {:?}", answer.choices[0].message.content);
    assert_eq!(attempts(&sim).await?, 3);

    // An error answer passes as it came, so async-openai raises what it always does, once.
    let broke = CreateChatCompletionRequestArgs::default()
        .model("sim-insufficient_quota")
        .messages(vec![
            ChatCompletionRequestUserMessageArgs::default().content("x").build()?.into(),
        ])
        .build()?;
    match client.chat().create(broke).await {
        Err(OpenAIError::ApiError(error)) => println!("error:  {error}"),
        other => return Err(format!("an API error was expected, and not {other:?}").into()),
    }
    assert_eq!(attempts(&sim).await?, 4);
    Ok(())
}

/// The service that async-openai sends with: reqwest's client with every rule around it.
fn wrapped() -> Result<
    impl Service<
        HttpRequestFactory,
        Response = reqwest::Response,
        Error = tower::BoxError,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static,
    Failed,
> {
    let stack = StackLayer::new().layer(reqwest_service()?);
    Ok(service_fn(move |factory: HttpRequestFactory| {
        let stack = stack.clone();
        async move {
            let request: http::Request<reqwest::Body> = factory.build().await?.try_into()?;
            let answer = stack.oneshot(request).await?;
            Ok::<_, tower::BoxError>(reqwest::Response::from(answer.map(reqwest::Body::wrap)))
        }
    }))
}
