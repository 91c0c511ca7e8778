//! The hot path: a connection, the required part of its grant, and its access token, with one
//! search in each table.
//!
//! Only the required columns are read. Of the connection, those that the caller names are not read.

use crate::model::ConnectionId;
use crate::vault::VaultError;
use crate::vault::sqlite::data::slots;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::value::{Bind, Columns};
use crate::vault::tables::{ConnectionRow, FoundRows, TenantRow, TokenRow, Wanted};

type Result<T> = std::result::Result<T, VaultError>;

/// The parameters are named in the order in which they are bound.
macro_rules! token {
    ($also:literal, $where:literal) => {
        concat!(
            "SELECT g.status, g.generation, g.refreshable, g.server, g.expires_at, g.refreshed_at, g.route, g.state,
            g.slot, s.access, c.uuid, c.label, c.is_default, c.grant_id, c.account, c.details, c.mac",
            $also,
            " FROM connections c
            LEFT JOIN grants g ON g.tenant = c.tenant AND g.uuid = c.grant_id
            LEFT JOIN secrets s ON s.slot = g.slot
            WHERE c.tenant = :tenant AND ",
            $where,
            " AND c.revoked = 0"
        )
    };
}

/// The default comes first; a second row shows whether one is needed.
const BY_OWNER: &str = concat!(
    token!("", "c.owner = :owner AND c.provider = :provider"),
    " ORDER BY c.is_default DESC LIMIT 2"
);
const BY_LABEL: &str = token!(
    "",
    "c.owner = :owner AND c.provider = :provider AND c.label = :label"
);
const BY_ID: &str = token!(", c.owner, c.provider", "c.uuid = :uuid");

pub(crate) fn token(sql: Sql<'_>, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
    let found = match wanted {
        Wanted::Owner { owner, provider } => {
            let values: [&dyn Bind; 3] = [&tenant, &owner, &provider];
            let found = sql.first_in_order(BY_OWNER, &values, |columns| {
                read(columns, Some((owner, provider)))
            })?;
            match found {
                Some((Some(token), true)) if !token.connection.is_default => return Ok(FoundRows::Several),
                found => found,
            }
        }
        Wanted::Label {
            owner,
            provider,
            label,
        } => {
            let values: [&dyn Bind; 4] = [&tenant, &owner, &provider, &label];
            sql.first_in_order(BY_LABEL, &values, |columns| {
                read(columns, Some((owner, provider)))
            })?
        }
        Wanted::Id(id) => by_id(sql, tenant, id)?,
    };
    Ok(match found {
        Some((Some(token), _)) => FoundRows::One(token),
        Some((None, _)) => FoundRows::Damaged,
        None => FoundRows::Nothing,
    })
}

type Read = Option<(Option<Box<TokenRow>>, bool)>;

fn by_id(sql: Sql<'_>, tenant: TenantRow, id: ConnectionId) -> Result<Read> {
    let values: [&dyn Bind; 2] = [&tenant, &id];
    sql.first_in_order(BY_ID, &values, |columns| read(columns, None))
}

/// Reads the row of a token. Returns `None` if the connection has no grant.
fn read(columns: &mut Columns<'_>, named: Option<(&str, &str)>) -> Result<Option<Box<TokenRow>>> {
    if columns.is_null()? {
        return Ok(None);
    }
    Ok(Some(Box::new(TokenRow {
        status: columns.take()?,
        generation: columns.take()?,
        refreshable: columns.take()?,
        server: columns.take()?,
        expires_at: columns.take()?,
        refreshed_at: columns.take()?,
        route: columns.take()?,
        state: columns.take()?,
        access: slots::joined_record(columns)?,
        connection: connection(columns, named)?,
    })))
}

fn connection(columns: &mut Columns<'_>, named: Option<(&str, &str)>) -> Result<ConnectionRow> {
    let mut row = ConnectionRow {
        id: columns.take()?,
        owner: String::new(),
        provider: String::new(),
        label: columns.take()?,
        is_default: columns.take()?,
        revoked: false,
        grant: columns.take()?,
        account: columns.take()?,
        details: columns.take()?,
        mac: columns.take()?,
    };
    (row.owner, row.provider) = match named {
        Some((owner, provider)) => (owner.to_owned(), provider.to_owned()),
        None => (columns.take()?, columns.take()?),
    };
    Ok(row)
}
