//! What may be asked of `mainstay run`.

use std::path::PathBuf;

use clap::{Args as Group, ValueEnum};

pub(crate) const EXAMPLES: &str = "Examples:
  mainstay run requests.jsonl -o answers.jsonl
  mainstay run requests.jsonl.gz -o answers.jsonl --base-url http://127.0.0.1:8080/v1
  zcat big.gz | mainstay run - -o answers.jsonl --deadline 8h --max-cost 25.00
  mainstay run requests.jsonl -o answers.jsonl --dry-run --rpm 500 --tpm 200000

Input is what the Batch API takes, or one bare body a line. The same command goes on after any
interruption; each line is answered once. Failed lines stand alone in answers.errors.jsonl too.
The key is OPENAI_API_KEY. Ends with 1 when a line failed or is left.";

#[derive(Debug, Group)]
pub(crate) struct RunArgs {
    /// The requests: JSON lines, gzip or not; `-` is standard input
    pub(crate) input: PathBuf,
    /// Where answers go, one a line
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Where requests go; absent: OPENAI_BASE_URL, then https://api.openai.com/v1
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Most requests a minute, for each model; absent: what the provider allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rpm: Option<u64>,
    /// Most tokens a minute, for each model; absent: what the provider allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tpm: Option<u64>,
    /// Most requests at once, 1 to 10000; absent: found by trying, up to 512
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: Option<u32>,
    /// Stop before more than this is spent, in USD; each model needs a known price
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<String>,
    /// Stop after this time, such as 8h; outages are waited out until then
    #[arg(long, value_name = "DURATION")]
    pub(crate) deadline: Option<String>,
    /// Ask for model B where a line names A; may stand several times
    #[arg(long, value_name = "A=B")]
    pub(crate) model_map: Vec<String>,
    /// Check every body before the first request is sent
    #[arg(long, value_name = "LEVEL", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "lenient")]
    pub(crate) validate: Option<ValidateArg>,
    /// Send nothing; tell tokens, cost and time
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Put inputs of embeddings together into full requests
    #[arg(long)]
    pub(crate) pack: bool,
    /// Append what happens to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// The configuration that has prices; absent: MAINSTAY_CONFIG, ./mainstay.toml, none
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ValidateArg {
    /// What every compatible server refuses
    Lenient,
    /// The vendor's rules
    Strict,
}
