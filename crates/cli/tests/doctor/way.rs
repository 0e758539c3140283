//! The way: names, connections, proxies, certificates.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, ServerConnection, Stream};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::world::{
    answer, answers, closed, look, look_in, models, permitted, provider, request, server,
};

/// Days from now to the end of a certificate.
enum Until {
    Past,
    Soon,
    Later,
}

/// A certificate for `localhost` and the authority that signed it, as a file in a folder.
struct Signed {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    authority: PathBuf,
}

fn signed(folder: &Path, until: &Until) -> Signed {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Test Authority");
    let root = params.self_signed(&authority_key).expect("a certificate");
    let authority = folder.join("authority.pem");
    std::fs::write(&authority, root.pem()).expect("written");
    let issuer = Issuer::new(params, authority_key);

    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
    params.distinguished_name.push(DnType::CommonName, "Test Server");
    params.not_after = match until {
        Until::Past => date_time_ymd(2020, 2, 3),
        Until::Soon => date_time_ymd(1970, 1, 1) + since_1970() + Duration::from_hours(24 * 5),
        Until::Later => date_time_ymd(2099, 1, 1),
    };
    params.not_before = date_time_ymd(2019, 1, 1);
    let own = params.signed_by(&key, &issuer).expect("a certificate");
    Signed { chain: vec![own.der().clone()], key, authority }
}

#[expect(clippy::disallowed_methods, reason = "certificates end on the wall clock")]
fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970")
}

/// An API behind TLS.
fn tls_api(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a usable certificate");
    let config = Arc::new(config);
    server(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        let mut stream = Stream::new(&mut connection, &mut socket);
        while request(&mut stream).is_some() {
            if stream.write_all(models("").as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn at(address: SocketAddr, signed: &Signed) -> String {
    let ca = format!("ca_file = \"{}\"", signed.authority.display());
    provider(&format!("https://localhost:{}/v1", address.port()), &ca)
}

#[test]
fn a_sound_certificate_is_told_with_its_signer_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let signed = signed(folder.path(), &Until::Later);
    let said = look(&at(tls_api(signed.chain.clone(), &signed.key), &signed), &[]);
    said.check(
        "tls",
        "ok",
        "certificate of `Test Server`, signed by `Test Authority`, until 2099-01-01",
    );
    said.check("dns", "ok", "`localhost` is ");
    said.check("auth", "ok", "key 1 is accepted");
    said.only_these_failed(&[]);
    assert_eq!(said.code, 0, "{said:#?}");
}

#[test]
fn an_expired_certificate_is_told_with_its_date() {
    let folder = tempfile::tempdir().unwrap();
    let signed = signed(folder.path(), &Until::Past);
    let said = look(&at(tls_api(signed.chain.clone(), &signed.key), &signed), &[]);
    said.check("tls", "failed", "the certificate of `Test Server` has expired");
    let tls = said.findings.iter().find(|one| one["check"] == "tls").unwrap();
    assert!(tls["cause"].as_str().unwrap().contains("valid until 2020-02-03"), "{tls}");
    said.check("auth", "skipped", "the way is not open");
    assert_eq!(said.code, 3);
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let signed = signed(folder.path(), &Until::Soon);
    let said = look(&at(tls_api(signed.chain.clone(), &signed.key), &signed), &[]);
    let (state, found) = said.of("tls");
    assert!(
        state == "warning" && (found.contains("(4 days)") || found.contains("(5 days)")),
        "{found}"
    );
    assert_eq!(said.code, 0, "{said:#?}");
}

#[test]
fn a_self_signed_and_a_strange_certificate_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Some Box");
    let own = params.self_signed(&key).unwrap();
    let url = |address: SocketAddr| format!("https://localhost:{}/v1", address.port());
    let address = tls_api(vec![own.der().clone()], &key);
    let said = look(&provider(&url(address), ""), &[]);
    said.check("tls", "failed", "`Some Box` is signed by itself");
    assert_eq!(said.code, 3);

    let signed = signed(folder.path(), &Until::Later);
    let address = tls_api(signed.chain.clone(), &signed.key);
    let said = look(&provider(&url(address), ""), &[]);
    said.check("tls", "failed", "signed by `Test Authority`");
    let by_address = at(address, &signed).replace("localhost", "127.0.0.1");
    look(&by_address, &[]).check("tls", "failed", "not for `127.0.0.1`");
}

#[test]
fn plain_text_where_tls_is_wanted_is_told() {
    let address = answers(models(""));
    let said = look(&provider(&format!("https://127.0.0.1:{}/v1", address.port()), ""), &[]);
    said.check("tls", "failed", "");
    assert_eq!(said.code, 3);
}

#[test]
fn a_dead_proxy_is_told_whoever_names_it() {
    let dead = closed();
    let named = provider("https://api.example.com/v1", &format!("proxy = \"http://{dead}\""));
    let said = look(&named, &[]);
    said.check("proxy", "ok", &format!("through {dead}"));
    said.check("tcp", "failed", "the proxy 127.0.0.1:");
    assert_eq!(said.code, 3);

    let folder = tempfile::tempdir().unwrap();
    let config = provider("https://api.example.com/v1", "");
    let variable = format!("http://{dead}");
    let said = look_in(folder.path(), &config, &[], &[], &[("HTTPS_PROXY", &variable)]);
    said.check("tcp", "failed", "the proxy 127.0.0.1:");
}

#[test]
fn a_proxy_that_wants_a_login_or_refuses_is_told() {
    for (status, words) in [
        ("407 Proxy Authentication Required", "the proxy answered 407"),
        ("403 Forbidden", "the proxy answered CONNECT with 403"),
    ] {
        let proxy = answers(answer(status, "", ""));
        let config = provider("https://api.example.com/v1", &format!("proxy = \"http://{proxy}\""));
        let said = look(&config, &[]);
        said.check("tcp", "ok", "the proxy");
        said.check("tunnel", "failed", words);
        assert_eq!(said.code, 3);
    }
}

#[test]
fn a_closed_port_and_a_name_of_nobody_are_told() {
    let said = look(&provider(&format!("http://{}/v1", closed()), ""), &[]);
    said.check("tcp", "failed", "refused");
    said.only_these_failed(&["tcp"]);
    assert_eq!(said.code, 3);
    // Longer than a label may be: fails without asking any network.
    let nobody = format!("http://{}.example/v1", "x".repeat(64));
    let said = look(&provider(&nobody, ""), &[]);
    said.check("dns", "failed", "xxx");
    said.check("tcp", "skipped", "has no address");
    assert_eq!(said.code, 3);
}

#[test]
fn a_full_accept_queue_ends_in_the_time_given() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: connections fill the queue until one gets no answer.
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        held.push(stream);
        assert!(held.len() < 10_000, "the queue has no end");
    }
    let config = provider(&format!("http://{address}/v1"), "");
    let said = look(&config, &["--timeout", "300ms"]);
    said.check("tcp", "failed", "nothing came of it in 0.3 s");
    let tcp = said.findings.iter().find(|one| one["check"] == "tcp").unwrap();
    assert!(tcp["cause"].as_str().unwrap().contains("queue is full"), "{tcp}");
    assert!(said.took < Duration::from_secs(10), "{:?}", said.took);
    assert_eq!(said.code, 3);
}

#[test]
fn no_way_out_is_told() {
    let behind = ["unshare", "-n"];
    if !permitted(&["unshare", "-n", "true"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = provider("http://192.0.2.1/v1", "");
    let said = look_in(folder.path(), &config, &[], &behind, &[]);
    said.check("tcp", "failed", "unreachable");
    let tcp = said.findings.iter().find(|one| one["check"] == "tcp").unwrap();
    assert!(tcp["fix"].to_string().contains("container"), "{tcp}");
    assert_eq!(said.code, 3);
    let named = provider("https://api.example.com/v1", "");
    let said = look_in(folder.path(), &named, &[], &behind, &[]);
    said.check("dns", "failed", "api.example.com");
    assert_eq!(said.code, 3);
}
