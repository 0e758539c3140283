//! Request bodies that come compressed: inflated as they arrive, never beyond the bound.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use mainstay_core::failure::Kind;

use super::{Arriving, Hold, piece, too_large};
use crate::refused::Refused;
use crate::settings::Bounds;

/// Reads and inflates a whole body.
pub(super) async fn hold_all(
    incoming: &mut Arriving,
    bounds: &Bounds,
    hold: &mut Hold,
) -> Result<Bytes, Refused> {
    let mut inflater = Inflater::new(bounds.body_max);
    while let Some(next) = piece(incoming, bounds.body_pause).await? {
        let before = inflater.len();
        inflater.push(&next)?;
        hold.grow(inflater.len() - before)?;
    }
    let before = inflater.len();
    let whole = inflater.finish()?;
    hold.grow(whole.len() - before)?;
    Ok(whole)
}

/// Inflates within a bound.
struct Inflater(MultiGzDecoder<Bounded>);

impl Inflater {
    fn new(max: u64) -> Inflater {
        Inflater(MultiGzDecoder::new(Bounded { bytes: Vec::new(), max, over: false }))
    }

    fn len(&self) -> usize {
        self.0.get_ref().bytes.len()
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Refused> {
        self.0.write_all(data).map_err(|_| self.why())
    }

    fn finish(mut self) -> Result<Bytes, Refused> {
        if self.0.try_finish().is_err() {
            return Err(self.why());
        }
        let inner =
            std::mem::replace(self.0.get_mut(), Bounded { bytes: Vec::new(), max: 0, over: false });
        Ok(Bytes::from(inner.bytes))
    }

    fn why(&self) -> Refused {
        let inner = self.0.get_ref();
        if inner.over {
            return too_large(inner.max + 1, inner.max, true);
        }
        Refused::caller(
            Kind::InvalidRequest,
            "The body says content-encoding: gzip, but is not sound gzip data. Compress it again, or send it as it is.",
        )
    }
}

/// A vector that refuses to grow beyond its bound.
struct Bounded {
    bytes: Vec<u8>,
    max: u64,
    over: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + data.len()) as u64 > self.max {
            self.over = true;
            return Err(io::Error::other("over the limit"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(data: &[u8], max: u64, piece: usize) -> Result<Bytes, Refused> {
        let mut inflater = Inflater::new(max);
        for part in data.chunks(piece) {
            inflater.push(part)?;
        }
        inflater.finish()
    }

    #[test]
    fn a_compressed_body_is_the_same_body() {
        let data = br#"{"model":"gpt-4o"}"#.repeat(1000);
        for piece in [1, 7, 100_000] {
            assert_eq!(inflate(&packed(&data), 1 << 20, piece).unwrap(), data);
        }
    }

    #[test]
    fn a_small_body_that_grows_huge_is_stopped_at_the_bound() {
        let bomb = packed(&vec![b' '; 10 << 20]);
        assert!(bomb.len() < 20_000);
        let refused = inflate(&bomb, 1 << 20, 4096).unwrap_err();
        assert_eq!(refused.kind, Kind::RequestTooLarge);
    }

    #[test]
    fn what_is_not_gzip_or_cut_short_is_refused() {
        let whole = packed(b"hello, hello, hello");
        for data in [&b"not gzip at all"[..], &whole[..whole.len() - 4], &whole[..12]] {
            assert_eq!(inflate(data, 1 << 20, 64).unwrap_err().kind, Kind::InvalidRequest);
        }
    }
}
