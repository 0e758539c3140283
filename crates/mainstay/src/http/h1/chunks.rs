//! A body in chunks, taken apart where it lies: what one read brought leaves in one piece.

use bytes::{Buf, BytesMut};
use mainstay_core::classify::TransportFault;

/// Bytes of chunk extensions and trailers that are passed over in one body.
const BESIDE_MAX: usize = 16 * 1024;
/// Longest line that gives a size without extensions: 16 digits and its end.
const SIZE_LINE: usize = 18;

/// How far a body in chunks was read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of extensions and trailers so far.
    beside: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The line with the next chunk's size.
    #[default]
    Size,
    /// So much data of this chunk.
    Data(u64),
    /// The end of the line behind the data.
    DataEnd,
    /// A trailer, or the empty line that ends all.
    Trailer,
    Over,
}

impl Chunks {
    /// Whether the last chunk and what follows it were read.
    pub(super) fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// Brings the data of all chunks in `read` to its front, as far as they have come, and tells how
    /// much that is. What belongs to no data and was understood is gone from `read`.
    ///
    /// # Errors
    ///
    /// It is no body in chunks.
    pub(super) fn gather(&mut self, read: &mut BytesMut) -> Result<usize, TransportFault> {
        let (mut data, mut at) = (0, 0);
        while self.at != At::Over && at < read.len() {
            if let At::Data(left) = self.at {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(read.len() - at);
                if at > data {
                    read.copy_within(at..at + most, data);
                }
                (data, at) = (data + most, at + most);
                let left = left - most as u64;
                self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                continue;
            }
            let Some(passed) = self.line(&read[at..])? else { break };
            at += passed;
        }
        // What is not understood yet closes up to the data.
        let rest = read.len() - at;
        if at > data {
            if data == 0 {
                read.advance(at);
            } else {
                read.copy_within(at.., data);
                read.truncate(data + rest);
            }
        }
        Ok(data)
    }

    /// Understands the line at the beginning of `bytes` and tells its length; `None` while it has
    /// not come to its end.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, TransportFault> {
        if self.at == At::DataEnd {
            return match bytes {
                [b'\r', b'\n', ..] => {
                    self.at = At::Size;
                    Ok(Some(2))
                }
                [b'\r'] => Ok(None),
                _ => Err(TransportFault::MalformedHttp),
            };
        }
        if self.at == At::Size
            && let Some((size, length)) = plain_size(bytes)
        {
            self.at = if size == 0 { At::Trailer } else { At::Data(size) };
            return Ok(Some(length));
        }
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            let started = self.at != At::Size || hexadecimal(bytes[0]).is_some();
            let fits = bytes.len() <= SIZE_LINE + BESIDE_MAX - self.beside;
            return if started && fits { Ok(None) } else { Err(TransportFault::MalformedHttp) };
        };
        let line = bytes[..end].strip_suffix(b"\r").ok_or(TransportFault::MalformedHttp)?;
        if self.at == At::Size {
            self.size(line)?;
        } else {
            self.beside += line.len();
            self.at = if line.is_empty() { At::Over } else { At::Trailer };
        }
        if self.beside > BESIDE_MAX {
            Err(TransportFault::MalformedHttp)
        } else {
            Ok(Some(end + 1))
        }
    }

    fn size(&mut self, line: &[u8]) -> Result<(), TransportFault> {
        let digits = line.iter().take_while(|byte| hexadecimal(**byte).is_some()).count();
        if digits == 0 {
            return Err(TransportFault::MalformedHttp);
        }
        let mut size = 0_u64;
        for digit in line[..digits].iter().filter_map(|byte| hexadecimal(*byte)) {
            let room = size.checked_mul(16).ok_or(TransportFault::MalformedHttp)?;
            size = room + u64::from(digit);
        }
        // Blanks may follow, and what begins with a semicolon.
        let behind = line[digits..].trim_ascii_start();
        if !behind.is_empty() && !behind.starts_with(b";") {
            return Err(TransportFault::MalformedHttp);
        }
        self.beside += line.len() - digits;
        self.at = if size == 0 { At::Trailer } else { At::Data(size) };
        Ok(())
    }
}

/// The size and the length of a line that gives a size of up to eight digits and nothing else, which is
/// what nearly all do; `None` says nothing.
fn plain_size(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        if let Some(digit) = hexadecimal(*byte).filter(|_| at < 8) {
            size = size << 4 | u64::from(digit);
        } else {
            let ends = at > 0 && bytes[at..].starts_with(b"\r\n");
            return ends.then_some((size, at + 2));
        }
    }
    None
}

fn hexadecimal(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The data of a body that comes in these pieces, and what is left when it is over.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), TransportFault> {
        let (mut chunks, mut held, mut out) = (Chunks::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            let length = chunks.gather(&mut held)?;
            out.extend_from_slice(&held.split_to(length));
        }
        Ok((out, chunks.is_over(), held.len()))
    }

    #[test]
    fn what_belongs_to_no_data_is_passed_over() {
        let body = b"3;a=b\r\none\r\n0A \r\n0123456789\r\n0\r\nx: y\r\n\r\nmore";
        assert_eq!(read(&[body]), Ok((b"one0123456789".to_vec(), true, 4)));
    }

    #[test]
    fn what_is_no_chunk_is_told_as_soon_as_it_shows() {
        for body in [
            &b"zz"[..],
            b"-1\r\n",
            b"\r\n",
            b"5x\r\n",
            b"5\nhello\r\n",
            b"1\r\nab",
            b"1\r\na\n",
            b"11111111111111111\r\n",
            b"0\r\n\n",
        ] {
            let found = read(&[body]);
            assert_eq!(found, Err(TransportFault::MalformedHttp), "{}", body.escape_ascii());
        }
        let long = [b"1;".to_vec(), vec![b'x'; 40_000]].concat();
        assert_eq!(read(&[&long]), Err(TransportFault::MalformedHttp));
        let trailers = [b"0\r\n".to_vec(), b"x: y\r\n".repeat(5_000)].concat();
        assert_eq!(read(&[&trailers]), Err(TransportFault::MalformedHttp));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_data_comes(
            sizes in proptest::collection::vec(1_usize..40, 0..6),
            cuts in proptest::collection::vec(0_usize..200, 0..6),
        ) {
            let (mut body, mut data) = (Vec::new(), Vec::new());
            for (index, size) in sizes.iter().enumerate() {
                let part = vec![b'a' + u8::try_from(index).unwrap(); *size];
                body.extend_from_slice(format!("{size:x};e\r\n").as_bytes());
                body.extend_from_slice(&part);
                body.extend_from_slice(b"\r\n");
                data.extend_from_slice(&part);
            }
            body.extend_from_slice(b"0\r\nt: u\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), Ok((data, true, 0)));
        }
    }
}
