//! Days, weeks and months in a time zone.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned};
use mainstay_core::money::budget::{Calendar, Every, Period, Rule};
use mainstay_core::store::{BudgetRecord, UnixMillis};

/// The calendar of the system's time zones. Lookups of zones are cached by the library; they happen
/// when a budget is set and when a period ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Zones;

impl Calendar for Zones {
    fn period(&self, rule: &Rule, at: UnixMillis) -> Period {
        let forever = Period { start: rule.since, end: None };
        match rule.every {
            Every::Total => forever,
            // A time beyond the calendar, some thousand years from here, never ends.
            Every::Day | Every::Week | Every::Month => {
                stretch(rule, at).unwrap_or(Period { start: UnixMillis(0), end: None })
            }
        }
    }
}

fn stretch(rule: &Rule, at: UnixMillis) -> Option<Period> {
    let zone = TimeZone::get(&rule.zone).unwrap_or(TimeZone::UTC);
    let now = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?.to_zoned(zone);
    let day = now.start_of_day().ok()?;
    let (start, next) = match rule.every {
        Every::Total => return None,
        Every::Day => (day.clone(), day.checked_add(1.day()).ok()?),
        Every::Week => {
            let since = i64::from(day.weekday().since(Weekday::Monday));
            let monday = day.checked_sub(since.days()).ok()?;
            (monday.clone(), monday.checked_add(7.days()).ok()?)
        }
        Every::Month => {
            let first = day.first_of_month().ok()?;
            (first.clone(), first.checked_add(1.month()).ok()?)
        }
    };
    let millis = |time: &Zoned| {
        // Where a clock change skips midnight, the day begins later.
        let start = time.start_of_day().ok()?.round(Unit::Millisecond).ok()?;
        u64::try_from(start.timestamp().as_millisecond()).ok().map(UnixMillis)
    };
    Some(Period { start: millis(&start)?, end: Some(millis(&next)?) })
}

/// The period of a budget that `now` is in.
pub fn budget_period(record: &BudgetRecord, now: UnixMillis) -> Period {
    Zones.period(&record.rule(), now)
}

/// Whether there is such a time zone.
pub fn is_time_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use mainstay_core::money::Usd;
    use mainstay_core::money::budget::Owner;

    use super::*;

    fn rule(every: Every, zone: &str) -> Rule {
        Rule {
            id: 1,
            owner: Owner::Organization,
            limit: Usd::ZERO,
            hard: true,
            every,
            zone: zone.into(),
            since: UnixMillis(7),
            alerts: [].into(),
        }
    }

    fn at(text: &str) -> UnixMillis {
        let time: Timestamp = text.parse().expect("a time");
        UnixMillis(u64::try_from(time.as_millisecond()).expect("after 1970"))
    }

    /// Period, zone, a time, and the beginning and end of the period it is in.
    const CASES: [(Every, &str, &str, &str, &str); 9] = [
        (
            Every::Day,
            "UTC",
            "2026-11-21T23:59:59.999Z",
            "2026-11-21T00:00:00Z",
            "2026-11-22T00:00:00Z",
        ),
        (Every::Day, "UTC", "2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
        (
            Every::Day,
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            Every::Day,
            "Asia/Kathmandu",
            "2026-11-21T18:15:00Z",
            "2026-11-21T18:15:00Z",
            "2026-11-22T18:15:00Z",
        ),
        (
            Every::Week,
            "UTC",
            "2026-11-22T12:00:00Z",
            "2026-11-16T00:00:00Z",
            "2026-11-23T00:00:00Z",
        ),
        (
            Every::Week,
            "UTC",
            "2026-11-23T00:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-30T00:00:00Z",
        ),
        (
            Every::Month,
            "America/New_York",
            "2026-12-01T04:59:59Z",
            "2026-11-01T04:00:00Z",
            "2026-12-01T05:00:00Z",
        ),
        (
            Every::Month,
            "UTC",
            "2028-02-29T00:00:00Z",
            "2028-02-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
        ),
        (
            Every::Day,
            "No/Where",
            "2026-11-21T12:00:00Z",
            "2026-11-21T00:00:00Z",
            "2026-11-22T00:00:00Z",
        ),
    ];

    #[test]
    fn a_period_begins_at_midnight_of_its_zone_also_across_a_clock_change() {
        for (every, zone, now, start, end) in CASES {
            let period = Zones.period(&rule(every, zone), at(now));
            assert_eq!(
                period,
                Period { start: at(start), end: Some(at(end)) },
                "{every:?} {zone} {now}"
            );
        }
    }

    #[test]
    fn a_budget_without_periods_counts_from_its_beginning() {
        let period = Zones.period(&rule(Every::Total, "UTC"), at("2026-11-21T12:00:00Z"));
        assert_eq!(period, Period { start: UnixMillis(7), end: None });
    }

    #[test]
    fn times_beyond_the_calendar_do_no_harm() {
        for now in [0, u64::MAX] {
            let period = Zones.period(&rule(Every::Month, "Europe/Berlin"), UnixMillis(now));
            assert!(period.holds(UnixMillis(now)) || now == 0, "{now}");
        }
    }
}
