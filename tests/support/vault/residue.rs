//! Looks for what is left of erased records in files.

use std::collections::HashMap;
use std::path::Path;

use super::files;

/// The header and the nonce of a sealed record, or the header of a wrapped key: what follows is
/// like no other bytes.
const HEADER: usize = 17;
/// As many bytes in a row are a find.
const ENOUGH: usize = 16;
const BLOCK: usize = 8;

/// Blocks of the records that are looked for, by their bytes.
///
/// Any 16 bytes in a row of a record hold one whole block of eight that begins at a multiple of
/// eight. So every eighth place of the records is remembered, every place of the files is looked
/// up, and the bytes around a match are compared.
pub(crate) struct Searched<'a> {
    blocks: HashMap<u64, (&'a [u8], usize)>,
    /// One bit for what may be among the blocks: most places of a file need no more than a look at
    /// it.
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

    /// Returns where any of the records shows itself.
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

    /// Returns how many bytes around a block are the same in both.
    fn in_a_row(body: &[u8], offset: usize, content: &[u8], start: usize) -> usize {
        let same = |(one, other): &(&u8, &u8)| one == other;
        let before = body[..offset].iter().rev().zip(content[..start].iter().rev());
        let after = body[offset..].iter().zip(&content[start..]);
        before.take_while(same).count() + after.take_while(same).count()
    }
}

/// Returns whether any 16 bytes in a row of a record are in any file.
pub(crate) fn residue<'a>(path: &Path, dead: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<String> {
    let searched = Searched::new(dead);
    files(path).into_iter().find_map(|(file, content)| {
        let offset = searched.find(&content)?;
        Some(format!("{file:?} at {offset}"))
    })
}
