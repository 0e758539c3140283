//! Whose objects are, in SQLite.

use mainstay_core::store::{ObjectRecord, ObjectStore, StoreError, UnixMillis};
use rusqlite::{OptionalExtension, Result, Row, params};

use super::Sqlite;
use super::rows::{millis, time};

pub(super) const OBJECTS: &str = "
CREATE TABLE object (
  family TEXT NOT NULL,
  id TEXT NOT NULL,
  project TEXT NOT NULL,
  provider TEXT NOT NULL,
  credential INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  PRIMARY KEY (family, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_project ON object (project, family, made_at);
CREATE INDEX object_age ON object (family, made_at);
";

const COLUMNS: &str = "SELECT family, id, project, provider, credential, made_at FROM object";

impl ObjectStore for Sqlite {
    fn put_objects(&self, objects: &[ObjectRecord]) -> Result<(), StoreError> {
        const NEW: &str = "
            INSERT INTO object (family, id, project, provider, credential, made_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (family, id) DO UPDATE SET
              project = excluded.project, provider = excluded.provider,
              credential = excluded.credential, made_at = excluded.made_at";
        const ADOPTED: &str = "
            INSERT INTO object (family, id, project, provider, credential, made_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
        let objects = objects.to_vec();
        self.change("remember objects", move |change| {
            for object in &objects {
                let sql = if object.adopted { ADOPTED } else { NEW };
                let ObjectRecord { family, id, project, provider, credential, made_at, .. } =
                    object;
                let values = params![family, id, project, provider, credential, millis(*made_at)];
                change.prepare(sql)?.execute(values)?;
            }
            Ok(())
        })
    }

    fn object(&self, family: &str, id: &str) -> Result<Option<ObjectRecord>, StoreError> {
        let (family, id) = (family.to_owned(), id.to_owned());
        self.ask("look an object up", move |connection| {
            let sql = format!("{COLUMNS} WHERE family = ?1 AND id = ?2");
            let mut query = connection.prepare(&sql)?;
            Ok(query.query_row([family, id], read).optional()?)
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
        self.ask("list objects", move |connection| {
            let sql = format!(
                "{COLUMNS} WHERE project = ?1 AND family = ?2 ORDER BY made_at DESC LIMIT ?3"
            );
            let mut query = connection.prepare(&sql)?;
            let found = query.query_map(params![project, family, most], read)?;
            Ok(found.collect::<Result<_>>()?)
        })
    }

    fn forget_object(&self, family: &str, id: &str) -> Result<(), StoreError> {
        let (family, id) = (family.to_owned(), id.to_owned());
        self.change("forget an object", move |change| {
            change.execute("DELETE FROM object WHERE family = ?1 AND id = ?2", [family, id])?;
            Ok(())
        })
    }

    fn sweep_objects(&self, family: &str, before: UnixMillis) -> Result<usize, StoreError> {
        let family = family.to_owned();
        self.change("forget old objects", move |change| {
            let sql = "DELETE FROM object WHERE family = ?1 AND made_at < ?2";
            Ok(change.execute(sql, params![family, millis(before)])?)
        })
    }

    fn bound_objects(&self, most: usize) -> Result<usize, StoreError> {
        const MANY: &str = "SELECT project, family, count(*) FROM object
                            GROUP BY project, family HAVING count(*) > ?1";
        const OLDEST: &str = "
            DELETE FROM object WHERE (family, id) IN (
              SELECT family, id FROM object WHERE project = ?1 AND family = ?2
              ORDER BY made_at LIMIT ?3)";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.change("bound objects", move |change| {
            let mut query = change.prepare(MANY)?;
            let many =
                query.query_map([most], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut gone = 0;
            for group in many.collect::<Result<Vec<(String, String, i64)>>>()? {
                let (project, family, count) = group;
                gone += change.execute(OLDEST, params![project, family, count - most])?;
            }
            Ok(gone)
        })
    }
}

fn read(row: &Row<'_>) -> Result<ObjectRecord> {
    Ok(ObjectRecord {
        family: row.get(0)?,
        id: row.get(1)?,
        project: row.get(2)?,
        provider: row.get(3)?,
        credential: row.get(4)?,
        made_at: time(row, 5)?,
        adopted: false,
    })
}
