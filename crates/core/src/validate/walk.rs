//! Walks over a body and its rules at once: one pass, no tree, and no allocation unless something is
//! wrong.

use alloc::string::String;
use alloc::vec::Vec;

use super::path::Path;
use super::say;
use super::schema::{Fields, Form, List, Need, Number, Object, Shape, Tagged, Text};
use super::{FAULTS_MAX, Fault, Level};
use crate::wire::json::{Reader, Str, Syntax, Type};
use crate::wire::quoted::Words;
use crate::wire::request;

/// The walk over one body.
pub(super) struct Walk<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) path: Path<'a>,
    pub(super) faults: Vec<Fault>,
    /// Faults beyond [`FAULTS_MAX`].
    pub(super) more: usize,
    /// Looks at the body's own members on the way, where somebody wants to know them.
    pub(super) look: Option<request::Look<'a>>,
    /// What stands before quotes, where there is a look.
    pub(super) words: Words,
    text: &'a [u8],
    strict: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str, level: Level) -> Walk<'a> {
        let strict = match level {
            Level::Strict => true,
            Level::Lenient | Level::Off => false,
        };
        Walk {
            reader: Reader::new(text),
            path: Path::default(),
            faults: Vec::new(),
            more: 0,
            look: None,
            words: Words::default(),
            text: text.as_bytes(),
            strict,
        }
    }

    /// Reads one value and notes what its shape does not allow.
    pub(super) fn value(&mut self, shape: &Shape) -> Result<(), Syntax> {
        if shape.anything {
            return self.pass();
        }
        let found = self.reader.next_type()?;
        match found {
            Type::Null if shape.null => return self.reader.null(),
            Type::Bool if shape.boolean => return self.reader.boolean().map(drop),
            Type::Number => {
                if let Some(rule) = &shape.number {
                    return self.number(rule);
                }
            }
            Type::String => {
                if let Some(rule) = &shape.text {
                    return self.text(rule);
                }
            }
            Type::Array => {
                if let Some(rule) = &shape.list {
                    return self.list(rule);
                }
            }
            Type::Object => {
                if let Some(rule) = &shape.object {
                    return self.object(rule);
                }
            }
            Type::Null | Type::Bool => {}
        }
        self.mistyped(shape, found)
    }

    #[cold]
    fn mistyped(&mut self, shape: &Shape, found: Type) -> Result<(), Syntax> {
        let at = self.reader.offset();
        let raw = self.reader.raw()?;
        if self.look.is_some() {
            self.words = self.words.and(Words::of(raw.as_bytes()));
        }
        if self.strict || !shape.also.contains(&found) {
            self.add(at, |path| say::mistyped(path, shape, found, raw));
        }
        Ok(())
    }

    fn number(&mut self, rule: &Number) -> Result<(), Syntax> {
        let at = self.reader.offset();
        let raw = self.reader.number()?;
        if self.strict && !say::within(rule, raw) {
            self.add(at, |path| say::number(path, rule, raw));
        }
        Ok(())
    }

    fn text(&mut self, rule: &Text) -> Result<(), Syntax> {
        let found = self.reader.string()?;
        self.hear(found);
        if self.strict {
            self.judge(rule, found);
        }
        Ok(())
    }

    /// Holds a string against its rule.
    fn judge(&mut self, rule: &Text, found: Str<'a>) {
        // Characters are never more than bytes, so most strings need no counting.
        if found.raw.len() > rule.max && found.len_chars() > rule.max
            || rule.min > 0 && found.len_chars() < rule.min
        {
            let length = found.len_chars();
            self.add(found.at, |path| say::length(path, rule, length));
            return;
        }
        match rule.form {
            Form::Any => {}
            Form::OneOf(words) => {
                if !words.iter().any(|word| found.is(word)) {
                    self.add(found.at, |path| say::not_one_of(path, words, found));
                }
            }
            Form::Name => {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if !found.chars().all(|c| c.is_ok_and(fits)) {
                    self.add(found.at, |path| say::not_a_name(path, rule.max));
                }
            }
        }
    }

    fn list(&mut self, rule: &List) -> Result<(), Syntax> {
        let at = self.reader.offset();
        let (mut first, mut count) = (true, 0_usize);
        let mut kind = None;
        while self.reader.item(&mut first)? {
            self.path.push_index(count);
            let found = self.reader.next_type()?;
            if self.strict && rule.alike && kind.is_some_and(|kind| kind != found) {
                let expected = kind.unwrap_or(found);
                let item_at = self.reader.offset();
                self.add(item_at, |path| say::not_alike(path, expected, found));
                self.pass()?;
            } else {
                kind = kind.or(Some(found));
                self.value(rule.of)?;
            }
            self.path.pop();
            count += 1;
        }
        let too_few = if self.strict { count < rule.min } else { count == 0 && rule.never_empty };
        if too_few || self.strict && count > rule.max {
            self.add(at, |path| say::items(path, rule, count));
        }
        Ok(())
    }

    fn object(&mut self, rule: &Object) -> Result<(), Syntax> {
        match rule {
            Object::Free => self.pass(),
            Object::Fields(fields) => self.fields(fields, None),
            Object::Tagged(tagged) => self.tagged(tagged),
            Object::Map { of, max, key_max } => self.map(of, *max, *key_max),
        }
    }

    /// Reads an object; `led`: by a key that is its field of this place, and its value, both read already.
    fn fields(&mut self, rule: &Fields, led: Option<Lead<'a>>) -> Result<(), Syntax> {
        let at = led.as_ref().map_or_else(|| self.reader.offset(), |lead| lead.at);
        let (mut first, mut seen) = (led.is_none(), 0_u64);
        if let Some(lead) = led {
            seen |= 1 << lead.place;
            self.lead(rule, lead);
        }
        while let Some(key) = self.reader.key(&mut first)? {
            self.hear(key);
            if self.path.depth() == 0
                && let Some(look) = &mut self.look
            {
                look.ahead(key, &self.reader)?;
            }
            let Some(index) = rule.place(key) else {
                self.unlisted(rule, key)?;
                continue;
            };
            self.path.push_key(key);
            self.repeated(seen & (1 << index) != 0, key);
            seen |= 1 << index;
            let field = &rule.list[index];
            // A null stands for "left out" with every server but the vendor's own.
            if !self.strict && field.need != Need::Always && self.reader.next_type()? == Type::Null
            {
                self.reader.null()?;
            } else {
                self.value(&field.shape)?;
            }
            self.path.pop();
        }
        let mut missing = rule.must(self.strict) & !seen;
        while missing != 0 {
            let field = &rule.list[missing.trailing_zeros() as usize];
            self.missing(field.name, at, &field.shape);
            missing &= missing - 1;
        }
        Ok(())
    }

    fn lead(&mut self, rule: &Fields, lead: Lead<'a>) {
        let Lead { at: _, place, key, value } = lead;
        self.hear(key);
        self.hear(value);
        if let Some(text) = &rule.list[place].shape.text
            && self.strict
        {
            self.path.push_key(key);
            self.judge(text, value);
            self.path.pop();
        }
    }

    fn tagged(&mut self, rule: &Tagged) -> Result<(), Syntax> {
        let at = self.reader.offset();
        match (self.find_tag(rule.tag)?, &rule.untagged) {
            (Tag::Text(said, key, ahead), _) => {
                if let Some((_, fields)) = rule.cases.iter().find(|(name, _)| said.is(name)) {
                    let place = key.and_then(|key| Some((key, fields.place(key)?)));
                    let led = place.filter(|(_, place)| fields.list[*place].shape.text.is_some());
                    let led = led.map(|(key, place)| {
                        self.reader = ahead;
                        Lead { at, place, key, value: said }
                    });
                    return self.fields(fields, led);
                }
                if self.strict {
                    let names: Vec<&'static str> =
                        rule.cases.iter().map(|(name, _)| *name).collect();
                    self.path.push_name(rule.tag);
                    self.add(said.at, |path| say::not_one_of(path, &names, said));
                    self.path.pop();
                }
                self.pass()
            }
            (Tag::Absent, Some(fields)) => self.fields(fields, None),
            (Tag::Absent, None) => {
                if self.asks_for(rule.need) {
                    let names: Vec<&'static str> =
                        rule.cases.iter().map(|(name, _)| *name).collect();
                    self.path.push_name(rule.tag);
                    self.add(at, |path| say::missing_tag(path, &names));
                    self.path.pop();
                }
                self.pass()
            }
            (Tag::Other(found, tag_at), untagged) => {
                self.path.push_name(rule.tag);
                let shape = super::schema::TEXT;
                let lenient_null = !self.strict && found == Type::Null && rule.need != Need::Always;
                let null_allowed = found == Type::Null && untagged.is_some();
                if !lenient_null && !null_allowed {
                    self.add(tag_at, |path| say::mistyped(path, &shape, found, ""));
                }
                self.path.pop();
                match untagged {
                    Some(fields) if null_allowed => self.fields(fields, None),
                    Some(_) | None => self.pass(),
                }
            }
        }
    }

    /// Looks ahead for the field that says what the object is. It usually comes first.
    fn find_tag(&self, tag: &str) -> Result<Tag<'a>, Syntax> {
        let mut ahead = self.reader.clone();
        let (mut first, mut leads) = (true, true);
        while let Some(key) = ahead.key(&mut first)? {
            if !key.is(tag) {
                ahead.skip()?;
                leads = false;
                continue;
            }
            let (found, at) = (ahead.next_type()?, ahead.offset());
            return Ok(if found == Type::String {
                Tag::Text(ahead.string()?, leads.then_some(key), ahead)
            } else {
                Tag::Other(found, at)
            });
        }
        Ok(Tag::Absent)
    }

    fn map(&mut self, of: &Shape, max: usize, key_max: usize) -> Result<(), Syntax> {
        let at = self.reader.offset();
        let (mut first, mut count) = (true, 0_usize);
        while let Some(key) = self.reader.key(&mut first)? {
            self.hear(key);
            self.path.push_key(key);
            if self.strict && key.raw.len() > key_max && key.len_chars() > key_max {
                let length = key.len_chars();
                self.add(key.at, |path| say::key_length(path, key_max, length));
            }
            self.value(of)?;
            self.path.pop();
            count += 1;
        }
        if self.strict && count > max {
            self.add(at, |path| say::pairs(path, max, count));
        }
        Ok(())
    }

    fn unlisted(&mut self, rule: &Fields, key: Str<'a>) -> Result<(), Syntax> {
        if self.strict && !rule.open {
            self.path.push_key(key);
            self.add(key.at, |path| say::unlisted(path, key, rule));
            self.path.pop();
        }
        self.pass()
    }

    /// Takes in what stands before a string's quotes, where there is a look.
    #[inline]
    fn hear(&mut self, string: Str<'a>) {
        if self.look.is_some() {
            self.words.hear(self.text, string);
        }
    }

    /// Passes a value that no rule is about.
    fn pass(&mut self) -> Result<(), Syntax> {
        if self.look.is_none() {
            return self.reader.skip();
        }
        let raw = self.reader.raw()?;
        self.words = self.words.and(Words::of(raw.as_bytes()));
        Ok(())
    }

    fn repeated(&mut self, again: bool, key: Str<'a>) {
        if again && (self.strict || self.path.depth() == 1 && request::is_peeked(key)) {
            self.add(key.at, Fault::duplicate_at);
        }
    }

    fn missing(&mut self, name: &'static str, at: usize, shape: &Shape) {
        self.path.push_name(name);
        self.add(at, |path| say::missing(path, shape));
        self.path.pop();
    }

    fn asks_for(&self, need: Need) -> bool {
        match need {
            Need::Always => true,
            Need::Strict => self.strict,
            Need::Never => false,
        }
    }

    /// Notes a fault at the current path, or only counts it when there are enough already.
    pub(super) fn add(&mut self, offset: usize, say: impl FnOnce(String) -> Fault) {
        if self.faults.len() < FAULTS_MAX {
            let mut fault = say(self.path.text());
            fault.offset = offset;
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }
}

/// The field that an object begins with.
struct Lead<'a> {
    /// Where the object begins.
    at: usize,
    /// Where in the list of its fields this one is.
    place: usize,
    key: Str<'a>,
    value: Str<'a>,
}

enum Tag<'a> {
    /// What it says; its key where the object begins with it, and the reader behind it.
    Text(Str<'a>, Option<Str<'a>>, Reader<'a>),
    Other(Type, usize),
    Absent,
}
