//! An answer as it is made, from a provider that breaks it off; a second one tells the rest.
//!
//! ```text
//! cargo run -p mainstay --example stream
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::io::Write;

use mainstay::Client;
use mainstay::policy::{Policy, Route, RouteTarget, Strategy};
use mainstay::spec::ProviderSpec;
use mainstay_sim::{Scenario, Sim, SimConfig};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let slow = "latency = { token = \"40ms\" }\n";
    let cutting = format!("{slow}[[fault]]\nfault = \"cut_rst\"\nafter = 6\n");
    let (first, second) = (provider(&cutting).await?, provider(slow).await?);
    let target =
        |provider: &str| RouteTarget { provider: provider.to_owned(), model: None, weight: 1 };
    let client = Client::builder()
        .provider(ProviderSpec::at(
            "breaks",
            &first.base_url().parse().map_err(no_url)?,
            "sk",
            None,
        ))
        .provider(ProviderSpec::at(
            "spare",
            &second.base_url().parse().map_err(no_url)?,
            "sk",
            None,
        ))
        .route(Route {
            model: "*".to_owned(),
            targets: vec![target("breaks"), target("spare")],
            strategy: Strategy::Order,
            policy: Policy::default(),
        })
        .build()?;
    let messages = json!([{"role": "user", "content": "Tell me something in 30 words"}]);
    let request = json!({"model": "gpt-4o-mini", "messages": messages});
    let mut events = client.chat().stream(&request).await?;
    while let Some(chunk) = events.next().await {
        print!("{}", chunk?.text().unwrap_or_default());
        std::io::stdout().flush()?;
    }
    println!();
    for attempt in &events.trace().records {
        println!("  {}: {:?}", attempt.provider, attempt.kind.map(mainstay::failure::Kind::name));
    }
    Ok(())
}

async fn provider(scenario: &str) -> Result<Sim, Box<dyn std::error::Error>> {
    let scenario = Scenario::from_toml(scenario).map_err(|error| error.what)?;
    Ok(Sim::start(SimConfig { listen: "127.0.0.1:0".parse()?, scenario }).await?)
}

fn no_url(why: mainstay::http_url::NotAUrl) -> String {
    why.0.to_owned()
}
