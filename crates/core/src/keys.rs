//! Keys as text: how one is written, made from random bytes, and told from a mistyped one offline.
//!
//! ```text
//!   sk-ms-<12 public>-<32 secret><6 checksum>      57 characters, base 62 between the dashes
//! ```
//!
//! The public part finds the key's record and may be shown and logged. The secret has 190 bits;
//! only its hash is stored, by `mainstay-store`. The checksum is the CRC-32 of everything before
//! it, so a mistyped key is told from a wrong one without asking anybody.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

const PREFIX: &str = "sk-ms-";
const PUBLIC: usize = 12;
const SECRET: usize = 32;
const CHECKSUM: usize = 6;
const SECRET_AT: usize = PREFIX.len() + PUBLIC + 1;
const CHECKSUM_AT: usize = SECRET_AT + SECRET;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of a whole key, in bytes.
pub const KEY_LENGTH: usize = CHECKSUM_AT + CHECKSUM;

/// What a bearer string looks like, before anything is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyShape<'a> {
    /// Not a key of ours, and nothing like one.
    NotOurs,
    /// Meant to be a key of ours: a character is wrong, missing, added or swapped.
    Typo,
    /// Written as one of ours; whether it is known is the store's to say.
    WellFormed {
        /// Finds the record.
        public: PublicPart,
        /// To be hashed and compared.
        secret: &'a str,
    },
}

impl fmt::Debug for KeyShape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyShape::NotOurs => f.write_str("NotOurs"),
            KeyShape::Typo => f.write_str("Typo"),
            KeyShape::WellFormed { public, secret: _ } => {
                write!(f, "WellFormed({public}, secret hidden)")
            }
        }
    }
}

/// Says what a bearer string looks like. Takes any bytes, of any length, in constant work.
///
/// Every key with one character changed, added or left out, or with two neighbours swapped, is a
/// [`KeyShape::Typo`]: CRC-32 sees every error that spans at most 32 bits.
pub fn check(bearer: &[u8]) -> KeyShape<'_> {
    if let Ok(text) = core::str::from_utf8(bearer.get(..KEY_LENGTH).unwrap_or_default())
        && bearer.len() == KEY_LENGTH
        && let Some((public, secret)) = split(text)
    {
        return KeyShape::WellFormed { public, secret };
    }
    if resembles(bearer) { KeyShape::Typo } else { KeyShape::NotOurs }
}

fn split(text: &str) -> Option<(PublicPart, &str)> {
    if !text.is_ascii() || !text.starts_with(PREFIX) {
        return None;
    }
    let public = text[PREFIX.len()..SECRET_AT - 1].parse().ok()?;
    let digits = are_digits(&text.as_bytes()[SECRET_AT..]);
    let sound = checksum(&text.as_bytes()[..CHECKSUM_AT]) == text.as_bytes()[CHECKSUM_AT..];
    (text.as_bytes()[SECRET_AT - 1] == b'-' && digits && sound)
        .then(|| (public, &text[SECRET_AT..CHECKSUM_AT]))
}

/// Whether all are letters and digits. Looked at without a stop, so that many are compared at once.
fn are_digits(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// The prefix as written, in any case, after blanks or quotes; or about our length with at most
/// one slip in the prefix. The vendor's old keys have 51 characters, so they are not taken for ours.
fn resembles(bearer: &[u8]) -> bool {
    let start = bearer.iter().take(8).take_while(|c| !c.is_ascii_alphanumeric()).count();
    let rest = bearer.get(start..).unwrap_or_default();
    if rest.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX.as_bytes())) {
        return true;
    }
    let near_length = bearer.len().abs_diff(KEY_LENGTH) <= 2;
    near_length
        && [5, 6, 7]
            .iter()
            .any(|&n| bearer.get(..n).is_some_and(|head| one_slip(head, PREFIX.as_bytes())))
}

/// Whether `a` becomes `b` by at most one change, insertion, omission or swap of neighbours.
fn one_slip(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    match long.len() - short.len() {
        0 if same == short.len() => true,
        0 if short[same + 1..] == long[same + 1..] => true,
        0 => {
            same + 1 < short.len()
                && short[same] == long[same + 1]
                && short[same + 1] == long[same]
                && short[same + 2..] == long[same + 2..]
        }
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

/// The twelve characters that find a key's record. Safe to show and to log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicPart([u8; PUBLIC]);

impl PublicPart {
    pub(crate) const LENGTH: usize = PUBLIC;

    pub(crate) fn bytes(&self) -> &[u8; PUBLIC] {
        &self.0
    }

    /// The twelve characters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default() // always ASCII
    }
}

impl fmt::Display for PublicPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for PublicPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not twelve letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPublicPart;

impl FromStr for PublicPart {
    type Err = NotAPublicPart;

    fn from_str(text: &str) -> Result<PublicPart, NotAPublicPart> {
        let bytes: [u8; PUBLIC] = text.as_bytes().try_into().map_err(|_| NotAPublicPart)?;
        if are_digits(&bytes) { Ok(PublicPart(bytes)) } else { Err(NotAPublicPart) }
    }
}

/// A whole key as its owner sees it, once. `Debug` and `Display` show the public part only.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    text: String,
    public: PublicPart,
}

impl KeyText {
    /// Makes a key. `fill` must fill its argument from a cryptographically secure source.
    pub fn mint(mut fill: impl FnMut(&mut [u8])) -> KeyText {
        let mut text = String::with_capacity(KEY_LENGTH);
        text.push_str(PREFIX);
        let public = PublicPart(core::array::from_fn(|_| digit(&mut fill)));
        text.push_str(public.as_str());
        text.push('-');
        text.extend((0..SECRET).map(|_| char::from(digit(&mut fill))));
        let sum = checksum(text.as_bytes());
        text.extend(sum.into_iter().map(char::from));
        KeyText { text, public }
    }

    /// The whole key. For the one place that shows it to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The part that finds the record.
    pub fn public(&self) -> PublicPart {
        self.public
    }

    /// The part to be hashed, without its checksum.
    pub fn secret(&self) -> &str {
        &self.text[SECRET_AT..CHECKSUM_AT]
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-…", self.public)
    }
}

/// One digit out of four random bytes; none is favoured by more than one in 2^26.
fn digit(fill: &mut impl FnMut(&mut [u8])) -> u8 {
    let mut block = [0u8; 4];
    fill(&mut block);
    let digit = (u64::from(u32::from_le_bytes(block)) * 62) >> 32;
    DIGITS[digit as usize]
}

/// CRC-32 (IEEE) as six base 62 digits, highest first. 62^6 is above 2^32, so nothing is lost.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32(bytes);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn crc32(bytes: &[u8]) -> u32 {
    let [one, two, three, four] = &CRC;
    let (words, tail) = bytes.as_chunks();
    let crc = words.iter().fold(u32::MAX, |crc, word| {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes().map(usize::from);
        four[a] ^ three[b] ^ two[c] ^ one[d]
    });
    let step = |crc: u32, byte: &u8| crc >> 8 ^ one[usize::from(crc.to_le_bytes()[0] ^ byte)];
    !tail.iter().fold(crc, step)
}

/// What each byte makes of the rest when it is the last of four, the one before and so on, so that four
/// bytes are one step and not thirty-two.
const CRC: [[u32; 256]; 4] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 4] {
    let (mut tables, mut byte) = ([[0; 256]; 4], 0_u32);
    while byte < 256 {
        let (mut crc, mut bit, mut behind) = (byte, 0, 0);
        while behind < 4 {
            while bit < 8 * (behind + 1) {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
                bit += 1;
            }
            tables[behind][byte as usize] = crc;
            behind += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests;
