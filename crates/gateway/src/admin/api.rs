//! The administration API under `/mainstay`: the verbs and fields of the command line, as JSON.
//!
//! Each family of paths is a list of [`Route`]s in a file of its own; [`FAMILIES`] is all of them. The
//! document at `/mainstay/openapi.json` is made of the same lists.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use mainstay_core::store::{Store, UnixMillis};
use mainstay_core::time::Moment;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::reply::Problem;
use crate::admission::LimitDesk;
use crate::config::{Tier, Tiers};
use crate::shared::Shared;

mod alerts;
mod audit;
mod budgets;
mod keys;
mod limits;
mod members;
mod orgs;
mod owner;
mod requests;
mod usage;

/// Every family of paths. One line each: what a new one needs is its list here.
pub(super) const FAMILIES: &[&[Route]] = &[
    orgs::ROUTES,
    members::ROUTES,
    keys::ROUTES,
    limits::ROUTES,
    budgets::ROUTES,
    usage::ROUTES,
    audit::ROUTES,
    requests::ROUTES,
    alerts::ROUTES,
];

/// Largest request body, bytes.
pub(super) const BODY_MAX: usize = 256 * 1024;
/// Longest page.
const PAGE_MAX: usize = 1_000;
/// A page, when none is asked for.
const PAGE: usize = 100;

/// One path and method.
pub(super) struct Route {
    /// The method.
    pub(super) method: Method,
    /// The path, `{name}` for a segment that varies.
    pub(super) path: &'static str,
    /// Its name, unique: `key.create`.
    pub(super) id: &'static str,
    /// What it does, one sentence.
    pub(super) about: &'static str,
    /// Query parameters beyond those of pages, with what they mean.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The fields of its body; none: it takes no body.
    pub(super) body: &'static [Field],
    /// What it answers with.
    pub(super) answer: Shape,
    /// Does it.
    pub(super) run: fn(&Ask<'_>) -> Result<Value, Problem>,
}

/// A field of a body.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// `string`, `strings` (a list of them), `maybe` (text or null), `boolean`, `count` (a number or
    /// null), `percentages`, `role` or `period`.
    pub(super) kind: &'static str,
    pub(super) about: &'static str,
}

/// What an answer is, by the name of its schema.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// One thing, status 200.
    One(&'static str),
    /// One thing that was made, status 201.
    Made(&'static str),
    /// A page of things.
    Page(&'static str),
    /// A zip file, made by this instead of [`Route::run`].
    Zip(fn(&Ask<'_>) -> Result<Vec<u8>, Problem>),
}

impl Shape {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Shape::One(_) | Shape::Page(_) | Shape::Zip(_) => StatusCode::OK,
            Shape::Made(_) => StatusCode::CREATED,
        }
    }
}

/// What is asked.
pub(super) struct Ask<'a> {
    /// Where it is done; changes are put on record as the token's.
    pub(super) store: &'a dyn Store,
    /// The segments that vary, decoded, in the path's order.
    pub(super) path: Vec<String>,
    /// The query, decoded.
    pub(super) query: BTreeMap<String, String>,
    /// The body as it came.
    pub(super) body: &'a [u8],
    /// The time.
    pub(super) now: UnixMillis,
    /// The same, on the clock of limits.
    pub(super) moment: Moment,
    /// What is used of limits.
    pub(super) limits: &'a LimitDesk,
    /// Named bundles of limits.
    pub(super) tiers: &'a Tiers,
    /// The running gateway.
    pub(super) shared: &'a Shared,
}

/// The tier of this name.
fn tier<'a>(ask: &Ask<'a>, name: &str) -> Result<&'a Tier, Problem> {
    ask.tiers.named(name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        let message =
            format!("There is no tier `{shown}` in the configuration; see /mainstay/tiers.");
        Problem {
            param: Some("tier".to_owned()),
            ..Problem::new(StatusCode::NOT_FOUND, "not_found", message)
        }
    })
}

/// What a path leads to.
pub(super) enum Found {
    /// This route, with the segments that vary.
    Route(&'static Route, Vec<String>),
    /// The path is known, with these methods.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Looks up a method and path.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let mut methods = Vec::new();
    for route in FAMILIES.iter().copied().flatten() {
        let Some(segments) = fit(route.path, path) else { continue };
        if route.method == *method || (method == Method::HEAD && route.method == Method::GET) {
            return Found::Route(route, segments);
        }
        methods.push(route.method.as_str());
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
}

/// The segments of a path that vary, if it is of this pattern.
pub(crate) fn fit(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut want, mut have) = (pattern.split('/'), path.split('/'));
    let mut segments = Vec::new();
    loop {
        match (want.next(), have.next()) {
            (None, None) => return Some(segments),
            (Some(slot), Some(segment)) if slot.starts_with('{') && !segment.is_empty() => {
                segments.push(decode(segment, false)?);
            }
            (Some(a), Some(b)) if a == b => {}
            (Some(_) | None, Some(_) | None) => return None,
        }
    }
}

/// Undoes percent-encoding; `None` when that gives no text.
fn decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'%' => {
                let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
                rest = &rest[2..];
                u8::from_str_radix(hex, 16).ok()?
            }
            b'+' if plus => b' ',
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Text as a segment of a path or a value of a query.
pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
        out
    })
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Reads a query; later values of one name win, what cannot be decoded is left out.
pub(super) fn read_query(query: Option<&str>) -> BTreeMap<String, String> {
    pairs(query.unwrap_or_default()).collect()
}

/// The names and values of a query or a form, in its order.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, true)?, decode(value, true)?))
    })
}

impl Ask<'_> {
    /// The `index`th segment that varies.
    pub(super) fn segment(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    /// The body's fields.
    pub(super) fn fields<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(body).map_err(|error| {
            let message = format!(
                "The body cannot be used: {error}. See /mainstay/openapi.json for its fields."
            );
            Problem::new(StatusCode::BAD_REQUEST, "invalid_request", message)
        })
    }

    /// How many items are asked for, `limit` in the query.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.query.get("limit") else { return Ok(PAGE) };
        let number = text.parse().ok().filter(|number| (1..=PAGE_MAX).contains(number));
        number.ok_or_else(|| {
            Problem::value("limit", format!("`limit` is a whole number from 1 to {PAGE_MAX}."))
        })
    }

    /// A page of items, each with its id: those behind `after`, at most `limit`.
    pub(super) fn page(&self, items: Vec<(String, Value)>) -> Result<Value, Problem> {
        let limit = self.limit()?;
        let start = match self.query.get("after") {
            None => 0,
            Some(after) => {
                let place = items.iter().position(|(id, _)| id == after);
                place.map(|place| place + 1).ok_or_else(|| {
                    Problem::value("after", "`after` is the id of no item of this list.")
                })?
            }
        };
        let has_more = items.len() > start + limit;
        let page: Vec<(String, Value)> = items.into_iter().skip(start).take(limit).collect();
        let last = page.last().map(|(id, _)| id.clone());
        let data: Vec<Value> = page.into_iter().map(|(_, item)| item).collect();
        Ok(json!({"object": "list", "data": data, "has_more": has_more, "last_id": last}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_route_and_its_segments_are_decoded() {
        let Found::Route(route, segments) =
            find(&Method::DELETE, "/mainstay/orgs/my%20org/members/ann")
        else {
            panic!("no route");
        };
        assert_eq!(route.id, "org.member.remove");
        assert_eq!(segments, ["my org", "ann"]);
        assert!(
            matches!(find(&Method::PUT, "/mainstay/orgs"), Found::OtherMethods(m) if m == ["GET", "POST"])
        );
        for path in
            ["/mainstay/orgs/", "/mainstay/nothing", "/mainstay/keys/a/b", "/mainstay/keys/%zz"]
        {
            assert!(matches!(find(&Method::GET, path), Found::Nothing), "{path}");
        }
    }

    #[test]
    fn no_two_routes_are_the_same_and_each_has_a_name_of_its_own() {
        let all: Vec<&Route> = FAMILIES.iter().copied().flatten().collect();
        for (index, route) in all.iter().enumerate() {
            for other in &all[..index] {
                assert!(route.id != other.id, "{}", route.id);
                assert!(route.method != other.method || route.path != other.path, "{}", route.id);
            }
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = read_query(Some("a=1&b=x%20y&c=p+q&d&bad=%ff"));
        let pairs: Vec<(&str, &str)> = query.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "x y"), ("c", "p q"), ("d", "")]);
    }
}
