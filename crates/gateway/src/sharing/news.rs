//! Messages about changes of the store. Delivery is at most once, so they only make things quicker:
//! what is not heard is read from the store.

use mainstay_core::keys::PublicPart;
use serde::{Deserialize, Serialize};

use crate::auth::KeyNews;

/// Where changes are told.
pub(super) const CHANNEL: &str = "{mainstay}:changes:v1";
/// Keys in one message at most; the rest is read from the store.
const KEYS_MAX: usize = 100;

#[derive(Deserialize, Serialize)]
struct Message {
    node: String,
    epoch: u64,
    #[serde(default)]
    revoked: Vec<String>,
}

/// The message of a change that `node` saw.
pub(super) fn write(node: &str, changed: &KeyNews) -> String {
    let keys = changed.revoked.iter().take(KEYS_MAX);
    let revoked = keys.map(|key| key.as_str().to_owned()).collect();
    let message = Message { node: node.to_owned(), epoch: changed.epoch, revoked };
    serde_json::to_string(&message).unwrap_or_default()
}

/// What a message says; `None` for our own and for what is none.
pub(super) fn read(payload: &[u8], own: &str) -> Option<KeyNews> {
    let Message { node, epoch, revoked } = serde_json::from_slice(payload).ok()?;
    if node == own {
        return None;
    }
    let keys = revoked.iter().take(KEYS_MAX).filter_map(|key| key.parse::<PublicPart>().ok());
    Some(KeyNews { epoch, revoked: keys.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written_and_nonsense_is_not() {
        let key: PublicPart = "abcdefghjkmn".parse().expect("a public part");
        let changed = KeyNews { epoch: 7, revoked: vec![key] };
        let message = write("one", &changed);
        let heard = read(message.as_bytes(), "two").expect("of another node");
        assert_eq!((heard.epoch, heard.revoked), (7, vec![key]));
        assert!(read(message.as_bytes(), "one").is_none(), "our own");
        for nonsense in ["", "{}", "[1]", "{\"node\":1,\"epoch\":2}", "\u{0}"] {
            assert!(read(nonsense.as_bytes(), "two").is_none(), "{nonsense}");
        }
        let odd = br#"{"node":"x","epoch":1,"revoked":["no key","abcdefghjkmn"]}"#;
        assert_eq!(read(odd, "two").expect("it has one").revoked, [key]);
    }
}
