//! A refusal of our own: why a call is not sent, in the words its caller will read.

use std::time::Duration;

use http::StatusCode;
use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::rules::limits::Standing;
use mainstay_core::validate::{Fault, Report};

/// Why we say no, and everything the answer needs. The status, type and code come from the kind
/// unless `status` or `code` says otherwise.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What happened.
    pub(crate) kind: Kind,
    /// Whose side it was on.
    pub(crate) origin: Origin,
    /// What must change.
    pub(crate) scope: Scope,
    /// A status other than the kind's own.
    pub(crate) status: Option<StatusCode>,
    /// The vendor's more exact code, for callers who asked for the vendor's codes.
    pub(crate) vendor_code: Option<&'static str>,
    /// The field at fault.
    pub(crate) param: Option<String>,
    /// What happened, why, and what to do, with numbers.
    pub(crate) message: String,
    /// When it is worth trying again.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the caller's SDK should try again by itself: only when we have not.
    pub(crate) again: bool,
    /// The methods that would do, for a 405.
    pub(crate) allow: Option<&'static str>,
    /// Everything that is wrong with the request, when it was looked into.
    pub(crate) faults: Option<Box<Report>>,
    /// The limit that refuses, when it is one.
    pub(crate) over: Option<Box<OverLimit>>,
}

/// A limit that refuses.
#[derive(Debug)]
pub(crate) struct OverLimit {
    /// Whose it is, for programs.
    pub(crate) named: Option<String>,
    /// How the caller stands.
    pub(crate) standing: Standing,
}

/// Most faults told in one answer; the rest is counted.
pub(crate) const FAULTS_TOLD: usize = 32;

impl Refused {
    /// The caller's fault, to be put right in the request.
    pub(crate) fn caller(kind: Kind, message: impl Into<String>) -> Refused {
        Refused {
            kind,
            origin: Origin::Caller,
            scope: Scope::Request,
            status: None,
            vendor_code: None,
            param: None,
            message: message.into(),
            retry_after: None,
            again: false,
            allow: None,
            faults: None,
            over: None,
        }
    }

    /// The caller's credential is missing, wrong or not enough.
    pub(crate) fn key(kind: Kind, message: impl Into<String>) -> Refused {
        Refused { scope: Scope::Key, ..Refused::caller(kind, message) }
    }

    /// We cannot take it at this moment; nothing was sent, so the caller may try again.
    pub(crate) fn full(message: impl Into<String>, wait: Duration) -> Refused {
        Refused {
            origin: Origin::Mainstay,
            scope: Scope::None,
            retry_after: Some(wait),
            again: true,
            ..Refused::caller(Kind::ServiceUnavailable, message)
        }
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Refused {
        Refused { status: Some(status), ..self }
    }
}

impl Refused {
    /// A request that is not sound. The answer is that of its first fault; the others are told beside it.
    pub(crate) fn unsound(mut report: Report) -> Refused {
        let all = report.faults.len() + report.more;
        let told = report.faults.len().min(FAULTS_TOLD);
        report.faults.truncate(told);
        report.more = all - told;
        let Some(first) = report.faults.first().cloned() else {
            return Refused::caller(Kind::InvalidRequest, "The request is not sound.");
        };
        let mut message = first.message;
        if all > 1 {
            let which =
                if report.more == 0 { "all".to_owned() } else { format!("the first {told}") };
            let rest = format!(
                " This is the first of {all} faults; `error.faults` lists {which} of them."
            );
            message.push_str(&rest);
        }
        Refused {
            vendor_code: first.openai_code,
            param: first.param,
            faults: Some(Box::new(report)),
            ..Refused::caller(first.kind, message)
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::unsound(Report { faults: vec![fault], more: 0 })
    }
}

/// A number with a comma between each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups_of_three() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (104_857_600, "104,857,600")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
