//! Makes keys and tokens from the system's randomness, and compares what was hashed.

use mainstay_core::keys::KeyText;
use mainstay_core::store::{Digest, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// Makes a key nobody has seen.
pub fn mint() -> Result<KeyText, StoreError> {
    let mut bytes = random::<256>()?.into_iter().cycle();
    // 44 digits take 176 bytes, so none is used twice.
    Ok(KeyText::mint(|block| block.iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from)))
}

/// A token of 48 hexadecimal digits (192 bits).
pub fn random_token() -> Result<String, StoreError> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    let bytes = random::<24>()?;
    Ok(bytes.into_iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect())
}

/// SHA-256 of a secret. Secrets of ours are random, so a slow hash would protect nothing.
pub fn digest(secret: &[u8]) -> Digest {
    Digest(Sha256::digest(secret).into())
}

/// Whether two digests are the same, in a time that does not tell where they differ.
pub fn same_digest(a: &Digest, b: &Digest) -> bool {
    // Every bit of both is looked at, eight bytes at a step, before anything is decided.
    let words = a.0.as_chunks::<8>().0.iter().zip(b.0.as_chunks::<8>().0);
    let differ =
        words.fold(0, |differ, (a, b)| differ | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)));
    differ.ct_eq(&0).into()
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Surroundings {
        what: "get random bytes from the system".to_owned(),
        why: error.to_string(),
        fix: "see that /dev/urandom exists and may be read".to_owned(),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::keys::{KeyShape, check};

    #[test]
    fn minted_keys_are_well_formed_and_differ() {
        let (one, two) = (mint().unwrap(), mint().unwrap());
        assert!(matches!(check(one.expose().as_bytes()), KeyShape::WellFormed { .. }));
        assert_ne!(one.public(), two.public());
        assert_ne!(one.secret(), two.secret());
        assert_ne!(random_token().unwrap(), random_token().unwrap());
    }

    #[test]
    fn digests_are_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = digest(b"abc").0;
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert!(same_digest(&digest(b"abc"), &digest(b"abc")));
        assert!(!same_digest(&digest(b"abc"), &digest(b"abd")));
    }
}
