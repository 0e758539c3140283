//! What the table looks at: status, names, words, and what the headers add.

use super::Answer;
use crate::headers::Headers;
use crate::hints::{self, TextLimit};
use crate::wire::error_body::{Ending, ErrorBody, Shape, read_stream};
use core::time::Duration;

/// Most messages of one body in which a limit is looked for; real bodies have up to six.
const LIMIT_TEXTS: usize = 12;

/// How an answer is broken, when it is not an error that somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A 200 whose stream ended without its terminal event.
    StreamOpen,
    /// A 200 that cannot be read, but may well come whole next time.
    Unreadable,
    /// A 200 with a web page: the address is not that of an API.
    Page,
}

/// Everything known about a failed answer.
#[derive(Debug)]
pub(super) struct Evidence {
    /// The status of the answer.
    pub(super) outer: u16,
    /// The status nearest to the cause: the innermost one named, else the outer one; `None` for
    /// an error inside a 200 that names none.
    pub(super) status: Option<u16>,
    /// What the body says.
    pub(super) said: ErrorBody,
    /// The limit that the message describes.
    pub(super) limit: Option<TextLimit>,
    /// The longest wait that a message names.
    pub(super) text_wait: Option<Duration>,
    /// Set when nobody wrote an error.
    pub(super) broken: Option<Broken>,
    /// The headers show that no requests are left, and tokens are.
    pub(super) requests_gone: bool,
    /// The headers show that no tokens are left, and requests are.
    pub(super) tokens_gone: bool,
    /// A firewall or bot check in front answered (`cf-mitigated`).
    pub(super) challenged: bool,
}

impl Evidence {
    /// Reads an answer; `None` when it is sound.
    pub(super) fn of(answer: &Answer<'_>, status: u16) -> Option<Evidence> {
        if status >= 400 {
            return Some(Evidence::collect(answer, status, ErrorBody::read(answer.body), None));
        }
        if answer.stream {
            let (found, ending) = read_stream(answer.body);
            return match (found, ending) {
                (Some(said), _) => Some(Evidence::collect(answer, status, said, None)),
                (None, Ending::Complete) => None,
                (None, Ending::Open) => Some(Evidence::broken(answer, status, Broken::StreamOpen)),
                (None, Ending::Garbled) => {
                    Some(Evidence::broken(answer, status, Broken::Unreadable))
                }
                (None, Ending::NotAStream) => match ErrorBody::read(answer.body) {
                    said if said.is_error => Some(Evidence::collect(answer, status, said, None)),
                    said if said.shape == Shape::Html => {
                        Some(Evidence::collect(answer, status, said, Some(Broken::Page)))
                    }
                    _ => Some(Evidence::broken(answer, status, Broken::StreamOpen)),
                },
            };
        }
        Evidence::of_plain_success(answer, status)
    }

    fn of_plain_success(answer: &Answer<'_>, status: u16) -> Option<Evidence> {
        let text = answer.headers.text("content-type").unwrap_or_default().to_ascii_lowercase();
        let json = text.contains("json");
        if !(text.is_empty() || json || text.starts_with("text/")) {
            return None; // audio, images, files: nothing here can read them
        }
        let said = ErrorBody::read(answer.body);
        let unreadable = match said.shape {
            Shape::Html => Some(Broken::Page),
            Shape::Empty => (status == 200).then_some(Broken::Unreadable),
            Shape::BrokenJson => (text.is_empty() || json).then_some(Broken::Unreadable),
            Shape::Text => json.then_some(Broken::Unreadable),
            Shape::Json => None,
        };
        match (said.is_error, unreadable) {
            (true, _) => Some(Evidence::collect(answer, status, said, None)),
            (false, Some(broken)) => Some(Evidence::collect(answer, status, said, Some(broken))),
            (false, None) => None,
        }
    }

    fn broken(answer: &Answer<'_>, status: u16, broken: Broken) -> Evidence {
        Evidence::collect(answer, status, ErrorBody::default(), Some(broken))
    }

    fn collect(
        answer: &Answer<'_>,
        outer: u16,
        mut said: ErrorBody,
        broken: Option<Broken>,
    ) -> Evidence {
        // AWS names the exception in a header when the body has only a message.
        for header in ["x-amzn-errortype", "x-ms-error-code", "x-error-code"] {
            if let Some(name) = answer.headers.text(header) {
                said.name(name);
            }
        }
        let status = said.status.or_else(|| (outer >= 400).then_some(outer));
        let limit = said.texts.iter().take(LIMIT_TEXTS).find_map(|text| hints::limit_in(text));
        let text_wait = said.texts.iter().filter_map(|text| hints::text_wait(text)).max();
        let rates = hints::rate_hints(answer.headers, None);
        let none_left = |d: hints::Dimension| d.remaining == Some(0);
        let requests_gone = rates.request_dimensions().any(none_left);
        let tokens_gone = rates.token_dimensions().any(none_left);
        Evidence {
            outer,
            status,
            said,
            limit,
            text_wait,
            broken,
            requests_gone: requests_gone && !tokens_gone,
            tokens_gone: tokens_gone && !requests_gone,
            challenged: answer.headers.get("cf-mitigated").is_some(),
        }
    }

    /// Time left until a point in time that the body names.
    pub(super) fn until(
        &self,
        headers: &dyn Headers,
        unix_now: Option<Duration>,
    ) -> Option<Duration> {
        let now = hints::now(headers, unix_now)?;
        self.said.until?.checked_sub(now).and_then(hints::believed)
    }
}
