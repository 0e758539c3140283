//! Lengths of time as text: `6m0s`, `17ms`, `1.5`, `90`, and counts with thousands commas.

use super::{WAIT_BELIEVED, believed};
use core::time::Duration;

/// Reads a length of time above zero: units as in Go (`1h30m0s`, `1.2s`, `12ms`, also `d`), or a
/// bare number of seconds. `None` when malformed, not above zero or beyond [`WAIT_BELIEVED`].
pub fn duration(text: &str) -> Option<Duration> {
    believed(length(text.trim())?)
}

/// As [`duration`], but zero is a value: a reset that is due right away.
pub(super) fn length(text: &str) -> Option<Duration> {
    if let Some(seconds) = decimal(text) {
        return bounded(seconds);
    }
    let (mut rest, mut sum, mut parts) = (text, 0.0, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let value = decimal(rest.get(..digits)?)?;
        let tail = rest.get(digits..)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        sum += value * unit(tail.get(..letters)?.trim_end())?;
        rest = tail.get(letters..)?;
        parts += 1;
        if parts > 6 {
            return None;
        }
    }
    if parts == 0 { None } else { bounded(sum) }
}

/// A bare number of milliseconds above zero.
pub(crate) fn millis(text: &str) -> Option<Duration> {
    believed(bounded(decimal(text)? / 1000.0)?)
}

/// A point in time since 1970, in seconds or milliseconds: larger numbers than any length.
pub(super) fn epoch(text: &str) -> Option<Duration> {
    let value = decimal(text)?;
    if (1e9..1e11).contains(&value) {
        Duration::try_from_secs_f64(value).ok()
    } else if (1e12..1e14).contains(&value) {
        Duration::try_from_secs_f64(value / 1000.0).ok()
    } else {
        None
    }
}

/// Seconds in one of a unit as headers and prose write it.
pub(super) fn unit(text: &str) -> Option<f64> {
    Some(match text {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "毫秒" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" | "秒" | "秒钟" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" | "分" | "分钟" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" | "小时" => 3600.0,
        "d" | "day" | "days" | "天" => 86_400.0,
        _ => return None,
    })
}

/// Digits with at most one point: no sign, no exponent, no `inf`, no `nan`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !plain || digits == 0 || digits > 20 {
        return None;
    }
    text.parse().ok()
}

/// A count: digits, thousands commas allowed, a fraction cut off. Above 10^15 is nonsense.
pub(super) fn count(text: &str) -> Option<u64> {
    let whole = text.split('.').next()?;
    let mut value: u64 = 0;
    let mut digits = 0;
    for byte in whole.bytes() {
        if byte == b',' && digits > 0 {
            continue;
        }
        if !byte.is_ascii_digit() {
            return None;
        }
        digits += 1;
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    (digits > 0 && value <= 1_000_000_000_000_000).then_some(value)
}

fn bounded(seconds: f64) -> Option<Duration> {
    let length = Duration::try_from_secs_f64(seconds).ok()?;
    (length <= WAIT_BELIEVED).then_some(length)
}
