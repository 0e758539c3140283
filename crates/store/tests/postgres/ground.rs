//! What the tests stand on.

use std::time::{Duration, Instant};

use mainstay_core::store::{NewKey, Scopes, UnixMillis};
use mainstay_store::{digest, mint};
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

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

/// The schema that a URL of ours names.
pub(crate) fn schema(url: &str) -> &str {
    url.rsplit_once("schema=").map_or("mainstay", |(_, schema)| schema)
}

/// Does SQL in the schema of a URL, as somebody does who has nothing to do with us, and gives the
/// first column of the rows of its last statement.
pub(crate) fn sql(url: &str, text: &str) -> Vec<String> {
    let (base, _) = url.split_once('?').unwrap_or((url, ""));
    let text = format!("SET search_path TO {}; {text}", schema(url));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(base, NoTls).await.expect("a server");
        tokio::spawn(connection);
        let messages = client.simple_query(&text).await.expect("sound SQL");
        messages
            .iter()
            .filter_map(|message| {
                let tokio_postgres::SimpleQueryMessage::Row(row) = message else { return None };
                row.get(0).map(str::to_owned)
            })
            .collect()
    })
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
