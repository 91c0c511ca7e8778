//! Searches files for residues of erased records.

use std::collections::HashMap;
use std::path::Path;

use super::files;

/// The length of the header and the nonce of a sealed record, or of the header of a wrapped key.
/// The bytes that follow are unique.
const HEADER: usize = 17;
/// The number of consecutive equal bytes that counts as a residue.
const ENOUGH: usize = 16;
const BLOCK: usize = 8;

/// The blocks of the sought records, by their bytes.
///
/// Any 16 consecutive bytes of a record contain one whole block of eight that begins at a multiple
/// of eight. So the search indexes every eighth position of the records, looks up every position of
/// the files, and compares the bytes around a match.
pub(crate) struct Searched<'a> {
    blocks: HashMap<u64, (&'a [u8], usize)>,
    /// A bit filter of the blocks: most positions of a file need only one lookup in it.
    filter: Vec<u64>,
}

impl<'a> Searched<'a> {
    pub(crate) fn new(records: impl IntoIterator<Item = &'a Vec<u8>>) -> Self {
        let mut searched = Self {
            blocks: HashMap::new(),
            filter: vec![0; 1 << 16],
        };
        for record in records {
            let Some(body) = record.get(HEADER..) else {
                continue;
            };
            for (index, block) in body.chunks_exact(BLOCK).enumerate() {
                let key = u64::from_be_bytes(block.try_into().unwrap());
                let (word, bit) = Self::place(key);
                searched.filter[word] |= bit;
                searched.blocks.insert(key, (body, index * BLOCK));
            }
        }
        searched
    }

    fn place(key: u64) -> (usize, u64) {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 42;
        (usize::try_from(hash >> 6).unwrap(), 1 << (hash & 63))
    }

    /// Returns the positions at which any of the records appears.
    pub(crate) fn find(&self, content: &[u8]) -> Option<usize> {
        let mut key = 0_u64;
        for (end, byte) in content.iter().enumerate() {
            key = key << 8 | u64::from(*byte);
            let (word, bit) = Self::place(key);
            if self.filter[word] & bit == 0 || end + 1 < BLOCK {
                continue;
            }
            let start = end + 1 - BLOCK;
            if let Some((body, offset)) = self.blocks.get(&key)
                && Self::in_a_row(body, *offset, content, start) >= ENOUGH
            {
                return Some(start);
            }
        }
        None
    }

    /// Returns the number of equal bytes around a block.
    fn in_a_row(body: &[u8], offset: usize, content: &[u8], start: usize) -> usize {
        let same = |(one, other): &(&u8, &u8)| one == other;
        let before = body[..offset].iter().rev().zip(content[..start].iter().rev());
        let after = body[offset..].iter().zip(&content[start..]);
        before.take_while(same).count() + after.take_while(same).count()
    }
}

/// Returns whether any file contains any 16 consecutive bytes of a record.
pub(crate) fn residue<'a>(path: &Path, dead: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<String> {
    let searched = Searched::new(dead);
    files(path).into_iter().find_map(|(file, content)| {
        let offset = searched.find(&content)?;
        Some(format!("{file:?} at {offset}"))
    })
}
