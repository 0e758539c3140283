//! Copies a store from a SQLite file into an empty one in PostgreSQL: everything, or nothing.

use std::path::Path;
use std::time::Duration;

use mainstay_core::store::StoreError;
use rusqlite::types::ValueRef;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::fault::Fault;
use super::session::Session;
use crate::sqlite;

/// How long a copy may take.
const COPY_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// Rows that one statement takes, unless they have more bytes than [`BYTES_MAX`].
const ROWS_MAX: usize = 500;
/// See [`ROWS_MAX`].
const BYTES_MAX: usize = 8 << 20;

/// How many rows of a table were copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// The table's name in PostgreSQL.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
}

/// A table on both sides.
struct Table {
    to: &'static str,
    columns: &'static str,
    /// A letter a column: text, integer, small integer, boolean, bytes.
    kinds: &'static str,
    /// What gives the same columns in SQLite, in the order in which rows were made.
    from: &'static str,
}

/// Every table, those that others refer to first.
const TABLES: &[Table] = &[
    Table {
        to: "organization",
        columns: "id, name, created_at, changed",
        kinds: "ttii",
        from: "SELECT id, name, created_at, changed FROM organization ORDER BY rowid",
    },
    Table {
        to: "project",
        columns: "id, org, name, created_at, changed",
        kinds: "tttii",
        from: "SELECT id, org, name, created_at, changed FROM project ORDER BY rowid",
    },
    Table {
        to: "person",
        columns: "id, name, created_at, changed",
        kinds: "ttii",
        from: "SELECT id, name, created_at, changed FROM user ORDER BY rowid",
    },
    Table {
        to: "key",
        columns: "public, digest, name, project, person, scopes, models, created_at, expires_at, revoked_at, \
                  rotated_at, grace_until, successor, changed",
        kinds: "tytttttiiiiiti",
        from: "SELECT public, digest, name, project, user, scopes, models, created_at, expires_at, revoked_at,
                      rotated_at, grace_until, successor, changed FROM key ORDER BY rowid",
    },
    Table {
        to: "member",
        columns: "kind, place, person, role, since, removed_at, changed",
        kinds: "ttttiii",
        from: "SELECT kind, place, user, role, since, removed_at, changed FROM member",
    },
    Table {
        to: "note",
        columns: "name, value",
        kinds: "tt",
        from: "SELECT name, value FROM note",
    },
    Table {
        to: "audit",
        columns: "id, at, who, verb, subject, before, after",
        kinds: "iittttt",
        from: "SELECT id, at, who, verb, subject, before, after FROM audit ORDER BY id",
    },
    Table {
        to: "rate_limit",
        columns: "id, kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms, shadow, tier, changed",
        kinds: "itttiiiiibti",
        from: "SELECT id, kind, subject, model, rpm, tpm, rpd, concurrency, burst_ms, shadow, tier, changed
               FROM rate_limit ORDER BY id",
    },
    Table {
        to: "limit_level",
        columns: "id, used, at",
        kinds: "iii",
        from: "SELECT id, used, at FROM limit_level",
    },
    Table {
        to: "budget",
        columns: "id, org, kind, owner, amount, credits, every, zone, hard, alerts, since, baseline, created_at, \
                  removed, changed",
        kinds: "itttttttbyitibi",
        from: "SELECT id, org, kind, owner, amount, credits, every, zone, hard, alerts, since, baseline, created_at,
                      removed, changed FROM budget ORDER BY id",
    },
    Table {
        to: "budget_alert",
        columns: "id, at, org, budget, kind, owner, percent, since, settled, total",
        kinds: "iitittsitt",
        from: "SELECT id, at, org, budget, kind, owner, percent, since, settled, total
               FROM budget_alert ORDER BY id",
    },
    Table {
        to: "replay",
        columns: "place, fingerprint, status, headers, body, size, until",
        kinds: "yystyii",
        from: "SELECT place, fingerprint, status, headers, body, size, until FROM replay ORDER BY id",
    },
    Table {
        to: "object",
        columns: "family, id, project, provider, credential, made_at",
        kinds: "ttttii",
        from: "SELECT family, id, project, provider, credential, made_at FROM object",
    },
    Table {
        to: "request_batch",
        columns: "upto, latest, records",
        kinds: "iiy",
        from: "SELECT upto, latest, records FROM request_batch ORDER BY seq",
    },
];

/// Brings what counts up to what was copied.
const COUNTERS: &str = "
SELECT setval(pg_get_serial_sequence('audit', 'id'), max(id)) FROM audit HAVING max(id) > 0;
SELECT setval(pg_get_serial_sequence('rate_limit', 'id'), max(id)) FROM rate_limit HAVING max(id) > 0;
SELECT setval(pg_get_serial_sequence('budget', 'id'), max(id)) FROM budget HAVING max(id) > 0;
SELECT setval(pg_get_serial_sequence('budget_alert', 'id'), max(id)) FROM budget_alert HAVING max(id) > 0;
UPDATE request_count SET upto = coalesce((SELECT max(upto) FROM request_batch), 0);";

impl Postgres {
    /// Copies everything but the ledger (which `LeasedLedger::copy` brings) from a SQLite file, which is brought up to date first. The
    /// store must be as it was made: nothing in it is overwritten.
    ///
    /// # Errors
    ///
    /// The file cannot be read, the store has been used already, or the server failed; nothing is
    /// copied then.
    pub fn copy_from(&self, file: &Path) -> Result<Vec<CopiedTable>, StoreError> {
        let source = sqlite::open_file(file)?;
        let file = file.to_owned();
        self.desk.rules.ask("copy the store", COPY_MAX, move |session| {
            let begin = "BEGIN; SET LOCAL statement_timeout = 0;
                         SET LOCAL idle_in_transaction_session_timeout = 0;
                         SELECT value FROM epoch FOR UPDATE";
            session.transaction(begin, |session| {
                untouched(session)?;
                session.batch("DELETE FROM project; DELETE FROM organization")?;
                let read = |error: rusqlite::Error| {
                    Fault::Rule(sqlite::told(&error, "read the store to copy", &file))
                };
                let view = source.unchecked_transaction().map_err(read)?;
                let mut copied = Vec::new();
                for table in TABLES {
                    copied.push(copy(&view, session, table, &read)?);
                }
                let sql = "SELECT value FROM epoch";
                let epoch: i64 = view.query_row(sql, [], |row| row.get(0)).map_err(read)?;
                session.execute("UPDATE epoch SET value = $1", &[&epoch])?;
                session.batch(COUNTERS)?;
                Ok(copied)
            })
        })
    }
}

/// Refuses a store that somebody has used.
fn untouched(session: &Session<'_>) -> Result<(), Fault> {
    let sql = "SELECT (SELECT value FROM epoch) + (SELECT count(*) FROM note)
                      + (SELECT count(*) FROM request_batch) + (SELECT count(*) FROM object)";
    let used: i64 = session.query_one(sql, &[])?.try_get(0)?;
    if used > 1 {
        let why = "the store to copy to has been used already, and nothing in it is overwritten; name another \
                   with `?schema=NAME`, or drop its schema"
            .to_owned();
        return Err(StoreError::Refused { why }.into());
    }
    Ok(())
}

fn copy(
    from: &rusqlite::Connection,
    to: &Session<'_>,
    table: &Table,
    told: &dyn Fn(rusqlite::Error) -> Fault,
) -> Result<CopiedTable, Fault> {
    let insert = insert(table);
    let mut query = from.prepare(table.from).map_err(told)?;
    let mut rows = query.query([]).map_err(told)?;
    let mut copied = 0;
    let mut some = Rows::new(table.kinds);
    while let Some(row) = rows.next().map_err(told)? {
        for (column, at) in some.columns.iter_mut().zip(0..) {
            some.bytes += column.push(row.get_ref(at).map_err(told)?)?;
        }
        some.count += 1;
        if some.count >= ROWS_MAX || some.bytes >= BYTES_MAX {
            copied += some.hand_over(to, &insert)?;
            some = Rows::new(table.kinds);
        }
    }
    copied += some.hand_over(to, &insert)?;
    Ok(CopiedTable { table: table.to, rows: copied })
}

/// The statement that takes rows of a table, an array a column.
fn insert(table: &Table) -> String {
    let numbered = || (1..).zip(table.kinds.chars());
    let each =
        |part: fn((usize, char)) -> String| numbered().map(part).collect::<Vec<_>>().join(", ");
    let values = each(|(n, kind)| match kind {
        'b' => format!("c{n} <> 0"),
        's' => format!("c{n}::int::smallint"),
        _ => format!("c{n}"),
    });
    let arrays = each(|(n, kind)| match kind {
        't' => format!("${n}::text[]"),
        'y' => format!("${n}::bytea[]"),
        _ => format!("${n}::bigint[]"),
    });
    let names = each(|(n, _)| format!("c{n}"));
    let Table { to, columns, .. } = table;
    format!("INSERT INTO {to} ({columns}) SELECT {values} FROM unnest({arrays}) AS row ({names})")
}

/// Rows that go over together, column by column.
struct Rows {
    columns: Vec<Column>,
    count: usize,
    bytes: usize,
}

enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Rows {
    fn new(kinds: &str) -> Rows {
        let column = |kind: char| match kind {
            't' => Column::Text(Vec::new()),
            'y' => Column::Bytes(Vec::new()),
            _ => Column::Number(Vec::new()),
        };
        Rows { columns: kinds.chars().map(column).collect(), count: 0, bytes: 0 }
    }

    fn hand_over(&self, to: &Session<'_>, insert: &str) -> Result<u64, Fault> {
        if self.count == 0 {
            return Ok(0);
        }
        let values: Vec<&(dyn ToSql + Sync)> = self.columns.iter().map(Column::values).collect();
        to.execute(insert, &values)
    }
}

impl Column {
    fn values(&self) -> &(dyn ToSql + Sync) {
        match self {
            Column::Text(values) => values,
            Column::Number(values) => values,
            Column::Bytes(values) => values,
        }
    }

    /// Takes a value, and tells how many bytes it has.
    fn push(&mut self, value: ValueRef<'_>) -> Result<usize, Fault> {
        match (self, value) {
            (Column::Text(values), ValueRef::Null) => values.push(None),
            (Column::Number(values), ValueRef::Null) => values.push(None),
            (Column::Bytes(values), ValueRef::Null) => values.push(None),
            (Column::Number(values), ValueRef::Integer(number)) => values.push(Some(number)),
            (Column::Text(values), ValueRef::Text(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| misfit())?;
                if text.contains('\0') {
                    return Err(misfit());
                }
                values.push(Some(text.to_owned()));
                return Ok(text.len());
            }
            (Column::Bytes(values), ValueRef::Blob(bytes)) => {
                values.push(Some(bytes.to_owned()));
                return Ok(bytes.len());
            }
            (Column::Text(_) | Column::Number(_) | Column::Bytes(_), _) => return Err(misfit()),
        }
        Ok(8)
    }
}

fn misfit() -> Fault {
    Fault::Strange("a value in the SQLite file is not of its column's type".to_owned())
}
