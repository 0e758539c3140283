//! From the configuration to what the engine is built from.

use std::net::SocketAddr;
use std::sync::Arc;

use mainstay::spec::{Credential, EngineSpec, ProviderSpec};
use mainstay::upstream::{Destination, Proxy};

use crate::config::{Config, ProviderConfig, Upstream};

/// The engine's part of a configuration. `simulator`: where the built-in one listens.
pub fn engine_spec(config: &Config, simulator: Option<SocketAddr>) -> EngineSpec {
    EngineSpec {
        providers: config.providers.iter().map(|one| provider(one, simulator)).collect(),
        routes: config.routes.iter().map(|one| one.route.clone()).collect(),
        policy: config.policy.clone(),
    }
}

fn provider(config: &ProviderConfig, simulator: Option<SocketAddr>) -> ProviderSpec {
    // The configuration has refused what is no proxy.
    let proxy = config.proxy.as_ref().and_then(|url| Proxy::from_url(url.expose()).ok());
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
        sharing: config.sharing.clone(),
        prefill: config.prefill,
        omit: config.omit.iter().map(|name| name.as_str().into()).collect(),
        rename: config
            .rename
            .iter()
            .map(|(from, to)| (from.as_str().into(), to.as_str().into()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

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
