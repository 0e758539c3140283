//! Takes our own secrets out of a provider's error before it is passed on.

use bytes::Bytes;

use crate::settings::Secrets;

/// The body without our keys and without anything shaped like one.
pub(super) fn masked(body: Bytes, secrets: &Secrets) -> Bytes {
    mainstay_core::mask::masked(&body, &secrets.0).map_or(body, Bytes::from)
}
