//! Scripts that the server runs: each is atomic there.

use std::fmt::Write as _;
use std::sync::OnceLock;

use sha1::{Digest, Sha1};

/// A script by its name and text. Versions of a program that run side by side may disagree about a
/// script, so one whose meaning changes gets a new name, and its keys with it.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    text: &'static str,
    sha: OnceLock<String>,
}

impl Script {
    /// A script.
    pub const fn new(name: &'static str, text: &'static str) -> Script {
        Script { name, text, sha: OnceLock::new() }
    }

    /// What it is called in errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its text.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// What the server knows it by once it has run.
    pub(super) fn sha(&self) -> &str {
        self.sha.get_or_init(|| hash(self.text))
    }
}

/// The SHA-1 of a text, as the server writes it.
pub(super) fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        write!(hex, "{byte:02x}").expect("a string takes every text");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_the_hash_that_the_server_makes() {
        // What `redis-cli script load "return 1"` answers.
        let script = Script::new("one", "return 1");
        assert_eq!(script.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
