//! What a picture costs in tokens, by the vendor's published rules.
//!
//! Two ways are in use. *Tiles*: the picture is scaled into 2048 × 2048, then until its shorter side is
//! 768, and cut into squares of 512; a base is added. *Patches*: it is covered by squares of 32, scaled
//! down until at most 1536 do, and their number is multiplied. Where the size is not known (a picture
//! behind an address) the largest that the rules give is taken.

use crate::models::longest;

/// How closely the model is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// A fixed small budget.
    Low,
    /// The whole picture; what `auto` is counted as.
    #[default]
    High,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Base, and for each tile.
    Tiles(u64, u64),
    /// A factor in hundredths.
    Patches(u64),
}

// Source: the vendor's guide on images and vision, section on costs, known as of 2026-11.
const RULES: &[(&str, Rule)] = &[
    ("gpt-4o", Rule::Tiles(85, 170)),
    ("chatgpt-4o", Rule::Tiles(85, 170)),
    ("gpt-4.1", Rule::Tiles(85, 170)),
    ("gpt-4.5", Rule::Tiles(85, 170)),
    ("gpt-4-turbo", Rule::Tiles(85, 170)),
    ("gpt-4-vision", Rule::Tiles(85, 170)),
    ("gpt-4-1106", Rule::Tiles(85, 170)),
    ("gpt-4o-mini", Rule::Tiles(2833, 5667)),
    ("o1", Rule::Tiles(75, 150)),
    ("o3", Rule::Tiles(75, 150)),
    ("computer-use-preview", Rule::Tiles(65, 129)),
    ("gpt-5", Rule::Tiles(70, 140)),
    ("gpt-4.1-mini", Rule::Patches(162)),
    ("gpt-4.1-nano", Rule::Patches(246)),
    ("gpt-5-mini", Rule::Patches(162)),
    ("gpt-5-nano", Rule::Patches(246)),
    ("o4-mini", Rule::Patches(172)),
];
const PATCHES_MAX: u64 = 1536;
const PATCH: f64 = 32.0;

/// The tokens of a picture, and whether the rule of the model and the picture's size are known;
/// otherwise the number is the largest that the rules of a model alike give.
pub fn tokens(model: &str, size: Option<Size>, detail: Detail) -> (u64, bool) {
    let rule = longest(RULES, model, |row| row.0).map(|row| row.1);
    let known = rule.is_some();
    match (rule.unwrap_or(Rule::Tiles(85, 170)), detail, size) {
        (Rule::Tiles(base, _), Detail::Low, _) => (base, known),
        // 768 × 2048 is the largest that scaling leaves: two tiles by four.
        (Rule::Tiles(base, tile), Detail::High, None) => (base + 8 * tile, false),
        (Rule::Tiles(base, tile), Detail::High, Some(size)) => (base + tiles(size) * tile, known),
        (Rule::Patches(factor), _, None) => (times(PATCHES_MAX, factor), false),
        (Rule::Patches(factor), _, Some(size)) => (times(patches(size), factor), known),
    }
}

fn times(patches: u64, hundredths: u64) -> u64 {
    (patches * hundredths).div_ceil(100)
}

fn tiles(size: Size) -> u64 {
    let (mut width, mut height) = (f64::from(size.width.max(1)), f64::from(size.height.max(1)));
    let fit = (2048.0 / width.max(height)).min(1.0);
    (width, height) = (width * fit, height * fit);
    let short = (768.0 / width.min(height)).min(1.0);
    (width, height) = (width * short, height * short);
    whole((width / 512.0).ceil()) * whole((height / 512.0).ceil())
}

fn patches(size: Size) -> u64 {
    let (width, height) = (f64::from(size.width.max(1)), f64::from(size.height.max(1)));
    let cover =
        |scale: f64| whole((width * scale / PATCH).ceil()) * whole((height * scale / PATCH).ceil());
    if cover(1.0) <= PATCHES_MAX {
        return cover(1.0);
    }
    let mut scale = (PATCH * PATCH * PATCHES_MAX as f64 / (width * height)).sqrt();
    let (across, down) = (width * scale / PATCH, height * scale / PATCH);
    // Rounding down to whole patches on the side that loses less keeps the number within its bound.
    scale *= (across.floor() / across).min(down.floor() / down);
    // One side comes out whole but for the error of floats.
    let side = |pixels: f64| whole((pixels * scale / PATCH - 1e-6).ceil()).max(1);
    (side(width) * side(height)).min(PATCHES_MAX)
}

/// A small whole number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 2^27 patches of a 32-bit size"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// The size that a picture's first bytes tell: PNG, GIF, JPEG and WebP.
pub fn size_of(bytes: &[u8]) -> Option<Size> {
    let be16 =
        |at: usize| Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let be32 = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let le16 =
        |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(Size { width: be32(16)?, height: be32(20)? });
    }
    if bytes.starts_with(b"GIF8") {
        return Some(Size { width: le16(6)?, height: le16(8)? });
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return webp(bytes);
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    // JPEG: segments until a frame header, which holds height and width.
    let mut at = 2;
    loop {
        let (mark, kind) = (*bytes.get(at)?, *bytes.get(at + 1)?);
        if mark != 0xff {
            return None;
        }
        if kind == 0xff {
            at += 1;
            continue;
        }
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            return Some(Size { height: be16(at + 5)?, width: be16(at + 7)? });
        }
        at += 2 + be16(at + 2)?.max(2) as usize;
    }
}

fn webp(bytes: &[u8]) -> Option<Size> {
    let le16 =
        |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let le24 = |at: usize| Some(le16(at)? | u32::from(*bytes.get(at + 2)?) << 16);
    match bytes.get(12..16)? {
        b"VP8X" => Some(Size { width: le24(24)? + 1, height: le24(27)? + 1 }),
        b"VP8 " => Some(Size { width: le16(26)? & 0x3fff, height: le16(28)? & 0x3fff }),
        b"VP8L" => {
            let bits = le16(21)? | le16(23)? << 16;
            Some(Size { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn the_examples_of_the_guide_come_out() {
        for (model, size, detail, expected) in [
            ("gpt-4o", Some(size(1024, 1024)), Detail::High, 765),
            ("gpt-4o", Some(size(2048, 4096)), Detail::High, 1105),
            ("gpt-4o", Some(size(4096, 8192)), Detail::Low, 85),
            ("gpt-4.1-mini", Some(size(1024, 1024)), Detail::High, 1659),
            ("o4-mini", Some(size(1800, 2400)), Detail::High, 2498),
            ("gpt-4o-mini", Some(size(512, 512)), Detail::High, 8500),
        ] {
            assert_eq!(tokens(model, size, detail), (expected, true), "{model} {size:?}");
        }
        assert_eq!(patches(Size { width: 1800, height: 2400 }), 1452);
    }

    #[test]
    fn an_unknown_size_counts_as_the_largest() {
        for model in ["gpt-4o", "gpt-5-mini", "o1", "new-model"] {
            let (most, known) = tokens(model, None, Detail::High);
            assert!(!known);
            for side in
                [(1, 1), (768, 2048), (4000, 4000), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, 0)]
            {
                assert!(
                    tokens(model, Some(size(side.0, side.1)), Detail::High).0 <= most,
                    "{model} {side:?}"
                );
            }
        }
    }

    #[test]
    fn a_picture_tells_its_size_in_its_first_bytes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\0\x80";
        assert_eq!(size_of(png), Some(size(256, 128)));
        assert_eq!(size_of(b"GIF89a\x10\0\x20\0"), Some(size(16, 32)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\0\x64\0\xc8";
        assert_eq!(size_of(jpeg), Some(size(200, 100)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x1f\0\0";
        assert_eq!(size_of(webp), Some(size(16, 32)));
        for cut in [
            &b""[..],
            b"\xff\xd8",
            b"\xff\xd8\xff\xe0\0\0",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"text",
        ] {
            assert_eq!(size_of(cut), None);
        }
    }
}
