//! Promises about attempts that are dropped before there is an answer, wherever their connection
//! stands: the other end sees it at once, and nobody else is held up. (While an answer is awaited or
//! read: `transport_h1.rs`, `transport_h2.rs`.)

mod transport_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay::http::{HttpSettings, HttpUpstream};
use mainstay::upstream::{AttemptRequest, Destination, Proxy, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use transport_support::tls::{Authority, tls_server};
use transport_support::*;

/// Long enough for an attempt to get as far as it can.
const A_WHILE: Duration = Duration::from_millis(150);

/// Takes connections and answers nothing; tells of each when its other end is gone. What was sent is
/// read only after a while, so that a large request stays on its way.
async fn silent() -> (SocketAddr, UnboundedReceiver<usize>) {
    let (tell, closed) = unbounded_channel();
    let address = server(move |mut socket, number| {
        let tell = tell.clone();
        async move {
            tokio::time::sleep(A_WHILE * 2).await;
            let mut piece = vec![0; 64 << 10];
            while socket.read(&mut piece).await.is_ok_and(|read| read > 0) {}
            let _ = tell.send(number);
        }
    })
    .await;
    (address, closed)
}

/// Plays an attempt until it has told so much and nothing more happens, and drops it.
async fn left_where_it_stands(upstream: &HttpUpstream, request: AttemptRequest, told: usize) {
    let mut attempt = upstream.start(request);
    for number in 0..told {
        let came = tokio::time::timeout(PATIENCE, next(&mut attempt)).await;
        assert!(came.is_ok(), "it has told {number} of {told}");
    }
    let more = tokio::time::timeout(A_WHILE, next(&mut attempt)).await;
    assert!(more.is_err(), "it tells more than {told}");
}

#[tokio::test]
async fn connections_that_are_being_made_or_written_to_are_closed() {
    let authority = Authority::new();
    let (address, mut closed) = silent().await;
    let proxy = Proxy::from_url(&format!("http://{address}")).expect("a proxy");
    let tunnel = Destination { proxy: Some(proxy), ..(*to(address)).clone() };
    let large = vec![b' '; 32 << 20];
    for (stage, request, told) in [
        ("a proxy asked for a tunnel", get(&Arc::new(tunnel)), 0),
        ("a handshake of TLS", get(&authority.to("localhost", address)), 0),
        ("a request on its way", post(&to(address), large), 1),
        ("an answer awaited", get(&to(address)), 1),
    ] {
        let upstream = HttpUpstream::default();
        left_where_it_stands(&upstream, request, told).await;
        let seen = tokio::time::timeout(PATIENCE, closed.recv()).await;
        assert!(seen.is_ok(), "{stage}: the connection stayed open");
        assert_eq!(upstream.stats().idle, 0, "{stage}");
    }
}

#[tokio::test]
async fn who_waits_for_leave_to_connect_and_goes_takes_nothing_along() {
    let (address, _closed) = silent().await;
    let settings = HttpSettings { connections_max: Some(1), ..HttpSettings::default() };
    let upstream = HttpUpstream::new(settings);
    let destination = to(address);
    let mut first = upstream.start(get(&destination));
    next(&mut first).await;
    for _ in 0..3 {
        left_where_it_stands(&upstream, get(&destination), 0).await;
    }
    drop(first);
    left_where_it_stands(&upstream, get(&destination), 1).await;
}

/// While it is not known whether the other end speaks HTTP/2, one opens and the others wait for it.
#[tokio::test]
async fn when_the_one_who_opens_for_all_goes_another_one_opens() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let authority = Authority::new();
    let steady = tls_server(authority.acceptor("localhost", &[]), |mut socket, _| async move {
        while read_request(&mut socket).await.is_some() {
            let _ = socket.write_all(OK).await;
            let _ = socket.flush().await;
        }
    })
    .await;
    // The first connection comes to nothing: it is taken, and never answered.
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let address = server(move |mut socket, number| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                let _ = socket.read_exact(&mut vec![0; 1 << 20]).await;
                return;
            }
            let Ok(mut onward) = tokio::net::TcpStream::connect(steady).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut socket, &mut onward).await;
        }
    })
    .await;
    let upstream = HttpUpstream::default();
    let destination = authority.to("localhost", address);
    let mut opener = upstream.start(get(&destination));
    assert!(tokio::time::timeout(A_WHILE, next(&mut opener)).await.is_err());
    eventually("its connection is taken", || taken.load(Ordering::SeqCst) == 1).await;
    let waiting: Vec<_> =
        (0..5).map(|_| tokio::spawn(play(upstream.start(get(&destination))))).collect();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(taken.load(Ordering::SeqCst), 1, "they wait for the one who opens");
    drop(opener);
    for one in waiting {
        assert_eq!(one.await.expect("it plays").answer(), (200, "ok".to_owned()));
    }
}
