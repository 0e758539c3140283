//! A store in a PostgreSQL database, for several gateways at once.
//!
//! A few threads have a connection each and do what they are asked, one piece of work after the
//! other, each change in a transaction: rules (keys, limits, budgets) on one, what calls ask for
//! (objects, kept answers) on another, records of calls on a third, so that none waits for another.
//! A change takes the row of the epoch first. Changes of all gateways and commands are therefore
//! made one after the other, in the order of their epochs, as in a SQLite file. Whoever follows them
//! listens on a connection of its own.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    Changes, Digest, KeyRecord, NewKey, Organization, Project, Store, StoreError, Subject,
    UnixMillis,
};

use crate::{describe, model};

mod address;
mod alerts;
mod budgets;
mod copy;
mod ear;
mod fault;
mod inspect;
mod lane;
mod ledger;
mod limits;
mod members;
mod migrate;
mod nodes;
mod objects;
mod replays;
mod requests;
mod rows;
mod session;
mod tls;

use address::Address;
pub use copy::CopiedTable;
use ear::Ear;
use fault::Fault;
pub(crate) use inspect::inspect;
use lane::Lane;
pub use ledger::{LeasedLedger, LedgerTables};
pub use migrate::POSTGRES_SCHEMA_VERSION;
use rows::tick;
use session::Session;

/// How long a change or a list may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// How long reading everything may take, as a gateway does at its start.
const LOAD_MAX: Duration = Duration::from_secs(30);
/// How long the question for the epoch may take, which a gateway asks several times a second.
const EPOCH_MAX: Duration = Duration::from_secs(2);
/// How long bringing the tables up to date may take, with the wait for another process that does.
const MIGRATE_MAX: Duration = Duration::from_secs(300);
/// Begins to read what belongs together.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Begins a change, which waits for others to end.
const CHANGE: &str = "BEGIN; SELECT value FROM epoch FOR UPDATE";

/// A store in a PostgreSQL database.
pub struct Postgres {
    desk: Arc<Desk>,
    who: Box<str>,
}

/// The ways to the server.
struct Desk {
    address: Arc<Address>,
    rules: Lane,
    calls: Lane,
    records: Lane,
    /// Answers kept by this process.
    kept: AtomicU64,
    /// Hears of changes, where somebody wants to know.
    ear: OnceLock<Ear>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("at", &self.desk.address).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Reaches the server that a `postgres://` URL names, making the tables when they are absent and
    /// bringing older ones up to date. The URL's password is shown nowhere.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] for a URL that is none; [`StoreError::Newer`] for tables that this
    /// program must not use, which are left as they are; [`StoreError::Surroundings`] for a server
    /// that is not reached or does not let us in, with what to do.
    pub fn open(url: &str) -> Result<Postgres, StoreError> {
        let address = Arc::new(Address::parse(url)?);
        let lane = |name: &str| Lane::start(name, &address);
        let desk = Desk {
            rules: lane("mainstay-store")?,
            calls: lane("mainstay-calls")?,
            records: lane("mainstay-records")?,
            kept: AtomicU64::new(0),
            ear: OnceLock::new(),
            address: Arc::clone(&address),
        };
        let schema = address.schema.clone();
        let done = desk
            .rules
            .ask("open the store", MIGRATE_MAX, move |session| migrate::run(session, &schema));
        done.map_err(|error| migrate::explained(error, &address))?;
        Ok(Postgres { desk: Arc::new(desk), who: "store".into() })
    }

    /// Does `work`, which changes nothing, on the lane of rules.
    fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.desk.rules.ask(what, CALL_MAX, work)
    }

    /// As [`Postgres::ask`], for several queries whose answers belong together, and which may be long.
    fn view<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.desk.rules.ask(what, LOAD_MAX, move |session| session.transaction(READ, work))
    }

    /// Makes a change, one at a time over all gateways; kept only if `work` succeeds.
    fn change<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Change<'_, '_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let who = self.who.clone();
        self.ask(what, move |session| {
            session.transaction(CHANGE, |session| work(&Change { session, who }))
        })
    }
}

/// What is wrong with a URL.
pub(crate) fn check_url(url: &str) -> Result<(), StoreError> {
    Address::parse(url).map(drop)
}

/// A transaction that has the epoch, and who asked for it.
struct Change<'s, 'l> {
    session: &'s Session<'l>,
    who: Box<str>,
}

impl<'l> std::ops::Deref for Change<'_, 'l> {
    type Target = Session<'l>;

    fn deref(&self) -> &Session<'l> {
        self.session
    }
}

impl Store for Postgres {
    fn acting(&self, who: &str) -> Box<dyn Store> {
        Box::new(Postgres { desk: Arc::clone(&self.desk), who: who.into() })
    }

    fn epoch(&self) -> Result<u64, StoreError> {
        self.desk.rules.ask("read the store's epoch", EPOCH_MAX, rows::epoch)
    }

    fn listen(&self, told: Box<dyn Fn() + Send + Sync>) -> Result<(), StoreError> {
        let ear = Ear::start(&self.desk.address, told)?;
        // A second one is let go.
        drop(self.desk.ear.set(ear));
        Ok(())
    }

    fn listens(&self) -> bool {
        self.desk.ear.get().is_some_and(Ear::listens)
    }

    fn changes_since(&self, epoch: u64) -> Result<Changes, StoreError> {
        let after = rows::signed(epoch);
        self.view("read what changed in the store", move |view| {
            Ok(Changes {
                epoch: rows::epoch(view)?,
                keys: rows::keys(view, after)?,
                organizations: rows::organizations(view, after)?,
                projects: rows::projects(view, after)?,
                members: members::members(view, after)?,
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
        self.ask("list organizations", |session| rows::organizations(session, 0))
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
        self.ask("list projects", |session| rows::projects(session, 0))
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
            rows::insert_key(change, &key)?;
            change.note_down(now, "key.create", &key.id(), None, Some(describe::key(&key)))?;
            Ok(key)
        })
    }

    fn key(&self, public: PublicPart) -> Result<KeyRecord, StoreError> {
        self.ask("read a key", move |session| rows::one_key(session, public))
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.desk.rules.ask("list keys", LOAD_MAX, |session| rows::keys(session, 0))
    }

    fn revoke_key(&self, public: PublicPart, now: UnixMillis) -> Result<KeyRecord, StoreError> {
        self.change("revoke a key", move |change| {
            let mut key = rows::one_key(change, public)?;
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
            let mut old = rows::one_key(change, public)?;
            let before = describe::key(&old);
            let new = model::rotate(&mut old, successor, grace, now)?;
            rows::insert_key(change, &new)?;
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
        self.ask("read a note", move |session| {
            let row = session.query_opt("SELECT value FROM note WHERE name = $1", &[&name])?;
            Ok(row.map(|row| row.try_get(0)).transpose()?)
        })
    }

    fn note_once(&self, name: &str, value: &str) -> Result<bool, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.ask("write a note", move |session| {
            let sql = "INSERT INTO note (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            Ok(session.execute(sql, &[&name, &value])? == 1)
        })
    }
}
