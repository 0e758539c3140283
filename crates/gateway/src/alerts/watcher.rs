//! Hears of finished calls, looks at circuits and stores once a second, and passes on what the rules
//! say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mainstay::TargetSnapshot;
use mainstay_core::alerts::{Alerts, Sighting, counts};
use mainstay_core::failure::Origin;
use mainstay_core::store::{AttemptNote, RequestRecord, UnixMillis};

use super::post::{USUAL, Waits, now};
use super::{Board, Order, Posting, lock};
use crate::config::AlertSettings;
use crate::fault::ServeError;
use crate::finished::TargetName;

/// Milliseconds between two looks.
const LOOK_EVERY: u64 = 1_000;

/// What is looked at once a second.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The targets' circuits.
    pub(crate) targets: Vec<TargetSnapshot>,
    /// Why records of requests are not written.
    pub(crate) records: Option<String>,
    /// Why the ledger is not written.
    pub(crate) ledger: Option<String>,
}

/// Feeds the rules and hands on what they say.
#[derive(Debug)]
pub(crate) struct Watcher {
    alerts: Alerts,
    settings: Arc<AlertSettings>,
    board: Arc<Board>,
    posting: Posting,
    looked: UnixMillis,
}

impl Watcher {
    /// Starts the posting thread.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        settings: Arc<AlertSettings>,
        board: Arc<Board>,
    ) -> Result<Watcher, ServeError> {
        Watcher::with_waits(settings, board, USUAL)
    }

    pub(super) fn with_waits(
        settings: Arc<AlertSettings>,
        board: Arc<Board>,
        waits: Waits,
    ) -> Result<Watcher, ServeError> {
        let source = format!("al_{:x}", now().0);
        let posting = Posting::start(Arc::clone(&board), source.into(), waits)?;
        posting.order(Order::Receivers(Arc::clone(&settings)));
        let alerts = Alerts::new(settings.limits);
        Ok(Watcher { alerts, settings, board, posting, looked: UnixMillis(0) })
    }

    /// Takes other settings, when they are others.
    pub(crate) fn change(&mut self, settings: &Arc<AlertSettings>) {
        if Arc::ptr_eq(&self.settings, settings) {
            return;
        }
        if *self.settings != **settings {
            self.alerts.change(settings.limits);
            self.posting.order(Order::Receivers(Arc::clone(settings)));
        }
        self.settings = Arc::clone(settings);
    }

    /// A call is over.
    pub(crate) fn finished(&mut self, call: &RequestRecord, now: UnixMillis) {
        let failed = call
            .failed
            .as_ref()
            .is_some_and(|note| note.origin != Origin::Caller && counts(note.kind));
        // A caller who left says nothing of whether it would have worked.
        if call.failed.is_some() || call.status < 400 {
            self.alerts.see(now, Sighting::Calls { count: 1, failed });
        }
        for (index, attempt) in call.attempts.iter().enumerate() {
            let later = call.attempts.get(index + 1..).unwrap_or_default();
            // Only the last attempt at a target tells how the call got on there.
            if later.iter().any(|other| same_target(attempt, other)) || unfinished(attempt) {
                continue;
            }
            let (provider, model) = (&*attempt.provider, attempt.model.as_deref());
            self.alerts.see(now, Sighting::Target { provider, model, kind: attempt.kind });
        }
    }

    /// Calls are over that were answered by their first attempt, all by the same target.
    pub(crate) fn answered(&mut self, calls: u64, target: Option<TargetName<'_>>, now: UnixMillis) {
        self.alerts.see(now, Sighting::Calls { count: calls, failed: false });
        if let Some(TargetName { provider, model }) = target {
            self.alerts.see(now, Sighting::Target { provider, model, kind: None });
        }
    }

    /// Whether it is time for a look.
    pub(crate) fn is_due(&self, now: UnixMillis) -> bool {
        now.0.abs_diff(self.looked.0) >= LOOK_EVERY
    }

    /// Anything else that was seen.
    pub(super) fn see(&mut self, now: UnixMillis, sighting: Sighting<'_>) {
        self.alerts.see(now, sighting);
    }

    /// Takes in what was looked at, and tells what there is to tell.
    pub(crate) fn look(&mut self, look: &Look, now: UnixMillis) {
        self.looked = now;
        for target in &look.targets {
            let name = named(target, &look.targets);
            let open = !target.is_closed();
            self.alerts.see(now, Sighting::Circuit { target: &name, open });
        }
        let keys = lock(&self.board.keys).clone();
        for (part, trouble) in
            [("keys", &keys), ("records", &look.records), ("ledger", &look.ledger)]
        {
            let trouble = trouble.as_deref();
            self.alerts.see(now, Sighting::Store { part, trouble });
        }
        let notices = self.alerts.tick(now);
        for notice in &notices {
            tracing::warn!(
                rule = notice.rule.name(),
                change = notice.change.name(),
                subject = notice.subject,
                what = notice.what,
                "alert"
            );
            if !self.posting.order(Order::Tell(notice.clone())) {
                self.board.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut seen = lock(&self.board.seen);
        seen.active = self.alerts.active();
        seen.overlooked = self.alerts.overlooked();
        if !notices.is_empty() {
            seen.recent = self.alerts.recent().cloned().collect();
        }
    }
}

fn same_target(one: &AttemptNote, other: &AttemptNote) -> bool {
    one.provider == other.provider && one.model == other.model
}

/// Cancelled because another was faster, or its caller left: nobody knows how it would have ended.
fn unfinished(attempt: &AttemptNote) -> bool {
    attempt.kind.is_none() && attempt.status.is_none()
}

/// `provider/model`, with the credential's number where the provider has several.
fn named(target: &TargetSnapshot, all: &[TargetSnapshot]) -> String {
    let model = target.model.as_ref().map_or_else(String::new, |model| format!("/{model}"));
    let several = all
        .iter()
        .any(|one| one.provider == target.provider && one.credential != target.credential);
    let key = if several { format!(" (key {})", target.credential + 1) } else { String::new() };
    format!("{}{model}{key}", target.provider)
}
