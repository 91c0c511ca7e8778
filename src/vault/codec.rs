//! The encoding of rows and of the columns that a database does not search.
//!
//! A record is a sequence of fields, each a big-endian `u32` length followed by that many bytes.
//! The reader knows the order and the types of the fields; neither is written. Two different
//! sequences of fields never have the same encoding, because every length precedes its bytes.
//!
//! | Type | Bytes of the field |
//! |---|---|
//! | bytes, text, arrays | the bytes themselves; text is UTF-8 |
//! | `u32`, `u64`, `i64` | big-endian, 4 or 8 bytes |
//! | `bool` | one byte, 0 or 1 |
//! | an optional value | none if it is absent, otherwise the byte 1 and the value |
//! | a list | the number of its items as a `u32` field, then the fields of each item |
//!
//! Do not encode a secret in the clear with it: a buffer that grows leaves copies behind in freed
//! memory.

use crate::vault::VaultError;

type Result<T> = std::result::Result<T, VaultError>;

/// The byte before an optional value that is present.
const PRESENT: u8 = 1;

/// A record that is being written, field by field.
///
/// ```text
/// Encoder::new().text("notes").opt_i64(None).flag(true).finish()
/// ```
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Returns a record without fields.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns a record without fields, with room for this many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    /// Returns the encoded record.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends one field that consists of these pieces.
    fn field(mut self, pieces: &[&[u8]]) -> Self {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        // No field reaches 4 GiB. If one did, the record would be refused when it is read.
        let prefix = u32::try_from(len).unwrap_or(u32::MAX);
        self.bytes.reserve(4 + len);
        self.bytes.extend_from_slice(&prefix.to_be_bytes());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self
    }

    fn optional(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.field(&[&[PRESENT], value]),
            None => self.field(&[]),
        }
    }

    /// Appends bytes, or an array of them.
    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        self.field(&[value])
    }

    /// Appends text.
    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Appends a number.
    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a number.
    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a number.
    pub(crate) fn i64(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a truth value.
    pub(crate) fn flag(self, value: bool) -> Self {
        self.bytes(&[u8::from(value)])
    }

    /// Appends bytes, an array of them, or their absence.
    pub(crate) fn opt_bytes(self, value: Option<&[u8]>) -> Self {
        self.optional(value)
    }

    /// Appends text or its absence.
    pub(crate) fn opt_text(self, value: Option<&str>) -> Self {
        self.optional(value.map(str::as_bytes))
    }

    /// Appends a number or its absence.
    pub(crate) fn opt_u64(self, value: Option<u64>) -> Self {
        self.optional(value.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// Appends a number or its absence.
    pub(crate) fn opt_i64(self, value: Option<i64>) -> Self {
        self.optional(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))
    }

    /// Appends a list, whose items `item` appends.
    pub(crate) fn list<I>(self, items: I, item: impl Fn(Self, I::Item) -> Self) -> Self
    where
        I: IntoIterator<IntoIter: ExactSizeIterator>,
    {
        let items = items.into_iter();
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items.fold(self.u32(count), item)
    }
}

/// A record that is being read, field by field, in the order in which it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// The fields of this record.
    pub(crate) const fn new(record: &'a [u8]) -> Self {
        Self { rest: record }
    }

    /// Fails with [`VaultError::Damaged`] if there is another field.
    pub(crate) const fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(VaultError::Damaged)
        }
    }

    /// Reads bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>().ok_or(VaultError::Damaged)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| VaultError::Damaged)?;
        let (value, rest) = rest.split_at_checked(len).ok_or(VaultError::Damaged)?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads bytes or their absence.
    pub(crate) fn opt_bytes(&mut self) -> Result<Option<&'a [u8]>> {
        match self.bytes()? {
            [] => Ok(None),
            [PRESENT, value @ ..] => Ok(Some(value)),
            _ => Err(VaultError::Damaged),
        }
    }

    /// Reads an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        array(self.bytes()?)
    }

    /// Reads an array or its absence.
    pub(crate) fn opt_array<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        self.opt_bytes()?.map(array).transpose()
    }

    /// Reads text.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        text(self.bytes()?)
    }

    /// Reads text or its absence.
    pub(crate) fn opt_text(&mut self) -> Result<Option<&'a str>> {
        self.opt_bytes()?.map(text).transpose()
    }

    /// Reads a number.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a number.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a number.
    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Reads a number or its absence.
    pub(crate) fn opt_u64(&mut self) -> Result<Option<u64>> {
        Ok(self.opt_array()?.map(u64::from_be_bytes))
    }

    /// Reads a number or its absence.
    pub(crate) fn opt_i64(&mut self) -> Result<Option<i64>> {
        Ok(self.opt_array()?.map(i64::from_be_bytes))
    }

    /// Reads a truth value.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        match self.bytes()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(VaultError::Damaged),
        }
    }

    /// Reads a list, whose items `item` reads.
    pub(crate) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        // The count may be damaged, so it does not decide how much memory is reserved.
        (0..self.u32()?).map(|_| item(self)).collect()
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| VaultError::Damaged)
}

fn text(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).map_err(|_| VaultError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    enum Field {
        Text(String),
        OptText(Option<String>),
        Bytes(Vec<u8>),
        OptBytes(Option<Vec<u8>>),
        U32(u32),
        U64(u64),
        I64(i64),
        OptU64(Option<u64>),
        OptI64(Option<i64>),
        Flag(bool),
        Array([u8; 16]),
        OptArray(Option<[u8; 16]>),
        Texts(Vec<String>),
    }

    impl Field {
        fn write(&self, encoder: Encoder) -> Encoder {
            match self {
                Self::Text(value) => encoder.text(value),
                Self::OptText(value) => encoder.opt_text(value.as_deref()),
                Self::Bytes(value) => encoder.bytes(value),
                Self::OptBytes(value) => encoder.opt_bytes(value.as_deref()),
                Self::U32(value) => encoder.u32(*value),
                Self::U64(value) => encoder.u64(*value),
                Self::I64(value) => encoder.i64(*value),
                Self::OptU64(value) => encoder.opt_u64(*value),
                Self::OptI64(value) => encoder.opt_i64(*value),
                Self::Flag(value) => encoder.flag(*value),
                Self::Array(value) => encoder.bytes(value),
                Self::OptArray(value) => encoder.opt_bytes(value.as_ref().map(<[u8; 16]>::as_slice)),
                Self::Texts(values) => encoder.list(values, |encoder, value| encoder.text(value)),
            }
        }

        /// Reads a field of the same type.
        fn read_like(&self, decoder: &mut Decoder<'_>) -> Result<Self> {
            Ok(match self {
                Self::Text(_) => Self::Text(decoder.text()?.to_owned()),
                Self::OptText(_) => Self::OptText(decoder.opt_text()?.map(str::to_owned)),
                Self::Bytes(_) => Self::Bytes(decoder.bytes()?.to_vec()),
                Self::OptBytes(_) => Self::OptBytes(decoder.opt_bytes()?.map(<[u8]>::to_vec)),
                Self::U32(_) => Self::U32(decoder.u32()?),
                Self::U64(_) => Self::U64(decoder.u64()?),
                Self::I64(_) => Self::I64(decoder.i64()?),
                Self::OptU64(_) => Self::OptU64(decoder.opt_u64()?),
                Self::OptI64(_) => Self::OptI64(decoder.opt_i64()?),
                Self::Flag(_) => Self::Flag(decoder.flag()?),
                Self::Array(_) => Self::Array(decoder.array()?),
                Self::OptArray(_) => Self::OptArray(decoder.opt_array()?),
                Self::Texts(_) => Self::Texts(decoder.list(|decoder| decoder.text().map(str::to_owned))?),
            })
        }
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            "[a\\x00\\x01]{0,5}".prop_map(Field::Text),
            prop::option::of("[a\\x00\\x01]{0,5}").prop_map(Field::OptText),
            prop::collection::vec(any::<u8>(), 0..6).prop_map(Field::Bytes),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..6)).prop_map(Field::OptBytes),
            any::<u32>().prop_map(Field::U32),
            any::<u64>().prop_map(Field::U64),
            any::<i64>().prop_map(Field::I64),
            any::<Option<u64>>().prop_map(Field::OptU64),
            any::<Option<i64>>().prop_map(Field::OptI64),
            any::<bool>().prop_map(Field::Flag),
            any::<[u8; 16]>().prop_map(Field::Array),
            any::<Option<[u8; 16]>>().prop_map(Field::OptArray),
            prop::collection::vec("[a\\x00]{0,3}", 0..4).prop_map(Field::Texts),
        ]
    }

    fn encode(fields: &[Field]) -> Vec<u8> {
        fields
            .iter()
            .fold(Encoder::new(), |encoder, field| field.write(encoder))
            .finish()
    }

    fn pieces() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        let piece = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(4)], 0..6);
        prop::collection::vec(prop::option::of(piece), 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(fields in prop::collection::vec(field(), 0..8)) {
            let record = encode(&fields);
            let mut decoder = Decoder::new(&record);
            for field in &fields {
                prop_assert_eq!(&field.read_like(&mut decoder).unwrap(), field);
            }
            decoder.finish().unwrap();
        }

        #[test]
        fn different_fields_never_encode_alike(left in pieces(), right in pieces()) {
            let encoded = |pieces: &[Option<Vec<u8>>]| {
                pieces
                    .iter()
                    .fold(Encoder::new(), |encoder, piece| encoder.opt_bytes(piece.as_deref()))
                    .finish()
            };
            prop_assert_eq!(encoded(&left) == encoded(&right), left == right);
        }

        #[test]
        fn a_record_that_is_cut_short_is_damaged(
            fields in prop::collection::vec(field(), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let record = encode(&fields);
            let mut decoder = Decoder::new(&record[..cut.index(record.len())]);
            let is_damaged = fields
                .iter()
                .any(|field| matches!(field.read_like(&mut decoder), Err(VaultError::Damaged)));
            prop_assert!(is_damaged);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), as_field in field()) {
            let mut decoder = Decoder::new(&bytes);
            while as_field.read_like(&mut decoder).is_ok() {}
        }
    }

    #[test]
    fn the_absent_and_the_empty_differ() {
        let record = Encoder::new().opt_text(None).opt_text(Some("")).finish();
        let mut decoder = Decoder::new(&record);
        assert_eq!(decoder.opt_text().unwrap(), None);
        assert_eq!(decoder.opt_text().unwrap(), Some(""));
        decoder.finish().unwrap();
    }

    #[test]
    fn the_format_is_as_documented() {
        let record = Encoder::new()
            .text("ab")
            .opt_bytes(Some(&[0, 0, 0, 7]))
            .flag(true)
            .finish();
        let expected: &[u8] = &[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 5, 1, 0, 0, 0, 7, 0, 0, 0, 1, 1];
        assert_eq!(record, expected);
    }

    #[test]
    fn what_follows_the_last_field_is_damage() {
        let record = Encoder::new().flag(true).flag(true).finish();
        let mut decoder = Decoder::new(&record);
        decoder.flag().unwrap();
        assert!(matches!(decoder.finish(), Err(VaultError::Damaged)));
    }

    #[test]
    fn values_of_another_type_are_damage() {
        let flag = Encoder::new().bytes(&[2]).finish();
        assert!(matches!(Decoder::new(&flag).flag(), Err(VaultError::Damaged)));
        assert!(matches!(
            Decoder::new(&flag).opt_bytes(),
            Err(VaultError::Damaged)
        ));
        assert!(matches!(Decoder::new(&flag).u64(), Err(VaultError::Damaged)));
        let text = Encoder::new().bytes(&[0xff]).finish();
        assert!(matches!(Decoder::new(&text).text(), Err(VaultError::Damaged)));
    }
}
