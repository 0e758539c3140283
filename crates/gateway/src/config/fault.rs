//! What is wrong with a configuration: where, what, why, and what to do. Never holds a secret.

use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, and something in it will not do what it seems to.
    Warning,
    /// Good to know; nothing is unsound.
    Note,
}

impl Severity {
    /// The word it is shown with.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigFault {
    /// How much it matters.
    pub severity: Severity,
    /// The file as it was named, or `environment`, or `command line`.
    pub file: String,
    /// The line, from 1; `None` when no line is to blame.
    pub line: Option<u32>,
    /// One line that stands alone.
    pub what: String,
    /// The rule or the fact behind it.
    pub why: String,
    /// What the reader can do.
    pub fix: String,
}

impl ConfigFault {
    /// `file:line`, or the file alone.
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }
}

impl ConfigFault {
    /// Tells of it in one line of the log, at the level it deserves.
    pub(crate) fn log(&self) {
        let ConfigFault { severity, what, why, fix, .. } = self;
        let at = self.place();
        match severity {
            Severity::Error => tracing::error!(at, why, fix, "{what}"),
            Severity::Warning => tracing::warn!(at, why, fix, "{what}"),
            Severity::Note => tracing::info!(at, why, fix, "{what}"),
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.severity.name(), self.what)?;
        writeln!(f, "   at: {}", self.place())?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "  fix: {}", self.fix)
    }
}

/// What, why and fix, before a place is known.
pub(super) struct Words {
    pub(super) what: String,
    pub(super) why: String,
    pub(super) fix: String,
}

pub(super) fn words(
    what: impl Into<String>,
    why: impl Into<String>,
    fix: impl Into<String>,
) -> Words {
    Words { what: what.into(), why: why.into(), fix: fix.into() }
}
