//! A request to the console, and what a page gives back.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::Full;
use mainstay_core::store::UnixMillis;
use serde_json::Value;

use crate::admin::{Desk, Problem, Question, Reply, json_reply, pairs};

use super::cookies::{self, Theme};
use super::moved;
use super::sessions::Seat;

/// What a page is made from.
pub(super) struct Visit<'a> {
    pub(super) desk: &'a Desk,
    pub(super) method: Method,
    pub(super) path: String,
    /// Path and query, to come back to.
    pub(super) here: String,
    /// The segments of the path that vary.
    pub(super) segments: Vec<String>,
    pub(super) query: Fields,
    pub(super) form: Fields,
    /// Who is logged in; `None` before the login.
    pub(super) seat: Option<Seat>,
    pub(super) theme: Theme,
    pub(super) now: UnixMillis,
    /// The address by which the browser came here.
    pub(super) host: String,
    /// What was wrong with a form, to be shown on its page.
    pub(super) problem: Option<Problem>,
}

/// Named texts of a query or form, without the blanks around them; empty ones count as absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads them.
    pub(super) fn read(text: &str) -> Fields {
        let trimmed = |(name, value): (String, String)| (name, value.trim().to_owned());
        Fields(pairs(text).map(trimmed).filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The first of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// All of a name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.0.iter().filter(|(one, _)| one == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// All of them.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    /// The first of a name, or an empty text.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }
}

impl<'a> Visit<'a> {
    pub(super) fn new(desk: &'a Desk, head: &Parts, body: &Bytes) -> Visit<'a> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
        let here = head.uri.path_and_query().map_or("/", |whole| whole.as_str());
        Visit {
            desk,
            path: head.uri.path().to_owned(),
            here: here.to_owned(),
            segments: Vec::new(),
            query: Fields::read(head.uri.query().unwrap_or_default()),
            form: if method == Method::POST { Fields::read(text) } else { Fields::default() },
            method,
            seat: None,
            theme: cookies::theme(head),
            now: desk.now(),
            host: text_of(&head.headers, header::HOST.as_str()).unwrap_or_default().to_owned(),
            problem: None,
        }
    }

    /// Whether a form comes from a page of this address, by what the browser says of itself. A cookie
    /// alone does not tell: browsers send it from pages on other ports of the same host.
    pub(super) fn is_of_this_page(&self, head: &Parts) -> bool {
        let site = text_of(&head.headers, "sec-fetch-site");
        let origin = text_of(&head.headers, header::ORIGIN.as_str());
        let own = |origin: &str| {
            let address =
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            address.is_some_and(|address| address.eq_ignore_ascii_case(&self.host))
        };
        site.is_none_or(|site| site == "same-origin") && origin.is_some_and(own)
    }

    /// Whether the form was made for this session.
    pub(super) fn has_token(&self) -> bool {
        let (Some(seat), Some(given)) = (&self.seat, self.form.get("token")) else { return false };
        seat.is_token(given)
    }

    /// Whether this is a figure that brings itself up to date, and no sign of somebody being there.
    pub(super) fn is_live(&self) -> bool {
        self.path.starts_with("/live/")
    }

    /// The `index`th segment that varies.
    pub(super) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    /// Asks the desk.
    pub(super) fn ask(&self, question: Question) -> Result<Value, Problem> {
        self.desk.ask(question)
    }

    /// All items of a list, as far as one page goes.
    pub(super) fn list(&self, question: Question) -> Result<Vec<Value>, Problem> {
        let mut answer = self.desk.ask(question.with("limit", "1000"))?;
        Ok(match answer["data"].take() {
            Value::Array(items) => items,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Vec::new(),
        })
    }
}

/// A header's text.
pub(super) fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a page gives back.
pub(super) enum Page {
    /// A page to look at.
    Html(StatusCode, String),
    /// A part of a page, for the script.
    Part(String),
    /// A file to keep.
    File { name: String, kind: &'static str, bytes: Vec<u8> },
    /// Go on there.
    Moved(String),
}

impl Page {
    /// A page to look at.
    pub(super) fn html(template: &impl askama::Template) -> Result<Page, Problem> {
        Ok(Page::Html(StatusCode::OK, render(template)?))
    }

    /// A part of a page.
    pub(super) fn part(template: &impl askama::Template) -> Result<Page, Problem> {
        Ok(Page::Part(render(template)?))
    }

    /// The same page with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Page {
        match self {
            Page::Html(_, text) => Page::Html(status, text),
            Page::Part(_) | Page::File { .. } | Page::Moved(_) => self,
        }
    }

    pub(super) fn reply(self, visit: &Visit<'_>) -> Reply {
        match self {
            Page::Html(status, text) => html(status, text),
            Page::Part(html) => json_reply(
                StatusCode::OK,
                &serde_json::json!({"html": html, "at": crate::shapes::time(visit.now)}),
            ),
            Page::File { name, kind, bytes } => {
                let mut reply = Reply::new(Full::new(Bytes::from(bytes)));
                let told = format!("attachment; filename=\"{name}\"");
                let headers = reply.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                if let Ok(told) = HeaderValue::from_str(&told) {
                    headers.insert(header::CONTENT_DISPOSITION, told);
                }
                reply
            }
            Page::Moved(to) => moved(&to),
        }
    }
}

/// Renders a template.
pub(super) fn render(template: &impl askama::Template) -> Result<String, Problem> {
    template.render().map_err(|error| {
        tracing::error!(%error, "a page of the console could not be made");
        super::words::broken_page()
    })
}

/// An answer that is a page.
pub(super) fn html(status: StatusCode, text: String) -> Reply {
    let mut reply = Reply::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}
