//! `mainstay limit`: set, list and remove rate limits.

use std::time::Duration;

use clap::{Args as Group, Subcommand};
use mainstay_core::money::budget::Owner;
use mainstay_core::store::{Change, LimitPatch, LimitRecord, Store, Subject, TierLimit, key_id};
use mainstay_gateway::config::{Config, Tier, duration, duration_text};
use mainstay_gateway::shapes;

use super::owner::{MaybeOf, Of};
use crate::args::At;
use crate::clock::now;
use crate::exit::Exit;
use crate::show::Show;
use crate::trouble::Trouble;

#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// Set a limit, or change parts of one
    #[command(after_help = SET)]
    Set(Box<LimitSet>),
    /// List limits
    #[command(
        after_help = "Examples:\n  mainstay limit list\n  mainstay limit list --org acme --json"
    )]
    List {
        #[command(flatten)]
        of: MaybeOf,
        #[command(flatten)]
        at: At,
    },
    /// Remove a limit
    #[command(
        after_help = "Example:\n  mainstay limit remove --key key_4fGh27KqLm3x --model gpt-4o"
    )]
    Remove {
        #[command(flatten)]
        of: Of,
        /// The limit for these models; absent: the one for all
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        #[command(flatten)]
        at: At,
    },
}

const SET: &str = "Examples:
  mainstay limit set --org acme --rpm 500 --tpm 200000
  mainstay limit set --key key_4fGh27KqLm3x --model 'gpt-4*' --rpm 60 --burst 10s
  mainstay limit set --project web --concurrency 8 --shadow
  mainstay limit set --org acme --tpm none
  mainstay limit set --org acme --tier paid

Parts that are not named stay as they are; `none` takes a part away. Every limit that fits a call
holds: of its organization, its project and its key, for all models and for its model. A running
gateway takes a change within a second and keeps its counts.";

#[derive(Debug, Group)]
pub(crate) struct LimitSet {
    #[command(flatten)]
    of: Of,
    /// Models it counts, together; `*` at the end matches any rest; absent: all
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Requests per minute, or `none`
    #[arg(long, value_name = "N")]
    rpm: Option<String>,
    /// Tokens per minute, prompt and answer, or `none`
    #[arg(long, value_name = "N")]
    tpm: Option<String>,
    /// Requests per day, or `none`
    #[arg(long, value_name = "N")]
    rpd: Option<String>,
    /// Calls at once, or `none`
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
    /// How much may come at once: what a rate gives in this time; `none`: a whole window's
    #[arg(long, value_name = "DURATION")]
    burst: Option<String>,
    /// Only count and tell, never refuse; `--shadow=false` refuses again
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    shadow: Option<bool>,
    /// The limits of this `[[tier]]` of the configuration, in the place of an earlier tier's
    #[arg(long, value_name = "TIER", conflicts_with_all = ["model", "rpm", "tpm", "rpd", "concurrency", "burst", "shadow"])]
    tier: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(command: &LimitCommand, show: &mut Show) -> Result<Exit, Trouble> {
    match command {
        LimitCommand::Set(args) => set(args, show)?,
        LimitCommand::List { of, at } => list(of, at, show)?,
        LimitCommand::Remove { of, model, at } => {
            let store = super::store(at)?;
            let removed = store.remove_limit(&of.subject()?, model.as_deref(), now())?;
            show.either(&shapes::limit(&removed), &format!("{} is removed", line(&removed)))?;
        }
    }
    Ok(Exit::Worked)
}

fn set(args: &LimitSet, show: &mut Show) -> Result<(), Trouble> {
    let subject = args.of.subject()?;
    if let Some(name) = &args.tier {
        let (config, store) = super::configured_store(&args.at)?;
        let tier = tier(&config, name)?;
        return give(store.as_ref(), &subject, tier, show);
    }
    let patch = LimitPatch {
        rpm: number("--rpm", args.rpm.as_deref())?,
        tpm: number("--tpm", args.tpm.as_deref())?,
        rpd: number("--rpd", args.rpd.as_deref())?,
        concurrency: number("--concurrency", args.concurrency.as_deref())?,
        burst: burst(args.burst.as_deref())?,
        shadow: args.shadow,
    };
    if patch == LimitPatch::default() {
        return Err(Trouble::usage(
            "nothing is set",
            "a limit has at least one number",
            "add `--rpm`, `--tpm`, `--rpd`, `--concurrency` or `--tier`",
        ));
    }
    let set = super::store(&args.at)?.set_limit(&subject, args.model.as_deref(), &patch, now())?;
    if set.spec.is_empty() {
        show.note("It has no number left, so it limits nothing and is removed.");
    }
    show.either(&shapes::limit(&set), &line(&set))
}

/// Gives a subject the limits of a tier and shows them.
pub(super) fn give(
    store: &dyn Store,
    subject: &Subject,
    tier: &Tier,
    show: &mut Show,
) -> Result<(), Trouble> {
    let limits: &[TierLimit] = &tier.limits;
    for limit in store.set_tier(subject, &tier.name, limits, now())? {
        show.either(&shapes::limit(&limit), &line(&limit))?;
    }
    Ok(())
}

/// A tier of the configuration.
pub(super) fn tier<'c>(config: &'c Config, name: &str) -> Result<&'c Tier, Trouble> {
    config.tiers.named(name).ok_or_else(|| {
        let known: Vec<&str> = config.tiers.all.iter().map(|tier| tier.name.as_str()).collect();
        let fix = if known.is_empty() {
            "add a `[[tier]]` with this name to the configuration".to_owned()
        } else {
            format!("name one of: {}", known.join(", "))
        };
        Trouble::usage(format!("there is no tier `{name}`"), "tiers are in the configuration", fix)
    })
}

fn list(of: &MaybeOf, at: &At, show: &mut Show) -> Result<(), Trouble> {
    let store = super::store(at)?;
    let wanted = of.owner().map(|of| store.budget_owner(&of)).transpose()?;
    let all = store.limits()?;
    let fitting = all.iter().filter(|limit| wanted.as_ref().is_none_or(|w| is_of(limit, w)));
    if show.json() {
        return fitting.map(shapes::limit).try_for_each(|limit| show.line(&limit.to_string()));
    }
    fitting.map(line).try_for_each(|limit| show.line(&limit))
}

fn is_of(limit: &LimitRecord, (org, owner): &(Box<str>, Owner)) -> bool {
    match (&limit.subject, owner) {
        (Subject::Organization(id), Owner::Organization) => id == org,
        (Subject::Project(id), Owner::Project(wanted)) => id == wanted,
        (Subject::Key(public), Owner::Key(wanted)) => *key_id(*public) == **wanted,
        (Subject::Organization(_) | Subject::Project(_) | Subject::Key(_), _) => false,
    }
}

fn number(flag: &str, text: Option<&str>) -> Result<Change<u64>, Trouble> {
    let Some(text) = text else { return Ok(Change::Keep) };
    if text == "none" {
        return Ok(Change::Clear);
    }
    text.parse().map(Change::To).map_err(|_| {
        let fix = format!("write a whole number, such as `{flag} 60`, or `{flag} none`");
        Trouble::usage(format!("`{flag} {text}` is no number"), "a limit is a whole number", fix)
    })
}

fn burst(text: Option<&str>) -> Result<Change<Duration>, Trouble> {
    let Some(text) = text else { return Ok(Change::Keep) };
    if text == "none" {
        return Ok(Change::Clear);
    }
    duration(text).map(Change::To).ok_or_else(|| {
        let what = format!("`--burst {text}` is no duration");
        Trouble::usage(what, "a burst is what a rate gives in a time", "write it such as 10s or 1m")
    })
}

fn line(limit: &LimitRecord) -> String {
    let LimitRecord { subject, model, spec, tier, .. } = limit;
    let mut parts = Vec::new();
    let numbers = [("rpm", spec.rpm), ("tpm", spec.tpm), ("rpd", spec.rpd)];
    let numbers = numbers.into_iter().chain([("concurrency", spec.concurrency)]);
    parts.extend(numbers.filter_map(|(name, value)| Some(format!("{name} {}", value?))));
    parts.extend(spec.burst.map(|burst| format!("burst {}", duration_text(burst))));
    parts.extend(spec.shadow.then(|| "shadow".to_owned()));
    parts.extend(tier.as_ref().map(|tier| format!("tier {tier}")));
    let model = model.as_deref().unwrap_or("every model");
    format!("{:<12} {:<18} {model:<14} {}", subject.what(), subject.id(), parts.join(", "))
}
