//! Whose objects are, in memory.

use mainstay_core::store::{ObjectRecord, ObjectStore, StoreError, UnixMillis};

use super::Memory;

impl ObjectStore for Memory {
    fn put_objects(&self, objects: &[ObjectRecord]) -> Result<(), StoreError> {
        let mut world = self.world();
        for object in objects {
            let place = (object.family.clone(), object.id.clone());
            let known = ObjectRecord { adopted: false, ..object.clone() };
            if object.adopted {
                world.objects.entry(place).or_insert(known);
            } else {
                world.objects.insert(place, known);
            }
        }
        Ok(())
    }

    fn object(&self, family: &str, id: &str) -> Result<Option<ObjectRecord>, StoreError> {
        Ok(self.world().objects.get(&(family.into(), id.into())).cloned())
    }

    fn objects_of(
        &self,
        project: &str,
        family: &str,
        most: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let world = self.world();
        let his = world.objects.values().filter(|one| *one.project == *project);
        let mut found: Vec<_> = his.filter(|one| *one.family == *family).cloned().collect();
        found.sort_by_key(|one| std::cmp::Reverse(one.made_at));
        found.truncate(most);
        Ok(found)
    }

    fn forget_object(&self, family: &str, id: &str) -> Result<(), StoreError> {
        self.world().objects.remove(&(family.into(), id.into()));
        Ok(())
    }

    fn sweep_objects(&self, family: &str, before: UnixMillis) -> Result<usize, StoreError> {
        let mut world = self.world();
        let count = world.objects.len();
        world.objects.retain(|_, one| *one.family != *family || one.made_at >= before);
        Ok(count - world.objects.len())
    }

    fn bound_objects(&self, most: usize) -> Result<usize, StoreError> {
        let mut world = self.world();
        let mut ages: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
        for (place, one) in &world.objects {
            let group = (one.project.clone(), one.family.clone());
            ages.entry(group).or_default().push((one.made_at, place.clone()));
        }
        let mut gone = 0;
        for mut group in ages.into_values() {
            group.sort_unstable();
            let over = group.len().saturating_sub(most);
            for (_, place) in group.into_iter().take(over) {
                world.objects.remove(&place);
                gone += 1;
            }
        }
        Ok(gone)
    }
}
