//! The ways to speak to the gateway: TLS, HTTP/2, and ports that are taken.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use mainstay_gateway::Ground;
use mainstay_gateway::config::{Environment, parse};
use mainstay_gateway::settings::{Settings, TlsFiles};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::provider::{Provider, completion};
use support::{CHAT, Front, front, start};

/// A gateway with TLS and what its callers have to trust.
fn secured(provider: &Provider, directory: &tempfile::TempDir) -> (Front, CertificateDer<'static>) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let files =
        TlsFiles { cert: directory.path().join("cert.pem"), key: directory.path().join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).expect("a file");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
    let text = format!(
        "[[provider]]\nname = \"up\"\nbase_url = \"http://{}/v1\"\napi_key = \"x\"\n",
        provider.addr
    );
    let config = parse("t", &text, &Environment::default()).expect("sound");
    (start(&config, |settings| settings.tls = Some(files)), made.cert.der().clone())
}

fn client(
    front: &Front,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(front.gateway.addr()).expect("the gateway listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
    StreamOwned::new(connection, socket)
}

#[test]
fn calls_are_served_over_tls() {
    let provider = Provider::fixed(completion());
    let directory = tempfile::tempdir().expect("a directory");
    let (front, trusted) = secured(&provider, &directory);
    let mut stream = client(&front, &trusted, b"http/1.1");
    stream
        .write_all(&front.post_bytes("/v1/chat/completions", "connection: close\r\n", CHAT))
        .expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("hello"), "{text}");
}

/// The preface of HTTP/2 and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

fn first_frame_type(stream: &mut impl Read) -> u8 {
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).expect("a frame");
    frame[3]
}

#[test]
fn http2_is_spoken_where_the_caller_begins_with_it() {
    const SETTINGS: u8 = 4;
    let provider = Provider::fixed(completion());
    let front = front(provider.addr, "");
    let mut plain = front.connect().stream;
    plain.write_all(PREFACE).expect("sent");
    assert_eq!(first_frame_type(&mut plain), SETTINGS);
    let directory = tempfile::tempdir().expect("a directory");
    let (front, trusted) = secured(&provider, &directory);
    let mut tls = client(&front, &trusted, b"h2");
    tls.write_all(PREFACE).expect("sent");
    assert_eq!(first_frame_type(&mut tls), SETTINGS);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("an address");
    let settings = Settings { listen, ..Settings::default() };
    let error = Ground::take(&settings, "127.0.0.1:0".parse().expect("an address"))
        .expect_err("the port is taken");
    let text = error.to_string();
    for word in [listen.to_string().as_str(), "in use", "--listen", "fix:"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let files =
        TlsFiles { cert: directory.path().join("no.pem"), key: directory.path().join("no.key") };
    let listen = "127.0.0.1:0".parse().expect("an address");
    let settings = Settings { listen, tls: Some(files.clone()), ..Settings::default() };
    let text = Ground::take(&settings, listen).expect_err("there is no file").to_string();
    assert!(text.contains("no.pem") && text.contains("fix:"), "{text}");
    std::fs::write(&files.cert, "hello").expect("a file");
    let text = Ground::take(&settings, listen).expect_err("no certificate").to_string();
    assert!(text.contains("no.pem") && text.contains("no certificate"), "{text}");
}

#[test]
fn the_environments_proxy_is_gone_through_and_spared_hosts_are_not() {
    // It plays both: the tunnel is asked for, and at its other end is a provider.
    let proxy = Provider::new(|seen, stream| {
        let tunnel = seen.head.starts_with("connect ");
        let answer = if tunnel { "HTTP/1.1 200 OK\r\n\r\n".to_owned() } else { completion() };
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let text =
        "[[provider]]\nname = \"up\"\nbase_url = \"http://provider.test:81/v1\"\napi_key = \"k\"\n";
    let url = format!("http://us%40er:pass@{}", proxy.addr);
    let pairs = [("HTTP_PROXY", url.as_str()), ("NO_PROXY", "elsewhere.test")];
    let config = parse("t", text, &Environment::from_pairs(pairs)).expect("sound");
    assert_eq!(start(&config, |_| {}).post("/v1/chat/completions", CHAT).status, 200);
    let seen = proxy.seen();
    assert!(seen[0].head.starts_with("connect provider.test:81 "), "{}", seen[0].head);
    // "us@er:pass", RFC 4648 by hand, in lower case as all heads are here.
    assert_eq!(seen[0].header("proxy-authorization"), Some("basic dxnazxi6cgfzcw=="));
    assert!(seen[1].head.starts_with("post /v1/chat/completions "), "{}", seen[1].head);

    let spared = [("HTTP_PROXY", url.as_str()), ("NO_PROXY", "provider.test")];
    let config = parse("t", text, &Environment::from_pairs(spared)).expect("sound");
    assert_eq!(config.providers[0].proxy, None);
    let broken = [("HTTP_PROXY", "socks5://127.0.0.1:1")];
    let faults = parse("t", text, &Environment::from_pairs(broken)).expect_err("no proxy");
    assert!(faults[0].why.contains("only http:// proxies"), "{}", faults[0]);
}
