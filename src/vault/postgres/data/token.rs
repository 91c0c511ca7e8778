//! The hot path: a connection, the required part of its grant, and its access token, with one
//! search in each table.
//!
//! Only the required columns are read. Of the connection, those that the caller names are not read.

use crate::vault::VaultError;
use crate::vault::postgres::sql::Sql;
use crate::vault::postgres::value::Columns;
use crate::vault::tables::{ConnectionRow, FoundRows, TenantRow, TokenRow, Wanted};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! token {
    ($also:literal, $where:literal) => {
        concat!(
            "SELECT g.status, g.generation, g.refreshable, g.server, g.expires_at, g.refreshed_at, g.route, g.state,
            g.access, c.uuid, c.label, c.is_default, c.grant_id, c.account, c.details, c.mac",
            $also,
            " FROM connections c
            LEFT JOIN grants g ON g.tenant = c.tenant AND g.uuid = c.grant_id
            WHERE c.tenant = :tenant AND ",
            $where,
            " AND NOT c.revoked"
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

/// Finds a connection with its token.
pub(crate) fn token(sql: &Sql<'_>, tenant: TenantRow, wanted: Wanted<'_>) -> Result<FoundRows> {
    let mut found = tokens(sql, &[(tenant, wanted)])?;
    found.pop().ok_or(VaultError::Damaged)
}

/// Finds several connections with their tokens, in one round trip.
pub(crate) fn tokens(sql: &Sql<'_>, wanted: &[(TenantRow, Wanted<'_>)]) -> Result<Vec<FoundRows>> {
    for (tenant, wanted) in wanted {
        ask(sql, *tenant, *wanted);
    }
    let answers = sql.answers()?;
    if answers.len() != wanted.len() {
        return Err(VaultError::Damaged);
    }
    let answers = answers.iter().zip(wanted);
    answers.map(|(rows, (_, wanted))| found(rows, *wanted)).collect()
}

fn ask(sql: &Sql<'_>, tenant: TenantRow, wanted: Wanted<'_>) {
    match wanted {
        Wanted::Owner { owner, provider } => sql.ask(
            BY_OWNER,
            &[(":tenant", &tenant), (":owner", &owner), (":provider", &provider)],
        ),
        Wanted::Label {
            owner,
            provider,
            label,
        } => sql.ask(
            BY_LABEL,
            &[
                (":tenant", &tenant),
                (":owner", &owner),
                (":provider", &provider),
                (":label", &label),
            ],
        ),
        Wanted::Id(id) => sql.ask(BY_ID, &[(":tenant", &tenant), (":uuid", &id)]),
    }
}

fn found(rows: &[tokio_postgres::Row], wanted: Wanted<'_>) -> Result<FoundRows> {
    let named = match wanted {
        Wanted::Owner { owner, provider } | Wanted::Label { owner, provider, .. } => Some((owner, provider)),
        Wanted::Id(_) => None,
    };
    let Some(row) = rows.first() else {
        return Ok(FoundRows::Nothing);
    };
    Ok(match read(&mut Columns::new(row), named)? {
        Some(token) if rows.len() > 1 && !token.connection.is_default => FoundRows::Several,
        Some(token) => FoundRows::One(token),
        None => FoundRows::Damaged,
    })
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
        access: columns.take()?,
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
