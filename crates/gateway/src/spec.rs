//! From the configuration to what the engine is built from.

use std::net::SocketAddr;
use std::sync::Arc;

use mainstay::spec::{Credential, EngineSpec, ProviderSpec};
use mainstay::upstream::{Destination, Proxy};

use crate::config::{Config, HttpUrl, ProviderConfig, Secret, Upstream};

/// The engine's part of a configuration. `simulator`: where the built-in one listens.
pub fn engine_spec(config: &Config, simulator: Option<SocketAddr>) -> EngineSpec {
    EngineSpec {
        providers: config.providers.iter().map(|one| provider(one, simulator)).collect(),
        routes: config.routes.iter().map(|one| one.route.clone()).collect(),
        policy: config.policy.clone(),
    }
}

fn provider(config: &ProviderConfig, simulator: Option<SocketAddr>) -> ProviderSpec {
    let proxy = config.proxy.as_ref().and_then(proxy);
    let ca_file = config.ca_file.clone();
    let (destination, path_prefix) = match &config.upstream {
        Upstream::Url(url) => {
            let (tls, host, port) = (url.https(), url.host().to_owned(), url.port());
            (Destination { tls, host, port, proxy, ca_file }, url.path().to_owned())
        }
        Upstream::Simulator => {
            let port = simulator.map_or(9911, |address| address.port());
            let host = "127.0.0.1".to_owned();
            (Destination { tls: false, host, port, proxy: None, ca_file: None }, "/v1".to_owned())
        }
    };
    let mut credentials: Vec<Credential> =
        config.api_keys.iter().map(|key| Credential::new(key.expose())).collect();
    if credentials.is_empty() {
        let key = match config.upstream {
            Upstream::Simulator => "sk-sim",
            Upstream::Url(_) => "",
        };
        credentials.push(Credential::new(key));
    }
    ProviderSpec {
        name: config.name.clone(),
        kind: config.kind,
        destination: Arc::new(destination),
        path_prefix,
        credentials,
        headers: config.headers.clone(),
        api_version: config.api_version.clone(),
        model_map: config.model_map.clone(),
        windows: config.windows.clone(),
        models: config.models.clone(),
        limits: config.limits,
        prefill: config.prefill,
    }
}

/// `http://user:password@host:port` as the transport takes it. The configuration has checked it.
fn proxy(text: &Secret) -> Option<Proxy> {
    let rest = text.expose().trim();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let url: HttpUrl = format!("http://{place}").parse().ok()?;
    let port = if place.ends_with(&format!(":{}", url.port())) { url.port() } else { 3128 };
    let authorization = user.map(|user| format!("Basic {}", base64(&unescaped(user))));
    Some(Proxy { host: url.host().to_owned(), port, authorization })
}

/// `%41` to `A`; what is no escape stays.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = hex.filter(|_| byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .enumerate()
            .fold(0_u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= three.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    #[test]
    fn base64_is_as_everywhere() {
        for (text, code) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pass", "dXNlcjpwYXNz"),
        ] {
            assert_eq!(base64(text.as_bytes()), code);
        }
    }

    #[test]
    fn a_proxy_is_taken_apart() {
        let proxy = proxy(&Secret::new("http://us%40er:pa%3Ass@proxy.corp:8888/")).unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.corp", 8888));
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", base64(b"us@er:pa:ss")));
    }

    #[test]
    fn without_a_key_the_simulator_is_the_provider() {
        let config = parse("t", "", &Environment::default()).unwrap();
        let spec = engine_spec(&config, Some("127.0.0.1:4567".parse().unwrap()));
        let place = &spec.providers[0].destination;
        assert_eq!((place.host.as_str(), place.port, place.tls), ("127.0.0.1", 4567, false));
        assert_eq!(spec.providers[0].path_prefix, "/v1");
    }

    #[test]
    fn with_a_key_the_vendor_is_the_provider() {
        let environment = Environment::from_pairs([("OPENAI_API_KEY", "sk-x")]);
        let config = parse("t", "", &environment).unwrap();
        let spec = engine_spec(&config, None);
        let place = &spec.providers[0].destination;
        assert_eq!((place.host.as_str(), place.port, place.tls), ("api.openai.com", 443, true));
        assert_eq!(spec.providers[0].path_prefix, "/v1");
    }
}
