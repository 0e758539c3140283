//! What may be asked on the command line.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};

use crate::commands::audit::AuditArgs;
use crate::commands::budget::BudgetCommand;
use crate::commands::doctor::{DOCTOR, DoctorArgs};
use crate::commands::ledger::LedgerCommand;
use crate::commands::limit::LimitCommand;
use crate::commands::member::MemberCommand;
use crate::commands::report::{REPORT, ReportArgs};
use crate::commands::store::StoreCommand;
use crate::commands::usage::{USAGE, UsageArgs};
use crate::commands::user::UserCommand;
use crate::commands::{EXAMPLES, RunArgs};

/// The reliability layer for OpenAI-compatible APIs.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    /// Print JSON for programs, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway
    #[command(after_help = SERVE)]
    Serve(ServeArgs),
    /// Answer a file of requests: all of it, once each, at the full rate limit
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Run a provider that fails on demand
    #[command(after_help = SIM)]
    Sim(SimArgs),
    /// Explain a request, or an error: a kind, a code, a status or a message
    #[command(after_help = EXPLAIN)]
    Explain {
        /// What to explain; several words are one message
        #[arg(required = true)]
        query: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Put together what a provider's support asks for about one request
    #[command(after_help = REPORT)]
    Report(ReportArgs),
    /// Find what keeps calls from working: key, network, proxy, certificate, clock, disk
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
    /// Classify answers: JSON lines in, JSON lines out
    #[command(after_help = CLASSIFY)]
    Classify,
    /// Check requests before they are sent
    #[command(after_help = CHECK)]
    Check(CheckArgs),
    /// Count tokens of text or requests
    #[command(after_help = TOKENS)]
    Tokens(TokensArgs),
    /// Make, list, rotate and revoke keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make and list organizations, and say who is in them
    #[command(subcommand)]
    Org(OrgCommand),
    /// Make and list users
    #[command(subcommand)]
    User(UserCommand),
    /// Make and list projects, and say who is in them
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Show who changed what
    #[command(after_help = "Example:\n  mainstay audit --most 20")]
    Audit(AuditArgs),
    /// Set, list and remove rate limits
    #[command(subcommand)]
    Limit(LimitCommand),
    /// Set, raise, show and remove budgets
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Show what was used and what it cost
    #[command(after_help = USAGE)]
    Usage(UsageArgs),
    /// Verify and export the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Bring a store's tables up to date, verify it, copy it to another
    #[command(subcommand)]
    Store(StoreCommand),
    /// Check, show or begin a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completions
    #[command(
        after_help = "Example:\n  mainstay completions bash > ~/.local/share/bash-completion/completions/mainstay"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const SERVE: &str = "Examples:
  mainstay serve
  mainstay serve --config mainstay.toml --listen 0.0.0.0:8080

Point any program with an official OpenAI SDK at http://127.0.0.1:8080/v1. Without a configuration
the upstream is what OPENAI_BASE_URL and OPENAI_API_KEY name, or the built-in simulator.
MAINSTAY_LOG sets the log level: error, warn, info (default), debug or trace.";

const SIM: &str = "Examples:
  mainstay sim
  mainstay sim --listen 127.0.0.1:0 --scenario outage.toml
  mainstay sim --list

Model `sim-<kind>` or header `x-sim-error: <kind>` gives any error on demand.";

const EXPLAIN: &str = "Examples:
  mainstay explain req_00112233445566778899aabbccddeeff
  mainstay explain 429
  mainstay explain insufficient_quota
  mainstay explain RateLimitError
  mainstay explain \"Incorrect API key provided\"";

const CLASSIFY: &str = "Example:
  echo '{\"id\":1,\"status\":429,\"headers\":{},\"body\":\"{}\"}' | mainstay classify

Each line is {\"id\",\"status\",\"headers\",\"body\",\"stream\"}; each answer is
{\"id\",\"kind\",\"class\",\"retryable\",\"scope\",\"retry_after_s\"}.";

const CHECK: &str = "Examples:
  mainstay check request.json
  mainstay check --level strict --json batch.jsonl
  mainstay check requests/ more.jsonl
  mainstay check --endpoint chat - < request.json";

const TOKENS: &str = "Examples:
  mainstay tokens request.json
  mainstay tokens --model gpt-4o essay.txt letter.txt
  echo 'How many tokens is this?' | mainstay tokens --model gpt-4o -

A JSON object is counted as a request, JSON lines one by one, anything else as text. The cost is
that of the prompt, and with the asked output at most.";

#[derive(Debug, Group)]
pub(crate) struct TokensArgs {
    /// Requests, JSON lines of requests, or texts; a folder: every `.json` and `.jsonl` in it; `-` is
    /// standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The model to count for; absent: the one that the request names
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// A configuration with prices and windows of one's own; absent: the built-in tables
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct ServeArgs {
    /// The configuration; absent: `MAINSTAY_CONFIG`, ./mainstay.toml, defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address and port of the data plane
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Address and port of the administration plane
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<String>,
    /// Let the administration plane listen beyond loopback without TLS
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Group)]
pub(crate) struct SimArgs {
    /// Address and port; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9911")]
    pub(crate) listen: std::net::SocketAddr,
    /// What to play: a TOML or JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// List the errors it can give, and end
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Group)]
pub(crate) struct CheckArgs {
    /// JSON or JSON lines; a folder: every `.json` and `.jsonl` in it; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// chat, responses, completions, embeddings, moderations, images, speech, assistants, threads or
    /// runs; absent: told by the body, or by `url` in a Batch line
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// How much to ask
    #[arg(long, value_enum, default_value_t = LevelArg::Lenient)]
    pub(crate) level: LevelArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LevelArg {
    /// What every compatible server refuses
    Lenient,
    /// The vendor's rules
    Strict,
}

/// Which configuration names the store.
#[derive(Debug, Group)]
pub(crate) struct At {
    /// The configuration that names the store; absent: `MAINSTAY_CONFIG`, ./mainstay.toml, defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; it is shown this once
    #[command(
        after_help = "Examples:\n  mainstay key create --name web\n  mainstay key create --name batch --models 'gpt-4o,o*' --scopes chat --expires 30d"
    )]
    Create(KeyCreate),
    /// List keys
    #[command(after_help = "Example:\n  mainstay key list --json")]
    List(At),
    /// Show a key's record
    #[command(after_help = "Example:\n  mainstay key show key_4fGh27KqLm3x")]
    Show(KeyId),
    /// Replace a key by a new one; the old one works for a while
    #[command(after_help = "Example:\n  mainstay key rotate key_4fGh27KqLm3x --grace 1h")]
    Rotate {
        #[command(flatten)]
        id: KeyId,
        /// How long the old key still works, 0s to 366d
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        grace: String,
    },
    /// Withdraw a key for good
    #[command(after_help = "Example:\n  mainstay key revoke key_4fGh27KqLm3x")]
    Revoke(KeyId),
}

#[derive(Debug, Group)]
pub(crate) struct KeyCreate {
    /// A name for people
    #[arg(long)]
    pub(crate) name: String,
    /// Id or name of its project
    #[arg(long)]
    pub(crate) project: Option<String>,
    /// Id or name of the user it is for, a member of the project; absent: a service key
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// What it may be used for, by commas; absent: every endpoint, not `passthrough`
    #[arg(long, value_name = "SCOPES")]
    pub(crate) scopes: Option<String>,
    /// Models it may use, by commas; `*` at the end matches any rest; absent: all
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// When it ends, from the present, such as 30d
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Group)]
pub(crate) struct KeyId {
    /// The key's id, `key_…`
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrgCommand {
    /// Make an organization
    #[command(
        after_help = "Examples:\n  mainstay org create acme\n  mainstay org create acme --tier paid"
    )]
    Create {
        /// Its name
        name: String,
        /// Its limits: a `[[tier]]` of the configuration; absent: `limits.default_tier`, if set
        #[arg(long, value_name = "TIER")]
        tier: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Say who is in an organization
    #[command(
        subcommand,
        after_help = "Example:\n  mainstay org member add acme ann --role reader"
    )]
    Member(MemberCommand),
    /// List organizations
    #[command(after_help = "Example:\n  mainstay org list")]
    List(At),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Make a project
    #[command(after_help = "Example:\n  mainstay project create web --org acme")]
    Create {
        /// Its name
        name: String,
        /// Id or name of its organization
        #[arg(long, default_value = "default")]
        org: String,
        #[command(flatten)]
        at: At,
    },
    /// Say who is in a project
    #[command(subcommand, after_help = "Example:\n  mainstay project member add web ann")]
    Member(MemberCommand),
    /// List projects
    #[command(after_help = "Example:\n  mainstay project list")]
    List(At),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what is wrong with a configuration, and what to do
    #[command(
        after_help = "Example:\n  mainstay config check mainstay.toml\n\nEnds with 0 when there is neither error nor warning, else with 1."
    )]
    Check {
        /// The file; absent: the one that `serve` would read
        file: Option<PathBuf>,
    },
    /// Write a commented configuration to start from
    #[command(
        after_help = "Examples:\n  mainstay config init\n  mainstay config init --provider groq --output groq.toml"
    )]
    Init {
        /// The provider to begin with: openai, azure, groq, mistral, openrouter, ollama, vllm, …
        #[arg(long, value_name = "KIND", default_value = "openai")]
        provider: String,
        /// Where to write; `-` is standard output
        #[arg(long, short, value_name = "FILE", default_value = "mainstay.toml")]
        output: PathBuf,
    },
    /// Show what holds, secrets hidden
    #[command(after_help = "Example:\n  mainstay config show --json")]
    Show {
        /// The file; absent: the one that `serve` would read
        file: Option<PathBuf>,
    },
}

/// Reads the arguments of this process; ends it with 2 when they make no sense.
pub(crate) fn read() -> Args {
    Args::parse()
}
