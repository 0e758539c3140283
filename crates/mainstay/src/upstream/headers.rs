//! Headers of an attempt: those of its call, which all attempts share, and a few of its own.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dispatch::is_forwarded;
use crate::fields::{Fields, push_line};

/// Headers of an attempt. Those of a call are not copied for each: what may not go on is left out where
/// they are looked at.
#[derive(Clone, Debug, Default)]
pub struct RequestHeaders {
    shared: Arc<Fields>,
    /// Of the shared ones only those go that may be forwarded, less these lower-case names.
    of_call: Option<Vec<String>>,
    /// Those that every call gets at its target, in place of shared ones of the same name.
    target: Option<Arc<[Set]>>,
    /// In place of others of the same name.
    own: Vec<Set>,
}

/// A header that is set here.
pub(crate) type Set = (HeaderName, HeaderValue);

impl RequestHeaders {
    /// A call's headers as far as they are forwarded; `not`: lower-case names that stay behind too.
    pub(crate) fn of_call(headers: &Arc<Fields>, not: Vec<String>) -> RequestHeaders {
        RequestHeaders {
            shared: Arc::clone(headers),
            of_call: Some(not),
            target: None,
            own: Vec::new(),
        }
    }

    /// With those that every call gets at a target, no two of one name.
    pub(crate) fn at(self, target: &Arc<[Set]>) -> RequestHeaders {
        RequestHeaders { target: Some(Arc::clone(target)), ..self }
    }

    /// Sets one, in place of all of its name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        set(&mut self.own, name, value);
    }

    /// Those that are set here.
    fn set(&self) -> impl Iterator<Item = &Set> {
        let is_own = |name: &HeaderName| self.own.iter().any(|(own, _)| own == name);
        let target = self.target.as_deref().unwrap_or_default().iter();
        target.filter(move |(name, _)| !is_own(name)).chain(&self.own)
    }

    /// Hands each over, its name in lower case.
    pub fn each<'h>(&'h self, mut tell: impl FnMut(&'h [u8], &'h [u8])) {
        for (name, value) in self.shared.iter().filter(|(name, value)| self.goes(name, value)) {
            tell(name, value);
        }
        for (name, value) in self.set() {
            tell(name.as_str().as_bytes(), value.as_bytes());
        }
    }

    /// Writes each as a line of a head, but for those of these names.
    pub(crate) fn write(&self, to: &mut Vec<u8>, but: &[&[u8]]) {
        self.shared.write(to, |name, value| !but.contains(&name) && self.goes(name, value));
        for (name, value) in self.set() {
            if !but.contains(&name.as_str().as_bytes()) {
                push_line(to, name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }

    fn goes(&self, name: &[u8], value: &[u8]) -> bool {
        let forwarded = self.of_call.as_ref().is_none_or(|not| {
            is_forwarded(name, value) && !not.iter().any(|not| not.as_bytes() == name)
        });
        let target = self.target.as_deref().unwrap_or_default();
        let is_set = |set: &[Set]| set.iter().any(|(set, _)| set.as_str().as_bytes() == name);
        forwarded && !is_set(target) && !is_set(&self.own)
    }

    /// The first value of this name, which is in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut found = None;
        self.each(|known, value| {
            if known == name.as_bytes() && found.is_none() {
                found = Some(value);
            }
        });
        found
    }

    /// As a map.
    pub fn to_map(&self) -> HeaderMap {
        let mut fields = Fields::clone(&self.shared);
        fields.retain(|name, value| self.goes(name, value));
        let mut map = fields.to_map();
        map.extend(self.set().cloned());
        map
    }
}

/// Sets one, in place of all of its name.
pub(crate) fn set(all: &mut Vec<Set>, name: HeaderName, value: HeaderValue) {
    all.retain(|(known, _)| *known != name);
    all.push((name, value));
}

impl From<HeaderMap> for RequestHeaders {
    /// All of them, as they are.
    fn from(headers: HeaderMap) -> RequestHeaders {
        RequestHeaders {
            shared: Arc::new(headers.into()),
            of_call: None,
            target: None,
            own: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn of_a_calls_headers_those_go_that_may_and_own_ones_take_their_place() {
        let of_call = map(&[
            ("accept", "a"),
            ("authorization", "Bearer sk-ms"),
            ("cookie", "c"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-mainstay-timeout-ms", "1"),
            ("openai-beta", "one"),
            ("openai-beta", "two"),
        ]);
        let mut headers =
            RequestHeaders::of_call(&Arc::new(of_call.into()), vec!["x-hop".to_owned()]);
        assert_eq!(headers.get("authorization"), None);
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer sk-up"));
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("x"));
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("b"));
        let sent = headers.to_map();
        let want = [
            ("openai-beta", "one"),
            ("openai-beta", "two"),
            ("authorization", "Bearer sk-up"),
            ("accept", "b"),
        ];
        assert_eq!(sent, map(&want));
        assert_eq!(headers.get("accept"), Some(&b"b"[..]));
    }

    #[test]
    fn what_an_attempt_sets_takes_the_place_of_its_targets() {
        let mut of_target = Vec::new();
        for (name, value) in [("accept", "one"), ("authorization", "ours"), ("accept", "a")] {
            set(&mut of_target, HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let call = Arc::new(map(&[("accept", "c"), ("via", "v"), ("x-t", "theirs")]).into());
        let mut headers = RequestHeaders::of_call(&call, Vec::new()).at(&of_target.into());
        let name = HeaderName::from_static("x-t");
        headers.insert(name, HeaderValue::from_static("t"));
        let sent = [("via", "v"), ("authorization", "ours"), ("accept", "a"), ("x-t", "t")];
        assert_eq!(headers.to_map(), map(&sent));
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("own"));
        let sent = [("via", "v"), ("accept", "a"), ("x-t", "t"), ("authorization", "own")];
        assert_eq!(headers.to_map(), map(&sent));
        let mut written = Vec::new();
        headers.write(&mut written, &[b"x-t"]);
        assert_eq!(written, b"via: v\r\naccept: a\r\nauthorization: own\r\n");
    }

    #[test]
    fn headers_that_are_no_calls_go_as_they_are() {
        let all = map(&[("connection", "close"), ("cookie", "c"), ("authorization", "a")]);
        assert_eq!(RequestHeaders::from(all.clone()).to_map(), all);
    }
}
