//! Going on where an earlier run ended, however it ended: what is written is kept, a torn end is
//! cut off, and the file of failed lines is made again from the output.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};

use mainstay_core::failure::Kind;
use mainstay_core::money::Usd;

use super::ids::{Ids, Marked, id_of};
use super::money::Purse;
use super::place::{Place, Record};
use super::record;
use super::source::read_line;
use crate::exit::Exit;
use crate::trouble::Trouble;

/// What earlier runs have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// Lines with an answer.
    pub(crate) answered: u64,
    /// Lines that failed, by kind.
    pub(crate) failed: BTreeMap<Kind, u64>,
    /// Bytes of a torn end that were cut off.
    pub(crate) mended: u64,
}

/// Refuses an input that is not the one an earlier run had.
pub(crate) fn same_input(place: &Place, found: &Record) -> Result<(), Trouble> {
    let Some(known) = place.record()? else { return Ok(()) };
    if known == *found {
        return Ok(());
    }
    let why = if known.version == found.version {
        format!("it had {} lines then and has {} now, or others", known.lines, found.lines)
    } else {
        "another version of this program began the job".to_owned()
    };
    Err(Trouble::usage(
        format!("the input has changed since `{}` was begun", place.output.display()),
        why,
        "give the same input, or another output; answers to two inputs do not belong in one file",
    ))
}

/// Reads the output of earlier runs, marks what is done, and mends both files.
pub(crate) fn resume(place: &Place, ids: &mut Ids, purse: &mut Purse) -> Result<Earlier, Trouble> {
    read(place, ids, purse, record::LINE_MAX)
}

fn read(
    place: &Place,
    ids: &mut Ids,
    purse: &mut Purse,
    line_max: usize,
) -> Result<Earlier, Trouble> {
    let file = match OpenOptions::new().read(true).write(true).open(&place.output) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            remove(place)?;
            return Ok(Earlier::default());
        }
        Err(error) => return Err(Trouble::file("read", &place.output, &error)),
    };
    let part = place.errors.with_extension("part");
    let errors = File::create(&part).map_err(|error| Trouble::file("write", &part, &error))?;
    let (errors, earlier) = (BufWriter::new(errors), Earlier::default());
    let mut reading = Reading { place, ids, purse, errors, earlier, line_max };
    let good = reading.all(&file)?;
    let Reading { errors, mut earlier, .. } = reading;
    let ended =
        errors.into_inner().map_err(|error| Trouble::file("write", &part, error.error()))?;
    ended.sync_all().map_err(|error| Trouble::file("write", &part, &error))?;
    if earlier.failed.is_empty() {
        remove(place)?;
        std::fs::remove_file(&part).map_err(|error| Trouble::file("remove", &part, &error))?;
    } else {
        std::fs::rename(&part, &place.errors)
            .map_err(|error| Trouble::file("write", &place.errors, &error))?;
    }
    earlier.mended = mend(place, &file, good)?;
    Ok(earlier)
}

fn remove(place: &Place) -> Result<(), Trouble> {
    match std::fs::remove_file(&place.errors) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::file("remove", &place.errors, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// How much of the output is whole.
#[derive(Clone, Copy, Debug, Default)]
struct Good {
    bytes: u64,
    /// Its last line has no end yet.
    open: bool,
}

fn mend(place: &Place, mut file: &File, good: Good) -> Result<u64, Trouble> {
    let failed = |error: io::Error| Trouble::file("mend", &place.output, &error);
    let length = file.metadata().map_err(failed)?.len();
    let torn = length.saturating_sub(good.bytes);
    if torn > 0 {
        file.set_len(good.bytes).map_err(failed)?;
    }
    if good.open {
        io::Seek::seek(&mut file, io::SeekFrom::End(0)).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    Ok(torn)
}

struct Reading<'a> {
    place: &'a Place,
    ids: &'a mut Ids,
    purse: &'a mut Purse,
    errors: BufWriter<File>,
    earlier: Earlier,
    /// Longest line, in bytes.
    line_max: usize,
}

impl Reading<'_> {
    fn all(&mut self, file: &File) -> Result<Good, Trouble> {
        let failed = |error: io::Error| Trouble::file("read", &self.place.output, &error);
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let (mut good, mut at, mut number) = (Good::default(), 0u64, 0u64);
        let mut bad: Option<u64> = None;
        let mut line = Vec::new();
        loop {
            let read = read_line(&mut reader, &mut line, self.line_max).map_err(failed)?;
            if read == 0 {
                return Ok(good);
            }
            at += read as u64;
            number += 1;
            if line.len() > self.line_max {
                return Err(self.foreign(format!(
                    "line {number} has more than {} bytes, and no line is written that is longer",
                    self.line_max
                )));
            }
            let whole = line.last() == Some(&b'\n');
            let text = line.trim_ascii();
            let Some(written) = record::read(text) else {
                bad.get_or_insert(number);
                continue;
            };
            if let Some(bad) = bad {
                return Err(
                    self.foreign(format!("line {bad} is no answer, and line {number} is one"))
                );
            }
            self.line(number, &written, text)?;
            good = Good { bytes: at, open: !whole };
        }
    }

    fn line(&mut self, number: u64, written: &record::Written, text: &[u8]) -> Result<(), Trouble> {
        match self.ids.mark(&id_of(&written.custom_id)) {
            Marked::First => {}
            Marked::Again => {
                return Err(self.foreign(format!(
                    "line {number} answers a line that an earlier one answers too"
                )));
            }
            Marked::Unknown => {
                return Err(self.foreign(format!(
                    "line {number} answers a line that the input does not have"
                )));
            }
        }
        let Some(kind) = written.kind else {
            self.earlier.answered += 1;
            if let Some((model, used)) = record::used(text) {
                self.purse.settle(Usd::ZERO, Some(&model), Some(used));
            }
            return Ok(());
        };
        *self.earlier.failed.entry(kind).or_default() += 1;
        let errors = &mut self.errors;
        errors
            .write_all(text)
            .and_then(|()| errors.write_all(b"\n"))
            .map_err(|error| Trouble::file("write", &self.place.errors, &error))
    }

    fn foreign(&self, why: String) -> Trouble {
        Trouble::new(
            Exit::Usage,
            format!("`{}` is not the output of this input", self.place.output.display()),
            why,
            "choose another output, or give the input that it belongs to",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::record::Outcome;
    use std::fs;

    fn answer(custom_id: &str, kind: Option<Kind>) -> Vec<u8> {
        let outcome = match kind {
            Some(kind) => Outcome::Error { kind, message: "why".to_owned() },
            None => Outcome::Response {
                status: http::StatusCode::OK,
                request_id: "r".to_owned(),
                body: bytes::Bytes::from_static(b"{}"),
                kind: None,
            },
        };
        let mut line = Vec::new();
        outcome.write(custom_id, &id_of(custom_id), &mut line);
        line
    }

    struct World {
        _folder: tempfile::TempDir,
        place: Place,
    }

    impl World {
        fn with(output: &[u8]) -> World {
            let folder = tempfile::tempdir().unwrap();
            let place = Place::take(&folder.path().join("out.jsonl")).unwrap();
            fs::write(&place.output, output).unwrap();
            World { _folder: folder, place }
        }

        fn resume(&self) -> Result<(Earlier, Ids), Trouble> {
            let mut ids = Ids::new(["a", "b", "c"].map(id_of).to_vec()).unwrap();
            let earlier = resume(&self.place, &mut ids, &mut Purse::default())?;
            Ok((earlier, ids))
        }
    }

    #[test]
    fn wherever_the_output_was_torn_whole_lines_are_kept_and_the_rest_is_done_again() {
        let (first, second) = (answer("a", None), answer("b", Some(Kind::Overloaded)));
        let all = [first.clone(), second.clone()].concat();
        for cut in 0..=all.len() {
            let world = World::with(&all[..cut]);
            let (earlier, ids) = world.resume().unwrap();
            // A line whose end alone is missing is whole.
            let whole = usize::from(cut + 1 >= first.len()) + usize::from(cut + 1 >= all.len());
            assert_eq!(ids.done(), whole, "cut at {cut}");
            let kept = fs::read(&world.place.output).unwrap();
            let wanted: &[u8] = match whole {
                0 => b"",
                1 => &first,
                _ => &all,
            };
            assert_eq!(kept, wanted, "cut at {cut}");
            assert_eq!(world.place.errors.exists(), whole == 2);
            assert_eq!(earlier.answered, u64::from(whole > 0));
        }
    }

    #[test]
    fn blocks_of_zeros_after_a_power_loss_are_cut_off() {
        let world = World::with(&[answer("a", None), vec![0; 4096], b"\n\0\0".to_vec()].concat());
        let (earlier, ids) = world.resume().unwrap();
        assert_eq!((ids.done(), earlier.mended), (1, 4099));
        assert_eq!(fs::read(&world.place.output).unwrap(), answer("a", None));
    }

    #[test]
    fn an_output_of_another_input_is_left_alone() {
        let good = answer("a", None);
        for (text, needle) in [
            ([good.clone(), answer("z", None)].concat(), "does not have"),
            ([good.clone(), good.clone()].concat(), "answers too"),
            ([b"notes\n".to_vec(), good.clone()].concat(), "is no answer"),
        ] {
            let world = World::with(&text);
            let refused = world.resume().unwrap_err();
            assert!(refused.why.contains(needle), "{}", refused.why);
            assert_eq!(fs::read(&world.place.output).unwrap(), text);
        }
    }

    #[test]
    fn a_line_longer_than_any_that_is_written_is_refused_and_not_read_to_its_end() {
        let (good, most) = (answer("a", None), 1_000);
        for (length, refused) in [(most - 1, false), (most, true), (most * 100, true)] {
            let world = World::with(&[good.clone(), vec![b'x'; length], b"\n".to_vec()].concat());
            let mut ids = Ids::new(["a", "b", "c"].map(id_of).to_vec()).unwrap();
            let read = read(&world.place, &mut ids, &mut Purse::default(), most);
            assert_eq!(read.is_err(), refused, "{length}");
            let Err(trouble) = read else { continue };
            assert_eq!(trouble.exit, Exit::Usage);
            assert!(trouble.why.contains("line 2 has more than 1000 bytes"), "{trouble:?}");
            let kept = fs::metadata(&world.place.output).unwrap().len();
            assert_eq!(kept, (good.len() + length + 1) as u64, "it is left alone");
        }
    }

    #[test]
    fn a_changed_input_is_noticed() {
        let world = World::with(b"");
        let record = Record { version: 1, fingerprint: "x".to_owned(), lines: 3 };
        same_input(&world.place, &record).unwrap();
        world.place.remember(&record).unwrap();
        same_input(&world.place, &record).unwrap();
        let other = Record { fingerprint: "y".to_owned(), ..record };
        assert_eq!(same_input(&world.place, &other).unwrap_err().exit, Exit::Usage);
    }
}
