//! Multipart forms, checked from as much of them as is at hand.
//!
//! A large upload is never held to be checked: what its first bytes show is held against the rules, and
//! what is missing is told only when the form has been seen to its end.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use super::schema::{FileRule, Form as TextForm, FormRules, Need, Shape};
use super::{FAULTS_MAX, Fault, Level, Report, say, say_form, tables};
use crate::wire::endpoint::{BodyForm, Endpoint};
use crate::wire::form::{ContentType, End, Form, Part};
use crate::wire::json::{Str, Type};

/// Most parts that are looked at; no form of the API has as many.
const PARTS_MAX: usize = 512;

/// A body as far as it is at hand.
#[derive(Clone, Copy, Debug)]
pub struct FormBody<'a> {
    /// Its `content-type`.
    pub content_type: Option<&'a str>,
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// Whether these are all.
    pub whole: bool,
    /// How long it is in all, in bytes, where that is known.
    pub length: Option<u64>,
}

/// A form that was looked at.
#[derive(Clone, Debug)]
pub struct FormLook<'a> {
    body: FormBody<'a>,
    framing: Framing,
    parts: Vec<Part<'a>>,
}

/// What the body is as a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    NoForm,
    NoBoundary,
    Form(End),
}

impl<'a> FormLook<'a> {
    /// Whether an endpoint's body is a form that this can look at.
    pub fn knows(endpoint: Endpoint) -> bool {
        tables::of_form(endpoint).is_some()
    }

    /// Looks at a body.
    pub fn read(body: FormBody<'a>) -> FormLook<'a> {
        let mut parts = Vec::new();
        let framing = match ContentType::of(body.content_type.unwrap_or_default()) {
            ContentType::Other => Framing::NoForm,
            ContentType::NoBoundary => Framing::NoBoundary,
            ContentType::Form(boundary) => {
                let mut form = Form::new(body.bytes, &boundary);
                parts.extend(form.by_ref().take(PARTS_MAX));
                Framing::Form(form.end().unwrap_or(End::Cut))
            }
        };
        FormLook { body, framing, parts }
    }

    /// The model that the form names, as far as it was seen.
    pub fn model(&self) -> Option<&'a str> {
        self.text("model")
    }

    /// Where the model stands in the body.
    pub fn model_span(&self) -> Option<Range<usize>> {
        let part = self.find("model").filter(|part| part.whole)?;
        Some(part.at..part.at + part.content.len())
    }

    /// Whether the answer is asked for in pieces.
    pub fn stream(&self) -> bool {
        self.text("stream").is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// Whether every field was seen; otherwise more may follow what is at hand.
    pub fn complete(&self) -> bool {
        match self.framing {
            Framing::Form(End::Closed) | Framing::NoForm | Framing::NoBoundary => true,
            Framing::Form(End::Cut | End::Broken(_)) => self.body.whole,
        }
    }

    /// The fault of a form that names its model twice: what is authorised could differ from what is
    /// read, so it must not be sent at any level.
    pub fn ambiguous(&self) -> Option<Fault> {
        let mut models = self.parts.iter().filter(|part| part.name == "model");
        let second = models.nth(1)?;
        Some(Fault::duplicate("model".to_string(), second.at))
    }

    fn find(&self, name: &str) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.name == name && !part.file)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let part = self.find(name).filter(|part| part.whole)?;
        core::str::from_utf8(part.content).ok()
    }
}

/// Holds a form against the rules of its endpoint.
///
/// Endpoints without a form find nothing wrong.
pub fn validate_form(endpoint: Endpoint, level: Level, look: &FormLook<'_>) -> Report {
    let strict = match level {
        Level::Off => return Report::default(),
        Level::Lenient => false,
        Level::Strict => true,
    };
    let Some(rules) = tables::of_form(endpoint) else { return Report::default() };
    let mut check = Check { look, rules, strict, report: Report::default() };
    check.framing(endpoint);
    if check.report.is_sound() {
        check.fields();
    }
    check.report.faults.sort_by_key(|fault| fault.offset);
    check.report
}

struct Check<'l, 'a> {
    look: &'l FormLook<'a>,
    rules: &'static FormRules,
    strict: bool,
    report: Report,
}

impl Check<'_, '_> {
    fn framing(&mut self, endpoint: Endpoint) {
        let body = self.look.body;
        let size = body.length.or_else(|| body.whole.then_some(body.bytes.len() as u64));
        match self.look.framing {
            _ if size == Some(0) => self.add(0, say_form::empty()),
            Framing::NoForm if self.strict && endpoint.body_form() == BodyForm::Multipart => {
                self.add(0, say_form::no_form(body.content_type));
            }
            Framing::NoBoundary => self.add(0, say_form::no_boundary()),
            Framing::Form(End::Broken(0)) if body.whole => self.add(0, say_form::no_parts()),
            Framing::Form(End::Broken(at)) if self.strict => self.add(at, say_form::broken(at)),
            Framing::Form(End::Cut) if body.whole && self.strict => {
                self.add(body.bytes.len(), say_form::unclosed());
            }
            Framing::NoForm | Framing::Form(End::Closed | End::Cut | End::Broken(_)) => {}
        }
        if let Some(size) = size.filter(|size| self.strict && *size > self.rules.body_max) {
            self.add(0, say_form::body_too_large(size, self.rules.body_max));
        }
    }

    fn fields(&mut self) {
        let look = self.look;
        if look.framing == Framing::NoForm {
            return;
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for part in &look.parts {
            let base = part.name.split('[').next().unwrap_or_default();
            let known = counts.iter_mut().find(|(name, _)| *name == base);
            let index = known.map_or(0, |(_, count)| {
                *count += 1;
                *count - 1
            });
            if index == 0 {
                counts.push((base, 1));
            }
            self.part(part, base, index);
        }
        let count =
            |name: &str| counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, n)| *n);
        for rule in self.rules.files {
            if self.strict && count(rule.name) > rule.count_max {
                self.add(0, say_form::too_many(rule, count(rule.name)));
            }
        }
        for field in self.rules.fields.list {
            if let (Some(list), true) = (&field.shape.list, self.strict)
                && count(field.name) > list.max
            {
                self.add(0, say::items(field.name.to_string(), list, count(field.name)));
            }
        }
        if look.complete() {
            self.missing(&count);
        }
    }

    fn missing(&mut self, count: &dyn Fn(&str) -> usize) {
        let end = self.look.body.bytes.len();
        if !self.strict {
            // Some servers take the address of a file in place of it.
            let other = self.look.parts.iter().any(|part| part.file || part.name.contains("url"));
            if let (Some(rule), false) = (self.rules.files.first(), other) {
                self.add(end, say_form::missing_file(rule));
            }
            return;
        }
        for rule in self.rules.files {
            if rule.needed && count(rule.name) == 0 {
                self.add(end, say_form::missing_file(rule));
            }
        }
        for field in self.rules.fields.list {
            let is_file = self.rules.files.iter().any(|rule| rule.name == field.name);
            if field.need != Need::Never && !is_file && count(field.name) == 0 {
                self.add(end, say::missing(field.name.to_string(), &field.shape));
            }
        }
    }

    fn part(&mut self, part: &Part<'_>, base: &str, index: usize) {
        if base.is_empty() {
            if self.strict {
                self.add(part.at, say_form::nameless());
            }
            return;
        }
        if let Some(rule) = self.rules.files.iter().find(|rule| rule.name == base) {
            self.file(part, rule);
            return;
        }
        let Some(field) = self.rules.fields.list.iter().find(|field| field.name == base) else {
            if self.strict && !self.rules.fields.open {
                let key = Str { raw: base, escaped: false, at: part.at };
                self.add(part.at, say::unlisted(base.to_string(), key, self.rules.fields));
            }
            return;
        };
        let nested = part.name.len() > base.len();
        let (shape, path) = match (&field.shape.list, &field.shape.object) {
            (Some(list), _) => (list.of, format!("{base}[{index}]")),
            (None, Some(_)) if nested => return,
            (None, _) => (&field.shape, base.to_string()),
        };
        let single = field.shape.list.is_none() && !nested;
        if single && index > 0 && (self.strict || base == "model") {
            self.add(part.at, Fault::duplicate(path, part.at));
            return;
        }
        if part.whole {
            self.value(part, shape, path);
        }
    }

    fn file(&mut self, part: &Part<'_>, rule: &FileRule) {
        if !self.strict {
            return;
        }
        let size = part.content.len() as u64;
        if !part.file {
            self.add(part.at, say_form::not_a_file(rule));
        } else if part.whole && size == 0 {
            self.add(part.at, say_form::empty_file(rule));
        } else if size > rule.bytes_max {
            self.add(part.at, say_form::file_too_large(rule, size));
        }
    }

    /// A value as text: numbers and flags are written out, and nothing is often an empty text.
    fn value(&mut self, part: &Part<'_>, shape: &Shape, path: String) {
        let Ok(text) = core::str::from_utf8(part.content) else {
            if self.strict {
                self.add(part.at, say_form::not_text(path));
            }
            return;
        };
        if shape.anything || text.is_empty() && (shape.null || !self.strict) {
            return;
        }
        if let Some(rule) = &shape.number {
            if text.trim().parse::<f64>().is_err() {
                self.add(part.at, say::mistyped(path, shape, Type::String, ""));
            } else if self.strict && !say::within(rule, text.trim()) {
                self.add(part.at, say::number(path, rule, text.trim()));
            }
            return;
        }
        if !self.strict {
            return;
        }
        if shape.boolean {
            let known = ["true", "false", "True", "False", "1", "0"].contains(&text);
            if !known {
                self.add(part.at, say::mistyped(path, shape, Type::String, ""));
            }
            return;
        }
        let Some(rule) = &shape.text else { return };
        let found = Str { raw: text, escaped: false, at: part.at };
        let length = found.len_chars();
        if length > rule.max || length < rule.min {
            self.add(part.at, say::length(path, rule, length));
        } else if let TextForm::OneOf(words) = rule.form
            && !words.contains(&text)
            && shape.object.is_none()
        {
            self.add(part.at, say::not_one_of(path, words, found));
        }
    }

    fn add(&mut self, offset: usize, fault: Fault) {
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(Fault { offset, ..fault });
        } else {
            self.report.more += 1;
        }
    }
}

#[cfg(test)]
mod tests;
