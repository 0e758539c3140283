//! The input as lines, as often as it is needed: a file, a gzip file, or standard input that was
//! spooled. One line is in memory at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::exit::Exit;
use crate::trouble::Trouble;

/// Longest line, in bytes.
pub(crate) const LINE_MAX: usize = 64 << 20;

/// Reads a line with its end into `line`, at most `most` bytes of it and one more; how many.
pub(crate) fn read_line(
    reader: &mut dyn BufRead,
    line: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    line.clear();
    reader.take(most as u64 + 1).read_until(b'\n', line)
}

/// Lines with their numbers; empty lines are counted and passed over.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Opens a file, compressed or not.
    pub(crate) fn open(path: &Path) -> Result<Lines, Trouble> {
        let failed = |error: &io::Error| Trouble::file("read", path, error);
        let mut file = File::open(path).map_err(|error| failed(&error))?;
        let mut magic = [0; 2];
        let read = read_up_to(&mut file, &mut magic).map_err(|error| failed(&error))?;
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let plain = BufReader::with_capacity(256 << 10, file);
        let reader: Box<dyn BufRead + Send> = if read == 2 && magic == [0x1f, 0x8b] {
            Box::new(BufReader::with_capacity(256 << 10, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Lines { reader, number: 0, line: Vec::new() })
    }

    /// The next line that is not empty, without its end, and its number from 1.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            if read_line(&mut *self.reader, &mut self.line, LINE_MAX)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() > LINE_MAX {
                let why = format!("line {} has more than {LINE_MAX} bytes", self.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            // A mark at the beginning of a file, as some editors write it.
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, self.line.trim_ascii())))
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A source that could not be read to its end.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Trouble {
    let damaged = |why: String, fix: &str| {
        let what = format!("could not read `{}`", path.display());
        Trouble::new(Exit::Failed, what, why, fix)
    };
    let again = "copy or compress the file again";
    let kind = error.kind();
    if kind == io::ErrorKind::UnexpectedEof {
        // Only compressed data can end before it says so.
        damaged("it is cut off: its compressed data has no end".to_owned(), again)
    } else if kind == io::ErrorKind::InvalidInput {
        // `flate2` 1 says this of damage, also in a checksum.
        damaged(format!("its compressed data is damaged: {error}"), again)
    } else if kind == io::ErrorKind::InvalidData {
        let fix = "split the line, or make the file again if its compression is damaged";
        damaged(error.to_string(), fix)
    } else {
        Trouble::file("read", path, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn all(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push((number, String::from_utf8(line.to_vec()).unwrap()));
        }
        found
    }

    #[test]
    fn lines_keep_their_numbers_and_lose_their_ends() {
        let wanted = vec![(1, "{}".to_owned()), (3, "[]".to_owned()), (4, "1".to_owned())];
        let text = b"\xef\xbb\xbf{}\r\n\n[] \n1";
        assert_eq!(all(text), wanted);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        assert_eq!(all(&gzip.finish().unwrap()), wanted, "compressed");
        assert_eq!(all(b""), vec![]);
    }

    /// What is said of a file that cannot be read to its end.
    fn said(bytes: &[u8]) -> Trouble {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{} bytes were read to their end", bytes.len()),
                Err(error) => return unreadable(file.path(), &error),
            }
        }
    }

    #[test]
    fn a_compressed_file_that_is_cut_or_damaged_is_said_to_be_that() {
        // No two pieces alike, so that damage anywhere is in data that counts.
        let lines: Vec<String> = (0..20_000u64)
            .map(|n| format!("{{\"n\":{}}}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        let text = lines.concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let whole = gzip.finish().unwrap();
        assert_eq!(all(&whole).len(), 20_000);
        for cut in [11, 100, whole.len() / 2, whole.len() - 1] {
            let trouble = said(&whole[..cut]);
            assert!(trouble.why.contains("cut off"), "cut at {cut}: {trouble:?}");
            assert!(!trouble.fix.contains("permissions"), "{trouble:?}");
        }
        let (middle, checksum) = (whole.len() / 2, whole.len() - 8);
        for damage in [middle, checksum] {
            let mut bytes = whole.clone();
            bytes[damage] ^= 0x55;
            let trouble = said(&bytes);
            let why = &trouble.why;
            assert!(why.contains("damaged") || why.contains("cut off"), "{damage}: {trouble:?}");
            assert!(!trouble.fix.contains("permissions"), "{trouble:?}");
        }
    }
}
