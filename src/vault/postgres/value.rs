//! Conversions of values for statements and from rows.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::model::{ConnectionId, ConsentId, GrantId, RevocationId, StoredName as _, TenantId};
use crate::vault::{DefinitionVersion, StateHash, VaultError};

/// A value of a parameter, which a statement owns while it runs on another thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Numbers(Vec<i64>),
    Texts(Vec<String>),
    ManyBytes(Vec<Vec<u8>>),
}

impl Value {
    /// Returns the type of the parameter, where the server does not name it. That of NULL follows
    /// from the statement.
    pub(super) const fn kind(&self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Flag(_) => Type::BOOL,
            Self::Number(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
            Self::Numbers(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::ManyBytes(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Flag(value) => value.to_sql(kind, out),
            Self::Number(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
            Self::Numbers(value) => value.to_sql(kind, out),
            Self::Texts(value) => value.to_sql(kind, out),
            Self::ManyBytes(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // The type of each parameter is that of the column it is compared with or stored in.
        true
    }

    to_sql_checked!();
}

/// A value for a parameter of a statement.
pub(super) trait Bind {
    /// Returns the value for the server.
    fn bind(&self) -> Value;
}

/// A value of a column.
pub(super) trait Column: Sized {
    /// Returns the value of the column at this place; `None` if it is of another type.
    fn column(row: &Row, at: usize) -> Option<Self>;
}

/// Reads a column of a type that the client library converts.
fn raw<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Option<T> {
    row.try_get(at).ok()
}

/// Numbers that only count up from zero, and limits: a number that the server cannot hold is
/// replaced by its highest one.
macro_rules! unsigned {
    ($($type:ty),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> Value {
                Value::Number(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }

        impl Column for $type {
            fn column(row: &Row, at: usize) -> Option<Self> {
                raw::<i64>(row, at)?.try_into().ok()
            }
        }
    )+};
}
unsigned!(u32, u64, usize);

macro_rules! bytes {
    ($($type:ty),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> Value {
                Value::Bytes(self.as_bytes().to_vec())
            }
        }

        impl Column for $type {
            fn column(row: &Row, at: usize) -> Option<Self> {
                raw::<&[u8]>(row, at)?.try_into().ok().map(Self::from_bytes)
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

macro_rules! plain {
    ($($type:ty => $variant:ident),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> Value {
                Value::$variant(self.clone())
            }
        }

        impl Column for $type {
            fn column(row: &Row, at: usize) -> Option<Self> {
                raw(row, at)
            }
        }
    )+};
}
plain!(i64 => Number, bool => Flag, String => Text, Vec<u8> => Bytes);

macro_rules! lists {
    ($($type:ty => $variant:ident),+) => {$(
        impl Bind for $type {
            fn bind(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    )+};
}
lists!(Vec<i64> => Numbers, Vec<String> => Texts, Vec<Vec<u8>> => ManyBytes);

impl Bind for str {
    fn bind(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl Bind for TenantId {
    fn bind(&self) -> Value {
        self.as_str().bind()
    }
}

impl Column for TenantId {
    fn column(row: &Row, at: usize) -> Option<Self> {
        Self::stored(raw::<&str>(row, at)?).ok()
    }
}

impl Bind for [u8] {
    fn bind(&self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl<const N: usize> Bind for [u8; N] {
    fn bind(&self) -> Value {
        self.as_slice().bind()
    }
}

impl<const N: usize> Column for [u8; N] {
    fn column(row: &Row, at: usize) -> Option<Self> {
        raw::<&[u8]>(row, at)?.try_into().ok()
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Value {
        (*self).bind()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Value {
        self.as_ref().map_or(Value::Null, Bind::bind)
    }
}

impl<T: Column> Column for Option<T> {
    fn column(row: &Row, at: usize) -> Option<Self> {
        if is_null(row, at)? {
            Some(None)
        } else {
            T::column(row, at).map(Some)
        }
    }
}

/// A column of any type, of which only the presence is read.
struct Present;

impl FromSql<'_> for Present {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn is_null(row: &Row, at: usize) -> Option<bool> {
    let present: Option<Present> = raw(row, at)?;
    Some(present.is_none())
}

/// The columns of a row, taken one after another.
pub(super) struct Columns<'r> {
    row: &'r Row,
    at: usize,
}

impl<'r> Columns<'r> {
    pub(super) const fn new(row: &'r Row) -> Self {
        Self { row, at: 0 }
    }

    /// Returns whether the next column is NULL. Does not take it.
    pub(super) fn is_null(&self) -> Result<bool, VaultError> {
        is_null(self.row, self.at).ok_or(VaultError::Damaged)
    }

    /// Takes the next column.
    pub(super) fn take<T: Column>(&mut self) -> Result<T, VaultError> {
        let value = T::column(self.row, self.at).ok_or(VaultError::Damaged)?;
        self.at += 1;
        Ok(value)
    }
}
