//! Where in a body the walk stands: `messages[3].content[0].type`.

use alloc::string::String;
use core::fmt::Write as _;

use crate::wire::json::Str;

/// Deepest place that has a name; the rules reach half as deep.
const DEPTH_MAX: usize = 24;
/// Longest key shown, in bytes; a caller's own keys may be of any length.
const KEY_SHOWN_MAX: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
enum Step<'a> {
    #[default]
    Nowhere,
    Key(&'a str),
    Index(usize),
}

/// Steps from the top of the body.
#[derive(Clone, Debug, Default)]
pub(super) struct Path<'a> {
    steps: [Step<'a>; DEPTH_MAX],
    depth: usize,
}

impl<'a> Path<'a> {
    pub(super) fn push_key(&mut self, key: Str<'a>) {
        self.push(Step::Key(key.raw));
    }

    pub(super) fn push_name(&mut self, name: &'static str) {
        self.push(Step::Key(name));
    }

    pub(super) fn push_index(&mut self, index: usize) {
        self.push(Step::Index(index));
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// As it is shown in `param`.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for step in self.steps.iter().take(self.depth) {
            match step {
                Step::Nowhere => {}
                Step::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(shown(key));
                }
                Step::Index(index) => {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "[{index}]");
                }
            }
        }
        text
    }

    fn push(&mut self, step: Step<'a>) {
        if let Some(place) = self.steps.get_mut(self.depth) {
            *place = step;
        }
        self.depth += 1;
    }
}

fn shown(key: &str) -> &str {
    let mut end = key.len().min(KEY_SHOWN_MAX);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    key.get(..end).unwrap_or_default()
}
