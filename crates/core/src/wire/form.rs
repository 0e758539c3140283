//! Reads a multipart form in place: which fields it has and what they say, without a copy.
//!
//! A form may be looked at before all of it has come: the part that is cut off is given as far as it
//! goes and says so. Sources: RFC 7578 (forms), RFC 2046 section 5.1 (framing), read 2026-11. Line ends
//! may be bare line feeds, as lenient servers allow; a file's content is never looked into.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use memchr::memmem;

/// Longest boundary that is looked for, in bytes; the standard allows 70.
const BOUNDARY_MAX: usize = 256;
/// Most bytes of a part's headers.
const HEADERS_MAX: usize = 16 * 1024;

/// What a content type says about a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentType<'a> {
    /// A form, and the line that stands between its parts.
    Form(Cow<'a, str>),
    /// A form that does not say where its parts begin, so that nobody can read it.
    NoBoundary,
    /// Something else, or nothing.
    Other,
}

impl<'a> ContentType<'a> {
    /// Reads a `content-type`.
    pub fn of(value: &'a str) -> ContentType<'a> {
        let mut rest = value;
        let essence = until(&mut rest, b';').trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return ContentType::Other;
        }
        while let Some((name, value)) = parameter(&mut rest) {
            if name.eq_ignore_ascii_case("boundary") {
                let fits = (1..=BOUNDARY_MAX).contains(&value.len());
                return if fits { ContentType::Form(value) } else { ContentType::NoBoundary };
            }
        }
        ContentType::NoBoundary
    }
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name; empty when it has none.
    pub name: Cow<'a, str>,
    /// Whether it is a file: it has a file name.
    pub file: bool,
    /// What it says, as far as it is there.
    pub content: &'a [u8],
    /// Whether its end was seen.
    pub whole: bool,
    /// Where its content begins, in bytes from the start of the body.
    pub at: usize,
}

/// How a form ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its closing line.
    Closed,
    /// The bytes at hand end before the form does.
    Cut,
    /// At this byte it stops being a form: no part begins with the boundary, or a part's headers
    /// have no end.
    Broken(usize),
}

/// The parts of a form, one after another.
#[derive(Clone, Debug)]
pub struct Form<'a> {
    body: &'a [u8],
    /// `--` and the boundary.
    line: Vec<u8>,
    at: usize,
    end: Option<End>,
}

impl<'a> Form<'a> {
    /// The form in `body`, whose content type names this boundary.
    pub fn new(body: &'a [u8], boundary: &str) -> Form<'a> {
        let mut line = Vec::with_capacity(boundary.len() + 2);
        line.extend_from_slice(b"--");
        line.extend_from_slice(boundary.as_bytes());
        let mut form = Form { body, line, at: 0, end: None };
        form.begin();
        form
    }

    /// How it ended, once there are no more parts.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Passes what may stand before the first boundary.
    fn begin(&mut self) {
        match self.delimiter(0) {
            Some((_, after)) => self.at = after,
            None if self.line.starts_with(self.body) => self.end = Some(End::Cut),
            None => self.end = Some(End::Broken(0)),
        }
    }

    /// The next line that is the boundary: where what stands before it ends, and where it does.
    fn delimiter(&self, from: usize) -> Option<(usize, usize)> {
        let finder = memmem::Finder::new(&self.line);
        let rest = self.body.get(from..)?;
        for found in finder.find_iter(rest) {
            let at = from + found;
            let before = self.body.get(..at)?;
            let end = match before {
                [] => at,
                [.., b'\r', b'\n'] => at - 2,
                [.., b'\n'] => at - 1,
                _ => continue,
            };
            // A longer boundary may begin like this one.
            let after = at + self.line.len();
            match self.body.get(after) {
                None | Some(b'\r' | b'\n' | b'-' | b' ' | b'\t') => {
                    return Some((end.max(from), after));
                }
                Some(_) => {}
            }
        }
        None
    }

    fn stop(&mut self, end: End) -> Option<Part<'a>> {
        self.end = Some(end);
        None
    }
}

impl<'a> Iterator for Form<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.end.is_some() {
            return None;
        }
        let rest = self.body.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return self.stop(End::Closed);
        }
        let Some(line_end) = memchr::memchr(b'\n', rest) else { return self.stop(End::Cut) };
        if !rest.get(..line_end).unwrap_or_default().trim_ascii().is_empty() {
            return self.stop(End::Broken(self.at));
        }
        let headers_at = self.at + line_end + 1;
        let rest = self.body.get(headers_at..).unwrap_or_default();
        let Some((headers, content)) = blank_line(rest) else {
            let end = if rest.len() > HEADERS_MAX { End::Broken(headers_at) } else { End::Cut };
            return self.stop(end);
        };
        let at = headers_at + content;
        let (stop, whole) = if let Some((end, after)) = self.delimiter(at) {
            self.at = after;
            (end, true)
        } else {
            self.end = Some(End::Cut);
            (self.body.len(), false)
        };
        let content = self.body.get(at..stop).unwrap_or_default();
        let (name, file) = disposition(rest.get(..headers).unwrap_or_default());
        Some(Part { name, file, content, whole, at })
    }
}

/// Where headers end and what follows them begins.
fn blank_line(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes {
        [b'\r', b'\n', ..] => return Some((0, 2)),
        [b'\n', ..] => return Some((0, 1)),
        _ => {}
    }
    let head = bytes.get(..HEADERS_MAX).unwrap_or(bytes);
    memchr::memchr_iter(b'\n', head).find_map(|at| match head.get(at + 1..)? {
        [b'\r', b'\n', ..] => Some((at + 1, at + 3)),
        [b'\n', ..] => Some((at + 1, at + 2)),
        _ => None,
    })
}

/// The name in a `content-disposition`, and whether there is a file name beside it.
fn disposition(headers: &[u8]) -> (Cow<'_, str>, bool) {
    const NAME: &[u8] = b"content-disposition:";
    for line in headers.split(|byte| *byte == b'\n') {
        let (Some(start), Some(value)) = (line.get(..NAME.len()), line.get(NAME.len()..)) else {
            continue;
        };
        if !start.eq_ignore_ascii_case(NAME) {
            continue;
        }
        let Ok(mut rest) = core::str::from_utf8(value) else { return (Cow::Borrowed(""), true) };
        until(&mut rest, b';');
        let (mut name, mut file) = (Cow::Borrowed(""), false);
        while let Some((key, value)) = parameter(&mut rest) {
            if key.eq_ignore_ascii_case("name") {
                name = value;
            } else if key.eq_ignore_ascii_case("filename") || key.eq_ignore_ascii_case("filename*")
            {
                file = true;
            }
        }
        return (name, file);
    }
    (Cow::Borrowed(""), false)
}

/// Takes what stands before `mark`, and the mark.
fn until<'a>(rest: &mut &'a str, mark: u8) -> &'a str {
    let at = memchr::memchr(mark, rest.as_bytes()).unwrap_or(rest.len());
    let (before, after) = rest.split_at(at);
    *rest = after.get(1..).unwrap_or_default();
    before
}

/// Takes the next `name=value`; the value may be quoted.
fn parameter<'a>(rest: &mut &'a str) -> Option<(&'a str, Cow<'a, str>)> {
    *rest = rest.trim_start_matches([' ', '\t', ';', '\r', '\n']);
    if rest.is_empty() {
        return None;
    }
    let stop = memchr::memchr2(b'=', b';', rest.as_bytes()).unwrap_or(rest.len());
    let (name, after) = rest.split_at(stop);
    let Some(value) = after.strip_prefix('=') else {
        *rest = after;
        return Some((name.trim(), Cow::Borrowed("")));
    };
    let value = value.trim_start_matches([' ', '\t']);
    let Some(quoted) = value.strip_prefix('"') else {
        *rest = value;
        return Some((name.trim(), Cow::Borrowed(until(rest, b';').trim())));
    };
    let (text, after) = unquoted(quoted);
    *rest = after;
    Some((name.trim(), text))
}

/// The text up to the closing quote, and what follows it.
fn unquoted(quoted: &str) -> (Cow<'_, str>, &str) {
    let stop = memchr::memchr2(b'"', b'\\', quoted.as_bytes()).unwrap_or(quoted.len());
    if quoted.as_bytes().get(stop) != Some(&b'\\') {
        let (text, after) = quoted.split_at(stop);
        return (Cow::Borrowed(text), after.get(1..).unwrap_or_default());
    }
    let (mut text, mut escaped) = (String::new(), false);
    for (at, letter) in quoted.char_indices() {
        match letter {
            '"' if !escaped => {
                return (Cow::Owned(text), quoted.get(at + 1..).unwrap_or_default());
            }
            '\\' if !escaped => escaped = true,
            _ => {
                escaped = false;
                text.push(letter);
            }
        }
    }
    (Cow::Owned(text), "")
}

#[cfg(test)]
mod tests;
