//! Access rules through real sockets: who is let in from where, and what he is told else.

mod support;

use std::path::Path;

use mainstay_gateway::Geo;
use mainstay_gateway::config::{Config, Environment, parse};
use support::provider::{Provider, completion};
use support::{CHAT, Front, Reply, mmdb, start};

fn config(provider: &Provider, server: &str, rules: &str) -> Config {
    let text = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{server}\n{rules}\n[[provider]]\nname = \"up\"\n\
         base_url = \"http://{}/v1\"\napi_key = \"sk-upstream-secret\"\n",
        provider.addr
    );
    parse("test.toml", &text, &Environment::default()).expect("a sound configuration")
}

fn ask(front: &Front, more: &str) -> Reply {
    front.raw(&front.post_bytes("/v1/chat/completions", more, CHAT))
}

fn write_database(folder: &Path) -> String {
    let file = folder.join("countries.mmdb");
    let ranges = [("192.0.2.0/24", "DE"), ("198.51.100.0/25", "FR"), ("2001:db8::/32", "DE")];
    std::fs::write(&file, mmdb::database(&ranges)).expect("a file");
    file.display().to_string()
}

#[test]
fn countries_of_a_database_are_allowed_and_denied_by_address() {
    let provider = Provider::fixed(completion());
    let folder = tempfile::tempdir().unwrap();
    let server = format!("geoip_db = \"{}\"", write_database(folder.path()));
    let rules = "[[access]]\norg = \"default\"\ncountries_allow = [\"DE\"]";
    let front = start(&config(&provider, &server, rules), |_| {});
    for (address, let_in) in [
        ("192.0.2.200", true),
        ("2001:db8:1::5", true),
        ("198.51.100.7", false),
        ("203.0.113.1", false),
    ] {
        let reply = ask(&front, &format!("x-forwarded-for: {address}\r\n"));
        if let_in {
            assert_eq!(reply.status, 200, "{address}");
            continue;
        }
        let message = reply.refused(403, "unsupported_region");
        assert!(message.starts_with("Country, region, or territory not supported"), "{message}");
        assert_eq!(reply.json()["error"]["code"], "unsupported_country_region_territory");
        assert_eq!(reply.json()["error"]["type"], "request_forbidden");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert_eq!(reply.header("x-mainstay-scope"), Some("region"));
    }
    assert_eq!(provider.seen().len(), 2, "what was refused was not sent");
}

#[test]
fn addresses_are_held_to_the_rule_and_a_forged_header_helps_nobody() {
    let provider = Provider::fixed(completion());
    let rules = "[[access]]\nproject = \"default\"\ncidr_allow = [\"192.0.2.0/24\"]";
    let front = start(&config(&provider, "", rules), |_| {});
    assert_eq!(ask(&front, "x-forwarded-for: 192.0.2.1\r\n").status, 200);
    let forged = ask(&front, "x-forwarded-for: 192.0.2.1, 203.0.113.5\r\n");
    let message = forged.refused(401, "ip_not_authorized");
    assert!(message.contains("203.0.113.5"), "{message}");
    assert_eq!(forged.json()["error"]["code"], "ip_not_authorized");
    ask(&front, "").refused(401, "ip_not_authorized");

    let untrusting = "[server]\n[[access]]\nproject = \"default\"\ncidr_deny = [\"127.0.0.0/8\"]";
    let text = format!(
        "{untrusting}\n[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"k\"",
        provider.addr
    );
    let front = start(&parse("t", &text, &Environment::default()).unwrap(), |_| {});
    ask(&front, "x-forwarded-for: 192.0.2.1\r\n").refused(401, "ip_not_authorized");
    assert_eq!(provider.seen().len(), 1);
}

#[test]
fn a_file_that_is_no_database_of_countries_is_refused_with_what_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.mmdb");
    assert!(Geo::open(&file).is_err(), "there is no file");
    std::fs::write(&file, b"no database").unwrap();
    assert!(Geo::open(&file).is_err());
    let mut other = mmdb::database(&[("192.0.2.0/24", "DE")]);
    let at = other.windows(12).position(|bytes| bytes == b"Test-Country").unwrap();
    other[at..at + 12].copy_from_slice(b"Test-Anonymo");
    std::fs::write(&file, &other).unwrap();
    let provider = Provider::fixed(completion());
    let config = config(&provider, &format!("geoip_db = \"{}\"", file.display()), "");
    let fault = Geo::open(&file).unwrap_err().in_file(&config);
    assert!(fault.why.contains("Test-Anonymo") && fault.fix.contains("GeoLite2"), "{fault}");
    for cut in (0..other.len()).step_by(7) {
        std::fs::write(&file, &other[..cut]).unwrap();
        assert!(Geo::open(&file).is_err(), "cut at {cut}");
    }
}
