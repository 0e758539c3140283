//! The table's machinery: a line, when it fits, and the order in which lines are asked.

use super::evidence::{Broken, Evidence};
use super::{access, limits, requests, servers, statuses};
use crate::failure::{Kind, Scope};
use crate::hints::TextLimit;
use crate::words::{Phrase, same_name};
use alloc::string::String;

/// Which answers a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// All.
    Any,
    /// Those whose status leaves the fault in the request: 400, 404, 406, 409 to 428, and errors
    /// inside a 200 that name no status.
    Client,
    /// Those whose own status is 5xx.
    Server,
    /// Those with status 400 whose body names the field at fault.
    FieldNamed,
    /// One status, the innermost.
    Status(u16),
}

/// One line: when it fits, the failure is of this kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    place: Place,
    names: &'static [&'static str],
    says: &'static [Phrase],
    unless: &'static [Phrase],
    both: bool,
    kind: Kind,
    scope: Scope,
    again: Option<bool>,
}

/// A line for `kind`; without further conditions it fits everything.
pub(super) const fn line(kind: Kind, scope: Scope) -> Line {
    Line {
        place: Place::Any,
        names: &[],
        says: &[],
        unless: &[],
        both: false,
        kind,
        scope,
        again: None,
    }
}

impl Line {
    /// Only for these answers.
    pub(super) const fn at(self, place: Place) -> Line {
        Line { place, ..self }
    }

    /// Fits when one of these is among the names, or a phrase of [`Line::says`] fits.
    pub(super) const fn named(self, names: &'static [&'static str]) -> Line {
        Line { names, ..self }
    }

    /// Fits when one of these phrases fits, or a name of [`Line::named`].
    pub(super) const fn says(self, says: &'static [Phrase]) -> Line {
        Line { says, ..self }
    }

    /// Fits only when a name and a phrase fit.
    pub(super) const fn both(self) -> Line {
        Line { both: true, ..self }
    }

    /// Does not fit when one of these phrases does.
    pub(super) const fn unless(self, unless: &'static [Phrase]) -> Line {
        Line { unless, ..self }
    }

    /// Overrules whether this kind is worth repeating.
    pub(super) const fn again(self, again: bool) -> Line {
        Line { again: Some(again), ..self }
    }

    fn fits(&self, evidence: &Evidence) -> bool {
        let words = &evidence.said.words;
        let open = self.names.is_empty() && self.says.is_empty();
        let by_name = || named(self.names, &evidence.said.names);
        let by_words = || words.say_any(self.says);
        self.place.holds(evidence)
            && (open || if self.both { by_name() && by_words() } else { by_name() || by_words() })
            && !words.say_any(self.unless)
    }

    fn ruling(&self) -> (Kind, Scope, bool) {
        (self.kind, self.scope, self.again.unwrap_or_else(|| self.kind.retryable()))
    }
}

impl Place {
    fn holds(self, evidence: &Evidence) -> bool {
        match self {
            Place::Any => true,
            Place::Client => {
                evidence.status.is_none_or(|status| matches!(status, 400 | 404 | 406 | 410..=428))
            }
            Place::FieldNamed => {
                let param = evidence.said.param.as_deref();
                evidence.status == Some(400) && param.is_some_and(|param| param != "None")
            }
            Place::Server => evidence.outer >= 500,
            Place::Status(status) => evidence.status == Some(status),
        }
    }
}

fn named(patterns: &[&str], names: &[String]) -> bool {
    names.iter().any(|name| patterns.iter().any(|pattern| same_name(pattern, name)))
}

/// The kind, the scope and whether a repeat makes sense: the first line that fits, then the class
/// names seen in prose, then the status alone.
pub(super) fn decide(evidence: &Evidence) -> (Kind, Scope, bool) {
    if let Some(broken) = evidence.broken {
        return of_broken(broken);
    }
    // A request that alone exceeds the limit per time never fits, whatever its code says.
    // A limit without a window under another status is that of the model.
    let per_time = |limit: &TextLimit| {
        limit.window.is_some() || matches!(evidence.status, None | Some(413 | 429))
    };
    if evidence.limit.is_some_and(|limit| limit.never_fits() && per_time(&limit)) {
        return (Kind::RequestTooLarge, Scope::Request, false);
    }
    let groups = [
        limits::PER_TIME,
        limits::SPENT,
        servers::CAPACITY,
        limits::THROTTLED,
        access::LINES,
        requests::SIZE_AND_CONTENT,
        requests::MODELS,
        requests::FIELDS,
        servers::AVAILABILITY,
    ];
    let class = |lines: &[Line]| {
        let fits = |line: &&Line| named(line.names, &evidence.said.classes);
        lines.iter().find(fits).map(Line::ruling)
    };
    let found = || groups.into_iter().flatten().find(|line| line.fits(evidence)).map(Line::ruling);
    let (kind, scope, again) = class(statuses::EXACT_CLASSES)
        .or_else(found)
        .or_else(|| class(statuses::CLASSES))
        .unwrap_or_else(|| statuses::by_status(evidence));
    // The text does not say which limit; the headers may.
    let kind = match (kind == Kind::RateLimitOther, evidence.tokens_gone, evidence.requests_gone) {
        (true, true, _) => Kind::RateLimitTokens,
        (true, false, true) => Kind::RateLimitRequests,
        (true | false, _, _) => kind,
    };
    (kind, scope, again)
}

fn of_broken(broken: Broken) -> (Kind, Scope, bool) {
    match broken {
        Broken::StreamOpen => (Kind::StreamInterrupted, Scope::Provider, true),
        Broken::Unreadable => (Kind::MalformedResponse, Scope::Provider, true),
        Broken::Page => (Kind::MalformedResponse, Scope::Provider, false),
    }
}
