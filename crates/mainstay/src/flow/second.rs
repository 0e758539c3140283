//! A stream that broke, and how what completes it is held against what the caller has.

use bytes::Bytes;
use mainstay_core::wire::sse;
use mainstay_core::wire::stitch::Stitcher;
use mainstay_core::wire::transcript::Transcript;
use mainstay_core::wire::verify::{Checked, Verifier};

/// What is left of a stream that broke: enough to check a second telling against it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(super) transcript: Transcript,
    pub(super) sequence: u64,
}

impl Broken {
    /// The number the next typed event carries.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The delivered text, when it is one that can be gone on from.
    pub(crate) fn text(&self) -> Option<String> {
        Stitcher::new(&self.transcript).map(|stitcher| stitcher.told().to_owned())
    }
}

/// How what an attempt says is held against what the caller has.
#[derive(Debug)]
pub(super) enum Second {
    /// It tells everything again.
    Told(Verifier),
    /// It was asked to go on.
    GoesOn(Stitcher),
}

impl Second {
    pub(super) fn check(&mut self, data: &[u8]) -> Checked {
        match self {
            Second::Told(verifier) => verifier.check(data),
            Second::GoesOn(stitcher) => stitcher.check(data),
        }
    }

    pub(super) fn caught_up(&self) -> bool {
        match self {
            Second::Told(verifier) => verifier.caught_up(),
            Second::GoesOn(stitcher) => stitcher.joined(),
        }
    }
}

/// An event as it may be delivered: itself, what is new of it in a second telling (perhaps
/// nothing), or `None` when that differs from the first.
pub(super) fn checked(second: Option<&mut Second>, event: Bytes) -> Option<Bytes> {
    let Some(second) = second else { return Some(event) };
    let fields = sse::fields(&event);
    let Some(data) = fields.data else { return Some(Bytes::new()) };
    if data.starts_with(b"[DONE]") {
        return second.caught_up().then_some(event.clone());
    }
    match second.check(&data) {
        Checked::Swallow => Some(Bytes::new()),
        Checked::Differs => None,
        Checked::Forward(data) => {
            let name = fields.name.map(String::from_utf8_lossy);
            let line = name.map_or_else(String::new, |name| format!("event: {name}\n"));
            Some(Bytes::from(format!("{line}data: {data}\n\n")))
        }
    }
}
