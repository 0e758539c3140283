//! Small encodings of the wire: Go durations, base64, gzip without compression, quoted JSON text.

use std::time::Duration;

/// Writes a duration as the provider does in `x-ratelimit-reset-*` and in "try again in" texts:
/// `0s`, `12ms`, `1.2s`, `6m0s`, `1h30m0s`. Rounded up to whole milliseconds.
///
/// Source: OpenAI, rate limit guide, table of headers, read 2026-11.
pub(crate) fn go_duration(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if ms == 0 {
        return "0s".into();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let mut seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    if hours > 0 {
        format!("{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{minutes}m{seconds}s")
    } else {
        format!("{seconds}s")
    }
}

/// A JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string can always be written as JSON")
}

/// Standard base64 with padding, as embeddings use it for little-endian 32-bit floats.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = u32::from(group[0]) << 16
            | u32::from(group.get(1).copied().unwrap_or(0)) << 8
            | u32::from(group.get(2).copied().unwrap_or(0));
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// A sound gzip file whose content is stored, not squeezed (RFC 1951 3.2.4, RFC 1952).
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(65_535).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 255, 255]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a chunk is at most 65,535 bytes");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let check = |ms, want: &str| assert_eq!(go_duration(Duration::from_millis(ms)), want);
        check(0, "0s");
        check(12, "12ms");
        check(1_000, "1s");
        check(1_200, "1.2s");
        check(60_000, "1m0s");
        check(61_005, "1m1.005s");
        check(360_000, "6m0s");
        check(5_400_000, "1h30m0s");
        assert_eq!(go_duration(Duration::from_micros(1)), "1ms", "never shorter than the wait");
    }

    #[test]
    fn base64_follows_the_standard() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn gzip_carries_the_checksum_of_its_content() {
        let packed = gzip(b"123456789");
        // The check value of CRC-32 for this text is published with the algorithm.
        assert_eq!(packed[packed.len() - 8..packed.len() - 4], 0xCBF4_3926u32.to_le_bytes());
        assert_eq!(&packed[15..24], b"123456789");
    }
}
