//! Messages of others. Delivery is at most once, so every gap is told: whoever listens then asks the
//! store itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::connect::{Conn, Dialer};
use super::node::jittered;
use super::resp::{Value, command};
use super::topology::Locate;
use super::url::Form;

/// Messages that wait to be read at most; one more is a gap.
const WAITING_MAX: usize = 1_024;
/// A connection without a message for this long is tried.
const QUIET: Duration = Duration::from_secs(1);
/// First and longest rest before listening again.
const REST_MIN: Duration = Duration::from_millis(50);
/// See [`REST_MIN`].
const REST_MAX: Duration = Duration::from_secs(1);

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody told something.
    Message {
        /// Where.
        channel: String,
        /// What.
        payload: Vec<u8>,
    },
    /// From here on messages are heard. What was told before may have been missed.
    Listening,
    /// Messages may be missed from here on.
    Deaf,
}

/// Listens to channels, across every loss of the connection. Dropping it ends that.
#[derive(Debug)]
pub struct Subscription(mpsc::Receiver<Event>);

impl Subscription {
    pub(super) fn start(
        runtime: &Handle,
        dialer: &Arc<Dialer>,
        channels: Vec<String>,
    ) -> Subscription {
        let (tell, told) = mpsc::channel(WAITING_MAX);
        let ear = Ear { dialer: Arc::clone(dialer), channels, tell };
        runtime.spawn(ear.run());
        Subscription(told)
    }

    /// What is heard next; `None` when the link is closed.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

struct Ear {
    dialer: Arc<Dialer>,
    channels: Vec<String>,
    tell: mpsc::Sender<Event>,
}

impl Ear {
    async fn run(self) {
        let mut rest = REST_MIN;
        let mut turn = 0;
        while !self.tell.is_closed() {
            let listened = tokio::select! {
                listened = self.listen(turn) => listened,
                () = self.tell.closed() => return,
            };
            turn += 1;
            if listened {
                rest = REST_MIN;
                if self.tell.send(Event::Deaf).await.is_err() {
                    return;
                }
            }
            sleep(jittered(rest)).await;
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// Listens until it cannot any more. Whether it could at all.
    async fn listen(&self, turn: usize) -> bool {
        let Ok(mut conn) = self.connect(turn).await else { return false };
        if self.tell.send(Event::Listening).await.is_err() {
            return true;
        }
        let mut asked = false;
        loop {
            let value = match timeout(QUIET, conn.next()).await {
                Ok(Ok(value)) => value,
                Ok(Err(_)) => return true,
                Err(_) if asked => return true,
                Err(_) => {
                    asked = true;
                    // No answer is expected in order: it comes among the messages.
                    if self.dialer.within(ping(&mut conn)).await.is_err() {
                        return true;
                    }
                    continue;
                }
            };
            asked = false;
            // Whoever reads too slowly has a gap, and hears so.
            if let Some(event) = message(&value)
                && self.tell.try_send(event).is_err()
            {
                return true;
            }
        }
    }

    async fn connect(&self, turn: usize) -> Result<Conn, String> {
        let hosts = &self.dialer.url.hosts;
        let locate = match &self.dialer.url.form {
            Form::Sentinel(service) => Locate::Sentinels(service.clone()),
            // In a cluster every server passes messages on, so any of them will do.
            Form::Single | Form::Cluster => Locate::Fixed(hosts[turn % hosts.len()].clone()),
        };
        let host = locate.find(&self.dialer).await?;
        let mut conn = self.dialer.open(&host).await?;
        let mut parts: Vec<&[u8]> = vec![b"SUBSCRIBE"];
        parts.extend(self.channels.iter().map(String::as_bytes));
        let subscribing = async {
            // One answer a channel.
            conn.ask(&[command(&parts)]).await?;
            for _ in 1..self.channels.len() {
                conn.next().await?;
            }
            Ok(())
        };
        self.dialer.within(subscribing).await?;
        Ok(conn)
    }
}

async fn ping(conn: &mut Conn) -> Result<(), String> {
    use tokio::io::AsyncWriteExt;
    let told = |error: std::io::Error| error.to_string();
    conn.stream.write_all(&command(&[b"PING"])).await.map_err(told)?;
    conn.stream.flush().await.map_err(told)
}

fn message(value: &Value) -> Option<Event> {
    let [kind, channel, payload] = value.items() else { return None };
    if kind.as_bytes() != Some(b"message") {
        return None;
    }
    let channel = String::from_utf8(channel.as_bytes()?.to_vec()).ok()?;
    Some(Event::Message { channel, payload: payload.as_bytes()?.to_vec() })
}
