//! A store that lasts as long as the process: for tests, and for trying things out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::keys::PublicPart;
use mainstay_core::store::{
    AuditEntry, BudgetAlert, BudgetRecord, Changes, Digest, KeyRecord, LimitLevel, LimitRecord,
    Member, NewKey, ObjectRecord, Organization, Project, RequestRecord, Store, StoreError, Subject,
    UnixMillis, User, key_id,
};

use crate::{describe, model};

mod budgets;
mod limits;
mod members;
mod nodes;
mod objects;
mod replays;
mod requests;

/// Keys, projects and organizations in memory.
#[derive(Debug)]
pub struct Memory {
    world: Arc<Mutex<World>>,
    who: Box<str>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { world: Arc::default(), who: "store".into() }
    }
}

/// Everything, each with the epoch of its last change.
#[derive(Debug)]
struct World {
    epoch: u64,
    organizations: Vec<(u64, Organization)>,
    projects: Vec<(u64, Project)>,
    keys: Vec<(u64, KeyRecord)>,
    limits: Vec<(u64, LimitRecord)>,
    replays: replays::Replays,
    requests: VecDeque<RequestRecord>,
    places: BTreeMap<PublicPart, usize>,
    notes: BTreeMap<String, String>,
    budgets: Vec<(u64, BudgetRecord)>,
    alerts: VecDeque<BudgetAlert>,
    levels: BTreeMap<u64, LimitLevel>,
    users: Vec<(u64, User)>,
    members: Vec<(u64, Member)>,
    audit: VecDeque<AuditEntry>,
    objects: BTreeMap<(Box<str>, Box<str>), ObjectRecord>,
    nodes: BTreeMap<Box<str>, UnixMillis>,
}

impl Default for World {
    fn default() -> Self {
        World {
            epoch: 1,
            organizations: vec![(1, model::default_organization())],
            projects: vec![(1, model::default_project())],
            keys: Vec::new(),
            limits: Vec::new(),
            replays: replays::Replays::default(),
            requests: VecDeque::new(),
            places: BTreeMap::new(),
            notes: BTreeMap::new(),
            budgets: Vec::new(),
            alerts: VecDeque::new(),
            levels: BTreeMap::new(),
            users: Vec::new(),
            members: Vec::new(),
            audit: VecDeque::new(),
            objects: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }
}

impl World {
    fn place(&self, public: PublicPart) -> Result<usize, StoreError> {
        let place = self.places.get(&public).copied();
        place.ok_or_else(|| model::absent("key", public.as_str()))
    }

    fn tick(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    fn push_key(&mut self, key: KeyRecord) -> Result<KeyRecord, StoreError> {
        if self.places.contains_key(&key.public) {
            return Err(StoreError::Taken { what: "key", name: key.id() });
        }
        let epoch = self.tick();
        self.places.insert(key.public, self.keys.len());
        self.keys.push((epoch, key.clone()));
        Ok(key)
    }
}

impl Memory {
    /// An empty store with the default organization and project.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // Every change below is complete before anything can panic.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after<T: Clone>(rows: &[(u64, T)], epoch: u64) -> Vec<T> {
    rows.iter().filter(|(changed, _)| *changed > epoch).map(|(_, row)| row.clone()).collect()
}

impl Store for Memory {
    fn acting(&self, who: &str) -> Box<dyn Store> {
        Box::new(Memory { world: Arc::clone(&self.world), who: who.into() })
    }

    fn epoch(&self) -> Result<u64, StoreError> {
        Ok(self.world().epoch)
    }

    fn changes_since(&self, epoch: u64) -> Result<Changes, StoreError> {
        let world = self.world();
        Ok(Changes {
            epoch: world.epoch,
            keys: after(&world.keys, epoch),
            organizations: after(&world.organizations, epoch),
            projects: after(&world.projects, epoch),
            members: after(&world.members, epoch),
        })
    }

    fn create_organization(&self, name: &str, now: UnixMillis) -> Result<Organization, StoreError> {
        let checked = model::name(name)?;
        let id = model::fresh_id("org-")?;
        let mut world = self.world();
        if world.organizations.iter().any(|(_, org)| org.name == checked) {
            return Err(StoreError::Taken { what: "organization", name: name.to_owned() });
        }
        let organization = Organization { id, name: checked, created_at: now };
        let epoch = world.tick();
        world.organizations.push((epoch, organization.clone()));
        let after = Some(describe::organization(&organization));
        world.note_down(&self.who, now, "org.create", &organization.id, None, after);
        Ok(organization)
    }

    fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        Ok(after(&self.world().organizations, 0))
    }

    fn create_project(
        &self,
        org: &str,
        name: &str,
        now: UnixMillis,
    ) -> Result<Project, StoreError> {
        let checked = model::name(name)?;
        let id = model::fresh_id("proj_")?;
        let mut world = self.world();
        let owner = world.organizations.iter().find(|(_, o)| &*o.id == org || &*o.name == org);
        let owner = owner.map(|(_, owner)| owner.id.clone());
        let owner = owner.ok_or_else(|| model::absent("organization", org))?;
        if world.projects.iter().any(|(_, p)| p.org == owner && p.name == checked) {
            return Err(StoreError::Taken { what: "project", name: name.to_owned() });
        }
        let project = Project { id, org: owner, name: checked, created_at: now };
        let epoch = world.tick();
        world.projects.push((epoch, project.clone()));
        let after = Some(describe::project(&project));
        world.note_down(&self.who, now, "project.create", &project.id, None, after);
        Ok(project)
    }

    fn projects(&self) -> Result<Vec<Project>, StoreError> {
        Ok(after(&self.world().projects, 0))
    }

    fn create_key(&self, new: NewKey, now: UnixMillis) -> Result<KeyRecord, StoreError> {
        let mut world = self.world();
        let projects = world.projects.iter().map(|(_, project)| project);
        let project = model::find_project(projects, new.project.as_deref())?.clone();
        let users = world.users.iter().map(|(_, user)| user);
        let user = new.user.as_deref().map(|name| model::members::find_user(users, name));
        let user = user.transpose()?.cloned();
        if let Some(user) = &user {
            model::members::may_hold_key(user, &project, &world.present())?;
        }
        let key = world.push_key(model::key(new, &project, user.as_ref(), now)?)?;
        let after = Some(describe::key(&key));
        world.note_down(&self.who, now, "key.create", &key.id(), None, after);
        Ok(key)
    }

    fn key(&self, public: PublicPart) -> Result<KeyRecord, StoreError> {
        let world = self.world();
        let place = world.place(public)?;
        Ok(world.keys[place].1.clone())
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(after(&self.world().keys, 0))
    }

    fn revoke_key(&self, public: PublicPart, now: UnixMillis) -> Result<KeyRecord, StoreError> {
        let mut world = self.world();
        let place = world.place(public)?;
        let before = world.keys[place].1.clone();
        let mut key = before.clone();
        if model::revoke(&mut key, now) {
            world.keys[place] = (world.tick(), key.clone());
            let (before, after) = (describe::key(&before), describe::key(&key));
            world.note_down(&self.who, now, "key.revoke", &key.id(), Some(before), Some(after));
        }
        Ok(key)
    }

    fn rotate_key(
        &self,
        public: PublicPart,
        successor: (PublicPart, Digest),
        grace: Duration,
        now: UnixMillis,
    ) -> Result<KeyRecord, StoreError> {
        let mut world = self.world();
        let place = world.place(public)?;
        let mut old = world.keys[place].1.clone();
        let new = world.push_key(model::rotate(&mut old, successor, grace, now)?)?;
        let before = describe::key(&world.keys[place].1);
        let after = Some(describe::key(&old));
        world.note_down(&self.who, now, "key.rotate", &old.id(), Some(before), after);
        world.keys[place] = (world.epoch, old);
        let (from, to) = (Subject::Key(public), Subject::Key(new.public));
        let mut table = limits::Table { world: &mut world, who: &self.who, now };
        model::limits::inherit(&mut table, &from, &to)?;
        world.copy_budgets(&key_id(public), &new, now);
        Ok(new)
    }

    fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.world().notes.get(name).cloned())
    }

    fn note_once(&self, name: &str, value: &str) -> Result<bool, StoreError> {
        let mut world = self.world();
        let fresh = !world.notes.contains_key(name);
        if fresh {
            world.notes.insert(name.to_owned(), value.to_owned());
        }
        Ok(fresh)
    }
}
