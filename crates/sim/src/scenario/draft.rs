//! A scenario as people write it, and how it becomes one that makes sense.

mod near;

use crate::fault::{BYTES_MAX, FOR_MAX, Fault, Order, speaking};
use crate::provider::kinds::{Wait, kinds};
use crate::provider::limits::{Dialect, Limits, Meter};
use crate::provider::request::Api;
use crate::provider::shelf::Ways;
use crate::provider::speech::{Manner, Prefill, WORDS_MAX};
use crate::scenario::{
    Latency, ModelRules, Scenario, ScenarioError, Spread, Trouble, What, duration_of, kind_named,
    wait_of,
};
use near::nearest;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    seed: Option<u64>,
    keys: Option<Vec<String>>,
    models: Option<Vec<String>>,
    body_max: Option<u64>,
    upload_max: Option<u64>,
    limits_per: Option<String>,
    retry_after: Option<String>,
    context_window: Option<u64>,
    #[serde(default)]
    answer: AnswerDraft,
    #[serde(default)]
    objects: ObjectsDraft,
    #[serde(default)]
    latency: LatencyDraft,
    #[serde(default)]
    limits: LimitsDraft,
    #[serde(default)]
    model: Vec<ModelDraft>,
    #[serde(default)]
    fault: Vec<FaultDraft>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerDraft {
    words: Option<usize>,
    text: Option<String>,
    prefill: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectsDraft {
    step: Option<Range>,
    unknown: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencyDraft {
    headers: Option<Range>,
    first_token: Option<Range>,
    token: Option<Range>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsDraft {
    rpm: Option<f64>,
    tpm: Option<f64>,
    rpd: Option<f64>,
    concurrency: Option<u32>,
    burst: Option<Range>,
    initial: Option<f64>,
    meter: Option<String>,
    dialect: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelDraft {
    name: String,
    context_window: Option<u64>,
    #[serde(default)]
    latency: LatencyDraft,
    #[serde(default)]
    limits: LimitsDraft,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultDraft {
    fault: Option<String>,
    kind: Option<String>,
    status: Option<u16>,
    from: Option<Range>,
    to: Option<Range>,
    share: Option<f64>,
    nth: Option<u64>,
    every: Option<u64>,
    first: Option<u64>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    before_limits: bool,
    after: Option<usize>,
    #[serde(rename = "for")]
    time: Option<Range>,
    bytes: Option<usize>,
    error: Option<String>,
    retry_after: Option<String>,
}

/// A duration, or two of them: `"50ms"`, `0.05`, `["50ms", "150ms"]`.
#[derive(Clone, Copy)]
struct Range(Spread);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Range, D::Error> {
        deserializer.deserialize_any(RangeVisitor)
    }
}

struct RangeVisitor;

impl<'de> Visitor<'de> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as \"250ms\" or a number of seconds, or a list of two")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Range, E> {
        let wait = duration_of(text);
        let wait =
            wait.ok_or_else(|| E::custom(format!("`{text}` is not a duration such as \"250ms\"")))?;
        Ok(Range(Spread { low: wait, high: wait }))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Range, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Range, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Range, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut ends: A) -> Result<Range, A::Error> {
        let two = |end: Option<Range>| {
            end.ok_or_else(|| A::Error::custom("a range is a list of two durations"))
        };
        let (low, high) = (two(ends.next_element()?)?.0.low, two(ends.next_element()?)?.0.high);
        if ends.next_element::<Range>()?.is_some() || high < low {
            return Err(A::Error::custom("a range is a list of two durations, the shorter first"));
        }
        Ok(Range(Spread { low, high }))
    }
}

impl Range {
    fn one(range: Option<Range>, default: Duration) -> Duration {
        range.map_or(default, |range| range.0.low)
    }
}

pub(super) fn from_toml(text: &str) -> Result<Scenario, ScenarioError> {
    let draft: Draft = toml::from_str(text).map_err(|error| {
        let line =
            error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        unreadable(error.message(), line)
    })?;
    checked(draft)
}

pub(super) fn from_json(text: &str) -> Result<Scenario, ScenarioError> {
    let draft: Draft = serde_json::from_str(text)
        .map_err(|error| unreadable(&error.to_string(), Some(error.line())))?;
    checked(draft)
}

fn unreadable(message: &str, line: Option<usize>) -> ScenarioError {
    let mut names = message.split('`').skip(1).step_by(2);
    let fix = match (message.contains("unknown field"), names.next()) {
        (true, Some(wrong)) => nearest(wrong, names).map(|name| format!("did you mean `{name}`?")),
        _ => None,
    };
    ScenarioError {
        what: "the scenario could not be read".into(),
        why: message.lines().next().unwrap_or_default().to_owned(),
        fix: fix.unwrap_or_else(|| "see docs/simulator.md for keys, units and defaults".into()),
        line,
    }
}

fn wrong(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> ScenarioError {
    ScenarioError { what: what.into(), why: why.into(), fix: fix.into(), line: None }
}

fn checked(draft: Draft) -> Result<Scenario, ScenarioError> {
    let limits_per_model = match draft.limits_per.as_deref() {
        None | Some("model") => true,
        Some("all") => false,
        Some(other) => return Err(no_choice("limits_per", other, &["model", "all"])),
    };
    let default = ModelRules {
        limits: limits("limits", &draft.limits)?,
        latency: latency(&draft.latency),
        context_window: draft.context_window,
    };
    let mut rules = Vec::with_capacity(draft.model.len());
    for model in draft.model {
        let at = format!("model \"{}\": limits", model.name);
        let merged = LimitsDraft::over(model.limits, &draft.limits);
        let own = ModelRules {
            limits: limits(&at, &merged)?,
            latency: latency(&LatencyDraft::over(&model.latency, &draft.latency)),
            context_window: model.context_window.or(draft.context_window),
        };
        rules.push((model.name, own));
    }
    let words = draft.answer.words.unwrap_or(16);
    if words > WORDS_MAX {
        let what = format!("`answer.words` is {words}");
        return Err(wrong(what, format!("the most is {WORDS_MAX}"), "use a smaller number"));
    }
    let prefill = match draft.answer.prefill.as_deref() {
        None | Some("ignore") => Prefill::Ignore,
        Some("continue") => Prefill::Continue,
        Some("refuse") => Prefill::Refuse,
        Some(other) => {
            return Err(no_choice("answer.prefill", other, &["ignore", "continue", "refuse"]));
        }
    };
    let ways = ways(&draft.objects)?;
    Ok(Scenario {
        ways,
        upload_max: draft.upload_max.unwrap_or(1 << 30),
        seed: draft.seed.unwrap_or(1),
        keys: draft.keys,
        models: draft.models,
        body_max: draft.body_max.unwrap_or(64 << 20),
        limits_per_model,
        retry_after: draft
            .retry_after
            .map_or(Wait::For(Duration::from_secs(1)), |text| wait_of(&text)),
        manner: Manner { words, text: draft.answer.text, prefill },
        default,
        rules,
        troubles: draft.fault.into_iter().enumerate().map(trouble).collect::<Result<_, _>>()?,
    })
}

fn ways(draft: &ObjectsDraft) -> Result<Ways, ScenarioError> {
    let invents = match draft.unknown.as_deref() {
        None | Some("refuse") => false,
        Some("make_up") => true,
        Some(other) => return Err(no_choice("objects.unknown", other, &["refuse", "make_up"])),
    };
    Ok(Ways { step: Range::one(draft.step, Ways::default().step), invents })
}

impl LimitsDraft {
    fn over(own: LimitsDraft, base: &LimitsDraft) -> LimitsDraft {
        LimitsDraft {
            rpm: own.rpm.or(base.rpm),
            tpm: own.tpm.or(base.tpm),
            rpd: own.rpd.or(base.rpd),
            concurrency: own.concurrency.or(base.concurrency),
            burst: own.burst.or(base.burst),
            initial: own.initial.or(base.initial),
            meter: own.meter.or_else(|| base.meter.clone()),
            dialect: own.dialect.or_else(|| base.dialect.clone()),
        }
    }
}

impl LatencyDraft {
    fn over(own: &LatencyDraft, base: &LatencyDraft) -> LatencyDraft {
        LatencyDraft {
            headers: own.headers.or(base.headers),
            first_token: own.first_token.or(base.first_token),
            token: own.token.or(base.token),
        }
    }
}

fn latency(draft: &LatencyDraft) -> Latency {
    let spread = |range: Option<Range>| range.map_or_else(Spread::default, |range| range.0);
    Latency {
        headers: spread(draft.headers),
        first_token: spread(draft.first_token),
        token: spread(draft.token),
    }
}

fn limits(at: &str, draft: &LimitsDraft) -> Result<Limits, ScenarioError> {
    for (name, value) in [("rpm", draft.rpm), ("tpm", draft.tpm), ("rpd", draft.rpd)] {
        if let Some(value) = value.filter(|value| !(1e-3..=1e12).contains(value)) {
            let what = format!("`{at}.{name}` is {value}");
            return Err(wrong(what, "a rate is from 0.001 to 1e12", "leave it out for no limit"));
        }
    }
    let initial = draft.initial.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&initial) {
        return Err(wrong(
            format!("`{at}.initial` is {initial}"),
            "a fill is from 0 to 1",
            "use 1.0 for full",
        ));
    }
    let meter = match draft.meter.as_deref() {
        None | Some("continuous") => Meter::Continuous,
        Some("fixed_window") => Meter::FixedWindow,
        Some(other) => {
            return Err(no_choice(&format!("{at}.meter"), other, &["continuous", "fixed_window"]));
        }
    };
    let dialect = match draft.dialect.as_deref() {
        None | Some("openai") => Dialect::OpenAi,
        Some("text_only") => Dialect::TextOnly,
        Some("silent") => Dialect::Silent,
        Some("azure") => Dialect::Azure,
        Some("groq") => Dialect::Groq,
        Some(other) => {
            let names = ["openai", "text_only", "silent", "azure", "groq"];
            return Err(no_choice(&format!("{at}.dialect"), other, &names));
        }
    };
    let burst = Range::one(draft.burst, Duration::from_mins(1));
    let (rpm, tpm, rpd, concurrency) = (draft.rpm, draft.tpm, draft.rpd, draft.concurrency);
    Ok(Limits { rpm, tpm, rpd, concurrency, burst, initial, meter, dialect })
}

fn no_choice(key: &str, got: &str, names: &[&str]) -> ScenarioError {
    let near = nearest(got, names.iter().copied());
    let fix = near.map_or_else(
        || format!("use one of {}", names.join(", ")),
        |name| format!("did you mean \"{name}\"?"),
    );
    wrong(format!("`{key}` is \"{got}\""), format!("it is one of {}", names.join(", ")), fix)
}

fn trouble((place, draft): (usize, FaultDraft)) -> Result<Trouble, ScenarioError> {
    let at = format!("fault {}", place + 1);
    let what = what_happens(&at, &draft)?;
    let share = draft.share.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&share) {
        return Err(wrong(
            format!("{at}: `share` is {share}"),
            "a share is from 0 to 1",
            "use 0.05 for 5 %",
        ));
    }
    if draft.nth == Some(0) || draft.every == Some(0) {
        let why = "requests are counted from 1";
        return Err(wrong(format!("{at}: `nth` or `every` is 0"), why, "use 1 or more"));
    }
    let (from, to) = (Range::one(draft.from, Duration::ZERO), Range::one(draft.to, Duration::MAX));
    if to <= from {
        let why = "a window without length hits nothing";
        return Err(wrong(format!("{at}: `to` is not after `from`"), why, "swap or widen them"));
    }
    let endpoints: Vec<&str> = Api::all().map(Api::name).collect();
    if let Some(odd) = draft.endpoints.iter().find(|name| !endpoints.contains(&name.as_str())) {
        return Err(no_choice(&format!("{at}: endpoints"), odd, &endpoints));
    }
    Ok(Trouble {
        what,
        from,
        to,
        share,
        nth: draft.nth,
        every: draft.every,
        first: draft.first,
        models: draft.models,
        endpoints: draft.endpoints,
        before_limits: draft.before_limits,
        retry_after: draft.retry_after.as_deref().map(wait_of),
    })
}

fn what_happens(at: &str, draft: &FaultDraft) -> Result<What, ScenarioError> {
    match (&draft.fault, &draft.kind, draft.status) {
        (Some(name), None, None) => {
            let names = Fault::ALL.iter().map(|fault| fault.name());
            let fault = Fault::named(name).ok_or_else(|| unknown(at, "fault", name, names))?;
            let default = Order::of(fault);
            let told = |name: &String| {
                let names = kinds().iter().map(|kind| kind.name);
                speaking(name).ok_or_else(|| unknown(at, "error", name, names))
            };
            Ok(What::Fault(Order {
                after: draft.after.unwrap_or(default.after),
                time: Range::one(draft.time, default.time).min(FOR_MAX),
                bytes: draft.bytes.unwrap_or(default.bytes).min(BYTES_MAX),
                error: draft.error.as_ref().map_or(Ok(default.error), told)?,
                fault,
            }))
        }
        (None, Some(name), None) => {
            let names = kinds().iter().map(|kind| kind.name);
            kind_named(name).ok_or_else(|| unknown(at, "kind", name, names))
        }
        (None, None, Some(status)) if (400..=599).contains(&status) => Ok(What::Status(status)),
        (None, None, Some(status)) => {
            let why = "a failing status is from 400 to 599";
            Err(wrong(format!("{at}: `status` is {status}"), why, "use such a status"))
        }
        _ => {
            let why = "each fault says what happens exactly once";
            Err(wrong(
                format!("{at} needs one of `fault`, `kind`, `status`"),
                why,
                "give one of them",
            ))
        }
    }
}

fn unknown<'a>(
    at: &str,
    key: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> ScenarioError {
    let fix = nearest(name, names).map(|near| format!("did you mean \"{near}\"?"));
    wrong(
        format!("{at}: `{key}` is \"{name}\""),
        format!("there is no {key} with this name"),
        fix.unwrap_or_else(|| "see `mainstay sim --list`".into()),
    )
}
