//! Whether a known key may be used for this request at all: from where, and for whom.

use std::net::IpAddr;

use http::HeaderMap;

use crate::auth::Caller;
use crate::refused::Refused;
use crate::settings::Settings;
use crate::shared::Shared;

/// Puts the request to the rules about its key, project and organization. Without a key there is
/// nobody they could be about.
pub(crate) fn check(
    shared: &Shared,
    settings: &Settings,
    caller: &Caller,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<(), Refused> {
    let Some(key) = &caller.key else { return Ok(()) };
    let book = shared.keys.snapshot();
    settings.access.check(&key.record, &book, headers, peer)
}
