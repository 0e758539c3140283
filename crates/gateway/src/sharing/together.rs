//! One gateway among others: its link, its heartbeat, and the tasks that listen and tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_store::redis::{
    BEAT_EVERY, Event, Link, LinkSettings, LinkState, Member, Members, RedisUrl, Subscription,
};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::pacing::Pacing;
use super::{Locks, Reason, circuits, news, spread};
use crate::auth::KeyNews;
use crate::config::SharedConfig;
use crate::fault::ServeError;
use crate::metrics::Page;
use crate::shared::Shared;

/// Looks at the link between two heartbeats.
const LOOKS: u32 = 4;
/// Heartbeats between two lists of who is there.
const LIST_EVERY: u32 = 5;

/// What this gateway has to do with others.
#[derive(Debug)]
pub(crate) struct Sharing {
    link: Link,
    members: Members,
    locks: Arc<Locks>,
    pacing: Pacing,
    /// The newest change of the store that a message told of.
    heard: AtomicU64,
    /// Who was there a moment ago.
    listed: Mutex<Vec<Member>>,
}

impl Sharing {
    /// Begins to reach for the shared store that the configuration names. One that is away does not
    /// keep a gateway from starting.
    ///
    /// # Errors
    ///
    /// The URL is none, or the system gives no thread.
    pub(crate) fn open(
        settings: &SharedConfig,
        node: &str,
    ) -> Result<Option<Arc<Sharing>>, ServeError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let failed = |why: String, fix: &str| ServeError {
            what: "could not open the shared store".to_owned(),
            why,
            fix: fix.to_owned(),
        };
        let url: RedisUrl =
            url.expose().parse().map_err(|error: mainstay_store::redis::NotARedisUrl| {
                failed(error.to_string(), "write `redis://HOST:PORT` in `shared.url` or REDIS_URL")
            })?;
        let link = LinkSettings {
            deadline: settings.deadline,
            ca_file: settings.ca_file.clone(),
            client: format!("mainstay-{node}"),
            ..LinkSettings::new(url)
        };
        let link = Link::open(link)
            .map_err(|error| failed(error.to_string(), "allow this process one more thread"))?;
        let about = json!({"version": env!("CARGO_PKG_VERSION")}).to_string();
        Ok(Some(Arc::new(Sharing {
            members: Members::new(link.clone(), node.to_owned(), about),
            locks: Arc::new(Locks::new(link.clone(), node.to_owned())),
            link,
            pacing: Pacing::default(),
            heard: AtomicU64::new(0),
            listed: Mutex::default(),
        })))
    }

    /// The link itself.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// This gateway's name among the others.
    pub(crate) fn node(&self) -> &str {
        self.members.name()
    }

    /// Where the shared store is, without user and password.
    pub(crate) fn place(&self) -> String {
        self.link.place()
    }

    /// How many gateways there are, this one counted; what was known last while the store is away.
    pub(crate) fn nodes(&self) -> u32 {
        self.members.nodes()
    }

    /// Who carries idempotency keys out.
    pub(crate) fn locks(&self) -> Arc<Locks> {
        Arc::clone(&self.locks)
    }

    /// Lives among the others, for ever.
    pub(crate) async fn run(&self, shared: &Arc<Shared>) {
        let ear = self.link.subscribe(&[news::CHANNEL, circuits::CHANNEL]);
        tokio::join!(
            self.beat(shared),
            self.listen(shared, ear),
            circuits::watch(self.link(), self.node(), shared),
            self.locks.renew(),
            self.pacing.run(self, shared),
        );
    }

    /// Says that it stops, so that nobody misses it.
    pub(crate) async fn leave(&self) {
        // Unheard, the others notice within five seconds.
        let _ = self.members.leave().await;
    }

    /// Tells the others of changes of the store, unless one of them told us.
    pub(crate) async fn tell(&self, changed: &KeyNews) {
        if self.heard.load(Ordering::Relaxed) >= changed.epoch && changed.revoked.is_empty() {
            return;
        }
        self.heard.fetch_max(changed.epoch, Ordering::Relaxed);
        let message = news::write(self.node(), changed);
        // Unheard, the others see the change when they look at the store.
        let _ = self.link.publish(news::CHANNEL, message.as_bytes()).await;
    }

    async fn beat(&self, shared: &Arc<Shared>) {
        let mut ticks = interval(BEAT_EVERY / LOOKS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = 0_u32;
        for turn in 0_u32.. {
            ticks.tick().await;
            let away = matches!(self.link.state(), LinkState::Down(_));
            shared.degraded.set(Reason::SharedStoreAway, away, shared.wall.now());
            if turn % LOOKS != 0 || away {
                continue;
            }
            // A heartbeat that is lost is followed by the next.
            if self.members.beat().await.is_ok() {
                if beats.is_multiple_of(LIST_EVERY) {
                    self.list().await;
                }
                beats = beats.wrapping_add(1);
            }
        }
    }

    async fn list(&self) {
        if let Ok(found) = self.members.list().await {
            *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    async fn listen(&self, shared: &Arc<Shared>, mut ear: Subscription) {
        while let Some(event) = ear.next().await {
            match event {
                // What was told meanwhile was missed.
                Event::Listening => shared.stale.notify_one(),
                Event::Deaf => {}
                Event::Message { channel, payload } if channel == news::CHANNEL => {
                    self.hear_news(shared, &payload);
                }
                Event::Message { payload, .. } => {
                    let (node, among) = (self.node(), self.nodes());
                    circuits::hear(&self.link, node, among, shared, &payload).await;
                }
            }
        }
        // The link is closed; so is this gateway.
        std::future::pending::<()>().await;
    }

    /// Keys that were revoked are refused at once; everything else is read from the store, a little
    /// later on many gateways, so that not all of them ask it in the same moment.
    fn hear_news(&self, shared: &Arc<Shared>, payload: &[u8]) {
        let Some(told) = news::read(payload, self.node()) else { return };
        self.heard.fetch_max(told.epoch, Ordering::Relaxed);
        let now = shared.wall.now();
        for key in &told.revoked {
            shared.keys.revoke(*key, now);
        }
        let (wait, shared) = (spread(self.nodes()), Arc::clone(shared));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            shared.stale.notify_one();
        });
    }

    /// Puts its numbers on the page of metrics.
    pub(crate) fn metrics(&self, page: &mut Page) {
        let up = u64::from(self.link.state() == LinkState::Up);
        page.one("mainstay_shared_store_up", up);
        page.one("mainstay_nodes", self.nodes());
        page.one("mainstay_pacing_messages_total", self.pacing.messages());
        let counts = self.link.counts();
        page.head("mainstay_shared_store_calls_total");
        for (outcome, counter) in [
            ("answered", &counts.answered),
            ("late", &counts.late),
            ("refused", &counts.refused),
            ("failed", &counts.failed),
        ] {
            let count = counter.load(Ordering::Relaxed);
            page.line("mainstay_shared_store_calls_total", &[("outcome", outcome)], count);
        }
    }

    /// What there is to know, for people.
    pub(crate) fn report(&self) -> Value {
        let (state, why) = match self.link.state() {
            LinkState::Connecting => ("connecting", None),
            LinkState::Up => ("up", None),
            LinkState::Down(why) => ("down", Some(why.to_string())),
        };
        let server = self.link.server();
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let member = |one: &Member| {
            let about: Value = serde_json::from_str(&one.about).unwrap_or_default();
            let seen_ms = u64::try_from(one.ago.as_millis()).unwrap_or(u64::MAX);
            json!({"node": one.name, "version": about["version"], "seen_ms_ago": seen_ms})
        };
        json!({
            "url": self.link.place(),
            "state": state,
            "why": why,
            "server": server.as_ref().map(|server| format!("{} {}", server.product, server.version)),
            "warning": server.as_ref().and_then(|server| server.warning()),
            "node": self.node(),
            "nodes": self.nodes(),
            "members": listed.iter().map(member).collect::<Vec<_>>(),
        })
    }
}
