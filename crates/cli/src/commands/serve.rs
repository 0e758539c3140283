//! `mainstay serve`: the gateway.

use mainstay_gateway::config::{Environment, Overrides};
use mainstay_gateway::{LogTail, ServeOptions, serve};
use tracing_subscriber::EnvFilter;

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::show::{self, Show};
use crate::trouble::Trouble;

pub(super) fn run(args: &ServeArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let overrides = Overrides {
        listen: args.listen.clone(),
        admin_listen: args.admin_listen.clone(),
        insecure: args.insecure,
    };
    let config = super::load(args.config.as_deref())?;
    let config = config.with_overrides(&overrides).map_err(Trouble::flags)?;
    let tail = LogTail::default();
    log_to_aside(show.json() || config.log.json, config.log.level, &tail);
    let options = ServeOptions { tail, config, overrides, terminal: show::aside_is_seen() };
    serve(options, &mut show::aside())
        .map_err(|error| Trouble::new(Exit::Surroundings, error.what, error.why, error.fix))?;
    Ok(Exit::Worked)
}

/// Log lines go to standard error, as text or as JSON; `MAINSTAY_LOG` sets the level, else the
/// configuration. The last of them are remembered.
fn log_to_aside(json: bool, level: &str, tail: &LogTail) {
    let environment = Environment::capture();
    let level = environment.get("MAINSTAY_LOG").unwrap_or(level);
    let filter = EnvFilter::builder().parse(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let tail = tail.clone();
    // Colours are for people who look at it now, not for files and bundles.
    let colours = show::aside_is_seen() && environment.get("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    let log = log.with_writer(move || tail.writer());
    if json {
        log.json().init();
    } else {
        log.init();
    }
}
