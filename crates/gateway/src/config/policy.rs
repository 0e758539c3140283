//! Reads `[policy.*]` and a route's `policy`, layered over what holds already.

use std::ops::RangeInclusive;
use std::time::Duration;

use mainstay_core::policy::{CodeSet, OpenFor, Policy, Recovery, TimeoutPolicy};
use mainstay_core::validate::Level;

use super::fault::words;
use super::reader::{Reader, Section};
use super::values::{duration, duration_text};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(10);

/// The policies of `section`, with `base` for what it does not name.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>, base: &Policy) -> Policy {
    let mut policy = base.clone();
    if let Some(retry) = reader.sub(section, "retry", "policy.retry") {
        read_retry(reader, &retry, &mut policy);
    }
    if let Some(breaker) = reader.sub(section, "breaker", "policy.breaker") {
        read_breaker(reader, &breaker, &mut policy);
    }
    if let Some(fallback) = reader.sub(section, "fallback", "policy.fallback") {
        set_wait(
            reader,
            &fallback,
            "wait_max",
            Duration::ZERO..=HOUR,
            &mut policy.fallback.wait_max,
        );
    }
    if let Some(timeouts) = reader.sub(section, "timeouts", "policy.timeouts") {
        read_timeouts(reader, &timeouts, &mut policy.timeouts);
    }
    if let Some(stream) = reader.sub(section, "stream", "policy.stream") {
        const WORDS: [(&str, Recovery); 3] = [
            ("verified", Recovery::Verified),
            ("continue", Recovery::Continue),
            ("error", Recovery::Error),
        ];
        if let Some(found) = reader.word(&stream, "recovery", &WORDS) {
            policy.stream.recovery = found.value;
        }
    }
    if let Some(validate) = reader.sub(section, "validate", "policy.validate") {
        let words = Level::ALL.map(|level| (level.name(), level));
        if let Some(found) = reader.word(&validate, "level", &words) {
            policy.validate.level = found.value;
        }
    }
    if let Some(hedge) = reader.sub(section, "hedge", "policy.hedge") {
        policy.hedge.enabled = reader.flag(&hedge, "enabled").unwrap_or(policy.hedge.enabled);
        if let Some(found) = reader.wait(&hedge, "delay", SHORT..=HOUR) {
            policy.hedge.delay = Some(found.value);
        }
    }
    policy
}

/// The names our refusals carry; for all routes.
pub(super) fn read_codes(reader: &mut Reader<'_>, section: &Section<'_>) -> CodeSet {
    const WORDS: [(&str, CodeSet); 2] =
        [("unified", CodeSet::Unified), ("openai", CodeSet::OpenAi)];
    let errors = reader.sub(section, "errors", "policy.errors");
    errors
        .and_then(|errors| reader.word(&errors, "codes", &WORDS))
        .map(|found| found.value)
        .unwrap_or_default()
}

fn read_retry(reader: &mut Reader<'_>, section: &Section<'_>, policy: &mut Policy) {
    let retry = &mut policy.retry;
    set_count(reader, section, "attempts_max", 1..=10, &mut retry.attempts_max);
    set_count(reader, section, "attempts_per_call_max", 1..=20, &mut retry.attempts_per_call_max);
    let (key, all) = ("attempts_brown_out_max", retry.attempts_per_call_max);
    if let Some(found) = reader.number(section, key, u64::from(all)..=40) {
        retry.attempts_brown_out_max = u32::try_from(found.value).ok();
    }
    set_wait(reader, section, "wait_max", Duration::ZERO..=HOUR, &mut retry.wait_max);
    set_wait(reader, section, "patience", Duration::ZERO..=HOUR, &mut retry.patience);
    let base = Duration::from_millis(1)..=MINUTE;
    let cap = Duration::from_millis(1)..=HOUR;
    set_wait(reader, section, "transient_base", base.clone(), &mut retry.transient_base);
    set_wait(reader, section, "transient_cap", cap.clone(), &mut retry.transient_cap);
    set_wait(reader, section, "throttled_base", base, &mut retry.throttled_base);
    set_wait(reader, section, "throttled_cap", cap, &mut retry.throttled_cap);
    set_count(reader, section, "budget_capacity", 0..=1_000_000, &mut retry.budget_capacity);
    set_count(reader, section, "budget_transient", 0..=1_000_000, &mut retry.budget_transient);
    set_count(reader, section, "budget_throttled", 0..=1_000_000, &mut retry.budget_throttled);
    set_count(reader, section, "in_flight_min", 0..=10_000, &mut retry.in_flight_min);
    if let Some(share) = reader.fraction(section, "in_flight_share", 0.0..=1.0) {
        retry.in_flight_share = share;
    }
    if retry.attempts_per_call_max < retry.attempts_max {
        let (one, all) = (retry.attempts_max, retry.attempts_per_call_max);
        let what = format!(
            "`{0}.attempts_max` is {one}, but `{0}.attempts_per_call_max` is {all}",
            section.shown
        );
        let why = "a call over all targets cannot have fewer attempts than one target";
        let fix = format!(
            "set `attempts_per_call_max` to {one} or more, or `attempts_max` to {all} or less"
        );
        reader.error(section.line, words(what, why, fix));
    }
    check_cap(reader, section, "transient", retry.transient_base, retry.transient_cap);
    check_cap(reader, section, "throttled", retry.throttled_base, retry.throttled_cap);
}

fn check_cap(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    name: &str,
    base: Duration,
    cap: Duration,
) {
    if base > cap {
        let (base, cap) = (duration_text(base), duration_text(cap));
        let what =
            format!("`{0}.{name}_base` is {base}, but `{0}.{name}_cap` is {cap}", section.shown);
        let fix = format!("set `{name}_cap` to {base} or more");
        reader.error(section.line, words(what, "the longest wait cannot be below the first", fix));
    }
}

fn read_breaker(reader: &mut Reader<'_>, section: &Section<'_>, policy: &mut Policy) {
    let breaker = &mut policy.breaker;
    breaker.enabled = reader.flag(section, "enabled").unwrap_or(breaker.enabled);
    set_count(reader, section, "failures", 1..=1_000, &mut breaker.failures);
    if let Some(ratio) = reader.fraction(section, "ratio", 0.01..=1.0) {
        breaker.ratio = ratio;
    }
    set_count(reader, section, "ratio_min", 1..=10_000, &mut breaker.ratio_min);
    let second = Duration::from_secs(1);
    set_wait(reader, section, "window", second..=HOUR, &mut breaker.window);
    set_wait(reader, section, "open_max", second..=HOUR, &mut breaker.open_max);
    let wanted = "\"adaptive\" or a duration from 100ms to 1h";
    let open = reader.parsed(section, "open", wanted, |text| match text {
        "adaptive" => Some(OpenFor::Adaptive),
        text => duration(text)
            .filter(|wait| (Duration::from_millis(100)..=HOUR).contains(wait))
            .map(OpenFor::Fixed),
    });
    if let Some(found) = open {
        breaker.open = found.value;
    }
}

fn read_timeouts(reader: &mut Reader<'_>, section: &Section<'_>, timeouts: &mut TimeoutPolicy) {
    set_wait(reader, section, "connect", SHORT..=5 * MINUTE, &mut timeouts.connect);
    let soft = "first_content_soft";
    set_wait(reader, section, soft, SHORT..=HOUR, &mut timeouts.first_content_soft);
    set_wait(reader, section, "first_content", SHORT..=HOUR, &mut timeouts.first_content);
    set_wait(reader, section, "idle", SHORT..=HOUR, &mut timeouts.idle);
    set_wait(reader, section, "headers", SHORT..=DAY, &mut timeouts.headers);
    let wanted = "\"none\" or a duration from 10ms to 24h";
    let total = reader.parsed(section, "total", wanted, |text| match text {
        "none" => Some(None),
        text => duration(text).filter(|wait| (SHORT..=DAY).contains(wait)).map(Some),
    });
    if let Some(found) = total {
        timeouts.total = found.value;
    }
    let both = Reader::has(section, soft) && Reader::has(section, "first_content");
    if both && timeouts.first_content_soft >= timeouts.first_content {
        let what = format!(
            "`{0}.first_content_soft` is {1}, but `{0}.first_content` is {2}",
            section.shown,
            duration_text(timeouts.first_content_soft),
            duration_text(timeouts.first_content)
        );
        let why = "the attempt would have failed before another target is started beside it";
        reader.error(section.line, words(what, why, "make `first_content_soft` the smaller one"));
    }
}

fn set_wait(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    range: RangeInclusive<Duration>,
    slot: &mut Duration,
) {
    if let Some(found) = reader.wait(section, key, range) {
        *slot = found.value;
    }
}

fn set_count(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    range: RangeInclusive<u32>,
    slot: &mut u32,
) {
    let range = u64::from(*range.start())..=u64::from(*range.end());
    if let Some(found) = reader.number(section, key, range) {
        *slot = u32::try_from(found.value).expect("the range fits 32 bits");
    }
}
