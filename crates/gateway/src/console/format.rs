//! Numbers, amounts and times as people read them.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_core::money::Usd;
use mainstay_core::store::UnixMillis;

/// A whole number with commas: `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number for an axis or a tile, short: `950`, `12.3k`, `4.1M`, `0.25`.
pub(super) fn short(number: f64) -> String {
    let plain = |value: f64, unit: &str| {
        let text = if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match number {
        n if n >= 999_500_000.0 => plain(n / 1e9, "G"),
        n if n >= 999_500.0 => plain(n / 1e6, "M"),
        n if n >= 1_000.0 => plain(n / 1e3, "k"),
        n if n > 0.0 && n < 0.1 => format!("{n:.2}"),
        n => plain(n, ""),
    }
}

/// An amount in USD on an axis: `$5`, `$1.2k`, `$0.0004`.
pub(super) fn short_usd(amount: f64) -> String {
    if amount >= 0.1 || amount <= 0.0 {
        return format!("${}", short(amount));
    }
    let digits = (2_u8..12).find(|digits| amount * 10_f64.powi(i32::from(*digits)) >= 0.99);
    let text = format!("{amount:.*}", usize::from(digits.unwrap_or(12)) + 1);
    format!("${}", text.trim_end_matches('0'))
}

/// An amount in USD as text from the desk: cents from a dollar on, below that what is needed to see
/// two digits that matter.
pub(super) fn usd(text: &str) -> String {
    amount(parse(text))
}

/// An amount as the desk writes it; nothing when it is none.
pub(super) fn parse(text: &str) -> Usd {
    match text.strip_prefix('-') {
        Some(rest) => Usd::from_pico(Usd::parse(rest).map_or(0, Usd::pico).saturating_neg()),
        None => Usd::parse(text).unwrap_or(Usd::ZERO),
    }
}

/// An amount in USD.
pub(super) fn amount(amount: Usd) -> String {
    const PLACES: u32 = 12;
    let sign = if amount.is_negative() { "−" } else { "" };
    let pico = amount.pico().unsigned_abs();
    let magnitude = pico.checked_ilog10().unwrap_or(PLACES);
    // A dollar has 13 digits; 0.0012 has 10 and is shown with four places.
    let places =
        if magnitude >= PLACES || pico == 0 { 2 } else { (PLACES + 1 - magnitude).min(PLACES) };
    let unit = 10_u128.pow(PLACES - places);
    let rounded = pico.saturating_add(unit / 2) / unit;
    let one = 10_u128.pow(places);
    let whole = count(u64::try_from(rounded / one).unwrap_or(u64::MAX));
    let width = usize::try_from(places).unwrap_or(2);
    format!("{sign}${whole}.{:0width$}", rounded % one)
}

/// A span of milliseconds: `340 ms`, `1.24 s`, `2 min 3 s`.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.2} s", ms as f64 / 1e3),
        10_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        _ => span(ms / 1_000),
    }
}

/// A span of milliseconds that was computed; nothing below zero.
pub(super) fn about_millis(ms: f64) -> String {
    let span = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
    millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A span of seconds in its two largest units: `45 s`, `2 min 3 s`, `5 h 10 min`, `3 d 4 h`.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0 s".to_owned();
    };
    let (unit, name) = UNITS[first];
    let rest = seconds % unit;
    match UNITS.get(first + 1).map(|(unit, name)| (rest / unit, name)) {
        Some((more, small)) if more > 0 => format!("{} {name} {more} {small}", seconds / unit),
        Some(_) | None => format!("{} {name}", seconds / unit),
    }
}

/// Prose as HTML: `names between backticks` as code, everything else as it is.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    // Without its partner a backtick is one.
    let pairs = text.matches('`').count() / 2 * 2;
    for (place, part) in text.splitn(pairs + 1, '`').enumerate() {
        let part = escaped(part);
        if place % 2 == 1 {
            out.extend(["<code>", &part, "</code>"]);
        } else {
            out.push_str(&part);
        }
    }
    out
}

/// Text that cannot end what it is in.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A moment, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    /// As programs read it.
    pub(super) stamp: String,
    /// `28 Nov 2026, 10:34:02 UTC`.
    pub(super) full: String,
    /// `3 min ago`, `in 2 d`.
    pub(super) ago: String,
}

/// A moment as the desk writes it; empty texts when it is none.
pub(super) fn when(stamp: &str, now: UnixMillis) -> When {
    let Ok(at) = stamp.parse::<Timestamp>() else { return When::default() };
    // What was there before anybody made it has no time.
    if at == Timestamp::UNIX_EPOCH {
        let always = "always there".to_owned();
        return When { stamp: stamp.to_owned(), full: always.clone(), ago: always };
    }
    let full = at.strftime("%-d %b %Y, %H:%M:%S UTC").to_string();
    let now = i64::try_from(now.0).unwrap_or(i64::MAX) / 1_000;
    let ago = match now.saturating_sub(at.as_second()) {
        0..=1 => "just now".to_owned(),
        past @ 2.. => format!("{} ago", first_unit(past.unsigned_abs())),
        to_come => format!("in {}", first_unit(to_come.unsigned_abs())),
    };
    When { stamp: stamp.to_owned(), full, ago }
}

/// The time of day of a moment: `10:34`.
pub(super) fn clock(stamp: &str) -> String {
    stamp.parse::<Timestamp>().map_or(String::new(), |at| at.strftime("%H:%M").to_string())
}

/// A day: `28 Nov`.
pub(super) fn day(date: &str) -> String {
    let read = date.get(..10).and_then(|date| date.parse::<jiff::civil::Date>().ok());
    read.map_or_else(|| date.to_owned(), |date| date.strftime("%-d %b").to_string())
}

fn first_unit(seconds: u64) -> String {
    match seconds {
        86_400.. => format!("{} d", seconds / 86_400),
        3_600.. => format!("{} h", seconds / 3_600),
        60.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_cents_or_two_digits_that_matter() {
        for (text, shown) in [
            ("0.00", "$0.00"),
            ("5.00", "$5.00"),
            ("1234567.891", "$1,234,567.89"),
            ("0.999999", "$1.00"),
            ("0.25", "$0.25"),
            ("0.0125", "$0.013"),
            ("0.000034567", "$0.000035"),
            ("0.000000000001", "$0.0000000000010"),
            ("-2.50", "−$2.50"),
        ] {
            let shown_now = usd(text);
            let same = shown_now.trim_end_matches('0') == shown.trim_end_matches('0');
            assert!(same, "{text}: {shown_now}, not {shown}");
        }
    }

    #[test]
    fn prose_shows_code_and_lets_no_tag_through() {
        assert_eq!(prose("see `mainstay usage` & co"), "see <code>mainstay usage</code> &amp; co");
        assert_eq!(prose("a `<b>` and one ` more"), "a <code>&lt;b&gt;</code> and one ` more");
        assert_eq!(prose("<script>"), "&lt;script&gt;");
    }

    #[test]
    fn counts_and_spans_are_read_at_a_glance() {
        assert_eq!([count(7), count(1_234), count(12_345_678)], ["7", "1,234", "12,345,678"]);
        let dollars = [short_usd(0.0), short_usd(0.0004), short_usd(0.002), short_usd(25.0)];
        assert_eq!(dollars, ["$0", "$0.0004", "$0.002", "$25"]);
        let shorts = [short(0.0), short(0.25), short(12.34), short(950.0), short(12_340.0)];
        assert_eq!(shorts, ["0", "0.2", "12", "950", "12k"]);
        assert_eq!([millis(340), millis(1_240), millis(12_340)], ["340 ms", "1.24 s", "12.3 s"]);
        assert_eq!(
            [span(45), span(123), span(18_600), span(86_400)],
            ["45 s", "2 min 3 s", "5 h 10 min", "1 d"]
        );
    }

    #[test]
    fn moments_are_told_exactly_and_by_their_distance() {
        let now = UnixMillis(1_795_862_042_000);
        let at = when("2026-11-28T10:31:02Z", now);
        assert_eq!(at.full, "28 Nov 2026, 10:31:02 UTC");
        assert!(at.ago.ends_with("ago") || at.ago.starts_with("in "), "{}", at.ago);
        assert_eq!(when("no time", now).full, "");
        assert_eq!(
            (clock("2026-11-28T10:31:02Z"), day("2026-11-28")),
            ("10:31".into(), "28 Nov".into())
        );
    }
}
