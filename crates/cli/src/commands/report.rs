//! `mainstay report`: what a provider's support asks for, in one file.

use std::path::PathBuf;

use clap::Args as Group;
use mainstay_core::store::RequestId;
use mainstay_gateway::bundle::{Sources, make};
use mainstay_gateway::settings::{Settings, helps};
use serde_json::json;

use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

pub(crate) const REPORT: &str = "Examples:
  mainstay report req_00112233445566778899aabbccddeeff -o report.zip
  mainstay report req_00112233445566778899aabbccddeeff -o report.zip --with-content

Keys, prompts and answers are not in it; manifest.json in it says what was left out. A running
gateway adds its log lines and limits: GET /mainstay/requests/{id}/report on the administration port.";

#[derive(Debug, Group)]
pub(crate) struct ReportArgs {
    /// The request: `x-request-id` of its answer
    id: String,
    /// Where the zip file goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Add the request's body, where `records.bodies = "content"` has kept it
    #[arg(long)]
    with_content: bool,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &ReportArgs, show: &mut Show) -> Result<Exit, Trouble> {
    let id = RequestId::parse(&args.id).ok_or_else(|| {
        let shown: String = args.id.chars().take(80).collect();
        Trouble::new(
            Exit::Usage,
            format!("`{shown}` is no request's id"),
            "an id is `req_` and 32 hexadecimal digits",
            "take it from the header `x-request-id` of the answer",
        )
    })?;
    let (config, store) = super::configured_store(&args.at)?;
    let record = store.request(id)?.ok_or_else(|| super::explain::no_record(id))?;
    let (helps, outline, settings) = (helps(&config), config.outline(), Settings::of(&config));
    let bundle = make(&Sources {
        record: &record,
        help: record.provider.as_deref().and_then(|name| helps.get(name)).copied(),
        config: Some(&outline),
        limits: None,
        log: None,
        with_content: args.with_content,
        now: now(),
        secrets: &settings.secrets.0,
    });
    let shown = args.output.display();
    std::fs::write(&args.output, &bundle).map_err(|error| {
        let fix = "name a file in a folder you may write to";
        Trouble::new(
            Exit::Surroundings,
            format!("could not write `{shown}`"),
            error.to_string(),
            fix,
        )
    })?;
    let bytes = bundle.len();
    let value = json!({"request": id.to_string(), "file": args.output, "bytes": bytes});
    show.either(
        &value,
        &format!("{shown}: {bytes} bytes; manifest.json in it says what was left out"),
    )?;
    Ok(Exit::Worked)
}
