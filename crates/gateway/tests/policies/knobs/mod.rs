//! Each key of `[policy.*]`, `[[provider]]` and `[[route]]`: what is seen without it, and with it.
//! A key of the table of settings that no case is about fails the test.

mod policies;
mod providers;
mod routes;
pub(crate) mod sharing;
mod timers;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mainstay_gateway::config::KEYS;

use crate::script::{Cast, Say, chat, gateway};

/// One key, and what it changes.
pub(super) struct Knob {
    /// Section and name, as in the table of settings.
    pub(super) key: &'static str,
    /// What is seen by default, or with the lines that both share, …
    pub(super) without: &'static str,
    /// … and with the key.
    pub(super) with: &'static str,
    /// Plays it; `true`: with the key.
    pub(super) play: fn(bool) -> String,
}

#[test]
fn every_key_changes_what_is_seen() {
    let all = TABLES.concat_knobs();
    let mut odd = Vec::new();
    // Most of the time is waiting: the cases wait together.
    std::thread::scope(|scope| {
        for batch in all.chunks(all.len().div_ceil(8)) {
            let played = batch.iter().map(|knob| {
                let both = scope.spawn(move || ((knob.play)(false), (knob.play)(true)));
                (knob, both)
            });
            for (knob, both) in played.collect::<Vec<_>>() {
                let (without, with) = both.join().expect(knob.key);
                println!("{:36} {without:24} {with}", knob.key);
                if !knob.is_right(&without, &with) {
                    odd.push(*knob);
                }
            }
        }
    });
    let wrong: Vec<String> = odd.into_iter().filter_map(Knob::wrong_alone).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Knob {
    fn is_right(&self, without: &str, with: &str) -> bool {
        (without, with) == (self.without, self.with)
    }

    /// What is wrong when it is played by itself. What is slow and what is fast is told by the clock,
    /// and one round on a machine that does much else says nothing: without an effect of the key, no
    /// round is right.
    fn wrong_alone(&self) -> Option<String> {
        const ROUNDS: usize = 5;
        let mut last = String::new();
        for _ in 0..ROUNDS {
            let (without, with) = ((self.play)(false), (self.play)(true));
            if self.is_right(&without, &with) {
                return None;
            }
            last = format!(
                "{}: `{without}` and `{with}`, not `{}` and `{}`",
                self.key, self.without, self.with
            );
        }
        Some(last)
    }
}

/// Sections whose keys change what becomes of a call.
const SECTIONS: [&str; 3] = ["policy", "provider", "route"];

#[test]
fn no_key_is_without_a_case() {
    let tried: BTreeSet<&str> = TABLES.concat_knobs().iter().map(|knob| knob.key).collect();
    let ours = |section: &str| SECTIONS.contains(&section.split('.').next().unwrap_or_default());
    let known: BTreeSet<String> = KEYS
        .iter()
        // A route's policies are read by the same lines as `[policy.*]`; one case shows that they are its own.
        .filter(|key| ours(key.section) && key.section != "route.policy")
        .map(|key| format!("{}.{}", key.section, key.name))
        .collect();
    // A key that holds a section of its own is shown by that section's keys.
    let section =
        |key: &String| mainstay_gateway::config::SECTIONS.iter().any(|(name, _)| name == key);
    let missing: Vec<&String> =
        known.iter().filter(|key| !section(key) && !tried.contains(key.as_str())).collect();
    let strange: Vec<&&str> = tried.iter().filter(|key| !known.contains(**key)).collect();
    assert!(missing.is_empty(), "keys that no case is about: {missing:?}");
    assert!(strange.is_empty(), "cases about keys that there are not: {strange:?}");
}

const TABLES: [&[Knob]; 5] =
    [policies::KNOBS, timers::KNOBS, providers::KNOBS, sharing::KNOBS, routes::KNOBS];

/// Several tables as one list.
trait ConcatKnobs {
    fn concat_knobs(&self) -> Vec<&'static Knob>;
}

impl ConcatKnobs for [&'static [Knob]; 5] {
    fn concat_knobs(&self) -> Vec<&'static Knob> {
        self.iter().flat_map(|knobs| knobs.iter()).collect()
    }
}

/// Calls over providers by their scripts: the order in which they were asked, and the statuses.
pub(super) fn order(policy: &str, scripts: &[&[Say]], calls: u32, stream: bool) -> String {
    let cast = Cast::new(scripts);
    let front = gateway(&cast.config(policy, ""));
    let statuses: Vec<String> =
        (0..calls).map(|_| chat(&front, stream).status.to_string()).collect();
    format!("{} {}", cast.order(), statuses.join(" "))
}

/// `"slow"` or `"fast"`: whether a provider was asked for the last time more than so many milliseconds
/// after the first, in one call.
pub(super) fn spread(millis: u64, policy: &str, script: &[Say]) -> String {
    let cast = Cast::new(&[script]);
    chat(&gateway(&cast.config(policy, "")), false);
    let told = cast.told();
    let (first, last) = (told.first().expect("it was asked").2, told.last().expect("as above").2);
    if last - first > Duration::from_millis(millis) { "slow" } else { "fast" }.to_owned()
}

/// `"slow"` or `"fast"`: whether something took longer than so many milliseconds.
pub(super) fn pace(millis: u64, work: impl FnOnce()) -> &'static str {
    let began = Instant::now();
    work();
    if began.elapsed() > Duration::from_millis(millis) { "slow" } else { "fast" }
}

/// The lines that both share, and with the key also its own.
pub(super) fn lines(with: bool, shared: &str, own: &str) -> String {
    if with { format!("{shared}{own}\n") } else { format!("{shared}\n") }
}
