//! A store in one SQLite file.
//!
//! One thread owns the connection and does what it is asked, one request after the other, each in
//! a transaction; everybody else sends it work and waits. Another process may have the same file
//! open: WAL lets both read, and writers wait for each other up to [`BUSY_MAX`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    Changes, Digest, KeyRecord, NewKey, NodeStore, Organization, Project, Store, StoreError,
    Subject, UnixMillis, UsageRow, UsageStore,
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{describe, model};

mod alerts;
mod budgets;
mod inspect;
mod limits;
mod members;
mod objects;
mod open;
mod replays;
mod requests;
mod rows;

pub use inspect::{Inspected, inspect};
pub use open::SCHEMA_VERSION;
pub(crate) use open::{open as open_file, told};

/// How long a writer waits for another process's write.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Requests that may wait for the thread; the next caller waits to hand its request over.
const QUEUE_MAX: usize = 1_024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A store in one SQLite file.
pub struct Sqlite {
    desk: Arc<Desk>,
    who: Box<str>,
}

/// The thread and the way to it.
struct Desk {
    path: PathBuf,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// For records of requests.
    records: Mutex<Option<Connection>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.desk.path).finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens the file, making it (readable by its owner only) and its tables when absent, and
    /// bringing older tables up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] for tables of a newer version, which are left as they are;
    /// [`StoreError::Surroundings`] for a folder, disk or file that does not do, with what to do.
    pub fn open(path: &Path) -> Result<Sqlite, StoreError> {
        let mut connection = open::open(path)?;
        let (jobs, inbox) = sync_channel::<Job>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("mainstay-store".to_owned())
            .spawn(move || {
                for job in inbox {
                    job(&mut connection);
                }
                // Best effort: SQLite does the same when the file is next opened.
                let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            })
            .map_err(|error| StoreError::Surroundings {
                what: "start the store's thread".to_owned(),
                why: error.to_string(),
                fix: "raise the limit on threads or processes".to_owned(),
            })?;
        let desk = Desk {
            path: path.to_owned(),
            jobs: Some(jobs),
            thread: Some(thread),
            records: Mutex::new(None),
        };
        Ok(Sqlite { desk: Arc::new(desk), who: "store".into() })
    }

    /// Lets the store's thread [step back](crate::step_back) behind others.
    ///
    /// # Errors
    ///
    /// The thread has ended.
    pub fn step_back(&self, by: u8) -> Result<(), StoreError> {
        self.ask("step back", move |_| {
            crate::step_back(by);
            Ok(())
        })
    }

    /// Does `work` on the store's thread and waits for what comes of it.
    fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Surroundings {
            what: what.to_owned(),
            why: "the store's thread has ended".to_owned(),
            fix: "restart; if it happens again, report it with the log".to_owned(),
        };
        let (reply, answer) = sync_channel(1);
        let path = self.desk.path.clone();
        let job: Job = Box::new(move |connection| {
            let done = work(connection).map_err(|fault| fault.told(what, &path));
            // Nobody waits any more: the caller's thread is gone.
            let _ = reply.send(done);
        });
        let jobs = self.desk.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    /// As [`Sqlite::ask`], in a transaction that is kept only if `work` succeeds.
    fn change<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let who = self.who.clone();
        self.ask(what, move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let change = Change { transaction, who };
            let done = work(&change)?;
            change.transaction.commit()?;
            Ok(done)
        })
    }
}

/// A transaction and who asked for it.
struct Change<'c> {
    transaction: Transaction<'c>,
    who: Box<str>,
}

impl<'c> std::ops::Deref for Change<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        &self.transaction
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been answered by `gone` already.
            let _ = thread.join();
        }
    }
}

/// Does `work` in a transaction that is kept only if it succeeds. Its beginning and end are remembered
/// as other statements are.
pub(crate) fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work(connection).and_then(|done| {
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    });
    if done.is_err() && !connection.is_autocommit() {
        // What SQLite has not undone by itself.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

/// What stops a piece of work: the store's own rules, or SQLite.
enum Fault {
    Rule(StoreError),
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Rule(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl Fault {
    fn told(self, what: &str, path: &Path) -> StoreError {
        match self {
            Fault::Rule(error) => error,
            Fault::Sqlite(error) => told(&error, what, path),
        }
    }
}

fn tick(change: &Transaction<'_>) -> Result<i64, Fault> {
    let sql = "UPDATE epoch SET value = value + 1 RETURNING value";
    Ok(change.query_row(sql, [], |row| row.get(0))?)
}

fn insert_key(change: &Transaction<'_>, key: &KeyRecord) -> Result<(), Fault> {
    let taken =
        change.prepare("SELECT 1 FROM key WHERE public = ?1")?.exists([key.public.as_str()])?;
    if taken {
        return Err(StoreError::Taken { what: "key", name: key.id() }.into());
    }
    rows::put_key(change, key, tick(change)?)?;
    Ok(())
}

fn one_key(connection: &Connection, public: PublicPart) -> Result<KeyRecord, Fault> {
    let found = rows::key(connection, public)?;
    Ok(found.ok_or_else(|| model::absent("key", public.as_str()))?)
}

/// One machine's: whoever opens the file on it is not counted.
impl NodeStore for Sqlite {}

impl UsageStore for Sqlite {
    fn usage(
        &self,
        from: UnixMillis,
        to: Option<UnixMillis>,
        each: &mut dyn FnMut(UsageRow),
    ) -> Result<(), StoreError> {
        // A connection of its own: adding up years of usage must not keep keys waiting.
        crate::LedgerFile::open(&self.desk.path)?.usage(from, to, each)
    }
}

impl Store for Sqlite {
    fn acting(&self, who: &str) -> Box<dyn Store> {
        Box::new(Sqlite { desk: Arc::clone(&self.desk), who: who.into() })
    }

    fn epoch(&self) -> Result<u64, StoreError> {
        self.ask("read the store's epoch", |connection| Ok(rows::epoch(connection)?))
    }

    fn changes_since(&self, epoch: u64) -> Result<Changes, StoreError> {
        let after = i64::try_from(epoch).unwrap_or(i64::MAX);
        self.ask("read what changed in the store", move |connection| {
            // One transaction, so that the epoch and the rows belong together.
            let view = connection.transaction()?;
            Ok(Changes {
                epoch: rows::epoch(&view)?,
                keys: rows::keys(&view, after)?,
                organizations: rows::organizations(&view, after)?,
                projects: rows::projects(&view, after)?,
                members: members::members(&view, after)?,
            })
        })
    }

    fn create_organization(&self, name: &str, now: UnixMillis) -> Result<Organization, StoreError> {
        let organization = Organization {
            id: model::fresh_id("org-")?,
            name: model::name(name)?,
            created_at: now,
        };
        self.change("make an organization", move |change| {
            let all = rows::organizations(change, 0)?;
            if all.iter().any(|other| other.name == organization.name) {
                let name = organization.name.into();
                return Err(StoreError::Taken { what: "organization", name }.into());
            }
            rows::put_organization(change, &organization, tick(change)?)?;
            let after = Some(describe::organization(&organization));
            change.note_down(now, "org.create", &organization.id, None, after)?;
            Ok(organization)
        })
    }

    fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.ask("list organizations", |connection| Ok(rows::organizations(connection, 0)?))
    }

    fn create_project(
        &self,
        org: &str,
        name: &str,
        now: UnixMillis,
    ) -> Result<Project, StoreError> {
        let (id, name, org) = (model::fresh_id("proj_")?, model::name(name)?, org.to_owned());
        self.change("make a project", move |change| {
            let all = rows::organizations(change, 0)?;
            let owner = all.into_iter().find(|o| *o.id == *org || *o.name == *org);
            let org = owner.ok_or_else(|| model::absent("organization", &org))?.id;
            if rows::projects(change, 0)?.iter().any(|p| p.org == org && p.name == name) {
                return Err(StoreError::Taken { what: "project", name: name.into() }.into());
            }
            let project = Project { id, org, name, created_at: now };
            rows::put_project(change, &project, tick(change)?)?;
            let after = Some(describe::project(&project));
            change.note_down(now, "project.create", &project.id, None, after)?;
            Ok(project)
        })
    }

    fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.ask("list projects", |connection| Ok(rows::projects(connection, 0)?))
    }

    fn create_key(&self, new: NewKey, now: UnixMillis) -> Result<KeyRecord, StoreError> {
        self.change("make a key", move |change| {
            let projects = rows::projects(change, 0)?;
            let project = model::find_project(projects.iter(), new.project.as_deref())?;
            let users = members::users(change, 0)?;
            let user =
                new.user.as_deref().map(|name| model::members::find_user(users.iter(), name));
            let user = user.transpose()?;
            if let Some(user) = user {
                model::members::may_hold_key(user, project, &members::members(change, 0)?)?;
            }
            let key = model::key(new, project, user, now)?;
            insert_key(change, &key)?;
            change.note_down(now, "key.create", &key.id(), None, Some(describe::key(&key)))?;
            Ok(key)
        })
    }

    fn key(&self, public: PublicPart) -> Result<KeyRecord, StoreError> {
        self.ask("read a key", move |connection| one_key(connection, public))
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.ask("list keys", |connection| Ok(rows::keys(connection, 0)?))
    }

    fn revoke_key(&self, public: PublicPart, now: UnixMillis) -> Result<KeyRecord, StoreError> {
        self.change("revoke a key", move |change| {
            let mut key = one_key(change, public)?;
            let before = describe::key(&key);
            if model::revoke(&mut key, now) {
                rows::put_key(change, &key, tick(change)?)?;
                let after = describe::key(&key);
                change.note_down(now, "key.revoke", &key.id(), Some(before), Some(after))?;
            }
            Ok(key)
        })
    }

    fn rotate_key(
        &self,
        public: PublicPart,
        successor: (PublicPart, Digest),
        grace: Duration,
        now: UnixMillis,
    ) -> Result<KeyRecord, StoreError> {
        self.change("rotate a key", move |change| {
            let mut old = one_key(change, public)?;
            let before = describe::key(&old);
            let new = model::rotate(&mut old, successor, grace, now)?;
            insert_key(change, &new)?;
            rows::put_key(change, &old, tick(change)?)?;
            let (from, to) = (Subject::Key(public), Subject::Key(new.public));
            model::limits::inherit(&mut limits::Table { change, now }, &from, &to)?;
            budgets::copy_to_successor(change, &old.id(), &new.id(), now)?;
            let after = describe::key(&old);
            change.note_down(now, "key.rotate", &old.id(), Some(before), Some(after))?;
            Ok(new)
        })
    }

    fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.ask("read a note", move |connection| {
            let sql = "SELECT value FROM note WHERE name = ?1";
            Ok(connection.query_row(sql, [name], |row| row.get(0)).optional()?)
        })
    }

    fn note_once(&self, name: &str, value: &str) -> Result<bool, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.change("write a note", move |change| {
            let sql = "INSERT INTO note (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            Ok(change.execute(sql, params![name, value])? == 1)
        })
    }
}

#[cfg(test)]
mod tests;
