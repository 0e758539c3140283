//! Reads a TOML document with its places: every getter takes a key, checks shape and range, and
//! files a fault with the line instead of failing, so one reading finds everything.
//!
//! Faults show values as the file has them, before `${…}` is filled in, and never those of keys
//! that may hold a secret.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Environment;
use super::fault::{ConfigFault, Severity, Words, words};
use super::keys;
use super::values;

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: u32,
}

/// A table of the document; `shown` is how faults name it.
#[derive(Clone)]
pub(super) struct Section<'t> {
    pub(super) shown: String,
    pub(super) line: u32,
    table: &'t DeTable<'t>,
}

impl Section<'_> {
    fn name(&self, key: &str) -> String {
        if self.shown.is_empty() { key.to_owned() } else { format!("{}.{key}", self.shown) }
    }
}

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Need {
    Optional,
    Required,
}

pub(super) struct Reader<'e> {
    file: String,
    line_starts: Vec<usize>,
    pub(super) environment: &'e Environment,
    pub(super) faults: Vec<ConfigFault>,
}

impl<'e> Reader<'e> {
    pub(super) fn new(file: &str, text: &str, environment: &'e Environment) -> Reader<'e> {
        let after_breaks =
            text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Reader { file: file.to_owned(), line_starts, environment, faults: Vec::new() }
    }

    /// The line a byte of the text stands on, from 1.
    pub(super) fn line_at(&self, byte: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|&start| start <= byte)).unwrap_or(u32::MAX)
    }

    pub(super) fn report(&mut self, severity: Severity, line: Option<u32>, words: Words) {
        let Words { what, why, fix } = words;
        self.faults.push(ConfigFault { severity, file: self.file.clone(), line, what, why, fix });
    }

    pub(super) fn error(&mut self, line: u32, words: Words) {
        self.report(Severity::Error, Some(line), words);
    }

    pub(super) fn warn(&mut self, line: u32, words: Words) {
        self.report(Severity::Warning, Some(line), words);
    }

    /// Takes a table for the section it is and refuses keys that the section has not.
    pub(super) fn section<'t>(
        &mut self,
        schema: &'static str,
        shown: &str,
        line: u32,
        table: &'t DeTable<'t>,
    ) -> Section<'t> {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            let line = self.line_at(key.span().start);
            if keys::names(schema).any(|known| known == name) {
                continue;
            }
            let place = if shown.is_empty() { "the file".to_owned() } else { format!("`{shown}`") };
            let fix = match values::nearest(name, keys::names(schema)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("take it out; known are: {}", join(keys::names(schema))),
            };
            let what = format!("{place} has no key `{}`", cut(name));
            self.error(line, words(what, "a mistyped key would silently do nothing", fix));
        }
        Section { shown: shown.to_owned(), line, table }
    }

    /// A table under `key`.
    pub(super) fn sub<'t>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        schema: &'static str,
    ) -> Option<Section<'t>> {
        let value = section.table.get(key)?;
        let shown = section.name(key);
        let line = self.line_at(value.span().start);
        if let DeValue::Table(table) = value.get_ref() {
            return Some(self.section(schema, &shown, line, table));
        }
        self.wrong_shape(line, &shown, "a table", value.get_ref());
        None
    }

    /// The tables of `[[key]]`, named `key[1]`, `key[2]`, ….
    pub(super) fn list<'t>(
        &mut self,
        section: &Section<'t>,
        key: &'static str,
    ) -> Vec<Section<'t>> {
        let Some(value) = section.table.get(key) else { return Vec::new() };
        let line = self.line_at(value.span().start);
        let DeValue::Array(items) = value.get_ref() else {
            let what = format!("`{key}` is one table, but must be a list of them");
            let fix = format!("write `[[{key}]]` with two brackets");
            self.error(line, words(what, format!("there may be several {key} sections"), fix));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let line = self.line_at(item.span().start);
            let shown = format!("{key}[{}]", index + 1);
            match item.get_ref().as_table() {
                Some(table) => sections.push(self.section(key, &shown, line, table)),
                None => self.wrong_shape(line, &shown, "a table", item.get_ref()),
            }
        }
        sections
    }

    pub(super) fn wrong_shape(&mut self, line: u32, name: &str, wanted: &str, got: &DeValue<'_>) {
        let what = format!("`{name}` is {}, but must be {wanted}", shape(got));
        self.error(line, words(what, "its type is fixed", format!("write {wanted}")));
    }

    pub(super) fn out_of_range(&mut self, line: u32, name: &str, value: &str, range: &str) {
        let what = format!("`{name}` is {value}, but must be from {range}");
        let why = "values outside that range cannot work as meant";
        self.error(line, words(what, why, format!("choose a value from {range}")));
    }

    /// A string as the file has it, and its line.
    fn raw<'t>(&mut self, section: &Section<'t>, key: &str) -> Option<Found<&'t str>> {
        let value = section.table.get(key)?;
        let line = self.line_at(value.span().start);
        if let DeValue::String(text) = value.get_ref() {
            return Some(Found { value: text.as_ref(), line });
        }
        self.wrong_shape(line, &section.name(key), "a string", value.get_ref());
        None
    }

    /// A string with `${…}` filled in.
    pub(super) fn text(
        &mut self,
        section: &Section<'_>,
        key: &str,
        need: Need,
    ) -> Option<Found<String>> {
        if need == Need::Required && !section.table.contains_key(key) {
            let what = format!("`{}` has no `{key}`", section.shown);
            let fix = format!("add `{key} = \"…\"` under line {}", section.line);
            self.error(section.line, words(what, format!("`{key}` is required here"), fix));
            return None;
        }
        let raw = self.raw(section, key)?;
        let name = section.name(key);
        self.fill(raw.value, &name, raw.line, need).map(|value| Found { value, line: raw.line })
    }

    /// Fills `${NAME}` from the environment; `$${` stands for `${`.
    pub(super) fn fill(&mut self, raw: &str, name: &str, line: u32, need: Need) -> Option<String> {
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                text.push_str(&rest[..at - 1]);
                text.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            text.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let variable = inner.split_once('}').map(|(variable, _)| variable);
            let Some(variable) = variable.filter(|v| is_variable(v)) else {
                let what = format!("`{name}` has `${{` without a variable's name and `}}`");
                let why = "`${NAME}` is filled in from the environment";
                self.error(line, words(what, why, "write `${NAME}`, or `$${` for the characters"));
                return None;
            };
            match self.environment.get(variable) {
                Some(value) => text.push_str(value),
                None if need == Need::Optional => return None,
                None => {
                    let what =
                        format!("`{name}` needs the variable `{variable}`, which is not set");
                    let fix = format!("set it (`export {variable}=…`), or write the value");
                    self.error(line, words(what, "the key is required here", fix));
                    return None;
                }
            }
            rest = &inner[variable.len() + 1..];
        }
        text.push_str(rest);
        Some(text)
    }

    /// A string read by `read`; `wanted` says what it must be. Its value is shown in faults.
    pub(super) fn parsed<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Found<T>> {
        let found = self.text(section, key, Need::Optional)?;
        if let Some(value) = read(&found.value) {
            return Some(Found { value, line: found.line });
        }
        let shown = self.raw(section, key).map(|raw| cut(raw.value)).unwrap_or_default();
        let what = format!("`{}` is \"{shown}\", but must be {wanted}", section.name(key));
        self.error(found.line, words(what, "it could not be read", format!("write {wanted}")));
        None
    }

    /// One of a list of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        words_known: &[(&str, T)],
    ) -> Option<Found<T>> {
        let listed = join(words_known.iter().map(|(word, _)| *word));
        self.parsed(section, key, &format!("one of {listed}"), |text| {
            words_known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    /// A duration within a range.
    pub(super) fn wait(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Found<Duration>> {
        let found =
            self.parsed(section, key, "a duration such as \"30s\" or \"250ms\"", values::duration)?;
        if range.contains(&found.value) {
            return Some(found);
        }
        let text = |wait: &Duration| values::duration_text(*wait);
        let span = format!("{} to {}", text(range.start()), text(range.end()));
        let shown = self.raw(section, key).map(|raw| cut(raw.value)).unwrap_or_default();
        self.out_of_range(found.line, &section.name(key), &shown, &span);
        None
    }

    /// A size in bytes within a range.
    pub(super) fn bytes(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let found = self.parsed(section, key, "a size such as \"64MiB\"", values::size)?;
        if range.contains(&found.value) {
            return Some(found.value);
        }
        let span =
            format!("{} to {}", values::size_text(*range.start()), values::size_text(*range.end()));
        let shown = self.raw(section, key).map(|raw| cut(raw.value)).unwrap_or_default();
        self.out_of_range(found.line, &section.name(key), &shown, &span);
        None
    }

    /// A whole number within a range.
    pub(super) fn number(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Found<u64>> {
        let value = section.table.get(key)?;
        self.number_in(value, &section.name(key), range)
    }

    pub(super) fn number_in(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Found<u64>> {
        let line = self.line_at(value.span().start);
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_shape(line, name, "a whole number", value.get_ref());
            return None;
        };
        let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
        if let Some(value) = read.filter(|n| range.contains(n)) {
            return Some(Found { value, line });
        }
        let span = format!("{} to {}", range.start(), range.end());
        self.out_of_range(line, name, &cut(number.as_str()), &span);
        None
    }

    /// A fraction within a range.
    pub(super) fn fraction(
        &mut self,
        section: &Section<'_>,
        key: &str,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let value = section.table.get(key)?;
        let (line, name) = (self.line_at(value.span().start), section.name(key));
        let whole = value.get_ref().as_integer().map(toml::de::DeInteger::as_str);
        let number = value.get_ref().as_float().map(toml::de::DeFloat::as_str).or(whole);
        let Some(text) = number else {
            self.wrong_shape(line, &name, "a number", value.get_ref());
            return None;
        };
        let read = text.parse::<f64>().ok().filter(|number| range.contains(number));
        if read.is_none() {
            let span = format!("{:?} to {:?}", range.start(), range.end());
            self.out_of_range(line, &name, &cut(text), &span);
        }
        read
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let value = section.table.get(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        let line = self.line_at(value.span().start);
        self.wrong_shape(line, &section.name(key), "true or false", value.get_ref());
        None
    }

    /// The items of a list, with their names (`key[1]`) and lines; at most `most`.
    pub(super) fn items<'t>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        most: usize,
    ) -> Option<Vec<(String, u32, &'t DeValue<'t>)>> {
        let value = section.table.get(key)?;
        let (line, name) = (self.line_at(value.span().start), section.name(key));
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_shape(line, &name, "a list", value.get_ref());
            return None;
        };
        if items.len() > most {
            self.out_of_range(
                line,
                &name,
                &format!("a list of {}", items.len()),
                &format!("0 to {most} entries"),
            );
            return None;
        }
        let mut named = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let line = self.line_at(item.span().start);
            named.push((format!("{name}[{}]", index + 1), line, item.get_ref()));
        }
        Some(named)
    }

    /// A list of strings with `${…}` filled in; entries whose variable is unset are left out.
    pub(super) fn texts(
        &mut self,
        section: &Section<'_>,
        key: &str,
        most: usize,
    ) -> Option<Vec<Found<String>>> {
        let mut texts = Vec::new();
        for (name, line, item) in self.items(section, key, most)? {
            let Some(raw) = item.as_str() else {
                self.wrong_shape(line, &name, "a string", item);
                continue;
            };
            let value = self.fill(raw, &name, line, Need::Optional);
            texts.extend(value.map(|value| Found { value, line }));
        }
        Some(texts)
    }

    /// The entries of a table whose keys are free, with their lines; at most `most`.
    pub(super) fn entries<'t>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        most: usize,
    ) -> Vec<(&'t str, String, &'t Spanned<DeValue<'t>>)> {
        let Some(value) = section.table.get(key) else { return Vec::new() };
        let (line, name) = (self.line_at(value.span().start), section.name(key));
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_shape(line, &name, "a table", value.get_ref());
            return Vec::new();
        };
        if table.len() > most {
            self.out_of_range(
                line,
                &name,
                &format!("a table of {}", table.len()),
                &format!("0 to {most} entries"),
            );
            return Vec::new();
        }
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                (key.get_ref().as_ref(), format!("{name}.{}", key.get_ref()), value)
            })
            .collect();
        entries.sort_by_key(|(_, _, value)| value.span().start);
        entries
    }

    /// Whether the section has the key, whatever its value.
    pub(super) fn has(section: &Section<'_>, key: &str) -> bool {
        section.table.contains_key(key)
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn shape(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// At most 60 characters, without control characters: faults are single lines.
pub(super) fn cut(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if text.chars().count() > 60 {
        short.push('…');
    }
    short
}

pub(super) fn join<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
