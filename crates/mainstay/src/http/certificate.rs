//! What a certificate says of itself, for people: whose it is, who signed it, from when to when.
//! Whether it may be trusted is rustls' business. Strange bytes give `None`, never a panic.

use std::time::Duration;

/// What is shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its owner, else the organization; empty when it has neither.
    pub subject: String,
    /// The same of its signer.
    pub issuer: String,
    /// First moment it is valid, since 1970.
    pub not_before: Duration,
    /// Last moment it is valid, since 1970.
    pub not_after: Duration,
}

/// Longest name shown, in characters.
const NAME_MAX: usize = 80;

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, which holds the version.
const VERSION: u8 = 0xA0;

/// 2.5.4.3 and 2.5.4.10. Source: RFC 5280 appendix A.1, read 2026-11.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0A];

impl Certificate {
    /// Reads a certificate's DER. Source: RFC 5280 section 4.1, read 2026-11.
    pub fn read(der: &[u8]) -> Option<Certificate> {
        let mut whole = Der(der);
        let mut certificate = Der(whole.expect(SEQUENCE)?);
        let mut body = Der(certificate.expect(SEQUENCE)?);
        if body.tag() == Some(VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?; // serial number
        body.expect(SEQUENCE)?; // signature algorithm
        let issuer = name(body.expect(SEQUENCE)?);
        let mut validity = Der(body.expect(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = name(body.expect(SEQUENCE)?);
        Some(Certificate { subject, issuer, not_before, not_after })
    }
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag and contents of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let bytes = usize::from(first & 0x7F);
            if bytes == 0 || bytes > 4 {
                return None;
            }
            let (digits, after) = rest.split_at_checked(bytes)?;
            length = digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit));
            rest = after;
        }
        let (contents, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, contents))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, contents)| contents)
    }
}

/// The common name in a name, else the organization.
fn name(contents: &[u8]) -> String {
    let (mut common, mut organization) = (None, None);
    let mut sets = Der(contents);
    while let Some(set) = sets.expect(SET) {
        let mut pair = Der(set);
        let Some(mut pair) = pair.expect(SEQUENCE).map(Der) else { continue };
        let (Some(oid), Some((_, text))) = (pair.expect(OID), pair.next()) else { continue };
        let slot = if oid == COMMON_NAME {
            &mut common
        } else if oid == ORGANIZATION {
            &mut organization
        } else {
            continue;
        };
        let text = String::from_utf8_lossy(text);
        let text = text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect::<String>();
        slot.get_or_insert(text);
    }
    common.or(organization).unwrap_or_default()
}

/// `YYMMDDHHMMSSZ` (1950 to 2049) or `YYYYMMDDHHMMSSZ`, as time since 1970.
fn time((tag, text): (u8, &[u8])) -> Option<Duration> {
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, d| sum * 10 + i64::from(d - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            let year = number(year);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at(4);
            (number(year), rest)
        }
        _ => return None,
    };
    let mut pairs = rest.chunks(2).map(number);
    let (month, day) = (pairs.next()?, pairs.next()?);
    let (hour, minute, second) = (pairs.next()?, pairs.next()?, pairs.next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// Days since 1970 of a date in the Gregorian calendar: years begin in March, so that the leap day
/// is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (century, of_century) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    century * 146_097 + of_century * 365 + of_century / 4 - of_century / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn made() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
        params.distinguished_name.push(DnType::CommonName, "the server");
        params.distinguished_name.push(DnType::OrganizationName, "its owner");
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2051, 2, 28);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn names_and_times_are_read() {
        let seen = Certificate::read(&made()).expect("a certificate");
        assert_eq!((&*seen.subject, &*seen.issuer), ("the server", "the server"));
        assert_eq!(seen.not_before.as_secs(), 946_598_400);
        assert_eq!(seen.not_after.as_secs(), 2_561_155_200);
    }

    #[test]
    fn days_are_counted_as_calendars_do() {
        for (date, want) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2026, 11, 28), 20_785),
            ((1969, 12, 31), -1),
        ] {
            assert_eq!(days(date.0, date.1, date.2), want, "{date:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(cut in 0_usize..600, at in 0_usize..600, with in any::<u8>()) {
            let mut der = made();
            let at = at.min(der.len() - 1);
            der[at] = with;
            let cut = cut.min(der.len());
            let _ = Certificate::read(&der[..cut]);
            let _ = Certificate::read(&der);
        }
    }
}
