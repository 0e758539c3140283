//! What every store promises about whose objects are.

use mainstay_core::store::{ObjectRecord, UnixMillis};

use crate::ground::on_every_store;

fn object(family: &str, id: &str, project: &str, at: u64) -> ObjectRecord {
    ObjectRecord {
        family: family.into(),
        id: id.into(),
        project: project.into(),
        provider: "up".into(),
        credential: 1,
        made_at: UnixMillis(at),
        adopted: false,
    }
}

#[test]
fn an_object_is_its_makers_and_no_adoption_takes_it_away() {
    on_every_store(|store| {
        let epoch = store.epoch().unwrap();
        let made = object("files", "f1", "a", 1);
        store.put_objects(std::slice::from_ref(&made)).unwrap();
        let adopted = ObjectRecord { adopted: true, ..object("files", "f1", "b", 2) };
        store.put_objects(&[adopted]).unwrap();
        assert_eq!(store.object("files", "f1").unwrap(), Some(made));
        assert_eq!(store.object("batches", "f1").unwrap(), None, "ids are of a family");
        let again = object("files", "f1", "b", 3);
        store.put_objects(std::slice::from_ref(&again)).unwrap();
        assert_eq!(store.object("files", "f1").unwrap(), Some(again), "the id was given out anew");
        store.forget_object("files", "f1").unwrap();
        assert_eq!(store.object("files", "f1").unwrap(), None);
        assert_eq!(store.epoch().unwrap(), epoch, "gateways do not read keys again for it");
    });
}

#[test]
fn a_projects_objects_are_listed_newest_first_and_old_ones_are_swept_by_family() {
    on_every_store(|store| {
        let all: Vec<_> = (0..10)
            .flat_map(|n| {
                let project = if n % 2 == 0 { "a" } else { "b" };
                [
                    object("files", &format!("f{n}"), project, n),
                    object("responses", &format!("r{n}"), project, n),
                ]
            })
            .collect();
        store.put_objects(&all).unwrap();
        let ids = |most| -> Vec<String> {
            let found = store.objects_of("a", "files", most).unwrap();
            found.iter().map(|one| one.id.to_string()).collect()
        };
        assert_eq!(ids(3), ["f8", "f6", "f4"]);
        assert_eq!(ids(100).len(), 5);
        assert_eq!(store.sweep_objects("responses", UnixMillis(6)).unwrap(), 6);
        assert_eq!(store.objects_of("a", "responses", 100).unwrap().len(), 2);
        assert_eq!(ids(100).len(), 5, "other families stay");
    });
}

#[test]
fn of_each_project_and_family_the_newest_stay() {
    on_every_store(|store| {
        let many = (0..10).map(|n| object("files", &format!("f{n}"), "a", n));
        let others = (0..3).flat_map(|n| {
            [object("threads", &format!("t{n}"), "a", n), object("files", &format!("g{n}"), "b", n)]
        });
        store.put_objects(&many.chain(others).collect::<Vec<_>>()).unwrap();
        assert_eq!(store.bound_objects(4).unwrap(), 6);
        let left = store.objects_of("a", "files", 100).unwrap();
        let ids: Vec<&str> = left.iter().map(|one| &*one.id).collect();
        assert_eq!(ids, ["f9", "f8", "f7", "f6"]);
        assert_eq!(store.objects_of("a", "threads", 100).unwrap().len(), 3);
        assert_eq!(store.objects_of("b", "files", 100).unwrap().len(), 3);
        assert_eq!(store.bound_objects(4).unwrap(), 0);
    });
}
