//! The language in which the rules are written: shapes of values, as constant data.
//!
//! A shape has one slot for each type that JSON knows. The value's own type picks the slot, so a
//! choice between shapes never needs a second try: what an API calls "a string or an array of parts"
//! is one shape with two slots. Objects of several kinds are told apart by one field, their tag.

use crate::wire::json::{Str, Type};

/// From which level on a field must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Every compatible server refuses without it.
    Always,
    /// The vendor refuses without it.
    Strict,
    /// It may be left out.
    Never,
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) shape: Shape,
}

/// What a value may be, by its JSON type. An empty slot means: not of this type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Of any type; passed unread.
    pub(super) anything: bool,
    pub(super) null: bool,
    pub(super) boolean: bool,
    pub(super) number: Option<Number>,
    pub(super) text: Option<Text>,
    pub(super) list: Option<List>,
    pub(super) object: Option<Object>,
    /// Types that the vendor refuses and some compatible server takes: passed unread when lenient.
    pub(super) also: &'static [Type],
}

/// Bounds of a number; both ends are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer { min: i64, max: i64 },
    Decimal { min: f64, max: f64 },
}

/// Bounds of a string, in characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) form: Form,
}

/// What a string may say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Anything.
    Any,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Letters a–z and A–Z, digits, `_` and `-`.
    Name,
}

/// Bounds of an array, in items, and what each item is.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) of: &'static Shape,
    pub(super) min: usize,
    pub(super) max: usize,
    /// Every compatible server refuses an empty one.
    pub(super) never_empty: bool,
    /// All items are of the first one's type.
    pub(super) alike: bool,
}

/// What an object holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    /// Anything.
    Free,
    /// These fields.
    Fields(&'static Fields),
    /// Fields that depend on what the field `tag` says.
    Tagged(&'static Tagged),
    /// Names that the caller chooses, each with a value of one shape.
    Map { of: &'static Shape, max: usize, key_max: usize },
}

/// The fields of an object, at most 64.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) list: &'static [Field],
    /// Fields that are not listed are let through at every level.
    pub(super) open: bool,
    /// Where in the list a name is.
    places: Places,
    /// One bit for each field that must be there: at every level, and at the strict one.
    must: [u64; 2],
}

impl Fields {
    const fn new(list: &'static [Field], open: bool) -> Fields {
        let (mut must, mut at) = ([0; 2], 0);
        while at < list.len() {
            match list[at].need {
                Need::Always => must = [must[0] | 1 << at, must[1] | 1 << at],
                Need::Strict => must[1] |= 1 << at,
                Need::Never => {}
            }
            at += 1;
        }
        Fields { list, open, places: Places::of(list), must }
    }

    /// Where in the list the field is that a key names.
    pub(super) fn place(&self, key: Str<'_>) -> Option<usize> {
        if key.escaped {
            return self.list.iter().position(|field| key.is(field.name));
        }
        let mut place = hash(key.raw.as_bytes());
        loop {
            let at = usize::from(self.places.0[place % PLACES]);
            if self.list.get(at)?.name == key.raw {
                return Some(at);
            }
            place += 1;
        }
    }

    /// One bit for each field that must be there.
    pub(super) fn must(&self, strict: bool) -> u64 {
        self.must[usize::from(strict)]
    }
}

/// Twice as many places as fields, so that a search soon comes to a free one.
const PLACES: usize = 128;

/// Finds names by their [`hash`]: each is at its place or behind it, before the next free one.
#[derive(Clone, Copy, Debug)]
struct Places([u8; PLACES]);

impl Places {
    const FREE: u8 = u8::MAX;

    const fn of(list: &[Field]) -> Places {
        assert!(list.len() <= PLACES / 2, "a bit for each, and half of the places stay free");
        let (mut places, mut at) = ([Places::FREE; PLACES], 0);
        while at < list.len() {
            let mut place = hash(list[at].name.as_bytes());
            while places[place % PLACES] != Places::FREE {
                place += 1;
            }
            #[expect(clippy::cast_possible_truncation, reason = "there are 64 at most")]
            {
                places[place % PLACES] = at as u8;
            }
            at += 1;
        }
        Places(places)
    }
}

const fn hash(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let (first, middle, last) = (name[0], name[length / 2], name[length - 1]);
    length + 3 * first as usize + 7 * middle as usize + 13 * last as usize
}

/// An object of several kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tagged {
    pub(super) tag: &'static str,
    pub(super) cases: &'static [(&'static str, Fields)],
    /// What it is without the tag; `None`: the tag must be there.
    pub(super) untagged: Option<Fields>,
    /// From which level on the tag must be there, where `untagged` is `None`.
    pub(super) need: Need,
}

/// What a multipart form holds: files, and fields whose values are written as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormRules {
    pub(super) files: &'static [FileRule],
    pub(super) fields: &'static Fields,
    /// Most bytes of the whole body that the vendor reads.
    pub(super) body_max: u64,
}

/// A field of a form that is a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileRule {
    pub(super) name: &'static str,
    /// It must be there.
    pub(super) needed: bool,
    /// How often it may be there.
    pub(super) count_max: usize,
    /// Most bytes of one file.
    pub(super) bytes_max: u64,
}

const NOTHING: Shape = Shape {
    anything: false,
    null: false,
    boolean: false,
    number: None,
    text: None,
    list: None,
    object: None,
    also: &[],
};

pub(super) const ANY: Shape = Shape { anything: true, ..NOTHING };
pub(super) const BOOL: Shape = Shape { boolean: true, ..NOTHING };
pub(super) const TEXT: Shape = text(0, usize::MAX);
/// A string that says something.
pub(super) const WORD: Shape = text(1, usize::MAX);
pub(super) const INT: Shape = int(i64::MIN, i64::MAX);
pub(super) const NUMBER: Shape = number(f64::MIN, f64::MAX);
/// An object that is passed on unread.
pub(super) const FREE: Shape = object(Object::Free);

pub(super) const fn int(min: i64, max: i64) -> Shape {
    Shape { number: Some(Number::Integer { min, max }), ..NOTHING }
}

pub(super) const fn number(min: f64, max: f64) -> Shape {
    Shape { number: Some(Number::Decimal { min, max }), ..NOTHING }
}

pub(super) const fn text(min: usize, max: usize) -> Shape {
    Shape { text: Some(Text { min, max, form: Form::Any }), ..NOTHING }
}

pub(super) const fn name(max: usize) -> Shape {
    Shape { text: Some(Text { min: 1, max, form: Form::Name }), ..NOTHING }
}

pub(super) const fn one_of(words: &'static [&'static str]) -> Shape {
    Shape { text: Some(Text { min: 0, max: usize::MAX, form: Form::OneOf(words) }), ..NOTHING }
}

pub(super) const fn list(of: &'static Shape, min: usize, max: usize) -> Shape {
    Shape { list: Some(List { of, min, max, never_empty: false, alike: false }), ..NOTHING }
}

pub(super) const fn object(object: Object) -> Shape {
    Shape { object: Some(object), ..NOTHING }
}

pub(super) const fn map(of: &'static Shape, max: usize, key_max: usize) -> Shape {
    object(Object::Map { of, max, key_max })
}

pub(super) const fn fields(fields: &'static Fields) -> Shape {
    object(Object::Fields(fields))
}

pub(super) const fn tagged(tagged: &'static Tagged) -> Shape {
    object(Object::Tagged(tagged))
}

impl Shape {
    pub(super) const fn or_null(self) -> Shape {
        Shape { null: true, ..self }
    }

    /// Where the other shape has a slot and this one has none, the other's.
    pub(super) const fn or(self, other: Shape) -> Shape {
        Shape {
            anything: self.anything || other.anything,
            null: self.null || other.null,
            boolean: self.boolean || other.boolean,
            number: if self.number.is_some() { self.number } else { other.number },
            text: if self.text.is_some() { self.text } else { other.text },
            list: if self.list.is_some() { self.list } else { other.list },
            object: if self.object.is_some() { self.object } else { other.object },
            also: self.also,
        }
    }

    /// Some compatible servers take these types as well.
    pub(super) const fn also(self, also: &'static [Type]) -> Shape {
        Shape { also, ..self }
    }

    /// Every compatible server refuses an empty array here.
    pub(super) const fn never_empty(self) -> Shape {
        match self.list {
            Some(list) => Shape { list: Some(List { never_empty: true, ..list }), ..self },
            None => self,
        }
    }

    pub(super) const fn alike(self) -> Shape {
        match self.list {
            Some(list) => Shape { list: Some(List { alike: true, ..list }), ..self },
            None => self,
        }
    }
}

/// A field without which every compatible server refuses.
pub(super) const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Always, shape }
}

/// A field without which the vendor refuses.
pub(super) const fn need(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Strict, shape }
}

/// A field that may be left out.
pub(super) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Never, shape }
}

/// Fields, and no others.
pub(super) const fn only(list: &'static [Field]) -> Fields {
    Fields::new(list, false)
}

/// Fields, and any others.
pub(super) const fn at_least(list: &'static [Field]) -> Fields {
    Fields::new(list, true)
}
