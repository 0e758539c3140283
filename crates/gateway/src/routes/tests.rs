use super::*;

fn look(method: &str, uri: &str) -> Result<(String, Endpoint, bool), (Kind, String)> {
    let uri: Uri = uri.parse().unwrap();
    match route(&method.parse().unwrap(), &uri, Version::HTTP_11) {
        Ok(Route::Api(api)) => Ok((api.rest.to_owned(), api.endpoint, api.unknown)),
        Ok(Route::Health(health)) => Ok((format!("{health:?}"), Endpoint::Other, false)),
        Err(refused) => Err((refused.kind, refused.message)),
    }
}

#[test]
fn known_paths_lose_their_v1_and_keep_their_query() {
    let found = look("POST", "/v1/chat/completions?x=1").unwrap();
    assert_eq!(found, ("/chat/completions?x=1".to_owned(), Endpoint::Chat, false));
    let found = look("GET", "/v1/models/meta%2Fllama").unwrap();
    assert_eq!(found, ("/models/meta%2Fllama".to_owned(), Endpoint::Models, false));
    assert!(look("GET", "/v1/vector_stores/vs_1/files").is_ok_and(|found| !found.2));
}

#[test]
fn what_is_usual_goes_where_it_went_if_it_were_not() {
    for (path, endpoint) in USUAL {
        let found = (path["/v1".len()..].to_owned(), endpoint, false);
        assert_eq!(look("POST", path), Ok(found.clone()));
        // A query takes the long way.
        let long = look("POST", &format!("{path}?")).map(|(rest, ..)| rest);
        assert_eq!(long, Ok(found.0.clone() + "?"));
        assert_eq!(Endpoint::of("POST", &found.0), endpoint);
        assert!(look("PUT", path).is_err(), "{path}");
        let absolute = look("POST", &format!("http://h{path}")).map_err(|(kind, _)| kind);
        assert_eq!(absolute, Err(Kind::InvalidRequest), "{path}");
    }
}

#[test]
fn health_is_asked_with_get_or_head_only() {
    assert_eq!(look("GET", "/healthz").unwrap().0, "Live");
    assert_eq!(look("HEAD", "/readyz").unwrap().0, "Ready");
    assert_eq!(look("POST", "/livez").unwrap_err().0, Kind::MethodNotAllowed);
}

#[test]
fn administration_and_unknown_paths_are_marked() {
    for path in ["/v1/organization/users", "/v1/projects/p", "/v1/_stainless_unknown_path"] {
        assert!(look("GET", path).unwrap().2, "{path}");
    }
}

#[test]
fn a_wrong_method_is_told_from_an_unknown_path() {
    let (kind, message) = look("GET", "/v1/embeddings").unwrap_err();
    assert_eq!(kind, Kind::MethodNotAllowed);
    assert!(message.contains("it takes POST"), "{message}");
    assert!(look("PATCH", "/v1/models").is_err());
    assert!(look("HEAD", "/v1/models").is_ok());
}

#[test]
fn tricks_with_the_path_are_refused() {
    let tricks = [
        "/v1/../v1/chat/completions",
        "/v1/./models",
        "/v1/models/..",
        "/v1/%2e%2e/admin",
        "/v1/%2E./models",
        "/v1/%252e%252e/models",
        "/v1//models",
        "//v1/models",
        "/v1/models/..%2fadmin",
        "/v1/models/a%2F..",
        "/v1/models\\x",
        "/v1/models%5c..",
        "/v1/models/a%00",
        "/v1/models/a%0d%0ax",
        "http://evil.example/v1/models",
        "*",
    ];
    for trick in tricks {
        if trick.parse::<Uri>().is_err() {
            continue; // The HTTP library refuses it before us.
        }
        let refused = look("GET", trick).map_err(|(kind, _)| kind);
        assert_eq!(refused, Err(Kind::InvalidRequest), "{trick}");
    }
    assert_eq!(look("CONNECT", "evil.example:443").unwrap_err().0, Kind::InvalidRequest);
}

#[test]
fn usual_mistakes_with_the_base_url_are_named() {
    for (path, word) in [
        ("/chat/completions", "not under /v1"),
        ("/", "not under /v1"),
        ("/v1", "not under /v1"),
        ("/v1/", "not under /v1"),
        ("/v10/models", "not under /v1"),
        ("/v1/v1/chat/completions", "twice"),
        ("/v1/chat/completions/chat/completions", "twice"),
    ] {
        let (kind, message) = look("POST", path).unwrap_err();
        assert_eq!(kind, Kind::NotFound, "{path}");
        assert!(message.contains(word), "{path}: {message}");
    }
}
