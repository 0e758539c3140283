//! Waits and limits as people write them: "Limit 30000, Used 18928, Requested 11159. Please try
//! again in 174ms".

use super::{WAIT_BELIEVED, believed, durations};
use crate::words::{Phrase, Words, phrases};
use alloc::string::String;
use core::time::Duration;
use memchr::memmem;

/// Longest part of a text that is looked at, in bytes.
const TEXT_MAX: usize = 8192;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Requests per time.
    Requests,
    /// Tokens per time.
    Tokens,
    /// The text does not say.
    Other,
}

/// A limit as an error message describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimit {
    /// What is counted.
    pub counted: Counted,
    /// Most units in one window.
    pub limit: Option<u64>,
    /// Units used so far.
    pub used: Option<u64>,
    /// Units this request wanted.
    pub requested: Option<u64>,
    /// Length of the window, when the text says it.
    pub window: Option<Duration>,
    /// How long to wait, when the text says it.
    pub wait: Option<Duration>,
}

impl TextLimit {
    /// The limit in units a minute; a text that names no window means a minute.
    pub fn per_minute(&self) -> Option<f64> {
        const MINUTE: f64 = 60.0;
        let window = self.window.map_or(MINUTE, |window| window.as_secs_f64());
        (window > 0.0).then_some(self.limit? as f64 * MINUTE / window)
    }

    /// `true` when the request alone is larger than the whole limit: no wait will help.
    pub fn never_fits(&self) -> bool {
        matches!((self.requested, self.limit), (Some(requested), Some(limit)) if requested > limit)
    }
}

/// Reads the limit that an error message describes. `None` when it names neither a number nor
/// what is counted per which time.
pub fn text_limit(message: &str) -> Option<TextLimit> {
    limit_in(message).map(|limit| TextLimit { wait: text_wait(message), ..limit })
}

/// [`text_limit`] without its wait, which costs as much again.
pub(crate) fn limit_in(message: &str) -> Option<TextLimit> {
    let text = folded(message);
    let mut words = Words::default();
    words.add(&text);
    let counted = counted(&words);
    let limit = numbered(&text, &["limit", "rate limit of", "max rpm", "rpm", "max request"]);
    let used = numbered(&text, &["used", "current"]);
    let requested = numbered(&text, &["requested"]);
    let window = window(&words);
    if limit.is_none() && (counted == Counted::Other || window.is_none()) {
        return None;
    }
    let limit = limit.filter(|limit| *limit > 0);
    Some(TextLimit { counted, limit, used, requested, window, wait: None })
}

/// What a limit in these words counts; [`Counted::Other`] when they name both or neither.
fn counted(words: &Words) -> Counted {
    let tokens = words.say_any(TOKENS_PER_TIME);
    let requests = words.say_any(REQUESTS_PER_TIME);
    match (tokens, requests) {
        (true, false) => Counted::Tokens,
        (false, true) => Counted::Requests,
        (true, true) | (false, false) => Counted::Other,
    }
}

/// Phrases for a limit on tokens per time. A time unit or a fixed abbreviation is always in
/// them: "too many tokens" alone is about one prompt. Sources: OpenAI, Groq, Anthropic, Gemini,
/// Cerebras, SiliconFlow and LiteLLM messages, read 2026-11.
pub(crate) const TOKENS_PER_TIME: &[Phrase] = &phrases([
    "tokens per min*|day|hour|second|sec|month",
    "tokens .. per min*|day|hour|second|sec",
    "token .. per min*|day|hour|second|sec",
    "tpm|tpd|tph|tps",
    "token rate limit*",
    "token rate limiting",
    "tokens usage based",
    "limit type tokens",
    "exceeded token rate",
    "too many tokens please wait",
    "token quota exceeded",
    "rate limit reached for tokens",
    "tokens # min*|day|hour",
]);

/// Phrases for a limit on requests per time, as [`TOKENS_PER_TIME`].
pub(crate) const REQUESTS_PER_TIME: &[Phrase] = &phrases([
    "requests|request|calls|queries per min*|day|hour|second|sec|month",
    "requests .. per min*|day|hour|second|sec",
    "request .. per min*|day|hour|second|sec",
    "rpm|rpd|rph|rps|qps|qpm",
    "requests rate limit*",
    "request rate limit*",
    "request rate exceeded|increased",
    "rate limit reached for requests",
    "rate limit* .. on requests",
    "limit type requests",
    "reached max request*",
    "max* request* .. min*|day|hour",
    "# requests|request|calls|queries in|within|every|each # seconds|minutes|hours|days",
    "# requests|request|calls|queries a|an|every|each minute|hour|day|second",
    "free models per min*|day",
    "exceeded call rate limit",
    "exceeded request rate",
    "requests limit|quota exceeded|reached",
    "request limit|quota exceeded|reached",
    "daily request* limit|quota",
    "each .. send .. requests .. minute",
]);

fn window(words: &Words) -> Option<Duration> {
    const WINDOWS: [(&[Phrase], Duration); 4] = [
        (&phrases(["per|a min*", "tpm|rpm|qpm", "limit # min*"]), Duration::from_secs(60)),
        (
            &phrases(["per|a day", "daily", "tpd|rpd", "limit # day"]),
            Duration::from_secs(24 * 3600),
        ),
        (&phrases(["per|an hour", "hourly", "tph|rph", "limit # hour"]), Duration::from_secs(3600)),
        (&phrases(["per|a second|sec", "tps|rps|qps"]), Duration::from_secs(1)),
    ];
    WINDOWS.into_iter().find(|(phrases, _)| words.say_any(phrases)).map(|(_, window)| window)
}

/// The number after one of `labels`, which must stand as a word of its own: "Limit 3", "limit:
/// 40,000", "rate limit of 50". The first label and place with a number wins.
fn numbered(text: &str, labels: &[&str]) -> Option<u64> {
    labels.iter().find_map(|label| {
        memmem::find_iter(text.as_bytes(), label).take(16).find_map(|at| {
            let before = text.get(..at)?.chars().next_back();
            if before.is_some_and(char::is_alphanumeric) {
                return None;
            }
            let rest = text.get(at + label.len()..)?;
            let rest = rest.trim_start_matches([' ', ':', '=', '"', '\'', '`', '(']);
            let rest = rest.strip_prefix("of ").unwrap_or(rest);
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
            durations::count(rest.get(..end)?.trim_end_matches(','))
        })
    })
}

/// Words before a wait, and whether a number without a unit counts as seconds after them.
const ANCHORS: &[(&str, bool)] = &[
    ("again in", false),
    ("again after", false),
    ("retry in", false),
    ("retry after", true),
    ("retry-after", true),
    ("retry_after", true),
    ("retryafter", true),
    ("retrydelay", true),
    ("retry delay", true),
    ("resets_in_seconds", true),
    ("reset_after_seconds", true),
    ("retry_after_seconds", true),
    ("reset in", false),
    ("resets in", false),
    ("reset after", false),
    ("resets after", false),
    ("available in", false),
    ("back in", false),
    ("wait", false),
    ("cooldown of", false),
    ("estimated_time", true),
];

/// The longest wait that a text names, after words such as "try again in": `20s`, `1m26.4s`,
/// `45 seconds`, `1 minute and 30 seconds`, `请 5 秒后重试`. `None` when there is none.
pub fn text_wait(text: &str) -> Option<Duration> {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = folded(text);
    let mut longest = None;
    for (anchor, bare) in ANCHORS {
        for at in memmem::find_iter(text.as_bytes(), anchor).take(16) {
            let rest = text.get(at + anchor.len()..).unwrap_or_default();
            longest = longest.max(spoken(rest, *bare));
        }
    }
    longest.max(chinese(&text))
}

/// The wait at the start of `text`, after filler words and punctuation.
fn spoken(text: &str, bare: bool) -> Option<Duration> {
    const FILLERS: [&str; 9] = [
        "about ",
        "approximately ",
        "at least ",
        "another ",
        "for ",
        "up to ",
        "around ",
        "~",
        "in ",
    ];
    let mut rest = text;
    let per_thousand = rest.starts_with("_ms");
    rest = rest.trim_start_matches("_ms").trim_start_matches("_seconds");
    for _ in 0..4 {
        rest = rest.trim_start_matches([' ', ':', '=', '"', '\'', '\\', '\n', '\t', '(', ',']);
        for filler in FILLERS {
            rest = rest.strip_prefix(filler).unwrap_or(rest);
        }
    }
    let (mut sum, mut parts) = (0.0, 0);
    while parts < 4 {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let Some(value) = rest.get(..digits).and_then(durations::decimal) else { break };
        let tail = rest.get(digits..)?;
        let word = tail.trim_start_matches([' ', '-']);
        let letters = word.find(|c: char| !c.is_alphabetic()).unwrap_or(word.len());
        match durations::unit(word.get(..letters)?) {
            Some(unit) => sum += value * unit,
            None if parts == 0 && bare && stands_alone(tail) => {
                sum = if per_thousand { value / 1000.0 } else { value };
                parts = 4;
            }
            None => break,
        }
        parts += 1;
        rest = word.get(letters..)?.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    if parts == 0 { None } else { believed(Duration::try_from_secs_f64(sum).ok()?) }
}

/// `true` when a number that ended here is not the start of a date, a clock or a word.
fn stands_alone(tail: &str) -> bool {
    let next = tail.trim_start_matches(' ').chars().next();
    next.is_none_or(|c| matches!(c, '.' | ',' | ';' | ')' | '"' | '\'' | '}' | ']' | '\\' | '\n'))
}

/// "5 秒后", "2分钟后": number and unit before the sign for "after".
fn chinese(text: &str) -> Option<Duration> {
    text.match_indices('后')
        .take(16)
        .filter_map(|(at, _)| {
            let before = text.get(..at)?.trim_end_matches('之');
            let units = ["秒钟", "毫秒", "分钟", "小时", "秒", "分", "天"];
            let unit = units.into_iter().find(|unit| before.ends_with(unit))?;
            let number = before.strip_suffix(unit)?.trim_end();
            let start = number.rfind(|c: char| !c.is_ascii_digit() && c != '.');
            let start =
                start.map_or(0, |at| at + number[at..].chars().next().map_or(0, char::len_utf8));
            let value = durations::decimal(number.get(start..)?)?;
            let wait = Duration::try_from_secs_f64(value * durations::unit(unit)?).ok()?;
            believed(wait)
        })
        .filter(|wait| *wait <= WAIT_BELIEVED)
        .max()
}

/// Lower-case ASCII, at most [`TEXT_MAX`] bytes.
fn folded(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_ascii_lowercase()
}
