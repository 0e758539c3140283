//! Where a run keeps its things, and that no other run is there: `OUT.jsonl`, `OUT.errors.jsonl`
//! and the directory `OUT.work` with the lock, the fingerprint of the input and spooled input.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::trouble::Trouble;

/// The files of one job.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where answers go.
    pub(crate) output: PathBuf,
    /// Where failed lines stand alone.
    pub(crate) errors: PathBuf,
    work: PathBuf,
    /// Held as long as the run lasts; the system lets go of it however the run ends.
    _lock: File,
}

/// What is remembered of a job's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Of this form of record.
    pub(crate) version: u32,
    /// SHA-256 over the lines.
    pub(crate) fingerprint: String,
    /// How many lines.
    pub(crate) lines: u64,
}

/// The version of [`Record`] that is written.
pub(crate) const RECORD_VERSION: u32 = 1;

impl Place {
    /// Makes the directory and takes the lock.
    pub(crate) fn take(output: &Path) -> Result<Place, Trouble> {
        let (errors, work) = (beside(output, ".errors.jsonl"), beside(output, ".work"));
        fs::create_dir_all(&work).map_err(|error| Trouble::file("make", &work, &error))?;
        let path = work.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| Trouble::file("open", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Place { output: output.to_owned(), errors, work, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Trouble::new(
                Exit::Surroundings,
                format!("another run is writing `{}`", output.display()),
                format!("it holds `{}`", path.display()),
                "wait for it, stop it, or choose another output",
            )),
            Err(TryLockError::Error(error)) => Err(Trouble::file("lock", &path, &error)),
        }
    }

    /// What an earlier run wrote down about its input.
    pub(crate) fn record(&self) -> Result<Option<Record>, Trouble> {
        let path = self.work.join("job.json");
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::file("read", &path, &error)),
            // Power may go between the file's making and its content; it can be made again.
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        }
    }

    /// Writes down what the input is, so that a later run notices another one.
    pub(crate) fn remember(&self, record: &Record) -> Result<(), Trouble> {
        let (path, part) = (self.work.join("job.json"), self.work.join("job.part"));
        let text = serde_json::to_vec(record).expect("a record of strings and numbers is JSON");
        let written = File::create(&part).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|error| Trouble::file("write", &path, &error))
    }

    /// Copies standard input beside the output, so that it can be read again; gives the file. With
    /// nothing to read, what an earlier run of this job copied is the input.
    pub(crate) fn spool(&self, mut from: impl Read) -> Result<Spool, Trouble> {
        let (kept, part) = (self.work.join("input"), self.work.join("input.part"));
        let failed = |error: &io::Error| Trouble::file("write", &part, error);
        let mut file = File::create(&part).map_err(|error| failed(&error))?;
        let length = io::copy(&mut from, &mut file).map_err(|error| failed(&error))?;
        if length == 0 && kept.is_file() {
            fs::remove_file(&part).map_err(|error| failed(&error))?;
            return Ok(Spool { path: kept.clone(), kept });
        }
        file.sync_all().map_err(|error| failed(&error))?;
        Ok(Spool { path: part, kept })
    }

    /// The job is done: what was only needed to go on is taken away.
    pub(crate) fn tidy(&self) {
        // What stays only costs space.
        let _ = fs::remove_file(self.work.join("input"));
    }
}

/// Spooled standard input.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Where it is.
    pub(crate) path: PathBuf,
    kept: PathBuf,
}

impl Spool {
    /// It is not this job's input.
    pub(crate) fn discard(self) {
        if self.path != self.kept {
            // What stays only costs space, and the next run writes over it.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// It is the input of this job: a later run may go on from it.
    pub(crate) fn keep(self) -> Result<PathBuf, Trouble> {
        if self.path != self.kept {
            fs::rename(&self.path, &self.kept)
                .map_err(|error| Trouble::file("write", &self.kept, &error))?;
        }
        Ok(self.kept)
    }
}

/// `out.jsonl` with another ending; any other name with that ending added.
pub(crate) fn beside(output: &Path, end: &str) -> PathBuf {
    let known = output.extension().is_some_and(|end| end == "jsonl" || end == "ndjson");
    let stem = if known { output.with_extension("") } else { output.to_owned() };
    let name = stem.file_name().unwrap_or_default().to_string_lossy();
    stem.with_file_name(format!("{name}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_output_and_two_runs_do_not_share_it() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.jsonl");
        let place = Place::take(&output).unwrap();
        assert_eq!(place.errors, folder.path().join("out.errors.jsonl"));
        assert!(folder.path().join("out.work").is_dir());
        let refused = Place::take(&output).unwrap_err();
        assert_eq!(refused.exit, Exit::Surroundings);
        assert!(refused.what.contains("another run"), "{}", refused.what);
        drop(place);
        Place::take(&output).unwrap();
    }

    #[test]
    fn an_input_is_remembered_and_a_damaged_record_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(&folder.path().join("answers")).unwrap();
        assert_eq!(place.record().unwrap(), None);
        let record = Record { version: 1, fingerprint: "ab".to_owned(), lines: 3 };
        place.remember(&record).unwrap();
        assert_eq!(place.record().unwrap(), Some(record));
        fs::write(folder.path().join("answers.work/job.json"), b"{\"ver").unwrap();
        assert_eq!(place.record().unwrap(), None);
    }

    #[test]
    fn spooled_input_is_kept_when_it_was_accepted_and_used_again_when_none_comes() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(&folder.path().join("o.jsonl")).unwrap();
        let path = place.spool(&b"one\n"[..]).unwrap().keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        let refused = place.spool(&b"another\n"[..]).unwrap();
        assert_ne!(refused.path, path, "the first is still there");
        assert_eq!(place.spool(&b""[..]).unwrap().keep().unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
    }
}
