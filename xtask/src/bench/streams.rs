//! Streams, one at a time for their first events and a thousand at once for their memory.

use super::load::chat;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Times to the first event, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Has the simulator play a scenario; an empty one is the plain one.
pub(super) fn play(sim: SocketAddr, scenario: &str) -> Result<(), String> {
    let request = format!(
        "PUT /sim/scenario HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{scenario}",
        scenario.len()
    );
    let mut answer = String::new();
    let mut socket = connect(sim)?;
    let done =
        socket.write_all(request.as_bytes()).and_then(|()| socket.read_to_string(&mut answer));
    done.map_err(|e| format!("tell the simulator: {e}"))?;
    let ok = answer.starts_with("HTTP/1.1 2");
    if ok { Ok(()) } else { Err(format!("the simulator refused: {answer}")) }
}

/// Streams one after the other, on one connection each.
pub(super) fn first_events(to: SocketAddr, key: &str, count: usize) -> Result<First, String> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = connect(to)?;
        let began = Instant::now();
        ask(&mut socket, key)?;
        until(&mut socket, &mut Vec::new(), "data:")?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(First::of(times))
}

impl First {
    pub(super) fn of(mut times: Vec<f64>) -> First {
        times.sort_by(f64::total_cmp);
        let at =
            |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        First { p50: at(50), p99: at(99) }
    }
}

/// So many streams, each with its first event read. They go on until they are dropped.
pub(super) fn open(to: SocketAddr, key: &str, count: usize) -> Result<Vec<TcpStream>, String> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = connect(to)?;
        ask(&mut socket, key)?;
        all.push(socket);
    }
    for socket in &mut all {
        until(socket, &mut Vec::new(), "data:")?;
    }
    Ok(all)
}

fn connect(to: SocketAddr) -> Result<TcpStream, String> {
    let socket = TcpStream::connect_timeout(&to, LIMIT).map_err(|e| format!("connect: {e}"))?;
    let set = socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(LIMIT)));
    set.map_err(|e| format!("set up a socket: {e}"))?;
    Ok(socket)
}

fn ask(socket: &mut TcpStream, key: &str) -> Result<(), String> {
    let body = chat(800, true);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).map_err(|e| format!("send: {e}"))
}

/// Reads until this is among what was seen.
fn until(socket: &mut TcpStream, seen: &mut Vec<u8>, mark: &str) -> Result<(), String> {
    let (mut piece, mut read) = ([0; 4096], 1);
    loop {
        let text = String::from_utf8_lossy(seen);
        if text.contains(mark) {
            return Ok(());
        }
        if read == 0 || !(text.is_empty() || text.starts_with("HTTP/1.1 2")) {
            return Err(format!("no stream: {text}"));
        }
        read = socket.read(&mut piece).map_err(|e| format!("wait for `{mark}`: {e}"))?;
        seen.extend_from_slice(&piece[..read]);
    }
}
