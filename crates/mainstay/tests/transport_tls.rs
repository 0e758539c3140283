//! Promises of the transport about TLS: who is trusted, what is said when nobody is, in what time.

mod transport_support;

use std::sync::Arc;
use std::time::Duration;

use mainstay::http::{HttpSettings, HttpUpstream, Trust, TrustError};
use mainstay_core::classify::TransportFault;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use transport_support::tls::{Authority, tls_server, tls_to};
use transport_support::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn steady(acceptor: tokio_rustls::TlsAcceptor) -> std::net::SocketAddr {
    tls_server(acceptor, |mut socket, _| async move {
        while read_request(&mut socket).await.is_some() {
            if socket.write_all(OK).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_authority_in_the_file_is_trusted_and_its_connection_reused() {
    let authority = Authority::new();
    for alpn in [&[][..], &["http/1.1"]] {
        let address = steady(authority.acceptor("localhost", alpn)).await;
        let upstream = HttpUpstream::default();
        let destination = authority.to("localhost", address);
        for reused in [false, true, true] {
            let told = send(&upstream, post(&destination, "x")).await;
            assert_eq!(told.answer(), (200, "ok".into()));
            assert_eq!(told.sending, [reused]);
        }
    }
}

#[tokio::test]
async fn an_address_in_the_certificate_is_a_name_too() {
    let authority = Authority::new();
    let address = steady(authority.acceptor("127.0.0.1", &[])).await;
    let told = send(&HttpUpstream::default(), get(&authority.to("127.0.0.1", address))).await;
    assert_eq!(told.answer().0, 200);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_untrusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let cases = [
        ("another authority's", ours.acceptor("localhost", &[]), &other),
        ("its own authority", ours.acceptor_self_signed(), &other),
        ("another name", ours.acceptor("elsewhere.example", &[]), &ours),
    ];
    for (case, acceptor, trusted) in cases {
        let address = steady(acceptor).await;
        let told = send(&HttpUpstream::default(), get(&trusted.to("localhost", address))).await;
        assert_eq!(told.fault, Some(TransportFault::TlsUntrusted), "{case}");
        assert!(told.sending.is_empty(), "{case}: nothing was sent");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_another_fault() {
    let authority = Authority::new();
    let spoken = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for (answer, want) in
        [(&spoken[..], TransportFault::TlsNotSpoken), (b"", TransportFault::TlsOther)]
    {
        let address = server(move |mut socket, _| async move {
            let _ = socket.write_all(answer).await;
        })
        .await;
        let told = send(&HttpUpstream::default(), get(&authority.to("localhost", address))).await;
        assert_eq!(told.fault, Some(want), "{answer:?}");
    }
}

#[test]
fn an_unusable_authority_file_is_named_with_the_reason() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let error = Trust::default().load(Some(empty.path())).expect_err("no certificate");
    assert!(matches!(error, TrustError::CaFileEmpty(_)), "{error}");
    assert!(error.to_string().contains(&empty.path().display().to_string()), "{error}");
    let gone = std::path::Path::new("/nowhere/ca.pem");
    let error = Trust::default().load(Some(gone)).expect_err("no file");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

/// Runs itself once more where neither variable of the environment leads to a certificate.
#[test]
fn without_any_authority_the_error_says_so_and_what_to_do() {
    const ALONE: &str = "--test-threads=1";
    if !std::env::args().any(|argument| argument == ALONE) {
        let nowhere = tempfile::tempdir().expect("a directory");
        let child = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["without_any_authority_the_error_says_so_and_what_to_do", "--exact", ALONE])
            .env("SSL_CERT_FILE", nowhere.path().join("none.pem"))
            .env("SSL_CERT_DIR", nowhere.path())
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let error = Trust::default().load(None).expect_err("no authority").to_string();
    for part in ["no certificate authority found", "none.pem", "ca-certificates", "ca_file"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let authority = Authority::new();
        let address = steady(authority.acceptor("localhost", &[])).await;
        let told = send(&HttpUpstream::default(), get(&tls_to("localhost", address, None))).await;
        assert_eq!(told.fault, Some(TransportFault::TlsUntrusted));
        // The file of a destination is enough by itself.
        let told = send(&HttpUpstream::default(), get(&authority.to("localhost", address))).await;
        assert_eq!(told.answer().0, 200);
    });
}

/// Repaired authorities are found by the next attempt: a failure is not remembered.
#[tokio::test]
async fn an_authority_file_may_appear_later() {
    let authority = Authority::new();
    let address = steady(authority.acceptor("localhost", &[])).await;
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("ca.pem");
    let upstream = HttpUpstream::with_trust(HttpSettings::default(), Trust::default());
    let destination = tls_to("localhost", address, Some(file.clone()));
    let told = send(&upstream, get(&destination)).await;
    assert_eq!(told.fault, Some(TransportFault::TlsUntrusted));
    std::fs::copy(authority.file.path(), file).expect("copied");
    assert_eq!(send(&upstream, get(&destination)).await.answer().0, 200);
}

#[tokio::test]
async fn the_connect_timeout_bounds_tcp_and_tls_together() {
    let authority = Authority::new();
    // Takes connections and says nothing: TLS never begins.
    let silent = server(|socket, _| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(socket);
    })
    .await;
    // Takes no connection beyond its queue: TCP never ends.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let full = socket.listen(1).expect("listening");
    let full_address = full.local_addr().expect("an address");
    let mut held = Vec::new();
    for _ in 0..8 {
        let one = tokio::time::timeout(
            Duration::from_millis(50),
            tokio::net::TcpStream::connect(full_address),
        );
        held.push(one.await);
    }
    assert!(held.iter().any(Result::is_err), "the queue is full");
    for destination in [authority.to("localhost", silent), to(full_address)] {
        soon(Duration::from_millis(400), async || {
            let upstream = HttpUpstream::default();
            let mut request = get(&destination);
            request.connect_timeout = Duration::from_millis(150);
            let start = Instant::now();
            let told = send(&upstream, request).await;
            let took = start.elapsed();
            assert_eq!(told.fault, Some(TransportFault::ConnectTimeout), "{destination:?}");
            assert!(told.sending.is_empty());
            assert!(took >= Duration::from_millis(150), "{took:?}");
            took
        })
        .await;
    }
}

/// Many attempts that wait for the first connection fail with it, all at once.
#[tokio::test]
async fn those_who_wait_for_a_connection_fail_with_it() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(socket);
        }
    });
    let upstream = HttpUpstream::default();
    let destination = authority.to("localhost", address);
    let one = || send(&upstream, get(&destination));
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    for told in [a, b, c, d] {
        assert_eq!(told.fault, Some(TransportFault::TlsOther));
    }
    assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_without_length_that_ends_without_a_tls_goodbye_is_cut() {
    let authority = Authority::new();
    for goodbye in [true, false] {
        let acceptor = authority.acceptor("localhost", &[]);
        let address = tls_server(acceptor, move |mut socket, _| async move {
            read_request(&mut socket).await.expect("a request");
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await;
            let _ = socket.flush().await;
            if goodbye {
                let _ = socket.shutdown().await;
            }
        })
        .await;
        let told = send(&HttpUpstream::default(), get(&authority.to("localhost", address))).await;
        assert_eq!(told.ended, goodbye);
        assert_eq!(told.fault, (!goodbye).then_some(TransportFault::CutMidBody));
    }
}
