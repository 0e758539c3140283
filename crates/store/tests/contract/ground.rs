//! Every store there is, fresh, for a story that must go the same way on each.

use mainstay_core::store::Store;
use mainstay_store::{Memory, Postgres, Sqlite, testing};

/// Plays a story on a fresh store in memory, in a SQLite file and in PostgreSQL.
pub(crate) fn on_every_store(story: fn(&dyn Store)) {
    story(&Memory::new());
    let folder = tempfile::tempdir().expect("the test's own ground");
    story(&Sqlite::open(&folder.path().join("story.db")).expect("the test's own ground"));
    if let Some(url) = testing::postgres::fresh_url() {
        story(&Postgres::open(&url).expect("the test's own ground"));
    }
}
