//! Whose objects are. All projects share the credentials of a provider, which keeps their files,
//! threads, batches and responses in one place; here each sees its own only.
//!
//! ```text
//!  POST /files  ─▶ the answer's id is remembered: project, provider, credential
//!  GET /files/X ─▶ remembered as the project's? on to that provider; else 404
//!  {"file_id":X} in a body ─▶ the same
//!  GET /files   ─▶ the provider's pages, without what is not the project's
//! ```
//!
//! An id that nobody had made here is open to keys with the scope `passthrough` alone. Without keys
//! (`auth` is `open` or `pass`) there are no projects, and nothing of this applies.

use std::sync::Arc;

use http::Method;
use mainstay::call::{Call, Pin};
use mainstay_core::failure::Kind;
use mainstay_core::store::{KeyRecord, ObjectRecord};
use mainstay_core::wire::quoted::Words;

use crate::auth::Caller;
use crate::refused::Refused;
use crate::routes::ApiPath;
use crate::shared::Shared;

mod desk;
mod families;
mod list;
mod refs;
mod watch;

pub(crate) use desk::Objects;
pub(crate) use list::{Listing, serve as serve_list};
pub(crate) use watch::{Mark, Watch};

use families::Use;
use watch::What;

/// What is to become of the answer.
#[derive(Debug)]
pub(crate) enum After {
    /// It is passed on.
    Nothing,
    /// It names an object that is to be remembered or forgotten.
    Mark(Mark),
    /// It is a list of which the project's part is passed on.
    List(Listing),
}

/// Whether the caller may use what the path and the body name. Sends the call where that is.
/// `passing`: the body goes by without being held; `words`: what it has of them, as far as it is at hand.
pub(crate) async fn check(
    shared: &Shared,
    caller: &Caller,
    path: &ApiPath<'_>,
    call: &mut Call,
    (words, passing): (Words, bool),
) -> Result<After, Refused> {
    let Some(key) = caller.key.as_ref().map(|key| &key.record) else { return Ok(After::Nothing) };
    if path.unknown {
        return Ok(After::Nothing);
    }
    let may_pass = caller.may_pass_through();
    let found = families::of(&call.method, path.rest);
    let desk = Desk { shared, key, may_pass };
    let mut places: Vec<ObjectRecord> = Vec::new();
    if let Use::Object { family, id, .. } = &found {
        places.extend(Box::pin(desk.own(family, id, None)).await?);
    }
    if families::has_references(path.rest) {
        for (family, id, field) in refs::of(call, words, passing, may_pass)? {
            places.extend(Box::pin(desk.own(family, &id, Some(field))).await?);
        }
    }
    pin(call, &places)?;
    let mark = |family, what| {
        After::Mark(Mark {
            objects: Arc::clone(&shared.objects),
            project: key.project.clone(),
            family,
            what,
        })
    };
    Ok(match found {
        Use::Free => After::Nothing,
        Use::Operator if may_pass => After::Nothing,
        Use::Operator => return Err(operators_only()),
        Use::Create { family, id } if families::is_kept(family, &call.body, words) => {
            mark(family, What::Made { field: id })
        }
        Use::Create { .. } => After::Nothing,
        // An operator sees what everybody has.
        Use::List { .. } if may_pass => After::Nothing,
        Use::List { family } => After::List(Listing { family, project: key.project.clone() }),
        Use::Object { family, id, whole: true } if call.method == Method::DELETE => {
            mark(family, What::Deleted { id: id.into() })
        }
        Use::Object { family, .. } if families::names_others(family) => mark(family, What::Read),
        Use::Object { .. } => After::Nothing,
    })
}

struct Desk<'a> {
    shared: &'a Shared,
    key: &'a KeyRecord,
    may_pass: bool,
}

impl Desk<'_> {
    /// The record of an object that the caller's project owns; none for one that nobody owns when
    /// his key may pass through.
    async fn own(
        &self,
        family: &'static str,
        id: &str,
        field: Option<&'static str>,
    ) -> Result<Option<ObjectRecord>, Refused> {
        match self.shared.objects.find(family, id).await? {
            Some(found) if found.project == self.key.project => Ok(Some(found)),
            None if self.may_pass => Ok(None),
            Some(_) | None => Err(not_here(family, id, field)),
        }
    }
}

/// Sends a call to where the objects are that it is about.
fn pin(call: &mut Call, places: &[ObjectRecord]) -> Result<(), Refused> {
    let Some(first) = places.first() else { return Ok(()) };
    let elsewhere = places
        .iter()
        .find(|one| one.provider != first.provider || one.credential != first.credential);
    if let Some(other) = elsewhere {
        return Err(Refused::caller(
            Kind::InvalidRequest,
            format!(
                "`{}` and `{}` are at different providers or accounts, and no provider has both. Make one of them anew \
                 where the other is.",
                shown(&first.id),
                shown(&other.id)
            ),
        ));
    }
    call.pin = Some(Pin {
        provider: first.provider.to_string(),
        credential: usize::try_from(first.credential).unwrap_or(0),
    });
    Ok(())
}

fn not_here(family: &str, id: &str, field: Option<&str>) -> Refused {
    let thing = families::thing(family);
    let message = format!(
        "No such {thing}: `{}`. It does not exist, or it is not of the project of this key.",
        shown(id)
    );
    let param = field.map(str::to_owned);
    Refused { param, ..Refused::caller(Kind::NotFound, message) }
}

fn operators_only() -> Refused {
    Refused::key(
        Kind::PermissionDenied,
        "This path reaches what all projects share at the provider, so it takes a key with the scope `passthrough`.",
    )
}

/// An id, short and without what a terminal would act on.
fn shown(id: &str) -> String {
    id.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// Refuses a body that may name objects and cannot be looked into.
fn unseen() -> Refused {
    Refused::caller(
        Kind::RequestTooLarge,
        "This body is too large to be looked into for the objects it names. Send less, or name files by id in JSON.",
    )
}
