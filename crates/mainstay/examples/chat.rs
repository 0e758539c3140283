//! One question, one answer, and what an error tells.
//!
//! ```text
//! OPENAI_API_KEY=sk-… cargo run -p mainstay --example chat -- "What is a circuit breaker?"
//! cargo run -p mainstay --example chat        # without a key: against the simulator
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use mainstay::Client;
use mainstay_sim::{Sim, SimConfig};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let question = std::env::args().nth(1).unwrap_or_else(|| "Hello in 12 words".to_owned());
    let sim;
    let client = match Client::from_env() {
        Ok(client) => client,
        Err(error) => {
            eprintln!("{error}\nasking the simulator");
            let listen = "127.0.0.1:0".parse()?;
            sim = Sim::start(SimConfig { listen, ..SimConfig::default() }).await?;
            Client::builder().base_url(&sim.base_url()).key("sk-any").build()?
        }
    };
    let messages = json!([{"role": "user", "content": question}]);
    let answer = client.chat().create(&json!({"model": "gpt-4o-mini", "messages": messages})).await;
    match answer {
        Ok(answer) => println!("{}", answer["choices"][0]["message"]["content"]),
        Err(error) => {
            eprintln!("{error}");
            eprintln!("  kind {}, {} attempts", error.kind(), error.attempts());
        }
    }
    Ok(())
}
