//! Users, memberships and the audit log in PostgreSQL.

use mainstay_core::store::{
    AuditEntry, AuditStore, Group, Member, MemberStore, Role, StoreError, UnixMillis, User,
};
use serde_json::Value;
use tokio_postgres::Row;

use super::fault::Fault;
use super::rows::{maybe_time, millis, signed, strange, text, time, unsigned};
use super::session::Session;
use super::{Change, Postgres, rows, tick};
use crate::{describe, model};

/// Entries of the audit log kept; the oldest go first.
const AUDIT_MAX: i64 = 1_000_000;

impl MemberStore for Postgres {
    fn create_user(&self, name: &str, now: UnixMillis) -> Result<User, StoreError> {
        let user =
            User { id: model::fresh_id("user-")?, name: model::name(name)?, created_at: now };
        self.change("make a user", move |change| {
            if users(change, 0)?.iter().any(|other| other.name == user.name) {
                return Err(StoreError::Taken { what: "user", name: user.name.into() }.into());
            }
            let sql = "INSERT INTO person (id, name, created_at, changed) VALUES ($1, $2, $3, $4)";
            change.execute(sql, &[&&*user.id, &&*user.name, &millis(now), &tick(change)?])?;
            change.note_down(now, "user.create", &user.id, None, Some(describe::user(&user)))?;
            Ok(user)
        })
    }

    fn users(&self) -> Result<Vec<User>, StoreError> {
        self.ask("list users", |session| users(session, 0))
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
        self.view("list members", move |view| {
            let (orgs, projects) = (rows::organizations(view, 0)?, rows::projects(view, 0)?);
            let (group, _) = model::members::find_group(&group, &orgs, &projects)?;
            let mut found = members(view, 0)?;
            found.retain(|one| one.group == group && one.removed_at.is_none());
            Ok(found)
        })
    }
}

impl AuditStore for Postgres {
    fn audit(&self, before: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map_or(i64::MAX, signed);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.ask("read the audit log", move |session| {
            let sql = "SELECT id, at, who, verb, subject, before, after FROM audit
                       WHERE id < $1 ORDER BY id DESC LIMIT $2";
            session.query(sql, &[&before, &most])?.iter().map(read_entry).collect()
        })
    }
}

fn read_entry(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        id: unsigned(row.try_get(0)?),
        at: time(row, 1)?,
        who: row.try_get(2)?,
        verb: row.try_get(3)?,
        subject: row.try_get(4)?,
        before: row.try_get(5)?,
        after: row.try_get(6)?,
    })
}

impl Change<'_, '_> {
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
                   VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
        let (before, after) = (text(before), text(after));
        let row =
            self.query_one(sql, &[&millis(now), &&*self.who, &verb, &subject, &before, &after])?;
        let oldest = row.try_get::<_, i64>(0)? - AUDIT_MAX;
        self.execute("DELETE FROM audit WHERE id <= $1", &[&oldest])?;
        Ok(())
    }
}

pub(super) fn users(from: &Session<'_>, after: i64) -> Result<Vec<User>, Fault> {
    let sql = "SELECT id, name, created_at FROM person WHERE changed > $1 ORDER BY seq";
    let rows = from.query(sql, &[&after])?;
    rows.iter()
        .map(|row| Ok(User { id: text(row, 0)?, name: text(row, 1)?, created_at: time(row, 2)? }))
        .collect()
}

/// Memberships that changed, also those that are over.
pub(super) fn members(from: &Session<'_>, after: i64) -> Result<Vec<Member>, Fault> {
    let sql = "SELECT kind, place, person, role, since, removed_at FROM member
               WHERE changed > $1 ORDER BY person COLLATE \"C\", kind, place COLLATE \"C\"";
    from.query(sql, &[&after])?.iter().map(read_member).collect()
}

fn read_member(row: &Row) -> Result<Member, Fault> {
    let (kind, place, role): (&str, Box<str>, &str) =
        (row.try_get(0)?, text(row, 1)?, row.try_get(3)?);
    let group = match kind {
        "organization" => Group::Org(place),
        "project" => Group::Project(place),
        _ => return Err(strange(&format!("`{kind}` is no kind of group"))),
    };
    Ok(Member {
        group,
        user: text(row, 2)?,
        role: role.parse().map_err(|_| strange(&format!("`{role}` is no role")))?,
        since: time(row, 4)?,
        removed_at: maybe_time(row, 5)?,
    })
}

fn put_member(to: &Session<'_>, member: &Member, changed: i64) -> Result<(), Fault> {
    const SQL: &str = "
        INSERT INTO member (kind, place, person, role, since, removed_at, changed)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (kind, place, person) DO UPDATE SET
          role = excluded.role, since = excluded.since, removed_at = excluded.removed_at,
          changed = excluded.changed";
    to.execute(
        SQL,
        &[
            &member.group.kind(),
            &member.group.id(),
            &&*member.user,
            &member.role.name(),
            &millis(member.since),
            &member.removed_at.map(millis),
            &changed,
        ],
    )?;
    Ok(())
}
