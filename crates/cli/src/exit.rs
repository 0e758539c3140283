//! Exit codes: the one table.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It worked.
    Worked = 0,
    /// The thing checked is not sound, or the work failed.
    Failed = 1,
    /// It was asked in a way that makes no sense. Also what the reader of arguments ends with.
    Usage = 2,
    /// The surroundings failed: a file, a port, the store.
    Surroundings = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
