//! `mainstay doctor`: what keeps calls from working, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as Group;
use mainstay_gateway::config::{self, Config, Environment};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::doctor::{Finding, Patient, State, Wish, exit, machine, patients, refused};
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(crate) const DOCTOR: &str = "Examples:
  mainstay doctor
  mainstay doctor --provider openai --model gpt-4o-mini
  mainstay doctor --json --timeout 5s

Nothing that costs anything is sent unless --model is given. Ends with 0 when calls can work
(warnings included), 1 when the setup keeps them from it (a key, a model, a setting), 3 when the
surroundings do (network, proxy, certificate, clock, disk, the provider's servers).";

/// Providers looked at side by side.
const AT_ONCE: usize = 8;

#[derive(Debug, Group)]
pub(crate) struct DoctorArgs {
    /// The configuration; absent: `MAINSTAY_CONFIG`, ./mainstay.toml, defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Look at this provider only
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Make one small streamed call to this model, at most 200 tokens of output: tries the whole way,
    /// reads rate limits, and finds what holds streams back
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// How long each check may take, 100ms to 5m; the call gets three times as long
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = limit)]
    timeout: Duration,
}

fn limit(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(300);
    let limit = config::duration(text).filter(|limit| range.contains(limit));
    limit.ok_or_else(|| "write a duration from 100ms to 5m, such as 10s".to_owned())
}

pub(super) fn run(args: &DoctorArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let environment = Environment::capture();
    let path = config::locate(args.config.as_deref(), &environment);
    let mut report = Report { show, all: Vec::new() };
    let config = match config::load(path.as_deref(), &environment) {
        Ok(config) => config,
        Err(faults) => {
            report.add(None, refused(&faults))?;
            return report.end();
        }
    };
    if let Some(name) = &args.provider
        && !config.providers.iter().any(|provider| provider.name == *name)
    {
        let known: Vec<&str> = config.providers.iter().map(|one| one.name.as_str()).collect();
        let fix = format!("use one of {}", known.join(", "));
        return Err(Trouble::usage(
            format!("there is no provider `{name}`"),
            "the configuration does not name it",
            fix,
        ));
    }
    report.add(None, machine(&config, args.timeout))?;
    providers(args, &config, &environment, &mut report)?;
    report.end()
}

/// Looks at several providers at once and tells of them in the configuration's order.
fn providers(
    args: &DoctorArgs,
    config: &Config,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Result<(), Trouble> {
    let wish = Arc::new(Wish { limit: args.timeout, model: args.model.clone() });
    let environment = Arc::new(environment.clone());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Trouble::new(
            Exit::Surroundings,
            "could not begin",
            error.to_string(),
            "free threads or file descriptors",
        )
    })?;
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let looks: Vec<_> = patients(config, args.provider.as_deref(), &wish)
        .into_iter()
        .map(|patient| {
            let (room, wish) = (Arc::clone(&room), Arc::clone(&wish));
            let environment = Arc::clone(&environment);
            runtime.spawn(async move {
                let _seat = room.acquire().await;
                let found = patient.look(&environment, &wish).await;
                (patient, found)
            })
        })
        .collect();
    let told = looks.into_iter().try_for_each(|look| {
        let (patient, found) = runtime.block_on(look).map_err(|error| {
            Trouble::new(Exit::Surroundings, "a look ended early", error.to_string(), "try again")
        })?;
        report.add(Some(&patient), found)
    });
    // A lookup that the system never ends must not keep the command from ending.
    runtime.shutdown_background();
    told
}

/// Findings as lines; what was left out for one reason stands on one line.
fn lines(found: &[Finding]) -> Vec<String> {
    let same = |one: &Finding, other: &Finding| {
        one.state == State::Skipped && other.state == State::Skipped && one.found == other.found
    };
    let line = |group: &[Finding]| match group {
        [first, _, ..] => {
            let checks: Vec<&str> = group.iter().map(|one| one.check).collect();
            format!("{:<8} {}: {}", first.state.name(), checks.join(", "), first.found)
        }
        _ => group.iter().map(Finding::text).collect(),
    };
    found.chunk_by(same).map(line).collect()
}

/// What was found so far, shown as it comes.
struct Report<'a> {
    show: &'a mut Show,
    all: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, patient: Option<&Patient>, found: Vec<Finding>) -> Result<(), Trouble> {
        let json = self.show.json();
        if let (Some(patient), false) = (patient, json) {
            self.show.line(&format!("\n{} ({})", patient.name(), patient.place()))?;
        }
        if json {
            let name = patient.map(Patient::name);
            found.iter().try_for_each(|one| self.show.line(&one.object(name).to_string()))?;
        } else {
            lines(&found).iter().try_for_each(|line| self.show.line(line))?;
        }
        self.show.flush()?;
        self.all.extend(found);
        Ok(())
    }

    fn end(self) -> Result<Exit, Trouble> {
        let count = |state| self.all.iter().filter(|finding| finding.state == state).count();
        let (failed, warned) = (count(State::Failed), count(State::Warning));
        if !self.show.json() {
            let text = match (failed, warned) {
                (0, 0) => "all is well".to_owned(),
                (0, _) => format!("calls can work; warnings: {warned}"),
                _ => format!("failed: {failed}, warnings: {warned}"),
            };
            self.show.line(&format!("\n{text}"))?;
        }
        Ok(exit(self.all.iter()))
    }
}
