//! Users, memberships and the audit log in SQLite.

use mainstay_core::store::{
    AuditEntry, AuditStore, Group, Member, MemberStore, Role, StoreError, UnixMillis, User,
};
use rusqlite::{Connection, Result, Row, params};
use serde_json::Value;

use super::rows::{maybe_time, millis, strange, time};
use super::{Change, Fault, Sqlite, rows, tick};
use crate::{describe, model};

/// Entries of the audit log kept; the oldest go first.
const AUDIT_MAX: i64 = 1_000_000;

pub(super) const MEMBERS: &str = "
CREATE TABLE user (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  changed INTEGER NOT NULL
) STRICT;
CREATE TABLE member (
  kind TEXT NOT NULL CHECK (kind IN ('organization', 'project')),
  place TEXT NOT NULL,
  user TEXT NOT NULL REFERENCES user (id),
  role TEXT NOT NULL,
  since INTEGER NOT NULL,
  removed_at INTEGER,
  changed INTEGER NOT NULL,
  PRIMARY KEY (kind, place, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_changed ON member (changed);
ALTER TABLE key ADD COLUMN user TEXT REFERENCES user (id);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  verb TEXT NOT NULL,
  subject TEXT NOT NULL,
  before TEXT,
  after TEXT
) STRICT;
";

impl MemberStore for Sqlite {
    fn create_user(&self, name: &str, now: UnixMillis) -> Result<User, StoreError> {
        let user =
            User { id: model::fresh_id("user-")?, name: model::name(name)?, created_at: now };
        self.change("make a user", move |change| {
            if users(change, 0)?.iter().any(|other| other.name == user.name) {
                return Err(StoreError::Taken { what: "user", name: user.name.into() }.into());
            }
            let sql = "INSERT INTO user (id, name, created_at, changed) VALUES (?1, ?2, ?3, ?4)";
            change.execute(sql, params![user.id, user.name, millis(now), tick(change)?])?;
            change.note_down(now, "user.create", &user.id, None, Some(describe::user(&user)))?;
            Ok(user)
        })
    }

    fn users(&self) -> Result<Vec<User>, StoreError> {
        self.ask("list users", |connection| Ok(users(connection, 0)?))
    }

    fn set_member(
        &self,
        group: &Group,
        user: &str,
        role: Role,
        now: UnixMillis,
    ) -> Result<Member, StoreError> {
        let (group, user) = (group.clone(), user.to_owned());
        self.change("add a member", move |change| {
            let all = users(change, 0)?;
            let user = model::members::find_user(all.iter(), &user)?;
            let (orgs, projects) = (rows::organizations(change, 0)?, rows::projects(change, 0)?);
            let (group, org) = model::members::find_group(&group, &orgs, &projects)?;
            let present = members(change, 0)?;
            let before = present
                .iter()
                .find(|one| one.group == group && one.user == user.id && one.removed_at.is_none());
            let member = model::members::join(group, &org, user, role, &present, now)?;
            put_member(change, &member, tick(change)?)?;
            change.note_down(
                now,
                model::members::verb(&member.group, true),
                member.group.id(),
                before.map(describe::member),
                Some(describe::member(&member)),
            )?;
            Ok(member)
        })
    }

    fn remove_member(
        &self,
        group: &Group,
        user: &str,
        now: UnixMillis,
    ) -> Result<Member, StoreError> {
        let (group, user) = (group.clone(), user.to_owned());
        self.change("remove a member", move |change| {
            let all = users(change, 0)?;
            let user = model::members::find_user(all.iter(), &user)?;
            let (orgs, projects) = (rows::organizations(change, 0)?, rows::projects(change, 0)?);
            let (group, _) = model::members::find_group(&group, &orgs, &projects)?;
            let ended = model::members::leave(&group, user, &members(change, 0)?, &projects, now)?;
            for member in &ended {
                put_member(change, member, tick(change)?)?;
                let verb = model::members::verb(&member.group, false);
                let before = Member { removed_at: None, ..member.clone() };
                let before = Some(describe::member(&before));
                let after = Some(describe::member(member));
                change.note_down(now, verb, member.group.id(), before, after)?;
            }
            ended.into_iter().next().ok_or_else(|| model::absent("member", &user.name).into())
        })
    }

    fn members(&self, group: &Group) -> Result<Vec<Member>, StoreError> {
        let group = group.clone();
        self.ask("list members", move |connection| {
            let orgs = rows::organizations(connection, 0)?;
            let projects = rows::projects(connection, 0)?;
            let (group, _) = model::members::find_group(&group, &orgs, &projects)?;
            let mut found = members(connection, 0)?;
            found.retain(|one| one.group == group && one.removed_at.is_none());
            Ok(found)
        })
    }
}

impl AuditStore for Sqlite {
    fn audit(&self, before: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.ask("read the audit log", move |connection| {
            let sql = "SELECT id, at, who, verb, subject, before, after FROM audit
                       WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
            let mut query = connection.prepare(sql)?;
            let found = query.query_map([before, most], |row| {
                Ok(AuditEntry {
                    id: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                    at: time(row, 1)?,
                    who: row.get(2)?,
                    verb: row.get(3)?,
                    subject: row.get(4)?,
                    before: row.get(5)?,
                    after: row.get(6)?,
                })
            })?;
            Ok(found.collect::<Result<_>>()?)
        })
    }
}

impl Change<'_> {
    /// Puts a change on record, in the transaction that makes it. Times within `before` and `after`
    /// are milliseconds; no secret and no hash of one is among them.
    pub(super) fn note_down(
        &self,
        now: UnixMillis,
        verb: &str,
        subject: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), Fault> {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        let sql = "INSERT INTO audit (at, who, verb, subject, before, after)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.execute(
            sql,
            params![millis(now), self.who, verb, subject, text(before), text(after)],
        )?;
        let oldest = self.last_insert_rowid() - AUDIT_MAX;
        self.execute("DELETE FROM audit WHERE id <= ?1", [oldest])?;
        Ok(())
    }
}

pub(super) fn users(from: &Connection, after: i64) -> Result<Vec<User>> {
    let sql = "SELECT id, name, created_at FROM user WHERE changed > ?1 ORDER BY rowid";
    let mut query = from.prepare(sql)?;
    let rows = query.query_map([after], |row| {
        Ok(User { id: row.get(0)?, name: row.get(1)?, created_at: time(row, 2)? })
    })?;
    rows.collect()
}

/// Memberships that changed, also those that are over.
pub(super) fn members(from: &Connection, after: i64) -> Result<Vec<Member>> {
    let sql = "SELECT kind, place, user, role, since, removed_at FROM member
               WHERE changed > ?1 ORDER BY user, kind, place";
    let mut query = from.prepare(sql)?;
    query.query_map([after], read_member)?.collect()
}

fn read_member(row: &Row<'_>) -> Result<Member> {
    let (kind, place, role): (String, Box<str>, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let group = match kind.as_str() {
        "organization" => Group::Org(place),
        "project" => Group::Project(place),
        _ => return Err(strange(0, format!("no kind of group: {kind}"))),
    };
    Ok(Member {
        group,
        user: row.get(2)?,
        role: role.parse().map_err(|_| strange(3, format!("no role: {role}")))?,
        since: time(row, 4)?,
        removed_at: maybe_time(row, 5)?,
    })
}

fn put_member(to: &Connection, member: &Member, changed: i64) -> Result<()> {
    const SQL: &str = "
        INSERT INTO member (kind, place, user, role, since, removed_at, changed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (kind, place, user) DO UPDATE SET
          role = excluded.role, since = excluded.since, removed_at = excluded.removed_at,
          changed = excluded.changed";
    to.execute(
        SQL,
        params![
            member.group.kind(),
            member.group.id(),
            member.user,
            member.role.name(),
            millis(member.since),
            member.removed_at.map(millis),
            changed,
        ],
    )?;
    Ok(())
}
