//! The output: whole lines at the end of the file, handed to the system as soon as they are there.
//! Bringing them to the disk is left to whoever has time for it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ids::Id;
use super::place::Place;
use super::record::Outcome;
use crate::trouble::Trouble;

/// Writes answers.
#[derive(Debug)]
pub(crate) struct Sink {
    output: Appending,
    errors: Appending,
}

/// A file that only grows.
#[derive(Debug)]
struct Appending {
    path: PathBuf,
    file: Option<File>,
    /// Whole lines not yet handed over.
    lines: Vec<u8>,
    /// Handed over, and perhaps not on the disk.
    unsynced: bool,
}

impl Sink {
    /// Opens the output; the file of failed lines is made with the first of them.
    pub(crate) fn open(place: &Place) -> Result<Sink, Trouble> {
        let mut output = Appending::at(&place.output);
        output.open()?;
        Ok(Sink { output, errors: Appending::at(&place.errors) })
    }

    /// Takes a line; it is written with the next [`Sink::flush`].
    pub(crate) fn put(&mut self, custom_id: &str, id: &Id, outcome: &Outcome) {
        let from = self.output.lines.len();
        outcome.write(custom_id, id, &mut self.output.lines);
        if outcome.kind().is_some() {
            self.errors.lines.extend_from_slice(&self.output.lines[from..]);
        }
    }

    /// Hands over what was taken.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        self.output.flush()?;
        self.errors.flush()
    }

    /// The files that the disk does not have all of; whoever takes them is to sync them.
    pub(crate) fn unsynced(&mut self) -> Vec<File> {
        let lagging = [&mut self.output, &mut self.errors].into_iter().filter_map(|appending| {
            std::mem::take(&mut appending.unsynced)
                .then(|| appending.file.as_ref()?.try_clone().ok())
                .flatten()
        });
        lagging.collect()
    }

    /// Hands over the rest and waits for the disk.
    pub(crate) fn close(mut self) -> Result<(), Trouble> {
        self.flush()?;
        for appending in [&mut self.output, &mut self.errors] {
            if let Some(file) = &appending.file {
                file.sync_all().map_err(|error| Trouble::file("write", &appending.path, &error))?;
            }
        }
        Ok(())
    }
}

impl Appending {
    fn at(path: &Path) -> Appending {
        Appending { path: path.to_owned(), file: None, lines: Vec::new(), unsynced: false }
    }

    fn open(&mut self) -> Result<&mut File, Trouble> {
        if self.file.is_none() {
            let failed = |error| Trouble::file("write", &self.path, &error);
            let file =
                OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
            self.file = Some(file);
        }
        Ok(self.file.as_mut().expect("it was opened above"))
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.lines);
        let written = self.open()?.write_all(&lines);
        written.map_err(|error| Trouble::file("write", &self.path, &error))?;
        self.lines = lines;
        self.lines.clear();
        // One large answer must not keep its room for ever.
        self.lines.shrink_to(1 << 20);
        self.unsynced = true;
        Ok(())
    }
}
