//! Both ends of a proxy in one thread that never sleeps: the callers and the provider.
//!
//! A load that sleeps is woken in clumps, and what a first event waits for is then mostly other
//! calls. Here one thread on core 0 begins calls evenly, answers them as the provider, and looks
//! at all sockets again and again, so that only the proxy is ever woken. Nine of ten calls are
//! whole answers, the tenth is a stream whose first event is timed.

use super::load::chat;
use super::machine::bind;
use super::pauses::{Pause, Watch};
use super::streams::First;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Connections of the callers. Each has at most one call.
const CONNECTIONS: usize = 64;
/// One call of so many is a stream.
const STREAM_EACH: u64 = 10;
/// How long after its first event the rest of a stream comes.
const REST_AFTER: Duration = Duration::from_millis(2);
/// Until a proxy has noticed that connections it kept are closed.
const NOTICED_AFTER: Duration = Duration::from_millis(100);
/// How long a whole round may take beyond its time, and one write may.
const LIMIT: Duration = Duration::from_secs(10);

const ANSWER: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1790000000,"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"It is short because you asked for that, and there is little else to be said of it than what is here already.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":170,"completion_tokens":16,"total_tokens":186,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0"}"#;

/// The thread, and the provider's address.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) address: SocketAddr,
    orders: Sender<Order>,
}

/// A round to be played against a proxy.
struct Order {
    to: SocketAddr,
    /// The proxy's process, if there is one.
    proxy: Option<u32>,
    key: String,
    per_second: f64,
    time: Duration,
    tell: Sender<Result<Told, String>>,
}

/// What a round was like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// From a call's first byte to its first event.
    pub(super) first: First,
    /// From a call's first byte to the last of a whole answer.
    pub(super) whole: First,
    pub(super) per_second: f64,
    /// The same beside other processes of the machine, where the kernel tells of them.
    pub(super) watched: Option<Watched>,
}

/// What a round was like but for moments in which something else had the proxy's core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// First events of calls that felt none.
    pub(super) steady: First,
    /// The share of all streams that felt one.
    pub(super) felt: f64,
    pub(super) paused: Duration,
}

impl Ends {
    /// Begins to answer as a provider, on core 0.
    ///
    /// # Errors
    ///
    /// There is no port, or the thread could not be bound to its core.
    pub(super) fn start() -> Result<Ends, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("listen: {e}"))?;
        let address = listener.local_addr().map_err(|e| format!("listen: {e}"))?;
        listener.set_nonblocking(true).map_err(|e| format!("listen: {e}"))?;
        let (orders, all) = channel();
        let (ready, is_ready) = channel();
        std::thread::spawn(move || {
            let bound = bind(0);
            let goes_on = bound.is_ok();
            let _ = ready.send(bound);
            if goes_on {
                serve(&mut Provider { listener, calls: Vec::new() }, &all);
            }
        });
        is_ready.recv().map_err(|_| "the thread of both ends is gone".to_owned())??;
        Ok(Ends { address, orders })
    }

    /// Calls a proxy so often a second, for so long.
    ///
    /// # Errors
    ///
    /// An answer was none, or calls stood still.
    pub(super) fn play(
        &self,
        (to, proxy): (SocketAddr, Option<u32>),
        key: &str,
        per_second: f64,
        time: Duration,
    ) -> Result<Told, String> {
        let (tell, told) = channel();
        let order = Order { to, proxy, key: key.to_owned(), per_second, time, tell };
        let gone = || "the thread of both ends is gone".to_owned();
        self.orders.send(order).map_err(|_| gone())?;
        told.recv_timeout(time + LIMIT * 2).map_err(|_| gone())?
    }
}

/// Answers and, while there is a round, calls; until nobody can give orders any more.
fn serve(provider: &mut Provider, orders: &Receiver<Order>) {
    let mut last = None;
    loop {
        provider.turn();
        match orders.try_recv() {
            Ok(order) => {
                // Connections that another proxy keeps would be looked at in each turn of this one's.
                if last.replace(order.to) != Some(order.to) {
                    provider.calls.clear();
                    sleep(NOTICED_AFTER);
                }
                let told = Round::begin(&order).and_then(|round| round.play(provider));
                let _ = order.tell.send(told);
            }
            Err(TryRecvError::Empty) => sleep(Duration::from_millis(1)),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// The provider's end.
struct Provider {
    listener: TcpListener,
    calls: Vec<Served>,
}

/// A connection to the provider.
struct Served {
    socket: TcpStream,
    seen: Vec<u8>,
    /// The rest of a stream, and when it is sent.
    rest: Option<Instant>,
}

impl Provider {
    /// Looks at every connection once.
    fn turn(&mut self) {
        if let Ok((socket, _)) = self.listener.accept()
            && set_up(&socket).is_ok()
        {
            self.calls.push(Served { socket, seen: Vec::new(), rest: None });
        }
        self.calls.retain_mut(|call| call.turn().is_ok());
    }
}

impl Served {
    /// Reads, and answers what is whole. An error ends the connection.
    fn turn(&mut self) -> Result<(), String> {
        if self.rest.is_some_and(|at| at <= Instant::now()) {
            self.rest = None;
            write(&mut self.socket, rest_of_stream().as_bytes())?;
        }
        if !read(&mut self.socket, &mut self.seen)? {
            return Ok(());
        }
        let Some(length) = whole(&self.seen) else { return Ok(()) };
        let is_stream = find(&self.seen, br#""stream":true"#).is_some();
        self.seen.drain(..length);
        if is_stream {
            self.rest = Some(Instant::now() + REST_AFTER);
            return write(&mut self.socket, begin_of_stream().as_bytes());
        }
        write(&mut self.socket, whole_answer().as_bytes())
    }
}

fn whole_answer() -> String {
    let length = ANSWER.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
    )
}

fn begin_of_stream() -> String {
    let event = event(r#"{"role":"assistant","content":"It"}"#, "null");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_0\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk(&event)
    )
}

fn rest_of_stream() -> String {
    let events = [event(r#"{"content":" is"}"#, "null"), event("{}", r#""stop""#)].concat();
    format!("{}0\r\n\r\n", chunk(&format!("{events}data: [DONE]\n\n")))
}

fn event(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"gpt-4.1-mini\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// A round of calls.
struct Round<'o> {
    order: &'o Order,
    callers: Vec<Caller>,
    asks: [Vec<u8>; 2],
    first: Vec<Timed>,
    whole: Vec<Timed>,
}

/// When a call began, and how long it took to its first event or its end.
#[derive(Clone, Copy, Debug)]
struct Timed {
    began: Instant,
    took: Duration,
}

/// A caller's connection.
struct Caller {
    socket: TcpStream,
    seen: Vec<u8>,
    call: Option<Call>,
}

/// A call on its way.
struct Call {
    began: Instant,
    is_stream: bool,
    has_event: bool,
}

impl<'o> Round<'o> {
    fn begin(order: &'o Order) -> Result<Round<'o>, String> {
        let ask = |stream| {
            let body = chat(800, stream);
            let (key, length) = (&order.key, body.len());
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        let callers = (0..CONNECTIONS).map(|_| Caller::connect(order.to));
        let callers = callers.collect::<Result<Vec<Caller>, String>>()?;
        let asks = [ask(false), ask(true)];
        Ok(Round { order, callers, asks, first: Vec::new(), whole: Vec::new() })
    }

    /// Begins calls evenly, and turns between both ends until the last is answered.
    fn play(mut self, provider: &mut Provider) -> Result<Told, String> {
        let each = Duration::from_secs_f64(1.0 / self.order.per_second.max(1.0));
        let mut watch = self.order.proxy.and_then(Watch::begin);
        let (start, mut begun) = (Instant::now(), 0_u64);
        let (over, end) = (start + self.order.time, start + self.order.time + LIMIT);
        let mut due = start;
        loop {
            let now = Instant::now();
            while now >= due && due < over && self.begin_one(begun, due)? {
                (due, begun) = (due + each, begun + 1);
            }
            provider.turn();
            if let Some(watch) = &mut watch {
                watch.turn(now);
            }
            let open = self.look()?;
            if due >= over && open == 0 {
                break;
            }
            if now > end {
                return Err(format!("{open} calls had no answer after {LIMIT:?}"));
            }
        }
        let per_second = begun as f64 / start.elapsed().as_secs_f64();
        let watched = watch.map(|watch| self.watched(&watch.pauses()));
        Ok(Told { first: figures(&self.first), whole: figures(&self.whole), per_second, watched })
    }

    /// First events without those that may have waited for somebody else.
    fn watched(&self, pauses: &[Pause]) -> Watched {
        let felt = |call: &Timed| pauses.iter().any(|one| one.is_felt(call.began, call.took));
        let steady: Vec<Timed> = self.first.iter().copied().filter(|call| !felt(call)).collect();
        let all = self.first.len().max(1) as f64;
        Watched {
            steady: figures(&steady),
            felt: 1.0 - steady.len() as f64 / all,
            paused: pauses.iter().map(Pause::length).sum(),
        }
    }

    /// Begins the next call where a connection is free. One that had to wait for a connection
    /// began when it was due.
    fn begin_one(&mut self, number: u64, due: Instant) -> Result<bool, String> {
        let Some(free) = self.callers.iter_mut().find(|caller| caller.call.is_none()) else {
            return Ok(false);
        };
        let (now, is_stream) = (Instant::now(), number.is_multiple_of(STREAM_EACH));
        let began = if now - due > Duration::from_millis(1) { due } else { now };
        write(&mut free.socket, &self.asks[usize::from(is_stream)])?;
        free.call = Some(Call { began, is_stream, has_event: false });
        Ok(true)
    }

    /// Reads what came: how many calls are still open.
    fn look(&mut self) -> Result<usize, String> {
        let mut open = 0;
        for caller in self.callers.iter_mut().filter(|caller| caller.call.is_some()) {
            open += 1;
            if let Some((is_stream, call)) = caller.look()? {
                let calls = if is_stream { &mut self.first } else { &mut self.whole };
                calls.push(call);
            }
        }
        Ok(open)
    }
}

impl Caller {
    fn connect(to: SocketAddr) -> Result<Caller, String> {
        let socket = TcpStream::connect_timeout(&to, LIMIT).map_err(|e| format!("connect: {e}"))?;
        set_up(&socket)?;
        Ok(Caller { socket, seen: Vec::new(), call: None })
    }

    /// Whether it is of a stream, and the time until its first event or its whole answer, once.
    fn look(&mut self) -> Result<Option<(bool, Timed)>, String> {
        let Some(call) = &mut self.call else { return Ok(None) };
        if !read(&mut self.socket, &mut self.seen)? {
            return Ok(None);
        }
        if !self.seen.starts_with(b"HTTP/1.1 200") {
            return Err(format!("no answer: {}", String::from_utf8_lossy(&self.seen)));
        }
        let timed = Timed { began: call.began, took: call.began.elapsed() };
        let is_stream = call.is_stream;
        let is_over =
            if is_stream { self.seen.ends_with(b"0\r\n\r\n") } else { whole(&self.seen).is_some() };
        let is_first = is_stream && !call.has_event && find(&self.seen, b"data:").is_some();
        call.has_event |= is_first;
        if is_over {
            self.call = None;
            self.seen.clear();
        }
        let told = is_first || (is_over && !is_stream);
        Ok(told.then_some((is_stream, timed)))
    }
}

fn figures(calls: &[Timed]) -> First {
    First::of(calls.iter().map(|call| call.took.as_secs_f64() * 1e6).collect())
}

fn set_up(socket: &TcpStream) -> Result<(), String> {
    let set = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
    set.map_err(|e| format!("set up a socket: {e}"))
}

/// Reads what is there: whether there was something. The end is an error.
fn read(socket: &mut TcpStream, into: &mut Vec<u8>) -> Result<bool, String> {
    let mut piece = [0; 4096];
    match socket.read(&mut piece) {
        Ok(0) => Err("the connection was closed".to_owned()),
        Ok(read) => {
            into.extend_from_slice(&piece[..read]);
            Ok(true)
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(format!("read: {e}")),
    }
}

/// Writes all of it, which a socket's buffer has room for.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    match socket.write(bytes) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(written) => Err(format!("{written} of {} bytes were written", bytes.len())),
        Err(e) => Err(format!("write: {e}")),
    }
}

/// The length of a message with its body, once all of it is there; no body without a length.
fn whole(message: &[u8]) -> Option<usize> {
    let head = find(message, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&message[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = head + length.map_or(Some(0), |length| length.trim().parse::<usize>().ok())?;
    (message.len() >= length).then_some(length)
}

fn find(all: &[u8], what: &[u8]) -> Option<usize> {
    all.windows(what.len()).position(|piece| piece == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_by_its_length() {
        assert_eq!(whole(b"GET / HTTP/1.1\r\n\r\nmore"), Some(18));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"), None);
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Some(40));
        let answer = whole_answer();
        assert_eq!(whole(answer.as_bytes()), Some(answer.len()));
    }

    #[test]
    fn both_ends_meet_without_a_proxy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let to = listener.local_addr().unwrap();
        let (tell, _told) = channel();
        let time = Duration::from_millis(300);
        let proxy = Some(std::process::id());
        let key = "sk-bench".to_owned();
        let order = Order { to, proxy, key, per_second: 500.0, time, tell };
        let mut provider = Provider { listener, calls: Vec::new() };
        let round = Round::begin(&order).unwrap();
        let told = round.play(&mut provider).unwrap();
        assert!(told.first.p50 > 0.0 && told.whole.p50 > 0.0 && told.per_second > 100.0);
        assert!(told.watched.is_some(), "the kernel tells of threads");
    }
}
