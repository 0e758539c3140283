//! Promises about addresses: both families in turn, a dead one delays but does not fail.

use tokio::net::{TcpListener, TcpSocket};

use super::*;

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn fault<T>(result: Result<T, Hitch>) -> Option<TransportFault> {
    result.err().map(|hitch| hitch.fault)
}

#[test]
fn families_take_turns_in_the_resolvers_order() {
    let check = |found: &[&str], want: &[&str]| {
        assert_eq!(in_turn(addresses(found).into_iter()), addresses(want), "{found:?}");
    };
    check(&["[::1]:1", "[::2]:1", "1.1.1.1:1"], &["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
    check(&["1.1.1.1:1", "[::1]:1", "[::2]:1"], &["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
    check(&["1.1.1.1:1"], &["1.1.1.1:1"]);
    check(&[], &[]);
    let many: Vec<_> = (1..100).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
    assert_eq!(in_turn(many.iter().copied()), many[..ADDRESSES_MAX]);
}

#[tokio::test]
async fn a_refusing_and_a_silent_address_do_not_keep_from_the_next() {
    let good = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let good = good.local_addr().map(|address| (address, good)).expect("an address");
    // Nobody listens there, and nobody who asks for any port comes to.
    let refusing_address = "127.0.0.1:1".parse().expect("an address");
    let (silent_address, _held) = silent().await;

    // What a busy machine adds is not there every time.
    let mut times = Vec::new();
    while times.last().is_none_or(|took| *took >= NEXT_ADDRESS_AFTER) {
        assert!(times.len() < 5, "a refusal moves on at once: {times:?}");
        let start = Instant::now();
        let stream = race(&[refusing_address, good.0]).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("an address"), good.0);
        times.push(start.elapsed());
    }

    let start = Instant::now();
    let stream = race(&[silent_address, good.0]).await.expect("connects");
    assert_eq!(stream.peer_addr().expect("an address"), good.0);
    assert!(start.elapsed() >= NEXT_ADDRESS_AFTER);

    assert_eq!(fault(race(&[refusing_address]).await), Some(TransportFault::Refused));
    assert_eq!(fault(race(&[]).await), Some(TransportFault::Dns));
}

/// A listener whose queue is full: connecting to it neither works nor fails.
async fn silent() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let mut held = Vec::new();
    for _ in 0..8 {
        let connecting = TcpStream::connect(address);
        held.push(tokio::time::timeout(Duration::from_millis(30), connecting).await);
    }
    assert!(held.iter().any(Result::is_err), "the queue is full");
    (address, (listener, held))
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_many_and_again_later() {
    let resolver = Resolver::new();
    assert!(resolver.known().is_none());
    let found = resolver.addresses("localhost", 80).await.expect("localhost resolves");
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
    let again = resolver.addresses("localhost", 80).await.expect("resolves");
    assert!(Arc::ptr_eq(&found, &again), "the same answer");
    tokio::time::pause();
    tokio::time::advance(ADDRESSES_KEPT).await;
    assert!(resolver.known().is_none(), "old answers do not count");
    // Longer than a label may be: fails without asking any network.
    let no_label = "x".repeat(64);
    let found = resolver.addresses(&no_label, 80).await;
    assert_eq!(fault(found), Some(TransportFault::Dns));
}
