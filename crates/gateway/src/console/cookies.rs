//! What the browser keeps: the session and the colours. Cookies of one host are shared by all its
//! ports, so the session's name has the port in it: two gateways on one machine do not log each other
//! out.

use http::header::{self, HeaderValue};
use http::request::Parts;

use super::sessions::TOTAL;
use super::visit::text_of;

const THEME: &str = "mainstay-theme";
/// How long a choice of colours is kept, seconds: a year.
const THEME_KEPT_S: u64 = 31_536_000;

/// Light, dark, or what the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// What the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    pub(super) const ALL: [Theme; 3] = [Theme::Auto, Theme::Light, Theme::Dark];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// For people.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Theme::Auto => "Auto",
            Theme::Light => "Light",
            Theme::Dark => "Dark",
        }
    }

    pub(super) fn named(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

fn session_name(head: &Parts) -> String {
    let host = text_of(&head.headers, header::HOST.as_str()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    let port = if port.bytes().all(|c| c.is_ascii_digit()) { port } else { "80" };
    format!("mainstay-console-{port}")
}

fn cookie<'h>(head: &'h Parts, name: &str) -> Option<&'h str> {
    let lines = head.headers.get_all(header::COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(one, _)| *one == name)
        .map(|(_, value)| value)
}

/// The session's token, if the browser has one.
pub(super) fn session(head: &Parts) -> Option<&str> {
    cookie(head, &session_name(head))
}

/// The colours that were chosen.
pub(super) fn theme(head: &Parts) -> Theme {
    cookie(head, THEME).and_then(Theme::named).unwrap_or_default()
}

/// Tells the browser its session.
pub(super) fn keep_session(head: &Parts, token: &str) -> Option<HeaderValue> {
    let (name, most) = (session_name(head), TOTAL.as_secs());
    let text = format!("{name}={token}; Path=/; Max-Age={most}; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// Tells the browser to forget its session.
pub(super) fn forget_session(head: &Parts) -> Option<HeaderValue> {
    let name = session_name(head);
    let text = format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}

/// Tells the browser the colours.
pub(super) fn keep_theme(theme: Theme) -> Option<HeaderValue> {
    let name = theme.name();
    let text = format!("{THEME}={name}; Path=/; Max-Age={THEME_KEPT_S}; HttpOnly; SameSite=Strict");
    HeaderValue::from_str(&text).ok()
}
