//! Maps whose keys are hashes already.
//!
//! A caller that must hash several borrowed values without building a key hashes them once. A map
//! of the standard library would hash the result a second time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from keyed hashes of 64 bits. An attacker who chooses what is hashed does not know the key
/// and cannot choose the hashes.
pub(crate) type HashedMap<V> = HashMap<u64, V, BuildHasherDefault<Prehashed>>;

/// Returns a hash of 64 bits as it is.
#[derive(Debug, Default)]
pub(crate) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only hashes of 64 bits are keys. Anything else is still distributed.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
