//! Where records of a batch begin and end.

use mainstay_core::store::RequestId;

use super::{HEAD, LIKE};

/// One record of a batch, still as bytes.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    batch: &'a [u8],
    start: usize,
    /// Its own bytes, [`HEAD`] of them at least.
    bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// The one that begins there; `None` where the batch is damaged or at its end.
    pub(super) fn at(batch: &'a [u8], start: usize) -> Option<Piece<'a>> {
        let rest = batch.get(start..)?;
        let length: [u8; 4] = *rest.first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
        let bytes = rest.get(..length).filter(|_| length >= HEAD)?;
        Some(Piece { batch, start, bytes })
    }

    /// Its id.
    pub(crate) fn id(&self) -> RequestId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.bytes[HEAD - 16..HEAD]);
        RequestId(id)
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn version(&self) -> u8 {
        self.bytes[4]
    }

    pub(super) fn behind_version(&self) -> &'a [u8] {
        &self.bytes[5..]
    }

    /// Where the record begins that this one is like; `None` for a whole one, or a damaged one.
    pub(super) fn base(&self) -> Option<usize> {
        let back: [u8; 4] = *self.bytes[HEAD..].first_chunk()?;
        let back = usize::try_from(u32::from_le_bytes(back)).ok()?;
        self.start.checked_sub(back).filter(|_| self.version() == LIKE)
    }

    /// The whole record that this one is like.
    pub(super) fn base_piece(&self) -> Option<Piece<'a>> {
        Piece::at(self.batch, self.base()?)
    }
}

/// The records of a batch; what is damaged ends it.
pub(crate) fn pieces(batch: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let piece = Piece::at(batch, next)?;
        next += piece.bytes.len();
        Some(piece)
    })
}
