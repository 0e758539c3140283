//! `mainstay config`: check, show or begin a configuration.

use std::io::Write;
use std::path::{Path, PathBuf};

use mainstay_gateway::config::{
    self, Config, ConfigFault, Environment, PRESETS, Severity, StoreUrl, check_files, starter,
};
use mainstay_gateway::unknown_subjects;
use mainstay_store::{Memory, Sqlite};
use serde_json::{Value, json};

use crate::args::ConfigCommand;
use crate::exit::Exit;
use crate::show::{Show, fault_object};
use crate::trouble::Trouble;

pub(super) fn run(command: &ConfigCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        ConfigCommand::Check { file } => check(file.as_deref(), show),
        ConfigCommand::Init { provider, output } => init(provider, output, show),
        ConfigCommand::Show { file } => {
            let outline = super::load(file.as_deref())?.outline();
            if show.json() {
                show.line(&outline.to_string())?;
            } else {
                flat("", &outline).iter().try_for_each(|line| show.line(line))?;
            }
            Ok(Exit::Worked)
        }
    }
}

fn check(file: Option<&Path>, show: &mut Show) -> Result<Exit, Trouble> {
    let environment = Environment::capture();
    let path = config::locate(file, &environment);
    if let Some(path) = &path {
        // A file that cannot be read is the surroundings' failure, not the configuration's.
        std::fs::File::open(path).map_err(|error| Trouble::file("read", path, &error))?;
    }
    let (faults, sound) = match config::load(path.as_deref(), &environment) {
        Err(faults) => (faults, String::new()),
        Ok(config) => {
            let mut faults = check_files(&config);
            faults.extend(rules_about_nobody(&config)?);
            faults.extend(config.warnings.iter().cloned());
            let (providers, routes) = (config.providers.len(), config.routes.len());
            (
                faults,
                format!("providers {providers}, routes {routes}, prices {}", config.prices.len()),
            )
        }
    };
    let ok = faults.iter().all(|fault| fault.severity == Severity::Note);
    let name = path.map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    if show.json() {
        let findings: Vec<Value> = faults.iter().map(fault_object).collect();
        show.line(&json!({"file": name, "ok": ok, "findings": findings}).to_string())?;
    } else {
        for fault in &faults {
            show.line(&format!("{fault}\n"))?;
        }
        let many = faults.iter().filter(|fault| fault.severity != Severity::Note).count();
        let verdict = if ok {
            format!("is sound: {sound}")
        } else {
            format!("is not sound: {many} to correct")
        };
        show.line(&format!("{name} {verdict}"))?;
    }
    Ok(if ok { Exit::Worked } else { Exit::Failed })
}

/// Findings about access rules. A store that is not there yet is not made for it: it would hold
/// the default organization and project.
fn rules_about_nobody(config: &Config) -> Result<Vec<ConfigFault>, Trouble> {
    let fresh = Memory::new();
    let StoreUrl::Sqlite(path) = &config.store.url else { return Ok(Vec::new()) };
    if config.access.is_empty() || !path.exists() {
        return Ok(unknown_subjects(config, &fresh)?);
    }
    Ok(unknown_subjects(config, &Sqlite::open(path)?)?)
}

fn init(kind: &str, output: &PathBuf, show: &mut Show) -> Result<Exit, Trouble> {
    let text = starter(kind).ok_or_else(|| {
        let kinds: Vec<&str> = PRESETS.iter().map(|preset| preset.kind).collect();
        let fix = format!("use one of {}", kinds.join(", "));
        Trouble::usage(format!("there is no kind of provider `{kind}`"), "kinds fill in URLs", fix)
    })?;
    if output == Path::new("-") {
        show.raw(text.as_bytes())?;
        return Ok(Exit::Worked);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    let written = options.open(output).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let mut trouble = Trouble::file("write", output, &error);
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            "a file that is there is never overwritten".clone_into(&mut trouble.why);
            "name another with `--output`, or move it away".clone_into(&mut trouble.fix);
        }
        trouble
    })?;
    let file = output.display().to_string();
    show.either(&json!({"file": file}), &format!("wrote {file}"))?;
    Ok(Exit::Worked)
}

/// `a.b = value` lines of an object.
fn flat(name: &str, value: &Value) -> Vec<String> {
    let dot = if name.is_empty() { "" } else { "." };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().flat_map(|(key, value)| flat(&format!("{name}{dot}{key}"), value)).collect()
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let item = |(index, item)| flat(&format!("{name}[{}]", index + 1), item);
            items.iter().enumerate().flat_map(item).collect()
        }
        Value::Null => Vec::new(),
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            vec![format!("{name} = {value}")]
        }
    }
}
