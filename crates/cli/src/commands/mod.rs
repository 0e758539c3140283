//! The commands, one a file.

use std::path::Path;

use mainstay_core::store::Store;
use mainstay_gateway::config::{self, Config, Environment, StoreUrl};
use mainstay_store::{Sqlite, open_postgres};

use crate::args::{Args, At, Command};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(crate) mod audit;
pub(crate) mod budget;
mod check;
mod classify;
mod completions;
mod config_file;
pub(crate) mod doctor;
mod explain;
mod inputs;
mod key;
pub(crate) mod ledger;
pub(crate) mod limit;
pub(crate) mod member;
mod org;
mod owner;
mod project;
pub(crate) mod report;
mod run;
mod serve;
mod sim;
pub(crate) mod store;
mod tokens;
pub(crate) mod usage;
pub(crate) mod user;

pub(crate) use run::{EXAMPLES, RunArgs};

pub(crate) fn run(args: &Args, show: &mut Show) -> Result<Exit, Trouble> {
    match &args.command {
        Command::Serve(args) => serve::run(args, show),
        Command::Run(args) => run::run(args, show),
        Command::Sim(args) => sim::run(args, show),
        Command::Explain { query, at } => explain::run(&query.join(" "), at, show),
        Command::Report(args) => report::run(args, show),
        Command::Doctor(args) => doctor::run(args, show),
        Command::Classify => classify::run(std::io::stdin().lock(), show),
        Command::Check(args) => check::run(args, show),
        Command::Tokens(args) => tokens::run(args, show),
        Command::Key(command) => key::run(command, show),
        Command::Org(command) => org::run(command, show),
        Command::User(command) => user::run(command, show),
        Command::Audit(args) => audit::run(args, show),
        Command::Project(command) => project::run(command, show),
        Command::Limit(command) => limit::run(command, show),
        Command::Budget(command) => budget::run(command, show),
        Command::Usage(args) => usage::run(args, show),
        Command::Ledger(command) => ledger::run(command, show),
        Command::Store(command) => store::run(command, show),
        Command::Config(command) => config_file::run(command, show),
        Command::Completions { shell } => completions::run(*shell, show),
    }
}

/// The configuration that a flag, the environment or the working directory names.
fn load(flag: Option<&Path>) -> Result<Config, Trouble> {
    let environment = Environment::capture();
    let path = config::locate(flag, &environment);
    config::load(path.as_deref(), &environment).map_err(Trouble::config)
}

/// The store that the configuration names.
fn store(at: &At) -> Result<Box<dyn Store>, Trouble> {
    configured_store(at).map(|(_, store)| store)
}

/// Where the store is that the configuration names.
fn store_url(at: &At) -> Result<StoreUrl, Trouble> {
    Ok(load(at.config.as_deref())?.store.url)
}

/// The configuration, and the store that it names.
fn configured_store(at: &At) -> Result<(Config, Box<dyn Store>), Trouble> {
    let config = load(at.config.as_deref())?;
    match &config.store.url {
        StoreUrl::Sqlite(path) => {
            let store = Sqlite::open(path)?.acting(&who());
            Ok((config, store))
        }
        StoreUrl::Postgres(url) => {
            let store = open_postgres(url.expose())?.acting(&who());
            Ok((config, store))
        }
    }
}

/// Who gives the command, for the audit log.
#[expect(clippy::disallowed_methods, reason = "the environment is what says who")]
fn who() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| {
        let user = std::env::var(name).ok()?;
        let user: String = user.chars().filter(|c| !c.is_control()).take(32).collect();
        (!user.is_empty()).then_some(user)
    });
    user.map_or_else(|| "cli".to_owned(), |user| format!("cli:{user}"))
}
