use super::*;
use crate::provider::answer::Content;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits {
        rpm: Some(600.0),
        tpm: None,
        rpd: None,
        concurrency: None,
        burst: Duration::from_secs(6),
        initial: 1.0,
        meter: Meter::Continuous,
        dialect: Dialect::OpenAi,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A bucket in whole numbers: one request is 60,000 units, a millisecond brings `rpm` of them.
struct Reference {
    rpm: u64,
    capacity: u64,
    level: u64,
    at: u64,
}

impl Reference {
    fn new(rpm: u64, burst_s: u64) -> Reference {
        let capacity = (rpm * burst_s * 1_000).max(60_000);
        Reference { rpm, capacity, level: capacity, at: 0 }
    }

    fn admit(&mut self, now: u64, cost: u64) -> bool {
        self.level = self.capacity.min(self.level + (now - self.at) * self.rpm);
        self.at = now;
        let fits = self.level >= cost * 60_000;
        self.level -= if fits { cost * 60_000 } else { 0 };
        fits
    }
}

proptest! {
    #[test]
    fn as_many_calls_pass_as_through_a_bucket_in_whole_numbers(
        rpm in 1u64..5_000,
        burst in 1u64..90,
        gaps in prop::collection::vec(0u64..400, 1..300),
    ) {
        let burst_wait = Duration::from_secs(burst);
        let mut limiter = Limiter::new(&Limits { rpm: Some(rpm as f64), burst: burst_wait, ..limits() });
        let mut reference = Reference::new(rpm, burst);
        let mut now = 0;
        for gap in gaps {
            now += gap;
            prop_assert_eq!(limiter.admit(1, ms(now)).is_ok(), reference.admit(now, 1), "at {} ms", now);
        }
    }

    #[test]
    fn a_call_fits_when_its_wait_is_over_and_not_before(
        tpm in 100u64..1_000_000_000,
        spent in 0u64..100,
        wanted in 1u64..100,
        meter in prop_oneof![Just(Meter::Continuous), Just(Meter::FixedWindow)],
    ) {
        let burst = Duration::from_mins(1);
        let draft = Limits { rpm: None, tpm: Some(tpm as f64), burst, meter, ..limits() };
        let mut limiter = Limiter::new(&draft);
        limiter.admit(tpm * spent / 100, ms(1_000)).unwrap();
        let tokens = tpm * wanted / 100;
        if let Err(over) = limiter.clone().admit(tokens, ms(1_000)) {
            let wait = over.wait.unwrap();
            prop_assert!(limiter.clone().admit(tokens, ms(1_000) + wait).is_ok());
            if wait > ms(2) {
                prop_assert!(limiter.clone().admit(tokens, ms(998) + wait).is_err());
            }
        }
    }

    #[test]
    fn no_window_passes_more_than_its_limit(gaps in prop::collection::vec(0u64..2_000, 1..400)) {
        let draft = Limits { rpm: Some(30.0), meter: Meter::FixedWindow, ..limits() };
        let mut limiter = Limiter::new(&draft);
        let mut passed = std::collections::BTreeMap::<u64, (u32, u32)>::new();
        let mut now = 0;
        for gap in gaps {
            now += gap;
            let (asked, through) = passed.entry(now / 60_000).or_default();
            *asked += 1;
            *through += u32::from(limiter.admit(1, ms(now)).is_ok());
        }
        for (asked, through) in passed.into_values() {
            prop_assert_eq!(through, asked.min(30));
        }
    }
}

#[test]
fn a_call_takes_from_all_limits_or_from_none() {
    let draft = Limits { tpm: Some(600.0), burst: Duration::from_mins(1), ..limits() };
    let mut limiter = Limiter::new(&draft);
    limiter.admit(600, ms(0)).unwrap();
    let over = limiter.admit(10, ms(0)).unwrap_err();
    assert_eq!(over.dimension, Dimension::Tokens);
    assert_eq!(over.wait, Some(ms(1_000)));
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-remaining-requests"), "599");
}

#[test]
fn headers_tell_limit_rest_and_time_to_full() {
    let draft = Limits { tpm: Some(30_000.0), burst: Duration::from_mins(1), ..limits() };
    let mut limiter = Limiter::new(&draft);
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-reset-requests"), "0s");
    for _ in 0..12 {
        limiter.admit(2_500, ms(0)).unwrap();
    }
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-limit-requests"), "600");
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-remaining-requests"), "588");
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-reset-requests"), "1.2s");
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-remaining-tokens"), "0");
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-reset-tokens"), "1m0s");
    assert_eq!(header(&mut limiter, ms(50), "x-ratelimit-reset-requests"), "1.15s");
}

#[test]
fn each_dialect_has_its_own_headers_and_text() {
    // 60 requests and then one too many: 100 ms are missing.
    let over = |dialect| {
        let mut limiter = Limiter::new(&Limits { dialect, ..limits() });
        for _ in 0..60 {
            limiter.admit(1, ms(0)).unwrap();
        }
        let over = limiter.admit(1, ms(0)).unwrap_err();
        let answer = limiter.refuse(&over, "gpt-4o");
        let Content::Whole(body) = answer.content else { panic!("a refusal is whole") };
        let mut headers = answer.headers;
        headers.extend(limiter.headers(ms(0)));
        (String::from_utf8(body.to_vec()).unwrap(), headers)
    };
    let value = |headers: &[(&str, String)], name: &str| {
        headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    };

    let (body, headers) = over(Dialect::OpenAi);
    assert!(body.contains("Rate limit reached for gpt-4o in organization org-sim on requests per min (RPM): Limit 600, Used 600, Requested 1. Please try again in 100ms."), "{body}");
    assert!(
        body.contains(r#""type":"requests","param":null,"code":"rate_limit_exceeded""#),
        "{body}"
    );
    assert_eq!(value(&headers, "retry-after").as_deref(), Some("1"));
    assert_eq!(value(&headers, "retry-after-ms").as_deref(), Some("100"));
    assert_eq!(value(&headers, "x-ratelimit-reset-requests").as_deref(), Some("6s"));

    let (body, headers) = over(Dialect::TextOnly);
    assert!(body.contains("try again in 100ms") && headers.is_empty(), "{body}");

    let (body, headers) = over(Dialect::Silent);
    assert!(!body.contains("try again") && headers.is_empty(), "{body}");

    let (body, headers) = over(Dialect::Azure);
    assert!(
        body.starts_with(r#"{"error":{"code":"429","message":"#)
            && body.contains("retry after 1 seconds"),
        "{body}"
    );
    assert_eq!(value(&headers, "x-ratelimit-reset-requests").as_deref(), Some("6"));
}

#[test]
fn a_day_counts_as_requests_where_that_is_the_custom() {
    let draft = Limits { rpm: None, rpd: Some(2.0), dialect: Dialect::Groq, ..limits() };
    let mut limiter = Limiter::new(&draft);
    limiter.admit(1, ms(0)).unwrap();
    limiter.admit(1, ms(0)).unwrap();
    let over = limiter.admit(1, ms(0)).unwrap_err();
    assert_eq!((over.dimension, over.wait), (Dimension::Day, Some(Duration::from_hours(12))));
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-limit-requests"), "2");
    assert_eq!(header(&mut limiter, ms(0), "x-ratelimit-reset-requests"), "24h0m0s");
}

#[test]
fn a_call_that_never_fits_is_told_so_without_a_wait() {
    let mut limiter = Limiter::new(&Limits { tpm: Some(100.0), ..limits() });
    let over = limiter.admit(101, ms(0)).unwrap_err();
    assert_eq!(over.wait, None);
    let answer = limiter.refuse(&over, "m");
    assert!(answer.headers.is_empty());
    let Content::Whole(body) = answer.content else { panic!("a refusal is whole") };
    assert!(String::from_utf8_lossy(&body).contains("Request too large for m in organization org-sim on tokens per min (TPM): Limit 100, Requested 101."));
}

#[test]
fn calls_at_once_are_counted_in_and_out() {
    let mut limiter = Limiter::new(&Limits { rpm: None, concurrency: Some(2), ..limits() });
    limiter.admit(1, ms(0)).unwrap();
    limiter.admit(1, ms(0)).unwrap();
    assert_eq!(limiter.admit(1, ms(0)).unwrap_err().dimension, Dimension::Concurrency);
    limiter.leave();
    limiter.admit(1, ms(0)).unwrap();
}

fn header(limiter: &mut Limiter, now: Duration, name: &str) -> String {
    let headers = limiter.headers(now);
    headers.into_iter().find(|(n, _)| *n == name).expect("the header is sent").1
}
