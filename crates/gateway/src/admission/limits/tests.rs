use mainstay::call::{AttemptRecord, Trace, Used};
use mainstay_core::failure::Kind;
use mainstay_core::wire::usage::Usage;
use std::time::Duration;

use super::*;

fn attempt(kind: Option<Kind>) -> AttemptRecord {
    AttemptRecord {
        provider: "p".into(),
        credential: 0,
        model: None,
        waited: Duration::ZERO,
        wait_cause: "",
        started: Moment::ZERO,
        took: Duration::ZERO,
        ended: None,
        status: None,
        kind,
        bytes: 0,
        dropped: 0,
        used: None,
        sound_ms: None,
        told: None,
        state: None,
    }
}

fn tokens(input: u64, output: u64, counted: bool) -> Used {
    Used { usage: Usage { input, output, cached: 0 }, counted }
}

#[test]
fn a_caller_pays_tokens_for_the_answer_he_got() {
    let ended = |attempts: &[Option<Kind>], used: Option<Used>| {
        let trace = Trace {
            records: attempts.iter().map(|kind| attempt(*kind)).collect(),
            ..Trace::default()
        };
        super::used(100, Ending::Walked { trace: &trace, used })
    };
    let failed = Some(Kind::Overloaded);
    assert_eq!(ended(&[failed, None], Some(tokens(7, 20, false))), Some(27));
    assert_eq!(ended(&[None], Some(tokens(0, 20, true))), Some(120), "the prompt is estimated");
    assert_eq!(ended(&[None], Some(tokens(9, 20, true))), Some(29));
    assert_eq!(ended(&[failed, failed], None), Some(0), "no answer, no tokens");
    assert_eq!(ended(&[], None), Some(0), "nothing was sent");
    assert_eq!(ended(&[None], None), None, "what was reserved stays");
    assert_eq!(used(100, Ending::Dropped), Some(100));
}

#[test]
fn organizations_are_spread_over_the_locks() {
    let shards: std::collections::HashSet<usize> =
        (0..1000).map(|number| shard(&format!("org-{number}"))).collect();
    assert_eq!(shards.len(), SHARDS);
    assert_eq!(shard("org-default"), shard("org-default"));
}
