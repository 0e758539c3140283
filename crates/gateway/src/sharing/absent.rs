//! A build without the feature `redis`: nobody shares anything, and nothing of it can be made.
#![expect(
    clippy::unused_async,
    reason = "as in the build with the feature, where others are waited for"
)]

use std::sync::Arc;
use std::time::Duration;

use mainstay::Engine;
use mainstay_core::rules::lease::{Group, View};
use mainstay_core::rules::limits::LimitSpec;
use mainstay_core::store::{ReplayPlace, UnixMillis};
use mainstay_core::time::Moment;
use serde_json::Value;

use crate::auth::KeyNews;
use crate::config::SharedConfig;
use crate::fault::ServeError;
use crate::metrics::Page;
use crate::shared::Shared;

/// What gateways know of each other; there is none.
#[derive(Debug)]
pub(crate) enum Sharing {}

/// Who carries an idempotency key out; there is none.
#[derive(Debug)]
pub(crate) enum Locks {}

/// Leases of limits; there are none.
#[derive(Debug)]
pub(crate) enum Leases {}

/// A lock that is held; there is none.
#[derive(Debug)]
pub(crate) enum Lock {}

/// Whose turn it is; nobody asks.
#[derive(Debug)]
#[expect(dead_code, reason = "it is only asked about")]
pub(crate) enum Turn {
    /// See the build with the feature.
    Ours(Option<Lock>),
    /// See the build with the feature.
    Theirs,
    /// See the build with the feature.
    AnotherRequest,
}

impl Sharing {
    pub(crate) fn open(
        settings: &SharedConfig,
        _node: &str,
    ) -> Result<Option<Arc<Sharing>>, ServeError> {
        match settings.url {
            None => Ok(None),
            Some(_) => Err(ServeError {
                what: "could not open the shared store: this build has no Redis in it".to_owned(),
                why: "it was built without the feature `redis`".to_owned(),
                fix: "use a build with it, or take `shared.url` out".to_owned(),
            }),
        }
    }

    pub(crate) fn place(&self) -> String {
        match *self {}
    }

    pub(crate) fn nodes(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn locks(&self) -> Arc<Locks> {
        match *self {}
    }

    pub(crate) async fn run(&self, _shared: &Arc<Shared>) {
        match *self {}
    }

    pub(crate) async fn leave(&self) {
        match *self {}
    }

    pub(crate) async fn tell(&self, _news: &KeyNews) {
        match *self {}
    }

    pub(crate) fn metrics(&self, _page: &mut Page) {
        match *self {}
    }

    pub(crate) fn report(&self) -> Value {
        match *self {}
    }
}

impl Locks {
    pub(crate) const REST_MIN: Duration = Duration::ZERO;
    pub(crate) const REST_MAX: Duration = Duration::ZERO;

    pub(crate) async fn take(self: &Arc<Self>, _: ReplayPlace, _: [u8; 32]) -> Turn {
        match **self {}
    }
}

impl Leases {
    pub(crate) fn among(
        _: Option<&Arc<Sharing>>,
        _: &Arc<Engine>,
        _: UnixMillis,
    ) -> Option<Arc<Leases>> {
        None
    }

    pub(crate) fn view(&self, _waited: bool, _now: Moment) -> View {
        match *self {}
    }

    pub(crate) fn with<R>(
        self: &Arc<Self>,
        _org: &str,
        _view: View,
        _act: impl FnOnce(&mut Group) -> R,
    ) -> R {
        match **self {}
    }

    pub(crate) fn look<R>(&self, _org: &str, _at: impl FnOnce(&mut Group) -> R) -> R {
        match *self {}
    }

    pub(crate) async fn reply(&self, _org: &str) {
        match *self {}
    }

    pub(crate) fn sweep(self: &Arc<Self>, _spec_of: impl Fn(u64) -> Option<LimitSpec>) {
        match **self {}
    }

    pub(crate) async fn leave(self: &Arc<Self>) {
        match **self {}
    }

    pub(crate) fn each(&self, _see: impl FnMut(&Group)) {
        match *self {}
    }

    pub(crate) fn metrics(&self, _page: &mut Page) {
        match *self {}
    }
}
