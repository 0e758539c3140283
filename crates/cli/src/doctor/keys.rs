//! Keys as text: what can be told of one without asking anybody. No key is ever shown.

use mainstay_core::catalogue::entry;
use mainstay_core::failure::Kind;
use mainstay_core::keys::{KeyShape, check};
use mainstay_gateway::config::Secret;

use super::finding::Finding;

/// Findings about a provider's keys.
pub(super) fn look(keys: &[Secret], needs_one: bool) -> Vec<Finding> {
    if keys.is_empty() {
        let sent = "no key is sent";
        return vec![if needs_one {
            let cause = "Hosted providers refuse calls without a key.";
            let fix = ["Set the variable that the provider's key is kept in, or add `api_key`."];
            Finding::warning("key", sent, cause, &fix)
        } else {
            Finding::ok("key", sent)
        }];
    }
    let mut found: Vec<Finding> = (1..).zip(keys).map(|(n, key)| one(n, key.expose())).collect();
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            let what = format!("key {} is the same as an earlier one", index + 1);
            let cause = "Both share one rate limit, and their target is counted twice.";
            found.push(Finding::warning("key", what, cause, &["Take one of them out."]));
        }
    }
    found
}

fn one(number: usize, key: &str) -> Finding {
    match check(key.as_bytes()) {
        KeyShape::WellFormed { public, secret: _ } => Finding::ok(
            "key",
            format!("key {number} is one of a Mainstay gateway ({public}); its checksum fits"),
        ),
        KeyShape::Typo => {
            let what = format!(
                "key {number} is meant as one of a Mainstay gateway, and its checksum does not fit"
            );
            let fix = [
                "Copy it again, all of it: 57 characters that begin with sk-ms-.",
                "If it is lost, make another: `mainstay key rotate ID` or `mainstay key create`.",
            ];
            let cause = entry(Kind::IncorrectApiKey).cause;
            Finding::failed("key", what, cause, &fix)
        }
        KeyShape::NotOurs if is_placeholder(key) => {
            let what = format!("key {number} looks like a placeholder");
            let cause = "It has the words of an example, quotes or dots in it.";
            let fix = ["Put the provider's own key into the variable or into `api_key`."];
            Finding::failed("key", what, cause, &fix)
        }
        KeyShape::NotOurs => {
            Finding::ok("key", format!("key {number} is there ({} characters)", key.len()))
        }
    }
}

/// Whether a key is what examples have in a key's place.
fn is_placeholder(key: &str) -> bool {
    const WORDS: [&str; 8] = [
        "your-",
        "your_",
        "yourkey",
        "changeme",
        "change-me",
        "api_key_here",
        "api-key-here",
        "xxxx",
    ];
    let lower = key.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
        || key.contains("...")
        || key.starts_with(['"', '\'', '<', '$', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    fn states(keys: &[&str]) -> Vec<State> {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        look(&keys, true).iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn a_typo_in_a_key_of_ours_is_told_from_a_sound_one() {
        let key = mainstay_store::mint().expect("random bytes");
        let key = key.expose();
        assert_eq!(states(&[key]), [State::Ok]);
        let last = if key.ends_with('a') { "b" } else { "a" };
        let typo = format!("{}{last}", &key[..key.len() - 1]);
        assert_eq!(states(&[&typo]), [State::Failed]);
        assert_eq!(states(&[&key[..key.len() - 1]]), [State::Failed]);
    }

    #[test]
    fn placeholders_and_doubles_are_told() {
        for key in ["sk-...", "your-api-key", "<key>", "sk-xxxxxxxx", "${OPENAI_API_KEY}"] {
            assert_eq!(states(&[key]), [State::Failed], "{key}");
        }
        let one = "sk-proj-abcDEF123";
        assert_eq!(states(&[one, one]), [State::Ok, State::Ok, State::Warning]);
        assert_eq!(states(&[]), [State::Warning]);
    }

    #[test]
    fn no_finding_shows_a_key() {
        let typo = "sk-ms-abcdefghijkl-secretsecretsecretsecretsecretse000000";
        for key in [typo, "sk-proj-verySecret1", "\"quoted-secret\""] {
            for finding in look(&[Secret::new(key)], true) {
                assert!(!finding.text().contains(&key[8..]), "{key}");
            }
        }
    }
}
