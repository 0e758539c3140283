//! What the examples share: a provider to practise on, and a reqwest client as a service.

use mainstay_sim::{Scenario, Sim, SimConfig};
use tower::{Service, service_fn};

/// Any error: examples end with it.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A simulated provider whose first answers are faults, as a TOML scenario says.
///
/// # Errors
///
/// The scenario cannot be read, or no port is free.
pub async fn provider(scenario: &str) -> Result<Sim, Failed> {
    let scenario = Scenario::from_toml(scenario).map_err(|error| error.to_string())?;
    Ok(Sim::start(SimConfig { listen: "127.0.0.1:0".parse()?, scenario }).await?)
}

/// Attempts that have reached the provider.
///
/// # Errors
///
/// It does not answer.
pub async fn attempts(sim: &Sim) -> Result<u64, Failed> {
    let stats = reqwest::get(format!("http://{}/sim/stats", sim.addr())).await?.text().await?;
    let stats: serde_json::Value = serde_json::from_str(&stats)?;
    stats["attempts"].as_u64().ok_or_else(|| "no count of attempts".into())
}

/// A reqwest client as a service over HTTP's own types, which is all that a layer needs of it. It
/// repeats and follows nothing: attempts are the plan's.
///
/// # Errors
///
/// The client cannot be built.
pub fn reqwest_service() -> Result<
    impl Service<
        http::Request<reqwest::Body>,
        Response = http::Response<reqwest::Body>,
        Error = reqwest::Error,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static,
    reqwest::Error,
> {
    let client = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(service_fn(move |request: http::Request<reqwest::Body>| {
        let client = client.clone();
        async move { Ok(client.execute(request.try_into()?).await?.into()) }
    }))
}
