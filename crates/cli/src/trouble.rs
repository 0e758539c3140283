//! Why a command did not work: what happened, why, what to do, and the exit code.

use std::path::Path;

use mainstay_core::store::StoreError;
use mainstay_gateway::config::ConfigFault;

use crate::exit::Exit;

/// Why a command did not work.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) fix: String,
    /// Findings of a configuration, shown before the rest.
    pub(crate) faults: Vec<ConfigFault>,
}

impl Trouble {
    pub(crate) fn new(
        exit: Exit,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Trouble {
        let (what, why, fix) = (what.into(), why.into(), fix.into());
        Trouble { exit, what, why, fix, faults: Vec::new() }
    }

    pub(crate) fn usage(
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Trouble {
        Trouble::new(Exit::Usage, what, why, fix)
    }

    /// A file or stream that could not be read or written.
    pub(crate) fn file(verb: &str, path: &Path, error: &std::io::Error) -> Trouble {
        let what = format!("could not {verb} `{}`", path.display());
        Trouble::new(
            Exit::Surroundings,
            what,
            error.to_string(),
            "check the path and its permissions",
        )
    }

    pub(crate) fn config(faults: Vec<ConfigFault>) -> Trouble {
        let what = "the configuration cannot be used";
        let why = "its errors are listed above";
        let mut trouble = Trouble::new(
            Exit::Surroundings,
            what,
            why,
            "correct them; `mainstay config check` lists them again",
        );
        trouble.faults = faults;
        trouble
    }

    /// Flags that do not hold together with the configuration.
    pub(crate) fn flags(faults: Vec<ConfigFault>) -> Trouble {
        let mut trouble = Trouble::usage(
            "the gateway cannot be started this way",
            "what the flags and the configuration say together does not hold",
            "correct what is listed above",
        );
        trouble.faults = faults;
        trouble
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        let (exit, why) = match &error {
            StoreError::Absent { .. } => (Exit::Failed, "the store has no such entry"),
            StoreError::Taken { .. } => (Exit::Failed, "names are unique"),
            StoreError::Refused { .. } => (Exit::Failed, "its state does not allow it"),
            StoreError::Invalid { .. } => (Exit::Usage, "the value is out of its range"),
            StoreError::Newer { .. } => {
                (Exit::Surroundings, "writing tables it does not know could damage them")
            }
            StoreError::Surroundings { what, why, fix } => {
                return Trouble::new(Exit::Surroundings, format!("could not {what}"), why, fix);
            }
        };
        Trouble::new(exit, error.to_string(), why, error.fix())
    }
}
