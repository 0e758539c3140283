//! The simulator, for tests of the client.

use mainstay_sim::{Scenario, Sim, SimConfig};

/// A simulated provider that plays this scenario.
pub(crate) async fn sim(scenario: &str) -> Sim {
    let scenario = Scenario::from_toml(scenario).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    Sim::start(SimConfig { listen, scenario }).await.unwrap()
}
