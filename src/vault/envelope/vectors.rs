//! The known answers of format 2, for the unit tests of everything that seals or encodes.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::vault::envelope::DataKey;

/// Returns a section of the known answers of format 2.
pub(in crate::vault) fn format_2<T: DeserializeOwned>(section: &str) -> T {
    section_of(include_str!("../../../tests/vectors/format-2.json"), 2, section)
}

/// Returns a section of the known answers of format 1.
pub(super) fn format_1<T: DeserializeOwned>(section: &str) -> T {
    section_of(include_str!("../../../tests/vectors/format-1.json"), 1, section)
}

fn section_of<T: DeserializeOwned>(answers: &str, format: u8, section: &str) -> T {
    let mut answers: serde_json::Value = serde_json::from_str(answers).unwrap();
    assert_eq!(answers["format"], format);
    serde_json::from_value(answers[section].take()).unwrap()
}

/// Bytes that the answers hold in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Hex(pub(in crate::vault) Vec<u8>);

impl Hex {
    /// Returns the bytes as an array.
    pub(in crate::vault) fn array<const LEN: usize>(&self) -> [u8; LEN] {
        self.0.as_slice().try_into().unwrap()
    }

    /// Returns the data key with these bytes.
    pub(in crate::vault) fn data_key(&self, version: u32) -> DataKey {
        DataKey::new(version, self.secret())
    }

    pub(super) fn secret(&self) -> Box<Zeroizing<[u8; 32]>> {
        Box::new(Zeroizing::new(self.array()))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).map_err(D::Error::custom)?, 16)
                    .map_err(D::Error::custom)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A number that the answers hold as text, because it may exceed 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Number(pub(in crate::vault) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
