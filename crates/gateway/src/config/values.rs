//! The small languages of a configuration's strings: durations, sizes, money, address ranges, and
//! the nearest of a list of names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// Reads `30s`, `250ms`, `5m`, `1h`, `30d`, and sums, largest first: `1m30s`. Decimals are fine: `1.5s`.
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let (name, millis) = UNITS.into_iter().find(|(name, _)| after.starts_with(name))?;
        if millis >= smallest || number.len() > 15 {
            return None;
        }
        smallest = millis;
        let nanos = decimal(number, 6)?.checked_mul(u128::from(millis))?;
        total = total.checked_add(Duration::from_nanos(u64::try_from(nanos).ok()?))?;
        rest = &after[name.len()..];
    }
    (smallest < u64::MAX).then_some(total)
}

/// A duration as [`duration`] reads it, in the largest units that lose nothing above 1 ms.
pub fn duration_text(wait: Duration) -> String {
    let mut rest = wait.as_millis();
    let mut text = String::new();
    for (name, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= millis {
            text.extend([(rest / millis).to_string().as_str(), name]);
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `64MiB`, `512KiB`, `1GiB`, `10MB`, `100B`: a unit is required, whole numbers only.
pub fn size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text[..text.len() - unit.len()].trim_end();
    if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A size as [`size`] reads it.
pub fn size_text(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// Reads an unsigned decimal such as `2.50` exactly, as a whole number of `10^-places`.
pub(super) fn decimal(text: &str, places: u32) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    let fits = fraction.len() <= places as usize && text.len() <= 32;
    if whole.is_empty() || text.ends_with('.') || !digits(whole) || !digits(fraction) || !fits {
        return None;
    }
    let scale = 10u128.pow(places - u32::try_from(fraction.len()).ok()?);
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    whole.parse::<u128>().ok()?.checked_mul(10u128.pow(places))?.checked_add(fraction * scale)
}

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Whether the address is in the range. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACidr;

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Cidr, NotACidr> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotACidr)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse::<u8>().ok().filter(|&b| b <= most).ok_or(NotACidr)?,
            None => most,
        };
        Ok(Cidr { address, bits })
    }
}

/// The name nearest to a mistyped one, when it is near enough to be meant.
pub(super) fn nearest<'n>(
    wrong: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let allowed = (wrong.chars().count() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let far = distance(&wrong.to_lowercase(), name);
        if far <= allowed && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Fewest changes, insertions, omissions and swaps of neighbours from one text to the other;
/// texts above 64 characters count as far apart.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j - 1] + change).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_units_largest_first() {
        let ms = |n| Some(Duration::from_millis(n));
        for (text, want) in [
            ("30s", ms(30_000)),
            ("250ms", ms(250)),
            ("5m", ms(300_000)),
            ("1h", ms(3_600_000)),
            ("30d", ms(2_592_000_000)),
            ("1m30s", ms(90_000)),
            ("1.5s", ms(1_500)),
            ("0s", ms(0)),
            ("30", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1s1m", None),
            ("1s1s", None),
            ("1e3s", None),
            ("99999999999999d", None),
            ("1w", None),
        ] {
            assert_eq!(duration(text), want, "{text}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, want) in [
            ("64MiB", Some(67_108_864)),
            ("1 GiB", Some(1 << 30)),
            ("10MB", Some(10_000_000)),
            ("100B", Some(100)),
            ("64", None),
            ("-1MiB", None),
            ("1.5MiB", None),
            ("MiB", None),
            ("99999999999999GiB", None),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
    }

    #[test]
    fn money_is_read_exactly_or_not_at_all() {
        for (text, want) in [
            ("2.50", Some(2_500_000)),
            ("0.000001", Some(1)),
            ("0.0000001", None),
            ("10", Some(10_000_000)),
            ("1.", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("1,5", None),
        ] {
            assert_eq!(decimal(text, 6), want, "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        let holds =
            |range: &str, ip: &str| range.parse::<Cidr>().unwrap().contains(ip.parse().unwrap());
        assert!(holds("192.0.2.0/24", "192.0.2.77") && !holds("192.0.2.0/24", "192.0.3.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "::/129", "10.0.0.0/"] {
            assert_eq!(wrong.parse::<Cidr>(), Err(NotACidr), "{wrong}");
        }
    }

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        let names = ["listen", "workers", "body_max"];
        assert_eq!(nearest("lisen", names), Some("listen"));
        assert_eq!(nearest("bodymax", names), Some("body_max"));
        assert_eq!(nearest("wrokers", names), Some("workers"));
        assert_eq!(nearest("something", names), None);
    }

    proptest! {
        #[test]
        fn durations_and_sizes_read_back_as_written(ms in 0u64..10_000_000_000, bytes in any::<u64>()) {
            let wait = Duration::from_millis(ms);
            prop_assert_eq!(duration(&duration_text(wait)), Some(wait));
            prop_assert_eq!(size(&size_text(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = (duration(&text), size(&text), decimal(&text, 6), text.parse::<Cidr>());
            let _ = nearest(&text, ["listen"]);
        }
    }
}
