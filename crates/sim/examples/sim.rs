//! Serves the simulated provider: `cargo run -p mainstay-sim --example sim -- [--listen A] [--scenario F]`.

use mainstay_sim::{Scenario, Sim, SimConfig};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = SimConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => config.listen = value.parse()?,
            "--scenario" => {
                config.scenario = Scenario::from_toml(&std::fs::read_to_string(value)?)?;
            }
            _ => return Err(format!("{name} is neither --listen nor --scenario").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sim = Sim::start(config).await?;
        let mut err = std::io::stderr().lock();
        std::io::Write::write_fmt(&mut err, format_args!("simulator at {}\n", sim.base_url()))?;
        drop(err);
        std::future::pending::<()>().await;
        Ok(())
    })
}
