//! Whose limit, budget or usage is meant: the options `--org`, `--project` and `--key`.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use mainstay_core::store::{BudgetOf, Subject, public_of_id};

use crate::exit::Exit;
use crate::trouble::Trouble;

/// One, or everybody.
#[derive(Debug, Args)]
#[group(id = "owner", multiple = false)]
pub(crate) struct MaybeOf {
    /// Id or name of an organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
    /// Id or name of a project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Id of a key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Exactly one.
#[derive(Debug)]
pub(crate) struct Of(BudgetOf);

impl MaybeOf {
    /// The owner, if one is named.
    pub(crate) fn owner(&self) -> Option<BudgetOf> {
        let org = self.org.clone().map(BudgetOf::Organization);
        let project = || self.project.clone().map(BudgetOf::Project);
        org.or_else(project).or_else(|| self.key.clone().map(BudgetOf::Key))
    }
}

impl Of {
    /// The owner.
    pub(crate) fn owner(&self) -> &BudgetOf {
        &self.0
    }

    /// The owner as limits name him, by the id or name that was given.
    pub(crate) fn subject(&self) -> Result<Subject, Trouble> {
        Ok(match &self.0 {
            BudgetOf::Organization(org) => Subject::Organization(org.as_str().into()),
            BudgetOf::Project(project) => Subject::Project(project.as_str().into()),
            BudgetOf::Key(key) => Subject::Key(public_of_id(key).ok_or_else(|| {
                let shown: String = key.chars().take(24).collect();
                let why = "an id is `key_` and twelve letters and digits";
                let fix = "see `mainstay key list` for ids";
                Trouble::new(Exit::Usage, format!("`{shown}` is no key id"), why, fix)
            })?),
        })
    }
}

impl Args for Of {
    fn augment_args(command: Command) -> Command {
        MaybeOf::augment_args(command).mut_group("owner", |group| group.required(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        MaybeOf::augment_args_for_update(command)
    }
}

impl FromArgMatches for Of {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Of, clap::Error> {
        let named = MaybeOf::from_arg_matches(matches)?.owner();
        let absent = || clap::Error::new(clap::error::ErrorKind::MissingRequiredArgument);
        named.map(Of).ok_or_else(absent)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Of::from_arg_matches(matches)?;
        Ok(())
    }
}
