//! The environment, captured once: the one place where variables are read.
//!
//! Tests hand in an [`Environment`] of their own; nothing else asks the process for one.

use std::collections::BTreeMap;
use std::fmt;

use mainstay::http::no_proxy_matches;

use super::secret::Secret;
use mainstay::http_url::HttpUrl;

/// Environment variables at start. An empty variable counts as unset. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Those that are not UTF-8 are left out.
    pub fn capture() -> Environment {
        let pairs = std::env::vars_os();
        Environment::from_pairs(pairs.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// These variables and no others.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Environment {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Environment(
            pairs.filter(|(_, value): &(String, String)| !value.trim().is_empty()).collect(),
        )
    }

    /// A variable's value, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The proxy that the variables name for a URL: `HTTPS_PROXY` or `HTTP_PROXY` by its scheme,
    /// then `ALL_PROXY`, in either case; none for a host that `NO_PROXY` names or for loopback.
    pub fn proxy_for(&self, url: &HttpUrl) -> Option<Secret> {
        if url.is_loopback() || self.no_proxy(url) {
            return None;
        }
        let by_scheme = if url.https() {
            ["HTTPS_PROXY", "https_proxy"]
        } else {
            // `HTTP_PROXY` in capitals may be a request header under CGI; only there it is unsafe.
            ["HTTP_PROXY", "http_proxy"]
        };
        by_scheme
            .into_iter()
            .chain(["ALL_PROXY", "all_proxy"])
            .find_map(|name| self.get(name))
            .map(|proxy| Secret::new(proxy.trim()))
    }

    fn no_proxy(&self, url: &HttpUrl) -> bool {
        let list = self.get("NO_PROXY").or_else(|| self.get("no_proxy")).unwrap_or_default();
        no_proxy_matches(list, url.host(), url.port())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_proxy_is_chosen_by_scheme_and_spared_hosts_have_none() {
        let environment = Environment::from_pairs([
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("NO_PROXY", "internal.example, .corp.test,other.test:8443"),
        ]);
        let cases = [
            ("https://api.openai.com/v1", true),
            ("http://api.openai.com/v1", false), // only HTTPS_PROXY is set
            ("https://internal.example/v1", false),
            ("https://a.internal.example/v1", false),
            ("https://notinternal.example/v1", true),
            ("https://x.corp.test/v1", false),
            ("https://other.test:8443/v1", false),
            ("https://other.test/v1", true),
            ("https://127.0.0.1:9/v1", false),
            ("https://localhost:9/v1", false),
        ];
        for (text, proxied) in cases {
            assert_eq!(environment.proxy_for(&url(text)).is_some(), proxied, "{text}");
        }
    }

    #[test]
    fn every_host_can_be_spared() {
        let pairs = [("https_proxy", "http://p:1"), ("no_proxy", "*")];
        assert_eq!(Environment::from_pairs(pairs).proxy_for(&url("https://a.b/v1")), None);
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let environment =
            Environment::from_pairs([("OPENAI_API_KEY", "sk-secret"), ("EMPTY", " ")]);
        assert_eq!(format!("{environment:?}"), r#"["OPENAI_API_KEY"]"#);
    }
}
