//! Rust source as the checks see it: functions with their sizes, test code, words and paths.

use crate::mask::{is_word, mask};
use std::ops::Range;

/// A source file with comments and literals blanked, and its test regions known.
#[derive(Clone, Debug)]
pub struct Source {
    masked: String,
    tests: Vec<Range<usize>>,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub lines: usize,
}

impl Source {
    /// Reads a file's text.
    pub fn new(text: &str) -> Source {
        let masked = mask(text);
        let tests = test_regions(text, &masked);
        Source { masked, tests }
    }

    /// Every function that has a body, in the order of the file.
    pub fn functions(&self) -> Vec<Function> {
        self.words("fn").filter_map(|at| self.function(at)).collect()
    }

    /// The lines (from 1) where `needle` stands as code of its own: not inside a longer name, not
    /// in a comment or literal, not in a `#[cfg(test)]` region.
    pub fn lines_with(&self, needle: &str) -> Vec<usize> {
        self.words(needle).filter(|at| !self.in_tests(*at)).map(|at| self.line(at)).collect()
    }

    /// Like [`Source::lines_with`], in tests too.
    pub fn lines_with_anywhere(&self, needle: &str) -> Vec<usize> {
        self.words(needle).map(|at| self.line(at)).collect()
    }

    /// The names directly below `name::`, with their lines: for `a::{b, c::d}` both `b` and `c`.
    pub fn below(&self, name: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in self.words(name) {
            let Some(rest) = self.masked[at + name.len()..].trim_start().strip_prefix("::") else {
                continue;
            };
            let line = self.line(at);
            match rest.trim_start().strip_prefix('{') {
                Some(group) => found.extend(group_heads(group).map(|head| (line, head))),
                None => found.push((line, word_at(rest.trim_start()))),
            }
        }
        found
    }

    fn function(&self, at: usize) -> Option<Function> {
        let after = &self.masked[at + 2..];
        let name = word_at(after.trim_start());
        if name.is_empty() {
            return None; // a function pointer type: `fn(u8) -> u8`
        }
        let open = at + 2 + body_start(after)?;
        let close = closing_brace(&self.masked, open)?;
        let line = self.line(at);
        Some(Function { name, line, lines: self.line(close) - line + 1 })
    }

    /// Offsets where `needle` stands and is not part of a longer name.
    fn words<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.masked.as_bytes();
        self.masked.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
            let end = at + needle.len();
            let starts_word = needle.as_bytes().first().is_some_and(|b| is_word(*b));
            let ends_word = needle.as_bytes().last().is_some_and(|b| is_word(*b));
            let glued_before = starts_word && at > 0 && is_word(bytes[at - 1]);
            let glued_after = ends_word && bytes.get(end).is_some_and(|b| is_word(*b));
            !glued_before && !glued_after
        })
    }

    fn in_tests(&self, at: usize) -> bool {
        self.tests.iter().any(|region| region.contains(&at))
    }

    fn line(&self, at: usize) -> usize {
        self.masked[..at].matches('\n').count() + 1
    }
}

/// `#[cfg(test)] mod x { … }` and single items under `#[cfg(test)]`.
fn test_regions(text: &str, masked: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut regions: Vec<Range<usize>> = Vec::new();
    for (at, _) in masked.match_indices(MARK) {
        debug_assert_eq!(&text[at..at + MARK.len()], MARK);
        let after = at + MARK.len();
        let end = match body_start(&masked[after..]) {
            Some(open) => closing_brace(masked, after + open).unwrap_or(masked.len()),
            None => masked[after..].find(';').map_or(masked.len(), |n| after + n),
        };
        regions.push(at..end);
    }
    regions
}

/// The first `{` outside parentheses and brackets; none when a `;` comes first.
fn body_start(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn closing_brace(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (n, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(n);
        }
    }
    None
}

/// The first names of a use group's entries: `b, c::{d, e}, f}` gives `b`, `c`, `f`.
fn group_heads(group: &str) -> impl Iterator<Item = String> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, byte) in group.bytes().enumerate() {
        let ends_entry = depth == 0 && matches!(byte, b',' | b'}');
        if ends_entry {
            heads.push(word_at(group[start..at].trim_start()));
            start = at + 1;
        }
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    heads.into_iter().filter(|head| !head.is_empty())
}

fn word_at(text: &str) -> String {
    let text = text.strip_prefix("r#").unwrap_or(text);
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_fn_to_the_closing_brace() {
        let text = "struct A { f: fn(u8) -> u8 }\n\
                    trait T { fn declared(&self); }\n\
                    pub async fn long<const N: usize>(x: [u8; N]) -> &'static str {\n\
                    // }\n    let s = \"}\";\n    if true { s } else { \"{\" }\n}\n";
        let long = Function { name: "long".into(), line: 3, lines: 5 };
        assert_eq!(Source::new(text).functions(), [long]);
    }

    #[test]
    fn words_in_comments_literals_tests_and_longer_names_do_not_count() {
        let text = "use std::fmt;\n// std::fs\nlet x = \"std::io\";\nuse nostd::a;\n\
                    #[cfg(test)]\nmod tests {\n    use std::env;\n}\nuse std::net;\n";
        assert_eq!(Source::new(text).lines_with("std::"), [1, 9]);
    }

    #[test]
    fn paths_below_a_name_are_found_in_groups_too() {
        let text = "use mainstay_core::{failure::Kind, rules::{a, b}, plan};\n\
                    let x = mainstay_core::time::Moment::ZERO;\nuse not_mainstay_core::rules;\n";
        let want = [(1, "failure"), (1, "rules"), (1, "plan"), (2, "time")];
        let want: Vec<_> = want.into_iter().map(|(line, name)| (line, name.to_owned())).collect();
        assert_eq!(Source::new(text).below("mainstay_core"), want);
    }
}
