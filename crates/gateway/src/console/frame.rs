//! What every page has around it: the way to the others, the colours, notices.

use askama::Template;

use crate::admin::{Problem, Reply};

use super::cookies::Theme;
use super::format::prose;
use super::visit::{Visit, html, render};
use super::{assets, words};

/// The frame of a page.
pub(super) struct Frame {
    /// The page's title.
    pub(super) title: String,
    /// Which entry of the menu it belongs to.
    pub(super) here: &'static str,
    pub(super) theme: Theme,
    /// What forms carry.
    pub(super) token: String,
    pub(super) signed_in: bool,
    /// What was done, said after a form.
    pub(super) done: Option<&'static str>,
    /// What holds only in part at the moment.
    pub(super) degraded: Vec<&'static str>,
    /// What was wrong with a form, as HTML.
    pub(super) problem: Option<String>,
    /// The field that was wrong.
    param: String,
    /// What the form had, to be corrected.
    given: Vec<(String, String)>,
    /// Where the choice of colours comes back to.
    pub(super) back: String,
    /// The name of our own files' content.
    pub(super) version: &'static str,
    /// The entries of the menu.
    pub(super) menu: &'static [words::Entry],
    /// The choices of colours.
    pub(super) themes: [Theme; 3],
    /// This program's version.
    pub(super) program: &'static str,
}

impl Frame {
    /// The frame of a page.
    pub(super) fn new(visit: &Visit<'_>, title: &str, here: &'static str) -> Frame {
        let problem = visit.problem.as_ref();
        let get = visit.method == http::Method::GET;
        Frame {
            title: title.to_owned(),
            here,
            theme: visit.theme,
            token: visit.seat.as_ref().map_or(String::new(), |seat| seat.form_token().to_owned()),
            signed_in: visit.seat.is_some(),
            done: visit.query.get("done").and_then(words::done),
            degraded: visit.seat.as_ref().map_or_else(Vec::new, |_| visit.desk.degraded()),
            problem: problem.map(|problem| prose(&problem.message)),
            param: problem.and_then(|problem| problem.param.clone()).unwrap_or_default(),
            given: if problem.is_some() { visit.form.pairs() } else { Vec::new() },
            back: if get { visit.here.clone() } else { "/".to_owned() },
            version: assets::version(),
            menu: words::MENU,
            themes: Theme::ALL,
            program: env!("CARGO_PKG_VERSION"),
        }
    }

    /// What a field of the form had.
    pub(super) fn given(&self, name: &str) -> &str {
        let found = self.given.iter().find(|(one, _)| one == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether the form had this among the values of a field.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.given.iter().any(|(one, given)| one == name && given == value)
    }

    /// Whether this field was wrong.
    pub(super) fn wrong(&self, name: &str) -> bool {
        self.param == name
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Trouble {
    frame: Frame,
    status: u16,
    /// As HTML.
    message: String,
}

/// A page that says why there is no other.
pub(super) fn problem(visit: &Visit<'_>, problem: &Problem) -> Reply {
    let status = problem.status;
    let title = words::title_of(status);
    let mut frame = Frame::new(visit, title, "");
    frame.problem = None;
    let trouble = Trouble { frame, status: status.as_u16(), message: prose(&problem.message) };
    match render(&trouble) {
        Ok(text) => html(status, text),
        Err(worse) => worse.reply(),
    }
}
