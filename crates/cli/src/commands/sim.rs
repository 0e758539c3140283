//! `mainstay sim`: a provider that fails on demand.

use std::path::Path;

use mainstay_sim::{Acts, KindSpec, Scenario, Sim, SimConfig, SimError, kinds};
use serde_json::{Value, json};

use crate::args::SimArgs;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(super) fn run(args: &SimArgs, show: &mut Show) -> Result<Exit, Trouble> {
    if args.list {
        for kind in kinds() {
            show.either(&object(kind), &format!("sim-{:<28} {}", kind.name, told(kind)))?;
        }
        return Ok(Exit::Worked);
    }
    let scenario = match &args.scenario {
        None => Scenario::default(),
        Some(path) => read(path)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        let fix = "raise the limit on threads or open files";
        Trouble::new(Exit::Surroundings, "could not start a runtime", error.to_string(), fix)
    })?;
    runtime.block_on(serve(SimConfig { listen: args.listen, scenario }, show))
}

async fn serve(config: SimConfig, show: &mut Show) -> Result<Exit, Trouble> {
    let sim = Sim::start(config).await.map_err(|error| match error {
        SimError::Listen { listen, source } => Trouble::new(
            Exit::Surroundings,
            format!("could not listen on {listen}"),
            source.to_string(),
            "choose another address, or port 0 for any free one",
        ),
    })?;
    show.either(&json!({"base_url": sim.base_url()}), &sim.base_url())?;
    show.flush()?;
    show.note(
        "The simulator takes any key; end it with Ctrl-C. Errors on demand: mainstay sim --list",
    );
    let ended = end().await;
    sim.stop().await;
    ended.map(|()| Exit::Worked)
}

/// Waits for Ctrl-C or SIGTERM.
async fn end() -> Result<(), Trouble> {
    let failed = |error: std::io::Error| {
        let fix = "see whether the system limits signal handlers";
        Trouble::new(Exit::Surroundings, "could not listen for signals", error.to_string(), fix)
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

fn read(path: &Path) -> Result<Scenario, Trouble> {
    let text = super::inputs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let read = if is_json { Scenario::from_json(&text) } else { Scenario::from_toml(&text) };
    read.map_err(|error| {
        let place = error.line.map_or_else(String::new, |line| format!(":{line}"));
        let what = format!("{} (at {}{place})", error.what, path.display());
        Trouble::new(Exit::Surroundings, what, error.why, error.fix)
    })
}

fn told(kind: &KindSpec) -> String {
    match kind.acts {
        Acts::Json { status, code, .. } => format!("{status} {}", code.unwrap_or("without a code")),
        Acts::Page { status, title } => format!("{status} a web page: {title}"),
        Acts::Wire(_) => "a fault on the wire".to_owned(),
    }
}

fn object(kind: &KindSpec) -> Value {
    let (status, code) = match kind.acts {
        Acts::Json { status, code, .. } => (Some(status), code),
        Acts::Page { status, .. } => (Some(status), None),
        Acts::Wire(_) => (None, None),
    };
    json!({"kind": kind.name, "model": format!("sim-{}", kind.name), "status": status, "code": code})
}
