//! One server behind one connection. Commands go out in a pipeline and answers come in order; a
//! silent server is noticed by its oldest unanswered command, a dead one by the connection's end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::check::{ServerInfo, check};
use super::connect::{Both, Conn, Dialer};
use super::resp::{ANSWER_MAX, Value, answer, command};
use super::topology::Locate;

/// Commands without an answer at most; more are refused.
const PIPELINE_MAX: usize = 4_096;
/// A connection whose oldest command waits this long is given up.
const LOST_AFTER: Duration = Duration::from_secs(1);
/// A connection that had nothing to do this long is tried.
const IDLE: Duration = Duration::from_secs(1);
/// First and longest rest before connecting again; in between it doubles.
const REST_MIN: Duration = Duration::from_millis(50);
/// See [`REST_MIN`].
const REST_MAX: Duration = Duration::from_secs(1);

/// What is known of a server.
#[derive(Clone, Debug)]
pub(super) enum NodeState {
    /// Nothing yet: it is being connected for the first time.
    Connecting,
    /// It answers.
    Up(Arc<ServerInfo>),
    /// It is connected and silent.
    Silent,
    /// It is not connected, and why.
    Down(Arc<str>),
}

/// A hand on a connection. Dropping the last one ends it.
#[derive(Clone)]
pub(super) struct Node {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<NodeState>,
}

/// Commands as bytes, and who waits for the last one's answer.
struct Job {
    frame: Vec<u8>,
    /// Answers before the one that counts.
    skip: u8,
    tell: oneshot::Sender<Value>,
}

/// Nobody takes a command at present: too many wait.
pub(super) struct Full;

impl Node {
    pub(super) fn spawn(
        runtime: &tokio::runtime::Handle,
        dialer: &Arc<Dialer>,
        locate: Locate,
        stall: Duration,
    ) -> Node {
        let (jobs, queue) = mpsc::channel(PIPELINE_MAX);
        let (tell, state) = watch::channel(NodeState::Connecting);
        let driver = Driver { dialer: Arc::clone(dialer), locate, jobs: queue, state: tell, stall };
        runtime.spawn(driver.run());
        Node { jobs, state }
    }

    pub(super) fn state(&self) -> NodeState {
        self.state.borrow().clone()
    }

    /// Queues commands; the answer to the last one is told.
    pub(super) fn send(&self, frame: Vec<u8>, skip: u8) -> Result<oneshot::Receiver<Value>, Full> {
        let (tell, told) = oneshot::channel();
        self.jobs.try_send(Job { frame, skip, tell }).map_err(|_| Full)?;
        Ok(told)
    }
}

/// Drives one connection after the other.
struct Driver {
    dialer: Arc<Dialer>,
    locate: Locate,
    jobs: mpsc::Receiver<Job>,
    state: watch::Sender<NodeState>,
    stall: Duration,
}

/// Why a connection is not used any more.
enum Ended {
    /// Nobody has a hand on it.
    Unused,
    Lost(String),
}

impl Driver {
    async fn run(mut self) {
        let mut rest = REST_MIN;
        loop {
            let why = match self.connect().await {
                Ok((conn, info, host)) => {
                    rest = REST_MIN;
                    self.came_up(&info, &host.to_string());
                    let (dialer, locate) = (Arc::clone(&self.dialer), self.locate.clone());
                    let ended = tokio::select! {
                        ended = self.serve(conn, &info) => ended,
                        () = locate.moved(&dialer, &host) => Ended::Lost("another server became master".to_owned()),
                    };
                    match ended {
                        Ended::Unused => return,
                        Ended::Lost(why) => why,
                    }
                }
                Err(why) => why,
            };
            self.went_down(&why);
            if !self.wait(jittered(rest)).await {
                return;
            }
            rest = (rest * 2).min(REST_MAX);
        }
    }

    fn came_up(&self, info: &Arc<ServerInfo>, server: &str) {
        tracing::info!(
            server,
            product = info.product,
            version = info.version,
            "the shared store answers"
        );
        if let Some(warning) = info.warning() {
            tracing::warn!(server, "{warning}");
        }
        self.state.send_replace(NodeState::Up(Arc::clone(info)));
    }

    fn went_down(&self, why: &str) {
        let news = match &*self.state.borrow() {
            NodeState::Down(known) => **known != *why,
            NodeState::Connecting | NodeState::Up(_) | NodeState::Silent => true,
        };
        if news {
            tracing::warn!(why, "the shared store is away; it is tried again until it is back");
            self.state.send_replace(NodeState::Down(why.into()));
        }
    }

    async fn connect(&self) -> Result<(Conn, Arc<ServerInfo>, super::url::Host), String> {
        let host = self.locate.find(&self.dialer).await?;
        let mut conn = self.dialer.open(&host).await?;
        let info = check(&self.dialer, &mut conn).await.map_err(|why| format!("{host}: {why}"))?;
        Ok((conn, Arc::new(info), host))
    }

    /// Rests; commands that come meanwhile are dropped, which tells their callers. `false` when
    /// nobody has a hand on this any more.
    async fn wait(&mut self, rest: Duration) -> bool {
        let over = sleep(rest);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                job = self.jobs.recv() => if job.is_none() { return false },
            }
        }
    }

    async fn serve(&mut self, conn: Conn, info: &Arc<ServerInfo>) -> Ended {
        let (mut read, write) = split(conn.stream);
        let (frames, writer) = writer(write);
        let _writer = EndWith(writer);
        let mut line = Line { inbox: conn.inbox, waiting: VecDeque::new() };
        let mut heard = Instant::now();
        loop {
            let look = line.look_at(heard, self.stall);
            tokio::select! {
                more = more(&mut read, &mut line.inbox) => {
                    heard = Instant::now();
                    if let Err(why) = more.and_then(|()| line.hand_out()) {
                        return Ended::Lost(why);
                    }
                    self.hear(&line, info);
                }
                job = self.jobs.recv(), if line.waiting.len() < PIPELINE_MAX => {
                    let Some(job) = job else { return Ended::Unused };
                    // Whoever has stopped waiting does not want it done any more.
                    if !job.tell.is_closed() && frames.try_send(line.take(job)).is_err() {
                        return Ended::Lost("commands cannot be written".to_owned());
                    }
                }
                () = sleep_until(look) => {
                    if let Some(why) = self.look(&mut line, &frames) {
                        return Ended::Lost(why);
                    }
                }
            }
        }
    }

    /// An answer came.
    fn hear(&self, line: &Line, info: &Arc<ServerInfo>) {
        let silent = matches!(*self.state.borrow(), NodeState::Silent);
        if silent && line.oldest().is_none_or(|since| since.elapsed() < self.stall) {
            tracing::info!("the shared store answers again");
            self.state.send_replace(NodeState::Up(Arc::clone(info)));
        }
    }

    /// Nothing came for a while.
    fn look(&self, line: &mut Line, frames: &mpsc::Sender<Vec<u8>>) -> Option<String> {
        let Some(since) = line.oldest() else {
            line.waiting.push_back(Waiting { since: Instant::now(), skip: 0, tell: None });
            let sent = frames.try_send(command(&[b"PING"]));
            return sent.is_err().then(|| "commands cannot be written".to_owned());
        };
        let waited = since.elapsed();
        if waited >= LOST_AFTER {
            return Some(format!("no answer for {} ms", waited.as_millis()));
        }
        if waited >= self.stall && !matches!(*self.state.borrow(), NodeState::Silent) {
            let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                waited_ms,
                "the shared store is silent; it is not asked until it answers"
            );
            self.state.send_replace(NodeState::Silent);
        }
        None
    }
}

/// A command without an answer.
struct Waiting {
    since: Instant,
    skip: u8,
    /// Nobody: it was a question of our own.
    tell: Option<oneshot::Sender<Value>>,
}

/// What has come in, and who waits for what.
struct Line {
    inbox: Vec<u8>,
    waiting: VecDeque<Waiting>,
}

impl Line {
    fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.since)
    }

    fn take(&mut self, job: Job) -> Vec<u8> {
        let Job { frame, skip, tell } = job;
        self.waiting.push_back(Waiting { since: Instant::now(), skip, tell: Some(tell) });
        frame
    }

    /// When it has to be looked at, if nothing comes before.
    fn look_at(&self, heard: Instant, stall: Duration) -> Instant {
        match self.oldest() {
            None => heard + IDLE,
            // Once it is known to be silent, until it counts as lost.
            Some(since) if since.elapsed() >= stall => since + LOST_AFTER,
            Some(since) => since + stall,
        }
    }

    /// Gives whole answers to those who wait for them.
    fn hand_out(&mut self) -> Result<(), String> {
        let mut at = 0;
        let mut ended = Ok(());
        while let Some((value, used)) =
            answer(&self.inbox[at..]).map_err(|error| error.0.to_owned())?
        {
            at += used;
            let front = self.waiting.front_mut().ok_or("it answers what nobody asked")?;
            if front.skip > 0 {
                front.skip -= 1;
                continue;
            }
            if let Value::ServerError(error) = &value
                && is_over(&error.code)
            {
                ended = Err(format!("{} {}", error.code, error.text));
            }
            if let Some(tell) = self.waiting.pop_front().and_then(|waiting| waiting.tell) {
                // Whoever waited may have gone.
                let _ = tell.send(value);
            }
        }
        self.inbox.drain(..at);
        ended
    }
}

/// Refusals after which another server, or another login, is needed.
fn is_over(code: &str) -> bool {
    matches!(code, "READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH")
}

async fn more(read: &mut ReadHalf<Box<dyn Both>>, inbox: &mut Vec<u8>) -> Result<(), String> {
    match read.read_buf(inbox).await {
        Ok(0) => Err("the server closed the connection".to_owned()),
        Ok(_) if inbox.len() > 2 * ANSWER_MAX => Err("its answer is too large".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes what it is given, many commands at once when many have come.
fn writer(mut write: WriteHalf<Box<dyn Both>>) -> (mpsc::Sender<Vec<u8>>, JoinHandle<()>) {
    // One more than can wait for answers: the question of our own.
    let (frames, mut queue) = mpsc::channel::<Vec<u8>>(PIPELINE_MAX + 1);
    let work = async move {
        while let Some(mut bytes) = queue.recv().await {
            while let Ok(next) = queue.try_recv() {
                bytes.extend_from_slice(&next);
            }
            // The reading side sees the end of a connection too, and tells why.
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
    };
    (frames, tokio::spawn(work))
}

/// A task that ends with whoever holds this.
struct EndWith(JoinHandle<()>);

impl Drop for EndWith {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A wait that differs by up to a quarter, so that many gateways do not come back in step.
pub(super) fn jittered(wait: Duration) -> Duration {
    let mut byte = [128];
    // Without chance everybody waits the same, which is no reason to fail.
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}
