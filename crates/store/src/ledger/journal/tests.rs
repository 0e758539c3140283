use std::sync::Mutex;

use mainstay_core::money::Usd;
use mainstay_core::store::{Basis, DEFAULT_ORG, EntryKind, ReservationId, Scopes, UnixMillis};
use mainstay_core::wire::usage::Usage;
use proptest::prelude::*;
use tempfile::tempdir;

use super::form::HEAD;
use super::*;

const MARK: StoreMark = [7; 16];

fn entry(id: u8) -> Entry {
    Entry {
        kind: EntryKind::Hold,
        reservation: ReservationId([id; 16]),
        at: UnixMillis(9),
        key: None,
        model: "m".repeat(usize::from(id)).into(),
        amount: Usd::from_pico(5),
        usage: Usage::default(),
        basis: Basis::default(),
    }
}

fn numbers(store: &Path, folded: u64) -> Vec<u64> {
    read(store, &MARK, folded).unwrap().iter().map(|entry| entry.number).collect()
}

#[test]
fn what_was_written_is_read_back_and_what_was_only_noted_is_not() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut journal = Journal::start(&store, MARK, 40).unwrap();
    journal.note(&entry(1));
    journal.note(&entry(2));
    journal.write().unwrap();
    journal.note(&entry(3));
    let found = read(&store, &MARK, 0).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].number, &*found[0].model), (41, "m"));
    assert_eq!((found[1].number, &*found[1].org), (42, DEFAULT_ORG));
    assert_eq!(found[1].record, Record::unnamed(&entry(2)));
    assert_eq!(numbers(&store, 41), [42]);
    assert_eq!(read(&store, &[8; 16], 0).unwrap(), [], "the journal of another store");
}

#[test]
fn files_take_turns_and_nothing_that_is_needed_is_written_over() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut journal = Journal::start(&store, MARK, 0).unwrap();
    let mut folded = 0;
    let mut written = 0;
    for round in 0..40_u8 {
        for id in 0..=round % 7 {
            written = journal.note(&entry(id * 3));
            journal.write().unwrap();
        }
        journal.take(&mut Vec::new(), folded);
        let all: Vec<u64> = (folded + 1..=written).collect();
        assert_eq!(numbers(&store, folded), all, "round {round}");
        // Every third batch cannot be brought over; the next one brings both.
        if round % 3 != 0 {
            folded = written;
        }
    }
    journal.clear();
    assert_eq!(numbers(&store, 0), [0; 0]);
}

#[test]
fn the_writer_gets_what_was_noted_in_its_order() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut journal = Journal::start(&store, MARK, 0).unwrap();
    journal.note(&entry(1));
    journal.write().unwrap();
    journal.note(&entry(2));
    journal.pass(&entry(4));
    let mut taken = Vec::new();
    journal.take(&mut taken, 0);
    let mut found = Vec::new();
    for noted in Entries::of(&taken) {
        assert_eq!(texts(noted.names).unwrap()[0], DEFAULT_ORG);
        found.push((noted.number, noted.record.reservation.0[0]));
    }
    assert_eq!(found, [(1, 1), (2, 2), (0, 4)]);
    assert_eq!(journal.noted(), 0);
    assert_eq!(numbers(&store, 0), [1, 2]);
    // Each file once, and not when SQLite has all of it.
    assert!(journal.unsynced(2).is_none());
    journal.still_unsynced();
    assert!(journal.unsynced(1).is_some() && journal.unsynced(0).is_none());
}

#[test]
fn what_was_noted_side_by_side_is_handed_over_once() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut journal = Journal::start(&store, MARK, 0).unwrap();
    let [first, second] = [1, 2].map(|id| journal.note(&entry(id)));
    assert_eq!(numbers(&store, 0), [0; 0]);
    journal.hand_over(first).unwrap();
    assert_eq!(numbers(&store, 0), [1, 2]);
    // What comes meanwhile waits for whoever has to hand it over.
    let third = journal.note(&entry(3));
    journal.hand_over(second).unwrap();
    assert_eq!(numbers(&store, 0), [1, 2]);
    journal.hand_over(third).unwrap();
    assert_eq!(numbers(&store, 0), [1, 2, 3]);
}

#[test]
fn whoever_hands_over_is_told_what_the_system_does_not_have() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut journal = Journal::start(&store, MARK, 0).unwrap();
    let sound = Arc::clone(&journal.files);
    let broken = Arc::new(names(&store).map(|name| File::open(name).unwrap()));
    let first = journal.note(&entry(1));
    journal.files = Arc::clone(&broken);
    journal.hand_over(first).unwrap_err();
    let second = journal.note(&entry(2));
    journal.files = Arc::clone(&sound);
    journal.hand_over(first).unwrap();
    assert_eq!(numbers(&store, 0), [1, 2], "tried again with what came behind it");
    journal.hand_over(second).unwrap();

    let mut taken = Vec::new();
    let third = journal.note(&entry(3));
    journal.files = broken;
    journal.take(&mut taken, 0);
    journal.files = sound;
    journal.hand_over(third).unwrap_err();
    let fourth = journal.note(&entry(4));
    journal.hand_over(fourth).unwrap();
    journal.hand_over(third).unwrap_err();
    journal.hand_over(second).unwrap();
    assert_eq!(numbers(&store, 0), [1, 2, 4]);
    assert_eq!(first_numbers(&taken), [1, 2, 3], "the writer has it all the same");
}

/// The numbers of entries that were taken.
fn first_numbers(taken: &[u8]) -> Vec<u64> {
    Entries::of(taken).map(|noted| noted.number).collect()
}

/// An entry of a key of this project, about this model.
fn of(project: &str, model: &str) -> Entry {
    let key = key(project);
    Entry { key: Some(key), model: model.into(), ..entry(1) }
}

fn key(project: &str) -> Arc<KeyRecord> {
    let mut keys = KEYS.lock().unwrap();
    let known = keys.iter().find(|key| *key.project == *project).cloned();
    known.unwrap_or_else(|| {
        let minted = crate::secrets::mint().unwrap();
        let key = Arc::new(KeyRecord {
            public: minted.public(),
            digest: crate::secrets::digest(b"secret"),
            name: "k".into(),
            project: project.into(),
            org: DEFAULT_ORG.into(),
            user: None,
            scopes: Scopes::default(),
            models: Box::default(),
            created_at: UnixMillis(0),
            expires_at: None,
            revoked_at: None,
            rotated: None,
        });
        keys.push(Arc::clone(&key));
        key
    })
}

/// A key of each project.
static KEYS: Mutex<Vec<Arc<KeyRecord>>> = Mutex::new(Vec::new());

/// Whose entries are and about what, as they stand in the files and as the writer gets them.
type Named = (u64, String, String);

fn in_files(store: &Path) -> Vec<Named> {
    let all = read(store, &MARK, 0).unwrap();
    all.into_iter().map(|one| (one.number, one.project, one.model)).collect()
}

fn as_taken(bytes: &[u8]) -> Vec<Named> {
    let named = |noted: Noted<'_>| {
        let [_, project, _, model] = texts(noted.names).unwrap().map(str::to_owned);
        (noted.number, project, model)
    };
    Entries::of(bytes).map(named).collect()
}

#[test]
fn names_stand_once_for_entries_that_follow_each_other() {
    let mut lengths = Vec::new();
    let (mut bytes, folder) = (Vec::new(), tempdir().unwrap());
    let mut journal = Journal::start(&folder.path().join("s.db"), MARK, 0).unwrap();
    for (project, model) in [("p", "m"), ("p", "m"), ("p", "n"), ("q", "n"), ("q", "n")] {
        let before = journal.noted();
        journal.note(&of(project, model));
        lengths.push(journal.noted() - before > HEAD);
    }
    assert_eq!(lengths, [true, false, true, true, false]);
    journal.take(&mut bytes, 0);
    journal.note(&of("q", "n"));
    assert!(journal.noted() > HEAD, "what is taken stands alone");
}

#[test]
fn a_journal_of_the_form_before_is_read() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("s.db");
    let mut bytes = [&MAGIC_BEFORE[..], &MARK].concat();
    for number in 1..=3 {
        frame(&mut bytes, &MARK, number, &of("p", "m"), true);
    }
    std::fs::write(&names(&store)[1], bytes).unwrap();
    let named = |number| (number, "p".to_owned(), "m".to_owned());
    assert_eq!(in_files(&store), [1, 2, 3].map(named));
}

proptest! {
    /// Some are taken now and then, and of what is taken some are left out.
    #[test]
    fn each_entry_keeps_its_names(
        all in proptest::collection::vec((0..3_u8, 0..3_u8, proptest::bool::weighted(0.2), any::<bool>()), 0..40),
    ) {
        let folder = tempdir().unwrap();
        let store = folder.path().join("s.db");
        let mut journal = Journal::start(&store, MARK, 0).unwrap();
        let (mut noted, mut taken, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let (mut copied, mut last) = (Vec::new(), Vec::new());
        for (project, model, takes, keeps) in all {
            let (project, model) = (format!("p{project}"), format!("m{model}"));
            let number = journal.note(&of(&project, &model));
            noted.push((number, project, model));
            kept.extend(keeps.then_some(number));
            if takes {
                let mut bytes = Vec::new();
                journal.take(&mut bytes, 0);
                taken.extend(as_taken(&bytes));
                let chosen = |one: &Noted<'_>| kept.contains(&one.number);
                Entries::of(&bytes).filter(chosen).for_each(|one| one.copy(&mut copied, &mut last));
            }
        }
        journal.write().unwrap();
        prop_assert_eq!(in_files(&store), noted.clone());
        prop_assert_eq!(&taken[..], &noted[..taken.len()]);
        noted.truncate(taken.len());
        noted.retain(|(number, ..)| kept.contains(number));
        prop_assert_eq!(as_taken(&copied), noted);
    }

    #[test]
    fn a_file_that_was_cut_or_changed_gives_a_beginning_of_what_was_written(
        cut in 0_usize..900, at in 0_usize..900, bit in 0_u8..8,
    ) {
        let mut bytes = Vec::new();
        for id in 1..=6 {
            frame(&mut bytes, &MARK, u64::from(id), &entry(id / 2), id % 2 == 0 || id == 1);
        }
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        bytes.truncate(cut);
        for (found, id) in sound(&bytes, &MARK).into_iter().zip(1_u8..) {
            prop_assert_eq!(found.number, u64::from(id));
            prop_assert_eq!(found.record, Record::unnamed(&entry(id / 2)));
            prop_assert_eq!(found.model.len(), usize::from(id / 2));
        }
    }
}
