//! What callers had providers keep for them: files, threads, batches and the like, and whose they are.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{StoreError, UnixMillis};

/// An object at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Its family: the path of its list below `/v1`, such as `files` or `fine_tuning/jobs`.
    pub family: Box<str>,
    /// The provider's id of it.
    pub id: Box<str>,
    /// The project whose it is.
    pub project: Box<str>,
    /// The provider that has it.
    pub provider: Box<str>,
    /// Which of the provider's credentials it was made with, from 0.
    pub credential: u32,
    /// When it was seen first.
    pub made_at: UnixMillis,
    /// Named by an answer about another object, and not seen being made: it never takes the place of
    /// a record that is there.
    pub adopted: bool,
}

/// Where it is remembered whose objects are. None of it raises the epoch.
pub trait ObjectStore {
    /// Remembers objects. One that was made takes the place of an older record with its id.
    fn put_objects(&self, objects: &[ObjectRecord]) -> Result<(), StoreError>;
    /// The record of an object.
    fn object(&self, family: &str, id: &str) -> Result<Option<ObjectRecord>, StoreError>;
    /// A project's objects of a family, newest first, at most `most`.
    fn objects_of(
        &self,
        project: &str,
        family: &str,
        most: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError>;
    /// Forgets an object.
    fn forget_object(&self, family: &str, id: &str) -> Result<(), StoreError>;
    /// Forgets the objects of a family made before a time, and tells how many.
    fn sweep_objects(&self, family: &str, before: UnixMillis) -> Result<usize, StoreError>;
    /// Forgets, of each project and family, the oldest beyond `most`, and tells how many.
    fn bound_objects(&self, most: usize) -> Result<usize, StoreError>;
}
