//! A JSON string in place: compared, measured and decoded without a copy where none is needed.

use alloc::borrow::Cow;
use alloc::string::String;

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str<'a> {
    /// The characters between the quotes, escapes untouched.
    pub raw: &'a str,
    /// Whether there is an escape in it.
    pub escaped: bool,
    /// Where the opening quote is.
    pub at: usize,
}

impl<'a> Str<'a> {
    /// Whether the string means `other`, escapes resolved.
    #[inline]
    pub fn is(&self, other: &str) -> bool {
        if !self.escaped {
            return self.raw == other;
        }
        let mut mine = self.chars();
        other.chars().all(|wanted| mine.next() == Some(Ok(wanted))) && mine.next().is_none()
    }

    /// Whether the string means `other` to a reader that does not mind the case of ASCII letters.
    pub fn is_ignoring_case(&self, other: &str) -> bool {
        if !self.escaped {
            return self.raw.eq_ignore_ascii_case(other);
        }
        let mut mine = self.chars();
        let same = |mine: char, wanted: char| mine.eq_ignore_ascii_case(&wanted);
        other.chars().all(|wanted| mine.next().is_some_and(|c| c.is_ok_and(|c| same(c, wanted))))
            && mine.next().is_none()
    }

    /// The string with its escapes resolved; `None` when one is half a surrogate pair.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.raw));
        }
        self.chars().collect::<Result<String, Half>>().ok().map(Cow::Owned)
    }

    /// How many characters (code points) the string has; half a pair counts as one.
    pub fn len_chars(&self) -> usize {
        if !self.escaped {
            return self.raw.chars().count();
        }
        self.chars().count()
    }

    /// The characters, escapes resolved.
    pub fn chars(&self) -> Chars<'a> {
        Chars { rest: self.raw }
    }
}

/// Half of a surrogate pair, which is no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half;

/// The characters of a [`Str`].
#[derive(Clone, Debug)]
pub struct Chars<'a> {
    rest: &'a str,
}

impl Iterator for Chars<'_> {
    type Item = Result<char, Half>;

    fn next(&mut self) -> Option<Result<char, Half>> {
        let first = self.take()?;
        if first != '\\' {
            return Some(Ok(first));
        }
        let plain = match self.take()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return Some(self.code_point()),
            same => same,
        };
        Some(Ok(plain))
    }
}

impl Chars<'_> {
    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next();
        self.rest = chars.as_str();
        first
    }

    /// Behind `\u`: one unit, or two that make a pair.
    fn code_point(&mut self) -> Result<char, Half> {
        let high = self.unit().ok_or(Half)?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or(Half);
        }
        let back = self.rest;
        let low = match self.rest.strip_prefix("\\u") {
            Some(rest) => {
                self.rest = rest;
                self.unit().filter(|low| (0xdc00..0xe000).contains(low))
            }
            None => None,
        };
        let Some(low) = low else {
            self.rest = back;
            return Err(Half);
        };
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(Half)
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        self.rest = self.rest.get(4..)?;
        u32::from_str_radix(digits, 16).ok()
    }
}
