//! A view of HTTP headers that needs no HTTP library.

use alloc::string::String;
use alloc::vec::Vec;

/// Looks headers up by their lower-case name. Values are bytes: a provider may send anything.
pub trait Headers {
    /// The first value under `name` (lower case), or `None`.
    fn get(&self, name: &str) -> Option<&[u8]>;

    /// Hands every header to `visit`, in order of arrival; names may be in any case.
    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8]));

    /// The first value under `name` when it is UTF-8, without surrounding white space.
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| core::str::from_utf8(value).ok()).map(str::trim)
    }
}

/// No headers at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _name: &str) -> Option<&[u8]> {
        None
    }

    fn each<'h>(&'h self, _visit: &mut dyn FnMut(&'h str, &'h [u8])) {}
}

/// Headers as a slice of pairs; names may be in any case.
impl Headers for [(&str, &str)] {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_bytes())
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        for (name, value) in self {
            visit(name, value.as_bytes());
        }
    }
}

impl<const N: usize> Headers for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<&[u8]> {
        Headers::get(self.as_slice(), name)
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        Headers::each(self.as_slice(), visit);
    }
}

impl Headers for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_bytes())
    }

    fn each<'h>(&'h self, visit: &mut dyn FnMut(&'h str, &'h [u8])) {
        for (name, value) in self {
            visit(name, value.as_bytes());
        }
    }
}
