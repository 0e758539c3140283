//! A zip file with nothing but stored texts: every system opens it.
//!
//! Source: PKWARE, ".ZIP File Format Specification" 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16, read
//! 2026-11.

/// A zip file as it grows.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    files: u16,
}

/// Names are UTF-8.
const UTF_8: u16 = 1 << 11;
/// 1980-01-01, the format's first day: when a bundle was made stands in its manifest.
const DATE: u16 = 0x21;

impl Archive {
    /// Adds a file. Names and sizes are small here: a bundle has few files of less than 4 MiB each.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) {
        let offset = size(self.bytes.len());
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let mut facts = Vec::with_capacity(26);
        for part in [20, UTF_8, 0, 0, DATE] {
            facts.extend_from_slice(&u16::to_le_bytes(part));
        }
        for part in [crc.sum(), size(data.len()), size(data.len())] {
            facts.extend_from_slice(&part.to_le_bytes());
        }
        let length = u16::try_from(name.len()).unwrap_or(0);
        for part in [length, 0] {
            facts.extend_from_slice(&part.to_le_bytes());
        }
        self.bytes.extend_from_slice(b"PK\x03\x04");
        self.bytes.extend_from_slice(&facts);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(data);
        self.directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        self.directory.extend_from_slice(&facts);
        // No comment, first disk, a text, no attributes.
        self.directory.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        self.directory.extend_from_slice(&offset.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.files = self.files.saturating_add(1);
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let offset = size(self.bytes.len());
        self.bytes.extend_from_slice(&self.directory);
        self.bytes.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
        for part in [self.files, self.files] {
            self.bytes.extend_from_slice(&part.to_le_bytes());
        }
        for part in [size(self.directory.len()), offset] {
            self.bytes.extend_from_slice(&part.to_le_bytes());
        }
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes
    }
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
