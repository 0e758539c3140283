//! Keys: every slip is told as one, and no bytes are too strange.

use super::*;
use crate::dice::Dice;
use proptest::prelude::*;

fn key(seed: u64) -> KeyText {
    let mut dice = Dice::new(seed);
    KeyText::mint(|block| block.iter_mut().for_each(|byte| *byte = dice.bits().to_le_bytes()[0]))
}

#[test]
fn a_minted_key_is_well_formed_and_splits_into_its_parts() {
    for seed in 0..200 {
        let key = key(seed);
        assert_eq!(key.expose().len(), KEY_LENGTH);
        let want = KeyShape::WellFormed { public: key.public(), secret: key.secret() };
        assert_eq!(check(key.expose().as_bytes()), want);
        assert_eq!(key.secret().len(), SECRET);
    }
}

#[test]
fn the_checksum_is_the_standard_one() {
    // The check value every catalogue of CRCs gives for CRC-32 (IEEE 802.3).
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    // Bit by bit, at every length.
    let bytes: Vec<u8> = (0..64_u8).map(|number| number.wrapping_mul(37) ^ 0xa5).collect();
    for length in 0..=bytes.len() {
        let mut crc = u32::MAX;
        for byte in &bytes[..length] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        assert_eq!(crc32(&bytes[..length]), !crc, "{length}");
    }
}

#[test]
fn every_single_wrong_character_is_told_as_a_typo() {
    let alphabet: Vec<u8> = DIGITS.iter().copied().chain(*b"-_. ").collect();
    for seed in 0..20 {
        let key = key(seed);
        for at in 0..KEY_LENGTH {
            for &letter in &alphabet {
                let mut wrong = key.expose().as_bytes().to_vec();
                if wrong[at] != letter {
                    wrong[at] = letter;
                    assert_typo(&wrong);
                }
            }
        }
    }
}

#[test]
fn every_swap_of_neighbours_is_told_as_a_typo() {
    for seed in 0..500 {
        let key = key(seed);
        for at in 1..KEY_LENGTH {
            let mut wrong = key.expose().as_bytes().to_vec();
            if wrong[at - 1] != wrong[at] {
                wrong.swap(at - 1, at);
                assert_typo(&wrong);
            }
        }
    }
}

#[test]
fn a_character_too_many_or_too_few_is_told_as_a_typo() {
    for seed in 0..50 {
        let key = key(seed);
        for at in 0..=KEY_LENGTH {
            let mut longer = key.expose().as_bytes().to_vec();
            longer.insert(at, b'x');
            assert_typo(&longer);
            if at < KEY_LENGTH {
                let mut shorter = key.expose().as_bytes().to_vec();
                shorter.remove(at);
                assert_typo(&shorter);
            }
        }
    }
}

#[test]
fn blanks_quotes_and_case_are_typos_and_other_vendors_keys_are_not_ours() {
    let good = key(7).expose().to_owned();
    for wrong in [
        format!(" {good}"),
        format!("{good} "),
        format!("\"{good}\""),
        good.to_uppercase(),
        good[..30].to_owned(),
        format!("sk-ms-{}", "x".repeat(65_536)),
    ] {
        assert_typo(wrong.as_bytes());
    }
    for foreign in [
        "",
        "sk-",
        "sk-x",
        "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl",
        "sk-mAbcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJK", // 51: the vendor's old shape
        "gsk_abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop",
    ] {
        assert_eq!(check(foreign.as_bytes()), KeyShape::NotOurs, "{foreign}");
    }
}

#[test]
fn debug_shows_the_public_part_only() {
    let key = key(3);
    for shown in [format!("{key:?}"), format!("{:?}", check(key.expose().as_bytes()))] {
        assert!(shown.contains(key.public().as_str()), "{shown}");
        assert!(!shown.contains(key.secret()), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes);
    }

    #[test]
    fn bytes_behind_our_prefix_are_never_taken_for_a_key(rest in "[0-9A-Za-z]{12}-[0-9A-Za-z]{38}") {
        // One in 2^32 would be; the generator's seeds do not hit it.
        let text = format!("sk-ms-{rest}");
        prop_assert_eq!(check(text.as_bytes()), KeyShape::Typo);
    }
}

#[track_caller]
fn assert_typo(bytes: &[u8]) {
    assert_eq!(check(bytes), KeyShape::Typo, "{}", String::from_utf8_lossy(bytes));
}
