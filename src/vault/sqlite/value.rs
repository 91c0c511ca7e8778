//! Conversions of values for statements and from rows.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::model::{ConnectionId, ConsentId, GrantId, RevocationId, StoredName as _, TenantId};
use crate::vault::{DefinitionVersion, StateHash, VaultError};

/// A value for a parameter of a statement.
pub(super) trait Bind {
    /// Returns the value for SQLite.
    fn bind(&self) -> ToSqlOutput<'_>;
}

/// A value of a column.
pub(super) trait Column: Sized {
    /// Returns the value; `None` if it is of another type.
    fn column(value: ValueRef<'_>) -> Option<Self>;
}

/// Numbers that only count up from zero, and limits: a number that SQLite cannot hold is replaced
/// by its highest one.
macro_rules! unsigned {
    ($($type:ty),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Owned(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }

        impl Column for $type {
            fn column(value: ValueRef<'_>) -> Option<Self> {
                value.as_i64().ok()?.try_into().ok()
            }
        }
    )+};
}
unsigned!(u32, u64, usize);

macro_rules! bytes {
    ($($type:ty),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes()))
            }
        }

        impl Column for $type {
            fn column(value: ValueRef<'_>) -> Option<Self> {
                value.as_blob().ok()?.try_into().ok().map(Self::from_bytes)
            }
        }
    )+};
}
bytes!(
    ConnectionId,
    ConsentId,
    DefinitionVersion,
    GrantId,
    RevocationId,
    StateHash
);

impl Bind for i64 {
    fn bind(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Integer(*self))
    }
}

impl Column for i64 {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok()
    }
}

impl Bind for bool {
    fn bind(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Integer(i64::from(*self)))
    }
}

impl Column for bool {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        match value.as_i64().ok()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Bind for str {
    fn bind(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }
}

impl Bind for String {
    fn bind(&self) -> ToSqlOutput<'_> {
        self.as_str().bind()
    }
}

impl Column for String {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        value.as_str().ok().map(Self::from)
    }
}

impl Bind for TenantId {
    fn bind(&self) -> ToSqlOutput<'_> {
        self.as_str().bind()
    }
}

impl Column for TenantId {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        Self::stored(value.as_str().ok()?).ok()
    }
}

impl Bind for [u8] {
    fn bind(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Blob(self))
    }
}

impl Bind for Vec<u8> {
    fn bind(&self) -> ToSqlOutput<'_> {
        self.as_slice().bind()
    }
}

impl Column for Vec<u8> {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok().map(Self::from)
    }
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(&self) -> ToSqlOutput<'_> {
        self.as_slice().bind()
    }
}

impl<const N: usize> Column for [u8; N] {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok()?.try_into().ok()
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> ToSqlOutput<'_> {
        (*self).bind()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> ToSqlOutput<'_> {
        self.as_ref().map_or(ToSqlOutput::Owned(Value::Null), Bind::bind)
    }
}

impl<T: Column> Column for Option<T> {
    fn column(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::column(value).map(Some),
        }
    }
}

/// The columns of a row, taken one after another.
pub(super) struct Columns<'r> {
    row: &'r rusqlite::Row<'r>,
    at: usize,
}

impl<'r> Columns<'r> {
    pub(super) const fn new(row: &'r rusqlite::Row<'r>) -> Self {
        Self { row, at: 0 }
    }

    /// Returns whether the next column is NULL. Does not take it.
    pub(super) fn is_null(&self) -> Result<bool, VaultError> {
        Ok(matches!(self.peek()?, ValueRef::Null))
    }

    /// Takes the next column.
    pub(super) fn take<T: Column>(&mut self) -> Result<T, VaultError> {
        let value = T::column(self.peek()?).ok_or(VaultError::Damaged)?;
        self.at += 1;
        Ok(value)
    }

    /// Takes a value from the next column without a copy.
    pub(super) fn blob<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, VaultError> {
        let blob = self.peek()?.as_blob_or_null().map_err(|_| VaultError::Damaged)?;
        self.at += 1;
        Ok(blob.map(read))
    }

    fn peek(&self) -> Result<ValueRef<'r>, VaultError> {
        // A column is missing only if the statement has fewer columns than its reader takes.
        self.row.get_ref(self.at).map_err(|_| VaultError::Damaged)
    }
}
