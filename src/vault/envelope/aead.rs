//! AES-256-GCM. This is the only module that uses the cipher of `ring`.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::random;
use crate::vault::VaultError;

pub(super) const KEY_LEN: usize = 32;
pub(crate) const NONCE_LEN: usize = 12;
pub(super) const TAG_LEN: usize = 16;

/// A cipher key with its key schedule.
///
/// The schedule is overwritten when the key is dropped. Copies that `ring` left on the stack while
/// computing it are not. The schedule is boxed, because moving it would leave copies behind.
pub(crate) struct Cipher(Box<LessSafeKey>);

impl Cipher {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Self {
        match UnboundKey::new(&AES_256_GCM, key) {
            Ok(key) => Self(Box::new(LessSafeKey::new(key))),
            // The only possible error is a wrong length, which the type excludes.
            Err(_) => unreachable!("AES-256 takes 32 bytes"),
        }
    }

    /// Encrypts `in_out` from `from` on and appends the tag.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), VaultError> {
        let plaintext = in_out.get_mut(from..).ok_or(VaultError::TooLarge)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), plaintext)
            .map_err(|_| VaultError::TooLarge)?;
        in_out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts `in_out`, which ends with the tag, in place. After a failure it contains no
    /// plaintext.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], VaultError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), in_out)
            .map_err(|_| VaultError::Tampered)
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        // `ring` does not overwrite a key schedule, which begins with the key itself. Assigning the
        // schedule of another key does.
        if let Ok(nothing) = UnboundKey::new(&AES_256_GCM, &[0; KEY_LEN]) {
            *self.0 = LessSafeKey::new(nothing);
            std::hint::black_box(&self.0);
        }
    }
}

/// Random nonces for several seals, drawn from the operating system at once.
pub(crate) struct Nonces(std::vec::IntoIter<[u8; NONCE_LEN]>);

impl Nonces {
    pub(crate) fn draw(count: usize) -> Result<Self, VaultError> {
        let mut nonces = vec![[0; NONCE_LEN]; count];
        random::fill(nonces.as_flattened_mut())?;
        Ok(Self(nonces.into_iter()))
    }

    /// Returns a nonce that was not returned before.
    pub(crate) fn take(&mut self) -> Result<[u8; NONCE_LEN], VaultError> {
        self.0.next().map_or_else(nonce, Ok)
    }
}

/// Returns a random nonce for one seal.
pub(super) fn nonce() -> Result<[u8; NONCE_LEN], VaultError> {
    let mut nonce = [0; NONCE_LEN];
    random::fill(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation": all those
    /// with a 256-bit key and a 96-bit nonce.
    #[test]
    fn known_answers() {
        let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
        let nonce = "cafebabefacedbaddecaf888";
        let plaintext = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
        let ciphertext = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                          8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
        let zero_key = "00".repeat(32);
        let zero_nonce = "00".repeat(12);
        let zero_block = "00".repeat(16);
        let aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
        let cases = [
            (
                zero_key.as_str(),
                zero_nonce.as_str(),
                "",
                "",
                "",
                "530f8afbc74536b9a963b4f1c4cb738b",
            ),
            (
                &zero_key,
                &zero_nonce,
                &zero_block,
                "",
                "cea7403d4d606b6e074ec5d3baf39d18",
                "d0d1c8a799996bf0265b98b5d48ab919",
            ),
            (
                key,
                nonce,
                plaintext,
                "",
                ciphertext,
                "b094dac5d93471bdec1a502270e3cc6c",
            ),
            (
                key,
                nonce,
                &plaintext[..120],
                aad,
                &ciphertext[..120],
                "76fc6ece0f4e1768cddf8853bb2d551b",
            ),
        ];
        for (key, nonce, plaintext, aad, ciphertext, tag) in cases {
            let cipher = Cipher::new(&hex(key).try_into().unwrap());
            let nonce: [u8; NONCE_LEN] = hex(nonce).try_into().unwrap();
            let mut in_out = hex(plaintext);
            cipher.seal(nonce, &hex(aad), &mut in_out, 0).unwrap();
            assert_eq!(in_out, [hex(ciphertext), hex(tag)].concat());
            assert_eq!(
                cipher.open(nonce, &hex(aad), &mut in_out).unwrap(),
                hex(plaintext)
            );
        }
    }

    #[test]
    fn nonces_that_are_drawn_at_once_differ_also_if_more_are_taken() {
        let mut nonces = Nonces::draw(500).unwrap();
        let mut seen: Vec<_> = (0..1_000).map(|_| nonces.take().unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(seen.iter().all(|nonce| *nonce != [0; NONCE_LEN]));
    }

    #[test]
    fn a_failed_open_releases_nothing() {
        let cipher = Cipher::new(&[7; KEY_LEN]);
        let mut sealed = b"a secret of some length".to_vec();
        cipher.seal([0; NONCE_LEN], b"aad", &mut sealed, 0).unwrap();
        assert!(matches!(
            cipher.open([0; NONCE_LEN], b"AAD", &mut sealed),
            Err(VaultError::Tampered)
        ));
        assert!(!sealed.windows(8).any(|window| window == b"a secret"));
    }
}
