//! Which gateways use the database, by its own clock.

use std::time::Duration;

use mainstay_core::store::{NodeStore, StoreError, UnixMillis};

use super::{EPOCH_MAX, Postgres};

/// Notes a heartbeat, forgets who has none, and counts the others and itself.
const COUNT: &str = "
    WITH beat AS (
      INSERT INTO note (name, value) VALUES ($1, extract(epoch FROM clock_timestamp())::text)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value
    ), gone AS (
      DELETE FROM note WHERE starts_with(name, 'node:') AND name <> $1
        AND value::float8 < extract(epoch FROM clock_timestamp()) - $2::float8
      RETURNING name
    )
    SELECT 1 + (SELECT count(*) FROM note WHERE starts_with(name, 'node:') AND name <> $1)
             - (SELECT count(*) FROM gone)";

impl NodeStore for Postgres {
    fn count_node(
        &self,
        node: &str,
        _now: UnixMillis,
        gone_after: Duration,
    ) -> Result<Option<u32>, StoreError> {
        let (name, gone_after) = (format!("node:{node}"), gone_after.as_secs_f64());
        self.desk.rules.ask("count gateways", EPOCH_MAX, move |session| {
            let row = session.query_one(COUNT, &[&name, &gone_after])?;
            let count: i64 = row.try_get(0)?;
            Ok(Some(u32::try_from(count).unwrap_or(u32::MAX)))
        })
    }
}
