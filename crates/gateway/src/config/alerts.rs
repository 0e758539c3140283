//! `[alerts]` and `[[alert]]`: when somebody is told, and who.

use std::time::Duration;

use mainstay::http_url::HttpUrl;
use mainstay_core::alerts::{AlertLimits, Rule};

use super::fault::words;
use super::reader::{Need, Reader, Section, cut, join};
use super::secret::Secret;

/// Receivers at most.
const RECEIVERS_MAX: usize = 32;

/// When somebody is told, and who.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// The numbers the rules go by.
    pub limits: AlertLimits,
    /// Notices that may wait for each receiver; the oldest beyond are dropped and counted.
    pub queue_max: usize,
    /// Who is told.
    pub receivers: Vec<Receiver>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        AlertSettings { limits: AlertLimits::default(), queue_max: 256, receivers: Vec::new() }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name; unique.
    pub name: String,
    /// Where it is, with what may be a secret in its path and query.
    pub url: WebhookUrl,
    /// What it is sent.
    pub shape: MessageShape,
    /// What its messages are signed with; `None`: they are not.
    pub secret: Option<Secret>,
    /// The rules it is told of.
    pub rules: Vec<Rule>,
    /// The proxy to go through.
    pub proxy: Option<Secret>,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageShape {
    /// All fields as JSON.
    #[default]
    Json,
    /// A text, as Slack and what imitates it take.
    Slack,
}

/// The URL of a webhook. `Debug` and `Display` show its host only: paths of webhooks are passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Scheme, host and port, with the path.
    pub place: HttpUrl,
    /// Path and query as they are sent.
    pub path: Secret,
}

impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.place.https() { "https" } else { "http" };
        write!(f, "{scheme}://{}/…", self.place.authority())
    }
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl WebhookUrl {
    /// Reads one; stands after "because" when it is none.
    fn read(text: &str) -> Result<WebhookUrl, &'static str> {
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        let place: HttpUrl = before.parse().map_err(|mainstay::http_url::NotAUrl(why)| why)?;
        if query.contains(|c: char| !c.is_ascii_graphic() || c == '#') {
            return Err("its query has a blank or a character that is not ASCII");
        }
        // A slash at the end is part of a webhook's path.
        let slash = if before.ends_with('/') || place.path().is_empty() { "/" } else { "" };
        let mark = if query.is_empty() { "" } else { "?" };
        let path = Secret::new(format!("{}{slash}{mark}{query}", place.path()));
        Ok(WebhookUrl { place, path })
    }
}

pub(super) fn read_alerts(reader: &mut Reader<'_>, root: &Section<'_>) -> AlertSettings {
    let mut alerts = AlertSettings::default();
    if let Some(section) = reader.sub(root, "alerts", "alerts") {
        read_limits(reader, &section, &mut alerts);
    }
    for section in reader.list(root, "alert") {
        let Some(receiver) = read_receiver(reader, &section) else { continue };
        if alerts.receivers.iter().any(|first| first.name == receiver.name) {
            let what =
                format!("`{}` is a second receiver named `{}`", section.shown, receiver.name);
            let why = "names tell receivers apart in logs and in the administration";
            reader.error(section.line, words(what, why, "give one of them another `name`"));
        }
        alerts.receivers.push(receiver);
    }
    if alerts.receivers.len() > RECEIVERS_MAX {
        let what = format!("there are {} receivers of alerts", alerts.receivers.len());
        let why = format!("at most {RECEIVERS_MAX} are told");
        reader.error(root.line.max(1), words(what, why, "let one of them pass messages on"));
    }
    alerts
}

fn read_limits(reader: &mut Reader<'_>, section: &Section<'_>, alerts: &mut AlertSettings) {
    let limits = &mut alerts.limits;
    let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
    for (key, range, slot) in [
        ("circuit_after", Duration::ZERO..=day, &mut limits.circuit_after),
        ("error_window", second * 10..=day, &mut limits.error_window),
        ("store_after", Duration::ZERO..=day, &mut limits.store_after),
        ("calm", Duration::ZERO..=day, &mut limits.calm),
    ] {
        if let Some(found) = reader.wait(section, key, range) {
            *slot = found.value;
        }
    }
    if let Some(found) = reader.wait(section, "repeat", second * 60..=day * 31) {
        limits.repeat = Some(found.value);
    }
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    if let Some(found) = reader.number(section, "failures", 1..=1_000) {
        limits.failures = small(found.value);
    }
    if let Some(found) = reader.number(section, "error_calls_min", 1..=1_000_000) {
        limits.error_calls_min = small(found.value);
    }
    if let Some(found) = reader.number(section, "error_percent", 1..=100) {
        limits.error_percent = u8::try_from(found.value).unwrap_or(100);
    }
    if let Some(found) = reader.number(section, "queue_max", 1..=100_000) {
        alerts.queue_max = usize::try_from(found.value).unwrap_or(usize::MAX);
    }
}

fn read_receiver(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Receiver> {
    let name = reader.text(section, "name", Need::Required);
    let url = reader.text(section, "url", Need::Required);
    let shapes = [("json", MessageShape::Json), ("slack", MessageShape::Slack)];
    let shape = reader.word(section, "kind", &shapes).map(|found| found.value).unwrap_or_default();
    let secret = reader.text(section, "secret", Need::Optional);
    if let Some(found) = secret.as_ref().filter(|found| found.value.len() < 16) {
        let what = format!("`{}.secret` is shorter than 16 characters", section.shown);
        let fix = "make one: `head -c 32 /dev/urandom | base64`";
        reader.error(found.line, words(what, "a short secret can be guessed", fix));
    }
    let rules = read_rules(reader, section);
    let (name, url) = (name?.value, url?);
    match WebhookUrl::read(&url.value) {
        Ok(webhook) => Some(Receiver {
            proxy: reader.environment.proxy_for(&webhook.place),
            url: webhook,
            secret: secret.map(|found| Secret::new(found.value)),
            name,
            shape,
            rules,
        }),
        Err(why) => {
            let what = format!("`{}.url` is no URL of a webhook", section.shown);
            let fix = "write something like \"https://hooks.example.com/services/…\"";
            reader.error(url.line, words(what, why, fix));
            None
        }
    }
}

/// The rules named; every one when none is.
fn read_rules(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<Rule> {
    let Some(named) = reader.texts(section, "rules", Rule::ALL.len()) else {
        return Rule::ALL.to_vec();
    };
    let mut rules = Vec::new();
    for found in named {
        if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.name() == found.value) {
            rules.push(rule);
            continue;
        }
        let what = format!("there is no rule `{}`", cut(&found.value));
        let known = join(Rule::ALL.map(Rule::name));
        let why = "rules are named as they are in messages";
        reader.error(found.line, words(what, why, format!("known are: {known}")));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_webhook_is_kept_and_not_shown() {
        for (text, path) in [
            ("https://hooks.test/services/T0/B0/secretword", "/services/T0/B0/secretword"),
            ("http://127.0.0.1:9/in/?token=secretword", "/in/?token=secretword"),
            ("https://hooks.test?x=secretword", "/?x=secretword"),
            ("https://hooks.test", "/"),
        ] {
            let url = WebhookUrl::read(text).unwrap();
            assert_eq!(url.path.expose(), path, "{text}");
            assert!(!format!("{url} {url:?}").contains("secretword"), "{url}");
        }
        for text in
            ["hooks.test/x", "ftp://x/y", "https://u:p@x/y", "https://x/y?a b", "https://x#y"]
        {
            assert!(WebhookUrl::read(text).is_err(), "{text}");
        }
    }
}
