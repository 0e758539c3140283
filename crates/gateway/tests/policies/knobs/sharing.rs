//! `[provider.limits]`: what counts against one limit. Shown by calls at once under a cap of one:
//! those that count together go one after another.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Knob, lines};
use crate::script::{gateway, sound};
use crate::support::Front;
use crate::support::provider::{Provider, completion};

/// A provider that takes its time, and the most calls it ever had at once.
pub(crate) fn busy(more: &'static str) -> (Provider, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let provider = Provider::new(move |_, stream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(150));
        now.fetch_sub(1, Ordering::SeqCst);
        let answer = completion().replacen("\r\n", &format!("\r\n{more}"), 1);
        stream.write_all(answer.as_bytes()).is_ok()
    });
    (provider, most)
}

/// Calls for these models, all at once.
pub(crate) fn call_all(front: &Front, models: &[&str]) {
    let mut callers: Vec<_> = models.iter().map(|_| front.connect()).collect();
    for (caller, model) in callers.iter_mut().zip(models) {
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        caller.send(&front.post_bytes("/v1/chat/completions", "", &body));
    }
    for caller in &mut callers {
        assert_eq!(caller.answer().status, 200);
    }
}

/// The most calls at once that a provider sees with this section.
fn at_once(section: &str, models: &[&str]) -> String {
    let (provider, most) = busy("");
    let url = format!("http://{}/v1", provider.addr);
    let front = gateway(&sound(&section.replace("URL", &url)));
    call_all(&front, models);
    format!("{} at once", most.load(Ordering::SeqCst))
}

const PLAIN: &str = "[[provider]]\nname = \"a\"\nbase_url = \"URL\"\napi_keys = [\"k\"]\n";

/// A group of two models with this cap of its own, under a provider with plenty.
fn group_of(own: &str) -> String {
    let group =
        format!("limits = {{ concurrency = 9, groups = [{{ models = [\"m\", \"n\"]{own} }}] }}");
    let (provider, _) = busy("");
    let url = format!("http://{}/v1", provider.addr);
    let front = gateway(&sound(&format!("{PLAIN}{group}\n").replace("URL", &url)));
    let six = || call_all(&front, &["m", "n", "m", "n", "m", "n"]);
    super::pace(700, six).to_owned()
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        key: "provider.limits.shared",
        without: "2 at once",
        with: "1 at once",
        play: |with| {
            let how = if with { "keys" } else { "apart" };
            let limits = format!("limits = {{ concurrency = 1, shared = \"{how}\" }}\n");
            at_once(&format!("{PLAIN}{limits}").replace("[\"k\"]", "[\"k\", \"l\"]"), &["m", "m"])
        },
    },
    Knob {
        key: "provider.limits.pool",
        without: "2 at once",
        with: "1 at once",
        play: |with| {
            let pool = if with { ", pool = \"acme\"" } else { "" };
            let a = format!("{PLAIN}limits = {{ concurrency = 1{pool} }}\n");
            let b = a.replace("\"a\"", "\"b\"");
            at_once(&format!("{a}{b}"), &["a/m", "b/m"])
        },
    },
    Knob {
        key: "provider.limits.groups",
        without: "2 at once",
        with: "1 at once",
        play: |with| {
            let groups = if with { ", groups = [{ models = [\"m\", \"n\"] }]" } else { "" };
            at_once(&format!("{PLAIN}limits = {{ concurrency = 1{groups} }}\n"), &["m", "n"])
        },
    },
    Knob {
        key: "provider.limits.group.models",
        without: "2 at once",
        with: "1 at once",
        play: |with| {
            let models = if with { "\"gpt-*\", \"o3\"" } else { "\"gpt-*\"" };
            let limits =
                format!("limits = {{ concurrency = 1, groups = [{{ models = [{models}] }}] }}\n");
            at_once(&format!("{PLAIN}{limits}"), &["gpt-4o", "o3"])
        },
    },
    Knob {
        key: "provider.limits.group.rpm",
        without: "fast",
        with: "slow",
        play: |with| group_of(&lines(with, "", ", rpm = 120").replace('\n', "")),
    },
    Knob {
        key: "provider.limits.group.tpm",
        without: "fast",
        with: "slow",
        play: |with| group_of(&lines(with, "", ", tpm = 600").replace('\n', "")),
    },
    Knob {
        key: "provider.limits.group.concurrency",
        without: "fast",
        with: "slow",
        play: |with| group_of(&lines(with, "", ", concurrency = 1").replace('\n', "")),
    },
];
