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
            self.line.clear();
            let limit = LINE_MAX as u64 + 1;
            let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line)?;
            if read == 0 {
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
    if error.kind() == io::ErrorKind::InvalidData {
        let what = format!("could not read `{}`", path.display());
        let fix = "split the line, or make the file again if its compression is damaged";
        return Trouble::new(Exit::Failed, what, error.to_string(), fix);
    }
    Trouble::file("read", path, error)
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
}
