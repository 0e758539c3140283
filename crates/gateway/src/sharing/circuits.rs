//! Circuits of targets, told as advice: gateways count their failures together, and take turns at
//! finding out when a target is well again. The rule is the breaker's, `advice.rs`.
//!
//! What is told is told at once, from beside the calls. Unheard, each finds out for itself, as it would
//! alone. Messages of a version that says `opened` and nothing more are understood, and it passes
//! over those that it does not know.

use std::sync::Arc;
use std::time::Duration;

use mainstay::CircuitNews;
use mainstay::call::{Advice, Effect, Word};
use mainstay_store::redis::{Link, LinkError, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::ids;
use crate::shared::Shared;

/// Where circuits are told.
pub(super) const CHANNEL: &str = "{mainstay}:circuits:v1";
/// Time between two looks at our own circuits at least.
const LOOK_LEAST: Duration = Duration::from_millis(20);
/// How long the others leave the first probe to one gateway.
const LEASE: Duration = Duration::from_secs(1);
/// Circuits told of in one look at most.
const TOLD_MAX: usize = 64;

/// A target, as every gateway with the same configuration names it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Place {
    provider: String,
    credential: usize,
    model: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Message {
    node: String,
    #[serde(flatten)]
    place: Place,
    /// It opened; else it closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<bool>,
    /// In how long ten first attempts come to the gateway whose circuit opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ten_ms: Option<u64>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    says: Option<Says>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    Failing { in_a_row: u32 },
    Works { in_a_row: u32 },
    Probes,
    Reopened { open_ms: u64 },
}

impl Message {
    fn new(node: &str, news: &CircuitNews<'_>) -> Message {
        let place = Place {
            provider: news.provider.to_owned(),
            credential: news.credential,
            model: news.model.map(str::to_owned),
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (opened, ten_ms, says) = match news.advice {
            Advice::Opened { ten } => (Some(true), ten.map(millis), None),
            Advice::Closed => (Some(false), None, None),
            Advice::Failing { in_a_row } => (None, None, Some(Says::Failing { in_a_row })),
            Advice::Works { in_a_row } => (None, None, Some(Says::Works { in_a_row })),
            Advice::Probes => (None, None, Some(Says::Probes)),
            Advice::Reopened { open } => {
                (None, None, Some(Says::Reopened { open_ms: millis(open) }))
            }
        };
        Message { node: node.to_owned(), place, opened, ten_ms, says }
    }

    fn advice(&self) -> Option<Advice> {
        Some(match (self.opened, &self.says) {
            (Some(true), _) => Advice::Opened { ten: self.ten_ms.map(Duration::from_millis) },
            (Some(false), _) => Advice::Closed,
            (None, Some(Says::Failing { in_a_row })) => Advice::Failing { in_a_row: *in_a_row },
            (None, Some(Says::Works { in_a_row })) => Advice::Works { in_a_row: *in_a_row },
            (None, Some(Says::Probes)) => Advice::Probes,
            (None, Some(Says::Reopened { open_ms })) => {
                Advice::Reopened { open: Duration::from_millis(*open_ms) }
            }
            (None, None) => return None,
        })
    }
}

/// Tells the others what this gateway's own circuits found out, for ever.
pub(super) async fn watch(link: &Link, node: &str, shared: &Arc<Shared>) {
    let news = Arc::new(Notify::new());
    let heed = Arc::clone(&news);
    shared.engine.on_circuit_news(move || heed.notify_one());
    loop {
        news.notified().await;
        let mut told = Vec::new();
        shared.engine.circuit_news(&mut |news| {
            if told.len() < TOLD_MAX {
                told.push(Message::new(node, &news));
            }
        });
        for message in told {
            let text = serde_json::to_vec(&message).unwrap_or_default();
            let _ = link.publish(CHANNEL, &text).await;
        }
        sleep(LOOK_LEAST).await;
    }
}

/// Takes in what another gateway tells; there are `among`, this one counted.
pub(super) async fn hear(link: &Link, own: &str, among: u32, shared: &Arc<Shared>, payload: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Message>(payload) else { return };
    let Some(advice) = message.advice().filter(|_| message.node != own) else { return };
    let Place { provider, credential, model } = &message.place;
    let word = Word { advice, from: ids::number(&message.node), among };
    let effect = shared.engine.advise(provider, *credential, model.as_deref(), word);
    if effect == Effect::Nothing {
        return;
    }
    tracing::debug!(
        provider,
        model,
        ?advice,
        from = message.node,
        "another gateway's word about a target is taken"
    );
    if effect == Effect::ByWord && probes_first(link, own, &message.place).await {
        shared.engine.probe_first(provider, *credential, model.as_deref());
    }
}

/// Whether the first probe is ours. Without an answer everybody finds out for himself.
async fn probes_first(link: &Link, own: &str, place: &Place) -> bool {
    let name = serde_json::to_string(place).unwrap_or_default();
    let key = format!("{{mainstay}}:probe:v1:{name}");
    let lease = LEASE.as_millis().to_string();
    let parts: [&[u8]; 6] =
        [b"SET", key.as_bytes(), own.as_bytes(), b"NX", b"PX", lease.as_bytes()];
    let taken: Result<Value, LinkError> = link.command(&key, &parts).await;
    taken.map_or(true, |answer| answer != Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Advice; 7] = [
        Advice::Failing { in_a_row: 2 },
        Advice::Works { in_a_row: 3 },
        Advice::Opened { ten: Some(Duration::from_millis(700)) },
        Advice::Opened { ten: None },
        Advice::Probes,
        Advice::Reopened { open: Duration::from_millis(500) },
        Advice::Closed,
    ];

    #[test]
    fn advice_is_read_as_it_was_written() {
        for advice in ALL {
            for model in [Some("m"), None] {
                let news = CircuitNews { provider: "p", credential: 1, model, advice };
                let text = serde_json::to_vec(&Message::new("one", &news)).expect("it is text");
                let read: Message = serde_json::from_slice(&text).expect("it is a message");
                assert_eq!(read.advice(), Some(advice));
                assert_eq!((read.node.as_str(), read.place.model.as_deref()), ("one", model));
            }
        }
    }

    /// What versions know that can say nothing but `opened`.
    #[derive(Deserialize)]
    struct Older {
        node: String,
        #[serde(flatten)]
        place: Place,
        opened: bool,
    }

    #[test]
    fn older_versions_understand_openings_and_closings_and_pass_over_the_rest() {
        for advice in ALL {
            let news = CircuitNews { provider: "p", credential: 1, model: Some("m"), advice };
            let text = serde_json::to_vec(&Message::new("one", &news)).expect("it is text");
            let older = serde_json::from_slice::<Older>(&text).ok();
            let want = match advice {
                Advice::Opened { .. } => Some(true),
                Advice::Closed => Some(false),
                Advice::Failing { .. }
                | Advice::Works { .. }
                | Advice::Probes
                | Advice::Reopened { .. } => None,
            };
            assert_eq!(older.as_ref().map(|message| message.opened), want, "{advice:?}");
            assert!(older.is_none_or(|it| it.node == "one" && it.place.provider == "p"));
        }
        let theirs = br#"{"node":"x","provider":"p","credential":0,"model":"m","opened":true}"#;
        let read: Message = serde_json::from_slice(theirs).expect("theirs is understood");
        assert_eq!(read.advice(), Some(Advice::Opened { ten: None }));
    }

    #[test]
    fn what_nobody_here_knows_is_passed_over() {
        for unknown in [
            r#"{"node":"x","provider":"p","credential":0,"model":"m"}"#,
            r#"{"node":"x","provider":"p","credential":0,"model":"m","says":{"sings":{}}}"#,
            r#"{"node":"x","provider":"p","credential":0,"model":"m","says":{"failing":{}}}"#,
            r#"{"node":1}"#,
            "",
        ] {
            let read = serde_json::from_slice::<Message>(unknown.as_bytes());
            assert_eq!(read.ok().and_then(|message| message.advice()), None, "{unknown}");
        }
        let more = br#"{"node":"x","provider":"p","credential":0,"model":null,"says":{"failing":{"in_a_row":2,"x":1}},"y":2}"#;
        let read: Message = serde_json::from_slice(more).expect("what is more is passed over");
        assert_eq!(read.advice(), Some(Advice::Failing { in_a_row: 2 }));
    }
}
