//! `Idempotency-Key` of POST requests: the same request under the same key is carried out once.
//!
//! The first one claims the key; others with the same method, path and body wait for it, within
//! their time, and get its answer again. A different request under the key is refused. Whatever ends
//! the first without an answer that would come out the same (a failure that may pass, a caller who
//! left, a broken stream) frees the key. A key belongs to the API key it came with. Several gateways
//! agree by a lock in the shared store, and find each other's answers in the store they have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainstay::call::{Call, CallBody};
use mainstay_core::failure::{Kind, Origin, Scope};
use mainstay_core::store::{Replay, ReplayPlace, ReplaysKept, Store, UnixMillis};
use mainstay_store::Memory;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::admission::Who;
use crate::refused::Refused;
use crate::settings::IdempotencySettings;
use crate::sharing::{Lock, Locks, Turn as Whose};

mod recorder;

pub(crate) use recorder::Recorder;

const KEY: &str = "idempotency-key";
/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("x-mainstay-idempotent-replay");
/// Longest key, bytes.
const KEY_MAX: usize = 255;
/// Longest wait for the first request, unless the caller's own time is shorter.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// What is waited before a request may come again that waited in vain.
const AGAIN: Duration = Duration::from_secs(1);

/// The keys under way, and where answers are kept.
#[derive(Debug)]
pub(crate) struct Idempotency {
    store: Arc<dyn Store>,
    running: Mutex<HashMap<ReplayPlace, Running>>,
    /// Who of several gateways carries a key out.
    locks: Option<Arc<Locks>>,
}

/// A request under way.
#[derive(Debug)]
struct Running {
    fingerprint: [u8; 32],
    fate: watch::Receiver<Fate>,
}

/// What has become of the first request.
#[derive(Clone, Debug)]
enum Fate {
    /// It is under way.
    Open,
    /// It ended without an answer to be given again.
    Freed,
    /// Its answer.
    Done(Arc<Replay>),
}

/// What a request is to do.
pub(crate) enum Turn {
    /// Go on as the first under its key.
    First(Claim),
    /// Give this answer again.
    Again(StatusCode, HeaderMap, Bytes),
}

/// The right to carry out what a key stands for. Dropping it frees the key.
#[derive(Debug)]
pub(crate) struct Claim {
    keys: Arc<Idempotency>,
    place: ReplayPlace,
    fingerprint: [u8; 32],
    fate: watch::Sender<Fate>,
    /// The same among several gateways; given back last.
    lock: Option<Lock>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // First out of the way, then told: whoever wakes finds the key free or the answer kept.
        self.keys.running().remove(&self.place);
        self.fate.send_if_modified(|fate| {
            let open = matches!(fate, Fate::Open);
            if open {
                *fate = Fate::Freed;
            }
            open
        });
    }
}

/// What a call asks for by its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    place: ReplayPlace,
    fingerprint: [u8; 32],
    /// How long it waits for the first one.
    patience: Duration,
}

impl Asked {
    /// Reads a call's key; `None` where there is none that counts: on other methods than POST, with
    /// a body that passes through unseen, where it is switched off. Costs nothing without the header.
    ///
    /// # Errors
    ///
    /// The key is malformed.
    pub(crate) fn of(
        settings: &IdempotencySettings,
        who: &Who,
        call: &Call,
    ) -> Result<Option<Asked>, Refused> {
        let Some(key) = call.headers.get(KEY) else { return Ok(None) };
        if !settings.enabled || call.method != http::Method::POST {
            return Ok(None);
        }
        let place = place(who, call, checked(key)?);
        let patience = call.timeout.map_or(WAIT_MAX, |own| own.min(WAIT_MAX));
        Ok(fingerprint(call).map(|fingerprint| Asked { place, fingerprint, patience }))
    }
}

impl Idempotency {
    /// Answers are kept in `store`; without one in memory, as long as the process lives.
    pub(crate) fn new(
        store: Option<Arc<dyn Store>>,
        locks: Option<Arc<Locks>>,
    ) -> Arc<Idempotency> {
        let store = store.unwrap_or_else(|| Arc::new(Memory::new()));
        Arc::new(Idempotency { store, running: Mutex::default(), locks })
    }

    /// What a request is to do. Waits for the first one under its key, at most as long as the call
    /// may take.
    ///
    /// # Errors
    ///
    /// The key stands for another request, or its first request takes too long.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        asked: Asked,
        now: UnixMillis,
    ) -> Result<Turn, Refused> {
        let Asked { place, fingerprint, patience } = asked;
        match timeout(patience, self.settle(place, fingerprint, now)).await {
            Ok(turn) => turn,
            Err(_) => Err(too_slow(patience)),
        }
    }

    async fn settle(
        self: &Arc<Self>,
        place: ReplayPlace,
        fingerprint: [u8; 32],
        now: UnixMillis,
    ) -> Result<Turn, Refused> {
        loop {
            let mut fate = match self.claim(place, fingerprint)? {
                Ok(mut claim) => {
                    if let Some(locks) = &self.locks {
                        claim.lock = among_gateways(locks, place, fingerprint).await?;
                    }
                    return Ok(match self.kept(place, now).await? {
                        Some(kept) => again(&kept, fingerprint)?,
                        None => Turn::First(claim),
                    });
                }
                Err(fate) => fate,
            };
            let ended = fate.wait_for(|fate| !matches!(fate, Fate::Open)).await;
            if let Ok(Fate::Done(replay)) = ended.as_deref() {
                return again(replay, fingerprint);
            }
        }
    }

    /// Claims a key, or tells whom to wait for.
    fn claim(
        self: &Arc<Self>,
        place: ReplayPlace,
        fingerprint: [u8; 32],
    ) -> Result<Result<Claim, watch::Receiver<Fate>>, Refused> {
        let mut running = self.running();
        if let Some(first) = running.get(&place) {
            if first.fingerprint != fingerprint {
                return Err(another_request());
            }
            return Ok(Err(first.fate.clone()));
        }
        let (fate, told) = watch::channel(Fate::Open);
        running.insert(place, Running { fingerprint, fate: told });
        Ok(Ok(Claim { keys: Arc::clone(self), place, fingerprint, fate, lock: None }))
    }

    /// The answer that is kept under a key. Without the store nobody knows whether the request was
    /// carried out, so it is not.
    async fn kept(&self, place: ReplayPlace, now: UnixMillis) -> Result<Option<Replay>, Refused> {
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.replay(place, now)).await;
        match read {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(_)) | Err(_) => Err(Refused::full(
                "Whether a request with this Idempotency-Key was carried out before cannot be read at the moment. \
                 Send it again later, or without the key if it may be carried out twice.",
                AGAIN,
            )),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ReplayPlace, Running>> {
        // Every change of it is complete before anything can panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Keeps the answer and tells those who wait. Returns at once; the key is held until the answer
    /// is in the store.
    fn keep(self, replay: Replay, now: UnixMillis) {
        let replay = Arc::new(replay);
        let work = move || {
            let (store, most) = (&self.keys.store, ReplaysKept::default());
            let kept = store.keep_replay(self.place, Replay::clone(&replay), most, now);
            if let Err(error) = kept {
                tracing::warn!(%error, "an answer could not be kept for its idempotency key");
            }
            self.fate.send_replace(Fate::Done(replay));
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            // The runtime is gone; so is everybody who would have to wait.
            Err(_) => work(),
        }
    }
}

/// Waits until no other gateway is at a request under this key; the lock on it, unless the shared
/// store is away. The caller bounds the wait.
async fn among_gateways(
    locks: &Arc<Locks>,
    place: ReplayPlace,
    fingerprint: [u8; 32],
) -> Result<Option<Lock>, Refused> {
    let mut rest = Locks::REST_MIN;
    loop {
        match locks.take(place, fingerprint).await {
            Whose::Ours(lock) => return Ok(lock),
            Whose::AnotherRequest => return Err(another_request()),
            Whose::Theirs => sleep(rest).await,
        }
        rest = (rest * 2).min(Locks::REST_MAX);
    }
}

/// A kept answer for a request with this fingerprint.
fn again(kept: &Replay, fingerprint: [u8; 32]) -> Result<Turn, Refused> {
    if kept.fingerprint != fingerprint {
        return Err(another_request());
    }
    let Some(body) = &kept.body else { return Err(not_kept()) };
    let mut headers = HeaderMap::with_capacity(kept.headers.len() + 8);
    for (name, value) in &kept.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    Ok(Turn::Again(status, headers, Bytes::copy_from_slice(body)))
}

fn checked(key: &[u8]) -> Result<&[u8], Refused> {
    let bytes = key.trim_ascii();
    let visible = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    if bytes.is_empty() || bytes.len() > KEY_MAX || !visible {
        return Err(Refused::caller(
            Kind::InvalidValue,
            format!(
                "The header Idempotency-Key has 1 to {KEY_MAX} visible ASCII characters; this one has {} bytes. A \
                 UUID will do.",
                bytes.len()
            ),
        ));
    }
    Ok(bytes)
}

/// Where a key's answer is kept: nobody else's key comes there.
fn place(who: &Who, call: &Call, key: &[u8]) -> ReplayPlace {
    let mut hash = Sha256::new();
    match (who.key(), &call.credential) {
        (Some(public), _) => hash.update([b"key ", public.as_str().as_bytes()].concat()),
        (None, Some(credential)) => hash.update([b"own ", credential.as_bytes()].concat()),
        (None, None) => hash.update(b"open"),
    }
    hash.update([0]);
    hash.update(key);
    ReplayPlace(hash.finalize().into())
}

/// What tells one request from another; none for a body that passes through unseen.
fn fingerprint(call: &Call) -> Option<[u8; 32]> {
    let body: &[u8] = match &call.body {
        CallBody::Empty => &[],
        CallBody::Buffered(bytes) => bytes,
        CallBody::Streamed { .. } => return None,
    };
    let mut hash = Sha256::new();
    hash.update(call.path.as_bytes());
    hash.update([0]);
    hash.update(body);
    Some(hash.finalize().into())
}

fn conflict(message: impl Into<String>) -> Refused {
    Refused { scope: Scope::Request, ..Refused::caller(Kind::Conflict, message) }
}

fn another_request() -> Refused {
    conflict(
        "This Idempotency-Key was used for a request with another path or body. Use a fresh key for each request, and \
         the same one only to send the same request again.",
    )
}

fn not_kept() -> Refused {
    conflict(
        "The request with this Idempotency-Key was carried out, and its answer was too large to be kept \
         (`idempotency.body_max`). It is not carried out a second time; use a fresh key if it shall be.",
    )
}

fn too_slow(waited: Duration) -> Refused {
    Refused {
        origin: Origin::Mainstay,
        retry_after: Some(AGAIN),
        again: true,
        ..conflict(format!(
            "The first request with this Idempotency-Key is in progress, and its answer did not come within the {} s \
             that this one may wait. Send it again to get that answer.",
            waited.as_secs_f64()
        ))
    }
}
