//! Promises about proxies: which destinations use one, what is sent to it, what its refusals mean.

mod transport_support;

use std::net::SocketAddr;
use std::sync::Arc;

use mainstay::http::{HttpUpstream, ProxyUrlError, no_proxy_matches, proxy_for};
use mainstay::upstream::{Destination, Proxy};
use mainstay_core::classify::TransportFault;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use transport_support::tls::{Authority, tls_server};
use transport_support::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A proxy that wants this authorization and tunnels to wherever it is asked.
async fn proxy(wanted: Option<&'static str>) -> SocketAddr {
    server(move |mut socket, _| async move {
        let Some((head, _)) = read_request(&mut socket).await else { return };
        let authorized = wanted.is_none_or(|wanted| {
            head.contains(&format!("\r\nproxy-authorization: {}\r\n", wanted.to_ascii_lowercase()))
        });
        if !authorized {
            let _ =
                socket.write_all(b"HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\n\r\n").await;
            return;
        }
        let place = head.strip_prefix("connect ").and_then(|rest| rest.split(' ').next());
        let place = place.expect("CONNECT is asked for");
        assert!(head.contains(&format!("\r\nhost: {place}\r\n")), "{head}");
        let mut onward = TcpStream::connect(place).await.expect("the provider");
        let _ = socket.write_all(b"HTTP/1.1 200 Established\r\nx: y\r\n\r\n").await;
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut onward).await;
    })
    .await
}

fn through(destination: &Destination, proxy: Proxy) -> Arc<Destination> {
    Arc::new(Destination { proxy: Some(proxy), ..destination.clone() })
}

fn at(address: SocketAddr, user: &str) -> Proxy {
    Proxy::from_url(&format!("http://{user}{address}")).expect("a proxy")
}

#[tokio::test]
async fn http_and_https_go_through_a_tunnel_and_reuse_it() {
    let authority = Authority::new();
    let secure = tls_server(authority.acceptor("localhost", &[]), |mut socket, _| async move {
        while read_request(&mut socket).await.is_some() && socket.write_all(OK).await.is_ok() {}
    })
    .await;
    let plain = server(|mut socket, _| async move {
        while read_request(&mut socket).await.is_some() && socket.write_all(OK).await.is_ok() {}
    })
    .await;
    let proxy = proxy(None).await;
    for destination in [authority.to("localhost", secure), to(plain)] {
        let destination = through(&destination, at(proxy, ""));
        let upstream = HttpUpstream::default();
        for reused in [false, true] {
            let told = send(&upstream, post(&destination, "x")).await;
            assert_eq!(told.answer(), (200, "ok".into()));
            assert_eq!(told.sending, [reused]);
        }
    }
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_and_says_when_they_are_wrong() {
    let plain = answers_once(OK).await;
    // "user:pa ss", RFC 4648 by hand.
    let proxy = proxy(Some("Basic dXNlcjpwYSBzcw==")).await;
    for (user, fault) in [
        ("user:pa%20ss@", None),
        ("user:wrong@", Some(TransportFault::ProxyAuth)),
        ("", Some(TransportFault::ProxyAuth)),
    ] {
        let destination = through(&to(plain), at(proxy, user));
        let told = send(&HttpUpstream::default(), get(&destination)).await;
        assert_eq!(told.fault, fault, "{user}");
        assert_eq!(told.sending.is_empty(), fault.is_some(), "{user}");
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_is_a_fault_of_the_proxy() {
    let cases: &[&[u8]] = &[
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nwords before any were asked for",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"",
    ];
    for answer in cases {
        let proxy = answers_once(*answer).await;
        let nowhere = "127.0.0.1:9".parse().expect("an address");
        let destination = through(&to(nowhere), at(proxy, ""));
        let told = send(&HttpUpstream::default(), get(&destination)).await;
        assert_eq!(told.fault, Some(TransportFault::ProxyRefused), "{answer:?}");
        assert!(told.sending.is_empty());
    }
}

#[test]
fn proxy_urls_are_read_as_people_write_them() {
    let check = |url: &str, host: &str, port: u16, authorization: Option<&str>| {
        let proxy = Proxy::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{url}");
        assert_eq!(proxy.authorization.as_deref(), authorization, "{url}");
    };
    check("http://proxy:3128", "proxy", 3128, None);
    check("HTTP://proxy:3128/", "proxy", 3128, None);
    check(" proxy.example:8080 ", "proxy.example", 8080, None);
    check("http://proxy", "proxy", 80, None);
    check("http://[::1]:3128", "::1", 3128, None);
    check("http://u:p@proxy:1", "proxy", 1, Some("Basic dTpw"));
    check("http://u:p%40s@proxy:1", "proxy", 1, Some("Basic dTpwQHM="));
    check("http://u@proxy:1", "proxy", 1, Some("Basic dQ=="));
    check("http://u:a@b@proxy:1", "proxy", 1, Some("Basic dTphQGI="));

    for (url, want) in [
        ("https://proxy:3128", ProxyUrlError::Scheme),
        ("socks5://proxy:1080", ProxyUrlError::Scheme),
        ("", ProxyUrlError::Host),
        ("http://:3128", ProxyUrlError::Host),
        ("http://[::1", ProxyUrlError::Host),
        ("http://a b:1", ProxyUrlError::Host),
        ("http://proxy:0", ProxyUrlError::Port),
        ("http://proxy:99999", ProxyUrlError::Port),
        ("http://u:%zz@proxy:1", ProxyUrlError::Escape),
        ("http://u:%a@proxy:1", ProxyUrlError::Escape),
    ] {
        assert_eq!(Proxy::from_url(url), Err(want), "{url}");
    }
}

#[test]
fn a_proxys_password_is_not_shown() {
    let proxy = Proxy::from_url("http://user:hunter2@proxy:1").expect("a proxy");
    assert_eq!(format!("{proxy:?}"), "Proxy(proxy:1)");
}

#[test]
fn no_proxy_names_hosts_domains_addresses_networks_and_ports() {
    for (list, host, port, want) in [
        ("*", "api.openai.com", 443, true),
        ("", "api.openai.com", 443, false),
        ("openai.com", "openai.com", 443, true),
        ("openai.com", "api.openai.com", 443, true),
        ("openai.com", "notopenai.com", 443, false),
        ("OpenAI.com", "API.openai.COM.", 443, true),
        (".openai.com", "api.openai.com", 443, true),
        (".openai.com", "openai.com", 443, false),
        ("*.openai.com", "api.openai.com", 443, true),
        ("*.openai.com", "openai.com", 443, false),
        ("a.example, openai.com", "openai.com", 443, true),
        ("a.example openai.com", "openai.com", 443, true),
        ("openai.com:443", "openai.com", 443, true),
        ("openai.com:8443", "openai.com", 443, false),
        ("10.1.2.3", "10.1.2.3", 80, true),
        ("10.1.2.3:80", "10.1.2.3", 80, true),
        ("10.1.2.3:81", "10.1.2.3", 80, false),
        ("0.2.3", "10.0.2.3", 80, false),
        ("10.0.0.0/8", "10.255.0.1", 80, true),
        ("10.0.0.0/8", "11.0.0.1", 80, false),
        ("0.0.0.0/0", "11.0.0.1", 80, true),
        ("10.0.0.0/33", "10.0.0.1", 80, false),
        ("10.0.0.0/8", "10.example", 80, false),
        ("fd00::/8", "fd12::1", 80, true),
        ("fd00::/8", "10.0.0.1", 80, false),
        ("::/0", "fd12::1", 80, true),
        ("::1", "0:0:0:0:0:0:0:1", 80, true),
        ("[::1]:80", "::1", 80, true),
        (",, ,", "x", 80, false),
        (".", "x", 80, false),
        ("x:y", "x", 80, false),
    ] {
        assert_eq!(no_proxy_matches(list, host, port), want, "{list:?} {host} {port}");
    }
}

#[test]
fn only_https_to_other_machines_uses_the_environments_proxy() {
    let url = Some("http://proxy:3128");
    for (tls, host, https_proxy, no_proxy, want) in [
        (true, "api.openai.com", url, None, true),
        (true, "api.openai.com", url, Some("example.com"), true),
        (true, "api.openai.com", url, Some("openai.com"), false),
        (true, "api.openai.com", None, None, false),
        (true, "api.openai.com", Some(" "), None, false),
        (false, "api.openai.com", url, None, false),
        (true, "localhost", url, None, false),
        (true, "127.0.0.2", url, None, false),
        (true, "::1", url, None, false),
    ] {
        let destination =
            Destination { tls, host: host.to_owned(), port: 443, proxy: None, ca_file: None };
        let proxy = proxy_for(&destination, https_proxy, no_proxy).expect("a sound URL");
        assert_eq!(proxy.is_some(), want, "{tls} {host} {https_proxy:?} {no_proxy:?}");
    }
    let destination = Destination {
        tls: true,
        host: "api.openai.com".to_owned(),
        port: 443,
        proxy: None,
        ca_file: None,
    };
    assert_eq!(proxy_for(&destination, Some("socks5://x:1"), None), Err(ProxyUrlError::Scheme));
}
