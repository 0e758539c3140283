//! The faults on the wire: their names, what they do, and how one is asked for.

mod edit;
pub(crate) mod play;

use crate::provider::kinds::{Acts, KindSpec};
use crate::scenario::duration_of;
use std::time::Duration;

macro_rules! faults {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// Something that goes wrong on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $about] $variant,)*
        }

        impl Fault {
            /// Every fault, in the order of the documentation.
            pub const ALL: &[Fault] = &[$(Fault::$variant,)*];

            /// The stable name: of the model `sim-<name>`, in `x-sim-fault` and in scenarios.
            pub const fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            /// What it does, in one sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Fault::$variant => $about,)* }
            }
        }
    };
}

faults! {
    Refuse "refuse" "Connections are refused; in a scenario with a time window the listening socket is closed."
    ResetBeforeHeaders "reset_before_headers" "The connection is reset after the request was read."
    CloseBeforeHeaders "close_before_headers" "The connection is closed after the request was read."
    ResetAfterHeaders "reset_after_headers" "The head of the answer is sent, then the connection is reset."
    Garbage "garbage" "Bytes that are not HTTP are sent, then the connection is closed."
    Hang "hang" "No answer; the connection stays open for `for`."
    SlowHeaders "slow_headers" "The answer begins after `for`."
    SlowFirstToken "slow_first_token" "The head comes at once, the first content after `for`."
    SlowDrip "slow_drip" "Each piece of content comes `for` after the one before."
    Stall "stall" "The answer stands still for `for` after `after` pieces, then goes on."
    CutFin "cut_fin" "After `after` pieces and half of the next the connection is closed."
    CutRst "cut_rst" "After `after` pieces and half of the next the connection is reset."
    NoDone "no_done" "The stream ends properly but without its last event."
    NoFinish "no_finish" "The stream ends properly but without a finish reason and all that follows it."
    DuplicateDone "duplicate_done" "The last event of the stream comes twice."
    MissingUsage "missing_usage" "The answer has no usage."
    MalformedEvent "malformed_event" "After `after` pieces comes an event with broken JSON, then the stream goes on; a whole body is cut in half."
    ErrorFirstEvent "error_first_event" "The stream has status 200 and begins with an error."
    ErrorMidStream "error_mid_stream" "After `after` pieces an error comes inside the stream, which then ends."
    FinishError "finish_error" "The stream ends with the finish reason `error`, or with `response.failed`."
    CommentsOnly "comments_only" "Keep-alive comments come once a second for `for`, then the stream ends."
    LengthTooLong "length_too_long" "`content-length` is `bytes` more than what is sent."
    LengthTooShort "length_too_short" "`content-length` is `bytes` less than what is sent."
    Html502 "html_502" "Status 502 with a web page."
    Html200 "html_200" "Status 200 with a web page."
    ErrorIn200 "error_in_200" "Status 200 with an error as JSON."
    EmptyBody "empty_body" "Status 200 with an empty body."
    OversizedHeaders "oversized_headers" "The head has one more header with `bytes` bytes."
    GzipUnasked "gzip_unasked" "The body is gzip, whatever the request accepts."
    OneByteChunks "one_byte_chunks" "Each byte of the body comes in its own chunk."
    CrlfEvents "crlf_events" "The lines of the stream end with CR LF; no error, but a good parser is needed."
    CloseAfterResponse "close_after_response" "The connection closes right after a sound answer that did not say so."
}

impl Fault {
    /// The fault with this name; `-` and `_` are the same.
    pub fn named(name: &str) -> Option<Fault> {
        let name = name.replace('-', "_");
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Whether the whole answer arrives in the end.
    pub(crate) const fn is_harmless(self) -> bool {
        matches!(
            self,
            Fault::SlowHeaders
                | Fault::SlowFirstToken
                | Fault::SlowDrip
                | Fault::Stall
                | Fault::DuplicateDone
                | Fault::MissingUsage
                | Fault::OversizedHeaders
                | Fault::GzipUnasked
                | Fault::OneByteChunks
                | Fault::CrlfEvents
                | Fault::CloseAfterResponse
        )
    }

    /// `for` where none is given.
    fn time(self) -> Duration {
        let special = [
            (Fault::Hang, Duration::from_mins(10)),
            (Fault::SlowHeaders, Duration::from_secs(5)),
            (Fault::SlowFirstToken, Duration::from_secs(20)),
            (Fault::SlowDrip, Duration::from_secs(1)),
        ];
        let found = special.into_iter().find(|(fault, _)| *fault == self);
        found.map_or(Duration::from_secs(30), |(_, time)| time)
    }

    /// `bytes` where none is given.
    const fn size(self) -> usize {
        if matches!(self, Fault::OversizedHeaders) { 70_000 } else { 20 }
    }
}

/// The longest `for`.
pub(crate) const FOR_MAX: Duration = Duration::from_hours(1);

/// The largest `bytes`.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// A fault with its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) fault: Fault,
    /// Pieces of content that come through first. Default 3.
    pub(crate) after: usize,
    /// How long a wait lasts.
    pub(crate) time: Duration,
    /// How many bytes are too many or too few.
    pub(crate) bytes: usize,
    /// Which kind of failure an error inside an answer tells of. Default `overloaded`.
    pub(crate) error: &'static KindSpec,
}

impl Order {
    /// The fault with its defaults.
    pub(crate) fn of(fault: Fault) -> Order {
        Order { fault, after: 3, time: fault.time(), bytes: fault.size(), error: overloaded() }
    }

    /// Reads `stall; after=2; for=5s`.
    ///
    /// # Errors
    ///
    /// What is wrong, for the caller to read.
    pub(crate) fn parse(text: &str) -> Result<Order, String> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let fault =
            Fault::named(name).ok_or_else(|| format!("there is no fault named `{name}`"))?;
        let mut order = Order::of(fault);
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not key=value"))?;
            let wrong = || format!("`{value}` is no value for `{key}`");
            match key {
                "after" => order.after = value.parse().map_err(|_| wrong())?,
                "for" => {
                    order.time = duration_of(value).filter(|d| *d <= FOR_MAX).ok_or_else(wrong)?;
                }
                "bytes" => {
                    order.bytes =
                        value.parse().ok().filter(|b| *b <= BYTES_MAX).ok_or_else(wrong)?;
                }
                "error" => order.error = speaking(value).ok_or_else(wrong)?,
                _ => return Err(format!("`{key}` is none of after, for, bytes, error")),
            }
        }
        Ok(order)
    }
}

fn overloaded() -> &'static KindSpec {
    speaking("overloaded").expect("the table of kinds has it")
}

/// The kind with this name, if it has a JSON error to tell.
pub(crate) fn speaking(name: &str) -> Option<&'static KindSpec> {
    KindSpec::named(name).filter(|kind| matches!(kind.acts, Acts::Json { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_its_settings() {
        let read = |text: &str| Order::parse(text).map(|order| format!("{order:?}")).ok();
        let want = |order: Order| Some(format!("{order:?}"));
        let stall = Order { after: 2, time: Duration::from_millis(250), ..Order::of(Fault::Stall) };
        assert_eq!(read("stall; after=2; for=250ms"), want(stall));
        assert_eq!(read("cut-rst"), want(Order::of(Fault::CutRst)));
        let error = speaking("insufficient_quota").unwrap();
        let mid = Order { error, ..Order::of(Fault::ErrorMidStream) };
        assert_eq!(read("error_mid_stream;error=insufficient_quota"), want(mid));
        for wrong in [
            "",
            "nothing",
            "stall; after",
            "stall; after=x",
            "stall; for=2h",
            "hang; bytes=99999999",
            "hang; x=1",
            "error_in_200; error=connection",
            "error_in_200; error=nothing",
        ] {
            assert!(Order::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_of_faults_and_kinds_do_not_meet() {
        for fault in Fault::ALL {
            assert!(
                crate::kinds().iter().all(|kind| kind.name != fault.name()),
                "{}",
                fault.name()
            );
        }
    }
}
