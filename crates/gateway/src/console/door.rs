//! Login, logout and the choice of colours: what is there without a session.

use std::net::IpAddr;

use askama::Template;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::admin::{Problem, Reply, encode};

use super::cookies::{self, Theme};
use super::format::prose;
use super::frame::Frame;
use super::logins::Verdict;
use super::visit::{Visit, html, render};
use super::{Console, frame, moved, words};

/// Whether a path is at the door.
pub(super) fn owns(path: &str) -> bool {
    matches!(path, "/login" | "/logout" | "/theme")
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    /// What was wrong, as HTML.
    problem: Option<String>,
    to: String,
    /// Nothing may be tried at present.
    waiting: bool,
}

/// What somebody without a session gets.
pub(super) fn closed(visit: &Visit<'_>) -> Reply {
    if visit.is_live() {
        let message = "The session is over: log in again.";
        return Problem::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message).reply();
    }
    match visit.here.as_str() {
        here if visit.method == Method::GET && here != "/" => {
            moved(&format!("/login?to={}", encode(here)))
        }
        _ => moved("/login"),
    }
}

impl Console {
    /// Answers at the door.
    pub(super) fn door(&self, visit: &Visit<'_>, head: &Parts, peer: IpAddr) -> Reply {
        let post = visit.method == Method::POST;
        match visit.path.as_str() {
            "/login" if post => self.login(visit, head, peer),
            "/login" if visit.method == Method::GET => match visit.seat {
                Some(_) => moved("/"),
                None => page(visit, StatusCode::OK, None),
            },
            "/theme" if post => {
                let theme = visit.form.get("theme").and_then(Theme::named).unwrap_or_default();
                with_cookie(moved(local(visit.form.get("to"))), cookies::keep_theme(theme))
            }
            "/logout" if post && visit.has_token() => {
                if let Some(token) = cookies::session(head) {
                    self.sessions.close(token, self.desk.moment());
                }
                with_cookie(moved("/login"), cookies::forget_session(head))
            }
            "/logout" if post => frame::problem(visit, &words::stale_form()),
            _ => frame::problem(visit, &words::no_page(true)),
        }
    }

    fn login(&self, visit: &Visit<'_>, head: &Parts, peer: IpAddr) -> Reply {
        let given = visit.form.get("admin-token").unwrap_or_default();
        let now = self.desk.moment();
        match self.logins.judge(peer, now, || self.auth.admits(given.as_bytes())) {
            Verdict::Welcome => match self.sessions.open(now) {
                Ok(token) => {
                    tracing::info!(%peer, "somebody logged in to the console");
                    let to = moved(local(visit.form.get("to")));
                    with_cookie(to, cookies::keep_session(head, &token))
                }
                Err(error) => frame::problem(visit, &error.into()),
            },
            Verdict::Wrong { left } => {
                tracing::warn!(%peer, "a login to the console had a wrong token");
                page(visit, StatusCode::UNAUTHORIZED, Some(words::wrong_token(left)))
            }
            Verdict::Wait(wait) => {
                tracing::warn!(%peer, wait_s = wait.as_secs(), "logins to the console have to wait");
                let text = words::too_many_tries(wait);
                let mut reply = page(visit, StatusCode::TOO_MANY_REQUESTS, Some(text));
                let seconds = wait.as_millis().div_ceil(1_000).to_string();
                if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                    reply.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                reply
            }
        }
    }
}

fn page(visit: &Visit<'_>, status: StatusCode, problem: Option<String>) -> Reply {
    let to = visit.form.get("to").or_else(|| visit.query.get("to"));
    let waiting = status == StatusCode::TOO_MANY_REQUESTS;
    let problem = problem.map(|problem| prose(&problem));
    let login = Login {
        frame: Frame::new(visit, "Log in", ""),
        problem,
        to: local(to).to_owned(),
        waiting,
    };
    match render(&login) {
        Ok(text) => html(status, text),
        Err(problem) => problem.reply(),
    }
}

fn with_cookie(mut reply: Reply, cookie: Option<HeaderValue>) -> Reply {
    if let Some(cookie) = cookie {
        reply.headers_mut().append(header::SET_COOKIE, cookie);
    }
    reply
}

/// A path of this console, and no way to another host.
fn local(to: Option<&str>) -> &str {
    let sound = |to: &&str| {
        let second = to.as_bytes().get(1);
        to.starts_with('/')
            && second.is_none_or(|c| !matches!(c, b'/' | b'\\'))
            && to.bytes().all(|c| c.is_ascii_graphic())
            && !to.starts_with("/log")
            && !to.starts_with("/live/")
    };
    to.filter(sound).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn nobody_is_led_to_another_host() {
        for bad in
            ["//evil.example", "/\\evil.example", "http://evil.example", "", "x", "/a b", "/login"]
        {
            assert_eq!(local(Some(bad)), "/", "{bad}");
        }
        assert_eq!(local(Some("/requests?kind=overloaded")), "/requests?kind=overloaded");
        assert_eq!(local(None), "/");
    }
}
