//! Whose objects are, in PostgreSQL.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::store::{ObjectRecord, ObjectStore, StoreError, UnixMillis};
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{millis, text, time};
use super::session::Session;
use super::{CALL_MAX, Postgres};

/// How long a call waits to learn whose an object is.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Rows that one statement takes.
const ROWS_MAX: usize = 1_000;

const COLUMNS: &str = "SELECT family, id, project, provider, credential, made_at FROM object";

impl ObjectStore for Postgres {
    fn put_objects(&self, objects: &[ObjectRecord]) -> Result<(), StoreError> {
        let (made, adopted) = sorted(objects);
        self.desk.calls.ask("remember objects", CALL_MAX, move |session| {
            session.transaction("BEGIN", |session| {
                made.chunks(ROWS_MAX).try_for_each(|some| put(session, MADE, some))?;
                adopted.chunks(ROWS_MAX).try_for_each(|some| put(session, ADOPTED, some))
            })
        })
    }

    fn object(&self, family: &str, id: &str) -> Result<Option<ObjectRecord>, StoreError> {
        let (family, id) = (family.to_owned(), id.to_owned());
        self.desk.calls.ask("look an object up", LOOK_MAX, move |session| {
            let sql = format!("{COLUMNS} WHERE family = $1 AND id = $2");
            session.query_opt(&sql, &[&family, &id])?.as_ref().map(read).transpose()
        })
    }

    fn objects_of(
        &self,
        project: &str,
        family: &str,
        most: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let (project, family) = (project.to_owned(), family.to_owned());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.desk.calls.ask("list objects", LOOK_MAX, move |session| {
            let sql = format!(
                "{COLUMNS} WHERE project = $1 AND family = $2 ORDER BY made_at DESC LIMIT $3"
            );
            session.query(&sql, &[&project, &family, &most])?.iter().map(read).collect()
        })
    }

    fn forget_object(&self, family: &str, id: &str) -> Result<(), StoreError> {
        let (family, id) = (family.to_owned(), id.to_owned());
        self.desk.calls.ask("forget an object", CALL_MAX, move |session| {
            session.execute("DELETE FROM object WHERE family = $1 AND id = $2", &[&family, &id])?;
            Ok(())
        })
    }

    fn sweep_objects(&self, family: &str, before: UnixMillis) -> Result<usize, StoreError> {
        let family = family.to_owned();
        self.desk.calls.ask("forget old objects", CALL_MAX, move |session| {
            let sql = "DELETE FROM object WHERE family = $1 AND made_at < $2";
            Ok(count(session.execute(sql, &[&family, &millis(before)])?))
        })
    }

    fn bound_objects(&self, most: usize) -> Result<usize, StoreError> {
        const SQL: &str = "
            WITH many AS (
              SELECT project, family FROM object GROUP BY project, family HAVING count(*) > $1
            ), old AS (
              SELECT family, id, row_number() OVER (
                       PARTITION BY project, family ORDER BY made_at DESC, id DESC) AS number
              FROM object JOIN many USING (project, family)
            )
            DELETE FROM object USING old
            WHERE object.family = old.family AND object.id = old.id AND old.number > $1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.desk.calls.ask("bound objects", CALL_MAX, move |session| {
            Ok(count(session.execute(SQL, &[&most])?))
        })
    }
}

const MADE: &str = "
    INSERT INTO object (family, id, project, provider, credential, made_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    ON CONFLICT (family, id) DO UPDATE SET
      project = excluded.project, provider = excluded.provider,
      credential = excluded.credential, made_at = excluded.made_at";
const ADOPTED: &str = "
    INSERT INTO object (family, id, project, provider, credential, made_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    ON CONFLICT DO NOTHING";

/// Those that were made, and those that were adopted, each id once: the last that was made counts,
/// else the first that was adopted. In the order of ids, so that two gateways never wait for each
/// other in a circle.
fn sorted(objects: &[ObjectRecord]) -> (Vec<ObjectRecord>, Vec<ObjectRecord>) {
    let mut chosen: BTreeMap<(&str, &str), &ObjectRecord> = BTreeMap::new();
    for object in objects {
        let place = chosen.entry((&object.family, &object.id)).or_insert(object);
        if !object.adopted {
            *place = object;
        }
    }
    chosen.into_values().cloned().partition(|object| !object.adopted)
}

fn put(session: &Session<'_>, sql: &str, objects: &[ObjectRecord]) -> Result<(), Fault> {
    let texts =
        |part: fn(&ObjectRecord) -> &str| -> Vec<&str> { objects.iter().map(part).collect() };
    let credentials: Vec<i64> = objects.iter().map(|one| i64::from(one.credential)).collect();
    let times: Vec<i64> = objects.iter().map(|one| millis(one.made_at)).collect();
    session.execute(
        sql,
        &[
            &texts(|one| &one.family),
            &texts(|one| &one.id),
            &texts(|one| &one.project),
            &texts(|one| &one.provider),
            &credentials,
            &times,
        ],
    )?;
    Ok(())
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn read(row: &Row) -> Result<ObjectRecord, Fault> {
    let credential: i64 = row.try_get(4)?;
    Ok(ObjectRecord {
        family: text(row, 0)?,
        id: text(row, 1)?,
        project: text(row, 2)?,
        provider: text(row, 3)?,
        credential: u32::try_from(credential).unwrap_or(u32::MAX),
        made_at: time(row, 5)?,
        adopted: false,
    })
}
