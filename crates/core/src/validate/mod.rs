//! Validation: what a provider would refuse is known before it is sent.
//!
//! A body is walked once against constant tables ([`Level`] says how much of them holds). A sound chat
//! body costs no allocation; an unsound one gets all its faults, each with the place, the value, the
//! rule and what to do. What is *not* here: whether a model exists or a prompt fits its window.

mod between;
pub mod check;

pub mod fault;
pub mod form;
mod nearest;
mod path;
mod say;
mod say_form;
mod schema;
mod tables;
mod walk;

use alloc::vec::Vec;

pub use fault::{Fault, Place};

use crate::wire::endpoint::{BodyForm, Endpoint};
use crate::wire::json::{Syntax, Type};
use crate::wire::quoted::Words;
use crate::wire::request::{Look, Peek};

/// Most faults told of one body; the rest is only counted.
pub const FAULTS_MAX: usize = 64;

/// How much is asked of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    Off,
    /// What every compatible server asks for: JSON, required fields, the types of known fields. Fields
    /// and values that are not known pass.
    #[default]
    Lenient,
    /// What the vendor asks for: ranges, lengths, enums, shapes of messages and tools, no unknown
    /// fields.
    Strict,
}

impl Level {
    /// Every level, from the least to the most.
    pub const ALL: [Level; 3] = [Level::Off, Level::Lenient, Level::Strict];

    /// The stable name, as configuration and command line take it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Lenient => "lenient",
            Level::Strict => "strict",
        }
    }

    /// The level with this [`name`](Level::name), or `None`.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What was found wrong with a body, in the order of the body; at most [`FAULTS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The faults. Text that is not JSON has one: the place where it stops being JSON.
    pub faults: Vec<Fault>,
    /// How many more there are than are told.
    pub more: usize,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Holds a JSON body against the rules of its endpoint.
///
/// Endpoints without rules ([`Endpoint::Other`] and those that take no JSON) find nothing wrong.
pub fn validate(endpoint: Endpoint, level: Level, body: &[u8]) -> Report {
    let (Some(rules), false) = (tables::of(endpoint), level == Level::Off) else {
        return Report::default();
    };
    if body.is_empty() && endpoint.body_form() != BodyForm::Json {
        return Report::default();
    }
    let text = match core::str::from_utf8(body) {
        Ok("") => return one(Fault::empty_body()),
        Ok(text) => text,
        Err(error) => return one(Fault::not_utf8(body, error)),
    };
    let mut walk = walk::Walk::new(text, level);
    match whole(&mut walk, rules) {
        Ok(()) => {}
        Err(syntax) => return one(Fault::not_json(text, syntax)),
    }
    if level == Level::Strict {
        between::check(endpoint, text, &mut walk);
    }
    walk.faults.sort_by_key(|fault| fault.offset);
    Report { faults: walk.faults, more: walk.more }
}

/// What a gateway decides by, of a body that is sound: [`peek`], [`validate`] and a look for [`Words`] in one
/// pass.
///
/// `None` says that something may be wrong with it or that there are no rules for it; what, the two say.
///
/// [`peek`]: crate::wire::request::peek
pub fn sound(endpoint: Endpoint, level: Level, body: &[u8]) -> Option<(Peek<'_>, Words)> {
    let rules = tables::of(endpoint).filter(|_| level != Level::Off)?;
    let text = core::str::from_utf8(body).ok().filter(|text| !text.is_empty())?;
    let mut walk = walk::Walk::new(text, level);
    let at = walk.reader.offset();
    walk.look = Some(Look::new(at));
    whole(&mut walk, rules).ok()?;
    if level == Level::Strict {
        between::check(endpoint, text, &mut walk);
    }
    if !walk.faults.is_empty() {
        return None;
    }
    Some((walk.look?.found()?, walk.words))
}

fn whole(walk: &mut walk::Walk<'_>, rules: &'static schema::Fields) -> Result<(), Syntax> {
    let found = walk.reader.next_type()?;
    if found == Type::Object {
        walk.value(&schema::fields(rules))?;
    } else {
        let at = walk.reader.offset();
        walk.reader.skip()?;
        walk.add(at, |_| Fault::not_an_object(found.with_article(), at));
    }
    walk.reader.end()
}

fn one(fault: Fault) -> Report {
    Report { faults: alloc::vec![fault], more: 0 }
}

#[cfg(test)]
mod tests;
