//! The hot path: a connection, its grant and its access token by one search in each table.

use crate::vault::VaultError;
use crate::vault::sqlite3::data::connection::connection_columns;
use crate::vault::sqlite3::data::grant::grant_columns;
use crate::vault::sqlite3::data::slots;
use crate::vault::sqlite3::sql::{Sql, Stored as _};
use crate::vault::sqlite3::value::Columns;
use crate::vault::tables::{ConnectionRow, FoundRows, GrantRow, TenantRow, Wanted};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! token {
    ($where:literal) => {
        concat!(
            "SELECT ",
            connection_columns!(names of "c"),
            ", ",
            grant_columns!(names of "g"),
            ", g.slot, s.access FROM connections c
            LEFT JOIN grants g ON g.tenant = c.tenant AND g.uuid = c.grant_id
            LEFT JOIN secrets s ON s.slot = g.slot
            WHERE c.tenant = :tenant AND c.revoked = 0 AND ",
            $where
        )
    };
}

/// The default comes first; a second row tells whether one is needed.
const BY_OWNER: &str =
    token!("c.owner = :owner AND c.provider = :provider ORDER BY c.is_default DESC LIMIT 2");
const BY_LABEL: &str = token!("c.owner = :owner AND c.provider = :provider AND c.label = :label");
const BY_ID: &str = token!("c.uuid = :uuid");

type Token = (ConnectionRow, GrantRow, Option<Vec<u8>>);

pub(crate) fn token(sql: Sql<'_>, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
    let found = match wanted {
        Wanted::Owner { owner, provider } => {
            let named: [(_, &dyn crate::vault::sqlite3::value::Bind); 3] =
                [(":tenant", &tenant), (":owner", &owner), (":provider", &provider)];
            match sql.first(BY_OWNER, &named, read)? {
                Some((Some(token), true)) if !token.0.is_default => return Ok(FoundRows::Several),
                found => found.map(|(token, _)| token),
            }
        }
        Wanted::Label {
            owner,
            provider,
            label,
        } => sql.one(
            BY_LABEL,
            &[
                (":tenant", &tenant),
                (":owner", &owner),
                (":provider", &provider),
                (":label", &label),
            ],
            read,
        )?,
        Wanted::Id(id) => sql.one(BY_ID, &[(":tenant", &tenant), (":uuid", &id)], read)?,
    };
    Ok(match found {
        Some(Some(token)) => FoundRows::One(token),
        Some(None) => FoundRows::Damaged,
        None => FoundRows::Nothing,
    })
}

/// `None` if the connection has no grant.
fn read(columns: &mut Columns<'_>) -> Result<Option<Box<Token>>> {
    let connection = ConnectionRow::read(columns)?;
    if columns.is_null()? {
        return Ok(None);
    }
    let grant = GrantRow::read(columns)?;
    let access = slots::joined_record(columns)?;
    Ok(Some(Box::new((connection, grant, access))))
}
