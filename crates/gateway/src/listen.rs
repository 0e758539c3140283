//! Listening sockets: one a worker on the same port, so that the kernel spreads connections.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

/// `count` sockets on one address. Port 0: the system chooses one for all.
///
/// # Errors
///
/// The address is in use (also by another gateway that would share the port), or not this
/// machine's, or not allowed.
pub(crate) fn listeners(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut address = address;
    // Sockets that share a port do not notice each other, so a first one asks for it alone.
    let alone = bound(address, false)?;
    alone.listen(1)?;
    if address.port() == 0
        && let Some(chosen) = alone.local_addr()?.as_socket()
    {
        address = chosen;
    }
    drop(alone);
    (0..count.max(1))
        .map(|_| {
            let socket = bound(address, true)?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_that_nobody_else_can_take() {
        let ours = listeners("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|one| one.local_addr().unwrap() == address));
        let again = listeners(address, 2).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }
}
