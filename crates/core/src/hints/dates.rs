//! Points in time as text: the three forms of an HTTP date, and RFC 3339.

use core::time::Duration;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads an HTTP date in any of its three forms (RFC 9110, 5.6.7) as the time since 1970.
/// `None` for anything else, and for dates before 1970.
pub fn http_date(text: &str) -> Option<Duration> {
    let mut parts = text
        .split(|c: char| c.is_ascii_whitespace() || c == ',' || c == '-')
        .filter(|part| !part.is_empty());
    let weekday = parts.next()?;
    if weekday.len() < 3 || !weekday.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let second = parts.next()?;
    if let Some(month) = month(second) {
        // asctime: Sun Nov  6 08:49:37 1994
        let (day, clock, year) = (number(parts.next()?)?, clock(parts.next()?)?, parts.next()?);
        return since_1970(number(year)?, month, day, clock);
    }
    let (day, month) = (number(second)?, month(parts.next()?)?);
    let year_text = parts.next()?;
    let year = match (number(year_text)?, year_text.len()) {
        (year, 2) if year < 70 => 2000 + year,
        (year, 2) => 1900 + year,
        (year, _) => year,
    };
    let clock = clock(parts.next()?)?;
    since_1970(year, month, day, clock)
}

/// Reads RFC 3339 (`2026-11-21T12:00:05Z`, fractions and offsets too; a blank may stand for the
/// `T`, and a missing zone counts as UTC) as the time since 1970.
pub fn rfc3339(text: &str) -> Option<Duration> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month) = (number(text.get(0..4)?)?, number(text.get(5..7)?)?);
    let (day, clock) = (number(text.get(8..10)?)?, clock(text.get(11..19)?)?);
    let zone = text.get(19..)?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let local = since_1970(year, month, day, clock)?;
    let mut signs = zone.trim().chars();
    let ahead = match signs.next() {
        None | Some('Z' | 'z' | 'U') => return Some(local), // "UTC" too
        Some('+') => true,
        Some('-') => false,
        Some(_) => return None,
    };
    let (hours, minutes) = signs.as_str().split_once(':')?;
    let offset = Duration::from_secs(number(hours)? * 3600 + number(minutes.get(0..2)?)? * 60);
    if ahead { local.checked_sub(offset) } else { local.checked_add(offset) }
}

fn month(text: &str) -> Option<u64> {
    let head = text.get(0..3)?;
    let place = MONTHS.iter().position(|name| head.eq_ignore_ascii_case(name))?;
    u64::try_from(place + 1).ok()
}

/// Up to four digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let sound = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

/// `08:49:37` as seconds of the day; 60 is allowed for leap seconds.
fn clock(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let (hour, minute, second) =
        (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let sound = parts.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    sound.then_some(hour * 3600 + minute * 60 + second)
}

/// Days by the rule of the proleptic Gregorian calendar, years counted from March.
fn since_1970(year: u64, month: u64, day: u64, clock: u64) -> Option<Duration> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    let days = days.checked_sub(719_468)?; // 1970-01-01 counted the same way
    Some(Duration::from_secs(days * 86_400 + clock))
}
