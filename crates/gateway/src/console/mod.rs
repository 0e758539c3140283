//! The console: the web page of the administration plane, for people.
//!
//! ```text
//!  request ─▶ assets ─▶ session ─▶ origin and form token ─▶ page ─▶ desk (as the JSON API) ─▶ template
//! ```
//!
//! Pages are made here, from templates in `templates/`, with drawings as SVG; they work without the
//! script. What they show and change goes through [`Desk`], which answers the JSON API too, so there is
//! no second way to the store. Words chosen by code are in `words`, all others in the templates.
//!
//! A session begins with the administration token and lives in memory: a restart ends it. A form is
//! taken from a page of this very address only, with the token of the session it was made for.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};

use crate::admin::{Desk, Problem, Reply, fit};
use crate::first_run::AdminAuth;

mod assets;
mod cookies;
mod door;
mod format;
mod frame;
mod logins;
mod pages;
mod read;
mod sessions;
mod svg;
mod visit;
mod words;

use logins::Logins;
use sessions::Sessions;
use visit::{Page, Visit};

/// Largest form, bytes.
pub(crate) const FORM_MAX: usize = 64 * 1024;

/// The console of one gateway.
pub(crate) struct Console {
    desk: Arc<Desk>,
    auth: AdminAuth,
    sessions: Sessions,
    logins: Logins,
}

/// Makes a page, or does what a form says.
type Work = fn(&Visit<'_>) -> Result<Page, Problem>;

/// A path of the console.
struct Way {
    method: Method,
    path: &'static str,
    work: Work,
    /// The page that shows what was wrong with a form.
    again: Option<Work>,
}

const fn show(path: &'static str, work: Work) -> Way {
    Way { method: Method::GET, path, work, again: None }
}

const fn change(path: &'static str, work: Work, again: Work) -> Way {
    Way { method: Method::POST, path, work, again: Some(again) }
}

/// Every page and form behind the login.
const WAYS: &[&[Way]] = &[pages::READING, pages::KEYS, pages::CALLERS, pages::MONEY];

/// Whether a path is the console's.
pub(crate) fn owns(path: &str) -> bool {
    assets::find(path).is_some()
        || door::owns(path)
        || WAYS.iter().copied().flatten().any(|way| fit(way.path, path).is_some())
}

impl Console {
    /// A console over a desk, entered with the administration token.
    pub(crate) fn new(desk: Desk, auth: AdminAuth) -> Console {
        let (sessions, logins) = (Sessions::default(), Logins::default());
        Console { desk: Arc::new(desk), auth, sessions, logins }
    }

    /// Answers a request for a path that [`owns`] it. May take as long as the store does.
    pub(crate) fn answer(&self, head: &Parts, body: &Bytes, peer: IpAddr) -> Reply {
        let mut reply = self.route(head, body, peer);
        assets::protect(reply.headers_mut());
        reply
    }

    fn route(&self, head: &Parts, body: &Bytes, peer: IpAddr) -> Reply {
        let path = head.uri.path();
        if let Some(asset) = assets::find(path) {
            return assets::reply(asset, head.uri.query());
        }
        let mut visit = Visit::new(&self.desk, head, body);
        if visit.method == Method::POST && !visit.is_of_this_page(head) {
            return frame::problem(&visit, &words::foreign_form());
        }
        let seat = cookies::session(head)
            .and_then(|token| self.sessions.find(token, self.desk.moment(), visit.is_live()));
        visit.seat = seat;
        if door::owns(path) {
            return self.door(&visit, head, peer);
        }
        if visit.seat.is_none() {
            return door::closed(&visit);
        }
        if visit.method == Method::POST && !visit.has_token() {
            return frame::problem(&visit, &words::stale_form());
        }
        dispatch(visit)
    }
}

fn dispatch(mut visit: Visit<'_>) -> Reply {
    let mut others = false;
    for way in WAYS.iter().copied().flatten() {
        let Some(segments) = fit(way.path, &visit.path) else { continue };
        if way.method != visit.method {
            others = true;
            continue;
        }
        visit.segments = segments;
        return match ((way.work)(&visit), way.again) {
            (Ok(page), _) => page.reply(&visit),
            (Err(problem), None) => frame::problem(&visit, &problem),
            (Err(problem), Some(again)) => {
                let status = problem.status;
                visit.problem = Some(problem);
                match again(&visit) {
                    Ok(page) => page.with_status(status).reply(&visit),
                    Err(worse) => frame::problem(&visit, &worse),
                }
            }
        };
    }
    frame::problem(&visit, &words::no_page(others))
}

/// An answer that leads elsewhere.
fn moved(to: &str) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::SEE_OTHER;
    let to = header::HeaderValue::from_str(to);
    let to = to.unwrap_or(header::HeaderValue::from_static("/"));
    reply.headers_mut().insert(header::LOCATION, to);
    reply
}
