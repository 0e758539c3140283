//! W3C Trace Context: the `traceparent` header, and the ids of spans below a call's.
//!
//! A call's server span and its attempts' client spans have ids that follow from each other, so that
//! the attempt's request can carry its span's id before anybody knows how the attempt will end.
//!
//! Source: W3C Recommendation "Trace Context", level 1 (23 November 2021), sections 3.2 and 4.3, read
//! 2026-11.

use alloc::format;
use alloc::string::String;

/// A span of a trace, as `traceparent` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Whether whoever began the trace records it.
    pub sampled: bool,
}

/// Length of a header of version 00, in bytes.
const LENGTH: usize = 55;

impl TraceContext {
    /// Reads a header's value; `None` for one that is not valid, which counts as absent. Versions that
    /// are not known yet are read as far as version 00 goes.
    pub fn parse(text: &str) -> Option<TraceContext> {
        let text = text.as_bytes();
        let fields = text.get(..LENGTH)?;
        let dashes = [2, 35, 52].iter().all(|&at| fields.get(at) == Some(&b'-'));
        let version = hex(fields.get(..2)?)?;
        let longer = text.len() > LENGTH;
        let ends = !longer || (version != 0 && text.get(LENGTH) == Some(&b'-'));
        if !dashes || version == 0xFF || !ends {
            return None;
        }
        let trace_id = hex(fields.get(3..35)?)?;
        let span_id = u64::try_from(hex(fields.get(36..52)?)?).ok()?;
        let flags = hex(fields.get(53..LENGTH)?)?;
        let sampled = flags & 1 == 1;
        (trace_id != 0 && span_id != 0).then_some(TraceContext { trace_id, span_id, sampled })
    }

    /// The header's value, of version 00.
    pub fn header(&self) -> String {
        let TraceContext { trace_id, span_id, sampled } = self;
        format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))
    }

    /// The span of a call: in the caller's trace, else in one of its own. `id` is the call's own, from
    /// a good source of chance; `sampled` counts where the caller brings no trace.
    pub fn of_call(id: u128, parent: Option<TraceContext>, sampled: bool) -> TraceContext {
        let trace_id = parent.map_or_else(|| id.max(1), |parent| parent.trace_id);
        let sampled = parent.map_or(sampled, |parent| parent.sampled);
        let (high, low) = halves(id);
        TraceContext { trace_id, span_id: mixed(high ^ low.rotate_left(32)), sampled }
    }

    /// The span of the call's attempt with this number, counted from 0.
    #[must_use]
    pub fn attempt(&self, number: u32) -> TraceContext {
        let step = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(u64::from(number) + 1);
        TraceContext { span_id: mixed(self.span_id ^ step), ..*self }
    }

    /// Whether a trace of one's own is among the `share` that is recorded. The same trace gets the
    /// same answer everywhere.
    ///
    /// Source: OpenTelemetry specification, "TraceIdRatioBased", read 2026-11: the low 63 bits.
    pub fn is_among(id: u128, share: f64) -> bool {
        let low = halves(id).1 >> 1;
        // A float holds 53 bits: the highest ids would round up to the whole.
        share >= 1.0 || (low as f64) < share * (1_u64 << 63) as f64
    }
}

/// The high and the low half of an id.
fn halves(id: u128) -> (u64, u64) {
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    (half(id >> 64), half(id))
}

/// Lower-case hexadecimal digits as a number.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |sum, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u128::from(digit))
    })
}

/// Every bit depends on every bit, and no two numbers give the same: the finalizer of SplitMix64.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
fn mixed(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ z >> 31).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_recommendations_example_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).expect("valid");
        assert_eq!(context.span_id, 0xb7ad_6b71_6920_3331);
        assert!(context.sampled);
        assert_eq!(context.header(), EXAMPLE);
        assert!(!TraceContext::parse(&EXAMPLE.replace("-01", "-02")).expect("valid").sampled);
    }

    #[test]
    fn what_is_not_valid_counts_as_absent() {
        let zero_trace = EXAMPLE.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let zero_span = EXAMPLE.replace("b7ad6b7169203331", &"0".repeat(16));
        for text in [
            "",
            "00",
            &EXAMPLE[..54],
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace("00-", "ff-"),
            &(EXAMPLE.to_string() + "-x"),
            &EXAMPLE.replace('-', "_"),
            &zero_trace,
            &zero_span,
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
        let later = EXAMPLE.replace("00-", "01-") + "-what-may-come";
        assert!(TraceContext::parse(&later).is_some());
    }

    #[test]
    fn a_call_stays_in_its_callers_trace_and_its_attempts_in_the_calls() {
        let parent = TraceContext::parse(EXAMPLE);
        let call = TraceContext::of_call(77, parent, false);
        assert_eq!(call.trace_id, parent.expect("valid").trace_id);
        assert!(call.sampled && call.span_id != parent.expect("valid").span_id);
        let own = TraceContext::of_call(77, None, false);
        assert!(own.trace_id == 77 && !own.sampled);
        let spans: BTreeSet<u64> = (0..1_000).map(|n| call.attempt(n).span_id).collect();
        assert_eq!(spans.len(), 1_000);
        assert_eq!(call.attempt(3), call.attempt(3));
    }

    #[test]
    fn a_share_of_traces_is_kept() {
        let mut dice = crate::dice::Dice::new(1);
        let mut id = || u128::from(dice.bits()) << 64 | u128::from(dice.bits());
        let kept = (0..10_000).filter(|_| TraceContext::is_among(id(), 0.1)).count();
        assert!((800..1_200).contains(&kept), "{kept}");
        assert!(TraceContext::is_among(u128::MAX, 1.0) && !TraceContext::is_among(0, 0.0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_panics(text in ".{0,80}", t in 1_u128.., s in 1_u64.., f: bool) {
            let _ = TraceContext::parse(&text);
            let context = TraceContext { trace_id: t, span_id: s, sampled: f };
            prop_assert_eq!(TraceContext::parse(&context.header()), Some(context));
        }
    }
}
