//! A call that is over: one event, told once, from which the log line, the counts and the record are
//! made, so that they cannot disagree.
//!
//! ```text
//!  ticket ── Finished ──▶ meter (counters of this worker)
//!                   ├───▶ tally (counts by provider and cause of this worker)
//!                   ├───▶ record, as bytes ──┐
//!                   └───▶ news ──────────────┴▶ teller (a thread of its own)
//!                                                ├─▶ log line, and sums of what failed
//!                                                ├─▶ ears (whoever else wants to know)
//!                                                └─▶ store, in batches
//! ```
//!
//! All of it is made by the worker where the call ends, because there everything is at hand that it is
//! made from. Then it goes on: no system call, and a lock that nobody else holds for longer than it takes
//! to take everything away. When the teller cannot keep up, what goes beyond the bound is counted and not
//! told of.

use std::time::Duration;

use mainstay::call::{Sent, Trace, Used};
use mainstay_core::failure::Failure;
use mainstay_core::money::Usd;
use mainstay_core::store::{FailureNote, UnixMillis};
use mainstay_core::time::Moment;
use mainstay_core::wire::endpoint::Endpoint;

use crate::admission::Who;
use crate::config::Bodies;
use crate::ids::Id;
use crate::otel::Traced;
use crate::refused::Refused;
use crate::settings::Settings;

mod line;
mod maker;
mod record;
mod redact;
mod sums;
mod teller;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use teller::{Ear, Teller, TellerPlan, TellerState};
pub(crate) use told::TellTo;

/// A provider and the model it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetName<'a> {
    /// The provider's name.
    pub(crate) provider: &'a str,
    /// The model.
    pub(crate) model: Option<&'a str>,
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its id.
    pub(crate) id: Id,
    /// When it arrived, to a quarter of a second.
    pub(crate) at: UnixMillis,
    /// The same on the engine's clock.
    pub(crate) arrived: Moment,
    /// From its arrival to its end.
    pub(crate) took: Duration,
    /// Who called, once that was known.
    pub(crate) who: Option<Who>,
    /// What was asked for; `None` when the path led nowhere.
    pub(crate) endpoint: Option<Endpoint>,
    /// Its place in a trace, where traces are sent.
    pub(crate) traced: Option<Box<Traced>>,
    /// The status sent; 499 when the caller left.
    pub(crate) status: u16,
    /// How it failed, if it did.
    pub(crate) failed: Option<Box<FailureNote>>,
    /// Time spent here, in microseconds; waits and the provider left out.
    pub(crate) overhead_us: u64,
    /// Who answered, what it took and what was asked for.
    pub(crate) trace: Trace,
    /// Tokens of the answer.
    pub(crate) used: Option<Used>,
    /// What it cost; `None` when nobody counts.
    pub(crate) cost: Option<Usd>,
}

impl Finished {
    /// From the arrival to the first content of the answer the caller got.
    pub(crate) fn first_content(&self) -> Option<Duration> {
        let sound = |status: Option<u16>| status.is_some_and(|status| status < 400);
        let record =
            self.trace.records.iter().find(|one| sound(one.status) && one.kind.is_none())?;
        Some((record.started + record.took).since(self.arrived))
    }
}

#[cfg(test)]
impl Finished {
    /// A call that ended like this.
    pub(crate) fn sample(
        status: u16,
        kind: Option<mainstay_core::failure::Kind>,
        attempts: u32,
    ) -> Finished {
        Finished {
            id: Id::sample(*b"req_00112233445566778899aabbccddeeff"),
            at: UnixMillis(0),
            arrived: Moment::ZERO,
            took: Duration::from_millis(20),
            who: None,
            endpoint: Some(Endpoint::Chat),
            traced: None,
            status,
            failed: kind.map(|kind| {
                Box::new(FailureNote::new(kind, mainstay_core::failure::Origin::Provider))
            }),
            overhead_us: 60,
            trace: Trace { attempts, ..Trace::default() },
            used: None,
            cost: None,
        }
    }
}

/// How a walk failed, with what may be kept of the request.
pub(crate) fn walked(
    failure: &Failure,
    message: Option<&str>,
    retry_after: Option<Duration>,
    sent: &Sent,
    settings: &Settings,
) -> Box<FailureNote> {
    let said = &failure.provider;
    let own = mainstay_core::catalogue::entry(failure.kind).unified.code;
    let message = message.or(said.message.as_deref());
    // What one of the two does not take is left out there.
    let wanted = [settings.records.bodies, settings.log.bodies];
    let shape = || redact::shape(&sent.body).map(Into::into);
    let content = || redact::content(&sent.body, &settings.secrets).map(Into::into);
    Box::new(FailureNote {
        scope: Some(failure.scope),
        code: said.code.as_deref().or(own).map(cut),
        param: said.param.as_deref().map(cut),
        message: message.map(|text| redact::message(text, &sent.body, &settings.secrets).into()),
        upstream_id: said.request_id.as_deref().map(cut),
        retry_after,
        headers: redact::headers(&sent.headers),
        shape: if wanted == [Bodies::Off; 2] { None } else { shape() },
        content: if wanted.contains(&Bodies::Content) { content() } else { None },
        ..FailureNote::new(failure.kind, failure.origin)
    })
}

/// How a request was refused here, before anything was sent.
pub(crate) fn refused(refused: &Refused, settings: &Settings) -> Box<FailureNote> {
    let own = mainstay_core::catalogue::entry(refused.kind).unified.code;
    let param = refused.param.as_deref();
    let message = redact::own_message(&refused.message, param, &settings.secrets);
    Box::new(FailureNote {
        scope: Some(refused.scope),
        code: own.map(Into::into),
        param: param.map(cut),
        message: Some(message.into()),
        retry_after: refused.retry_after,
        ..FailureNote::new(refused.kind, refused.origin)
    })
}

/// Names and codes of providers are short; what is longer is none.
fn cut(text: &str) -> Box<str> {
    const MOST: usize = 128;
    let text = &text[..text.floor_char_boundary(MOST)];
    mainstay_core::mask::text(text.to_owned()).into()
}
