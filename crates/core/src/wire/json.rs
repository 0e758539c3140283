//! Reads JSON in place, one value at a time, and knows at each moment where it is.
//!
//! No tree, no allocation, no recursion: a reader walks over borrowed text, hands out borrowed pieces
//! and skips what nobody asked for. It takes exactly what RFC 8259 allows, up to [`DEPTH_MAX`] levels;
//! an escape of half a surrogate pair is let through where nobody reads the string, as other parsers do.

pub(crate) mod skim;
mod text;

pub use text::Str;

/// Deepest nesting of arrays and objects inside a skipped value.
pub const DEPTH_MAX: usize = 1024;

/// The text stops being JSON at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// Where, as a byte offset into the text; the text's length when it ends too soon.
    pub at: usize,
    /// What would have been allowed there.
    pub expected: &'static str,
}

/// The type of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Type {
    /// The type in a sentence: "a string".
    pub const fn with_article(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Bool => "a boolean",
            Type::Number => "a number",
            Type::String => "a string",
            Type::Array => "an array",
            Type::Object => "an object",
        }
    }
}

/// Walks over one JSON text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of `text`.
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// The offset of the next value, mark or end; white space is passed.
    #[inline]
    pub fn offset(&mut self) -> usize {
        self.pass_space();
        self.at
    }

    /// The offset just behind what was read last.
    pub fn after(&self) -> usize {
        self.at
    }

    /// The type of the next value, which stays unread.
    #[inline]
    pub fn next_type(&mut self) -> Result<Type, Syntax> {
        match self.next_byte() {
            Some(b'"') => Ok(Type::String),
            Some(b'{') => Ok(Type::Object),
            Some(b'[') => Ok(Type::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Type::Number),
            Some(b't' | b'f') => Ok(Type::Bool),
            Some(b'n') => Ok(Type::Null),
            Some(_) | None => Err(self.expected("a value")),
        }
    }

    /// The next key of an object, its colon passed too, or `None` after its closing brace.
    /// `first` is set by the caller before the first key and cleared here.
    pub fn key(&mut self, first: &mut bool) -> Result<Option<Str<'a>>, Syntax> {
        if !self.pass_to_key(first)? {
            return Ok(None);
        }
        let key = self.string_here()?;
        self.pass_colon()?;
        Ok(Some(key))
    }

    /// To the quote of an object's next key; `false` behind its closing brace.
    #[inline]
    fn pass_to_key(&mut self, first: &mut bool) -> Result<bool, Syntax> {
        let was_first = core::mem::take(first);
        let mark = if was_first { b'{' } else { b',' };
        // Most JSON is written without blanks.
        if self.text.as_bytes().get(self.at..self.at + 2) == Some(&[mark, b'"']) {
            self.at += 1;
            return Ok(true);
        }
        self.pass_far_to_key(was_first)
    }

    fn pass_far_to_key(&mut self, was_first: bool) -> Result<bool, Syntax> {
        if was_first {
            self.take(b'{', "an object")?;
        }
        match self.next_byte() {
            Some(b'}') => {
                self.at += 1;
                return Ok(false);
            }
            _ if was_first => {}
            Some(b',') => self.at += 1,
            Some(_) | None => return Err(self.expected("`,` or `}`")),
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        Ok(true)
    }

    #[inline]
    fn pass_colon(&mut self) -> Result<(), Syntax> {
        if self.byte() == Some(b':') {
            self.at += 1;
            return Ok(());
        }
        self.take(b':', "`:`")
    }

    /// Whether an array has one more item; its closing bracket is passed if not.
    /// `first` is set by the caller before the first item and cleared here.
    #[inline]
    pub fn item(&mut self, first: &mut bool) -> Result<bool, Syntax> {
        let was_first = core::mem::take(first);
        if was_first {
            self.take(b'[', "an array")?;
        }
        match self.next_byte() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if was_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                if self.next_byte() == Some(b']') {
                    Err(self.expected("a value"))
                } else {
                    Ok(true)
                }
            }
            Some(_) | None => {
                Err(self.expected(if was_first { "a value or `]`" } else { "`,` or `]`" }))
            }
        }
    }

    /// Reads a string.
    #[inline]
    pub fn string(&mut self) -> Result<Str<'a>, Syntax> {
        self.pass_space();
        self.string_here()
    }

    #[inline]
    fn string_here(&mut self) -> Result<Str<'a>, Syntax> {
        let at = self.at;
        let escaped = self.pass_string()?;
        let raw = self.text.get(at + 1..self.at - 1).unwrap_or_default();
        Ok(Str { raw, escaped, at })
    }

    /// Reads a number and gives it as it is written.
    pub fn number(&mut self) -> Result<&'a str, Syntax> {
        self.pass_space();
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.pass_digits(),
            Some(_) | None => return Err(self.expected("a digit")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        // `01` and `1x` are not numbers followed by something: nothing may follow but a mark or space.
        if self.byte().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'.') {
            return Err(self.expected("the end of the number"));
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Syntax> {
        let value = self.next_byte() == Some(b't');
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Reads `null`.
    pub fn null(&mut self) -> Result<(), Syntax> {
        self.pass_space();
        self.word("null")
    }

    /// Passes one value of any type.
    pub fn skip(&mut self) -> Result<(), Syntax> {
        match self.next_type()? {
            Type::Array | Type::Object => self.skip_nested(),
            found @ (Type::Null | Type::Bool | Type::Number | Type::String) => {
                self.skip_scalar(found)
            }
        }
    }

    /// Passes one value and gives its text.
    pub fn raw(&mut self) -> Result<&'a str, Syntax> {
        let start = self.offset();
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Makes sure that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Syntax> {
        if self.next_byte().is_none() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    /// Passes a value that holds no others; the type is what comes next.
    fn skip_scalar(&mut self, found: Type) -> Result<(), Syntax> {
        match found {
            Type::Null => self.word("null"),
            Type::Bool => self.boolean().map(drop),
            Type::Number => self.number().map(drop),
            Type::String => self.pass_string().map(drop),
            Type::Array | Type::Object => Err(self.expected("a value")),
        }
    }

    /// Passes a string that begins here and tells whether there is an escape in it.
    #[inline]
    fn pass_string(&mut self) -> Result<bool, Syntax> {
        if self.byte() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        self.at += 1;
        if let Some(end) = short_end(self.text.as_bytes(), self.at) {
            self.at = end + 1;
            return Ok(false);
        }
        self.pass_long()
    }

    /// Passes a string that began before.
    fn pass_long(&mut self) -> Result<bool, Syntax> {
        let mut escaped = false;
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("no bare control character inside a string")),
                None => return Err(self.expected("the closing `\"` of a string")),
            }
        }
    }

    /// Without recursion: one bit a level says whether it is an object.
    fn skip_nested(&mut self) -> Result<(), Syntax> {
        let mut stack = Levels::default();
        let mut first = true;
        let mut in_object = self.next_type()? == Type::Object;
        loop {
            let more = if in_object {
                let more = self.pass_to_key(&mut first)?;
                if more {
                    self.pass_string()?;
                    self.pass_colon()?;
                }
                more
            } else {
                self.item(&mut first)?
            };
            if !more {
                match stack.pop() {
                    Some(outer) => in_object = outer,
                    None => return Ok(()),
                }
                continue;
            }
            match self.next_type()? {
                next @ (Type::Array | Type::Object) => {
                    if !stack.push(in_object) {
                        return Err(self.expected("at most 1024 levels of nesting"));
                    }
                    in_object = next == Type::Object;
                    first = true;
                }
                found @ (Type::Null | Type::Bool | Type::Number | Type::String) => {
                    self.skip_scalar(found)?;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return Err(self.expected("four hexadecimal digits after `\\u`"));
                    }
                    self.at += 1;
                }
            }
            Some(_) | None => {
                return Err(self.expected("one of \" \\ / b f n r t u after a backslash"));
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Syntax> {
        let end = self.at + word.len();
        let bytes = self.text.as_bytes();
        let goes_on = bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if goes_on || bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at = end;
        Ok(())
    }

    #[inline]
    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Syntax> {
        if self.next_byte() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.expected("a digit"));
        }
        self.pass_digits();
        Ok(())
    }

    fn pass_digits(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    #[inline]
    fn pass_space(&mut self) {
        // Most of what comes is no space.
        if self.byte().is_some_and(|byte| byte > b' ') {
            return;
        }
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        self.pass_space();
        self.byte()
    }

    fn expected(&self, expected: &'static str) -> Syntax {
        Syntax { at: self.at, expected }
    }
}

/// Whether each enclosing level is an object, for [`DEPTH_MAX`] levels.
struct Levels {
    bits: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { bits: [0; DEPTH_MAX / 64], depth: 0 }
    }
}

impl Levels {
    /// False when there is no room.
    fn push(&mut self, object: bool) -> bool {
        let Some(word) = self.bits.get_mut(self.depth / 64) else { return false };
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        true
    }

    fn pop(&mut self) -> Option<bool> {
        self.depth = self.depth.checked_sub(1)?;
        self.bits.get(self.depth / 64).map(|word| word & (1 << (self.depth % 64)) != 0)
    }
}

/// The length of a string without escapes whose opening quote stands before `rest`; `None` when it has
/// some, or does not end.
pub(crate) fn plain_string(rest: &[u8]) -> Option<usize> {
    let end = plain_end(rest, 0);
    (rest.get(end) == Some(&b'"')).then_some(end)
}

/// The first quote, backslash or control character at or behind `at`.
fn plain_end(bytes: &[u8], at: usize) -> usize {
    /// Longer than most keys and words: only a text is worth the wide search.
    const SHORT: usize = 24;
    let near = bytes.len().min(at + SHORT);
    let found = narrow_end(&bytes[..near], at);
    if found < near {
        return found;
    }
    let far = memchr::memchr2(b'"', b'\\', &bytes[found..]).map_or(bytes.len(), |far| found + far);
    if has_control(&bytes[found..far]) { narrow_end(&bytes[..far], found) } else { far }
}

/// Whether a control character is among the bytes; many are compared at once.
fn has_control(bytes: &[u8]) -> bool {
    bytes.chunks(256).any(|chunk| chunk.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20)
}

/// The closing quote of a string of up to fifteen plain bytes that begins at `at`: most keys and words are
/// that short. `None` says nothing.
#[inline]
fn short_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (words, _) = bytes.get(at..at + 16)?.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let Marks { quotes, others } = Marks::of(u64::from_le_bytes(*word));
        let marks = quotes | others;
        if marks != 0 {
            // The lowest mark is exact.
            let is_quote = quotes & marks & marks.wrapping_neg() != 0;
            return is_quote.then_some(at + place * 8 + (marks.trailing_zeros() / 8) as usize);
        }
    }
    None
}

/// The highest bit of bytes that end the plain part of a string. A borrow may mark bytes above a true
/// hit, never below the first: the lowest mark is exact.
struct Marks {
    quotes: u64,
    /// Backslashes and control characters.
    others: u64,
}

impl Marks {
    #[inline]
    fn of(word: u64) -> Marks {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        Marks {
            quotes: quote.wrapping_sub(ONES) & !quote & HIGHS,
            others: (control | (slash.wrapping_sub(ONES) & !slash)) & HIGHS,
        }
    }
}

/// The same as [`plain_end`], eight bytes at a step.
fn narrow_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok())
    {
        let Marks { quotes, others } = Marks::of(u64::from_le_bytes(chunk));
        let marks = quotes | others;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&b| b >= 0x20 && b != b'"' && b != b'\\') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
