//! The statements, one file for each kind of row.

pub(super) mod audit;
pub(super) mod connection;
pub(super) mod consent;
pub(super) mod definition;
pub(super) mod erase;
pub(super) mod expected;
pub(super) mod grant;
mod pending;
pub(super) mod revocation;
pub(super) mod tenant;
pub(super) mod token;

/// The columns of a row in each form that statements need, all from one list of `column = field`.
///
/// `names` are "a, b"; `names of "t"` are "t.a, t.b"; `values` are the parameters ":a, :b";
/// `changes` are "a = excluded.a, b = excluded.b"; `assigned` are "a = :a, b = :b"; `stored`
/// implements [`Stored`](super::sql::Stored).
macro_rules! columns {
    (names; $row:ident; $first:ident = $_first:ident $(, $column:ident = $_field:ident)*) => {
        concat!(stringify!($first) $(, ", ", stringify!($column))*)
    };
    (names of $table:literal; $row:ident; $first:ident = $_first:ident $(, $column:ident = $_field:ident)*) => {
        concat!($table, ".", stringify!($first) $(, ", ", $table, ".", stringify!($column))*)
    };
    (values; $row:ident; $first:ident = $_first:ident $(, $column:ident = $_field:ident)*) => {
        concat!(":", stringify!($first) $(, ", :", stringify!($column))*)
    };
    (changes; $row:ident; $first:ident = $_first:ident $(, $column:ident = $_field:ident)*) => {
        concat!(
            stringify!($first), " = excluded.", stringify!($first)
            $(, ", ", stringify!($column), " = excluded.", stringify!($column))*
        )
    };
    (assigned; $row:ident; $first:ident = $_first:ident $(, $column:ident = $_field:ident)*) => {
        concat!(
            stringify!($first), " = :", stringify!($first)
            $(, ", ", stringify!($column), " = :", stringify!($column))*
        )
    };
    (stored; $row:ident; $($column:ident = $field:ident),+) => {
        impl $crate::vault::postgres::sql::Stored for $row {
            fn bind(&self) -> Vec<(&'static str, $crate::vault::postgres::value::Value)> {
                vec![$((
                    concat!(":", stringify!($column)),
                    $crate::vault::postgres::value::Bind::bind(&self.$field),
                )),+]
            }

            fn read(
                columns: &mut $crate::vault::postgres::value::Columns<'_>,
            ) -> std::result::Result<Self, $crate::vault::VaultError> {
                Ok(Self { $($field: columns.take()?),+ })
            }
        }
    };
}
use columns;

use crate::vault::VaultError;
use crate::vault::postgres::sql::Stored;
use crate::vault::postgres::value::{Column, Columns};
use crate::vault::tables::Of;

/// Reads a row that begins with the number and the name of its tenant.
fn of_tenant<T>(
    columns: &mut Columns<'_>,
    read: impl FnOnce(&mut Columns<'_>) -> Result<T, VaultError>,
) -> Result<Of<T>, VaultError> {
    Ok(Of {
        tenant: columns.take()?,
        name: columns.take()?,
        row: read(columns)?,
    })
}

/// Takes one column.
fn taken<T: Column>(columns: &mut Columns<'_>) -> Result<T, VaultError> {
    columns.take()
}

/// Takes one row.
fn row<T: Stored>(columns: &mut Columns<'_>) -> Result<T, VaultError> {
    T::read(columns)
}

/// Returns the record, or NULL in place of one without bytes.
fn record(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}
