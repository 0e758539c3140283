//! What the tests stand on.

use std::time::{Duration, Instant};

use mainstay_core::store::{NewKey, Scopes, StoreError, UnixMillis};
pub(crate) use mainstay_store::testing::postgres::{schema, sql};
use mainstay_store::{Postgres, digest, mint};

pub(crate) const NOW: UnixMillis = UnixMillis(1_000_000);

pub(crate) fn named(name: &str) -> NewKey {
    let key = mint().expect("random bytes");
    NewKey {
        public: key.public(),
        digest: digest(key.secret().as_bytes()),
        name: name.to_owned(),
        project: None,
        user: None,
        scopes: Scopes::default(),
        models: Vec::new(),
        expires_at: None,
    }
}

/// Opens a store, with patience.
pub(crate) fn open(url: &str) -> Result<Postgres, StoreError> {
    patiently(|| Postgres::open(url))
}

/// Asks again what was not answered in time: where much else is done, the server may need longer than
/// it is given.
pub(crate) fn patiently<T>(
    mut work: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..20 {
        match work() {
            Err(error) if error.to_string().contains("gave no answer within") => {}
            done => return done,
        }
    }
    work()
}

/// How long something took.
#[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Tries until it works, for at most a minute.
pub(crate) fn until_it_works<T, E: std::fmt::Display>(mut work: impl FnMut() -> Result<T, E>) -> T {
    let mut last = String::new();
    for _ in 0..300 {
        match work() {
            Ok(done) => return done,
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("it did not work within a minute: {last}");
}
