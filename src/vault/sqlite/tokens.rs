//! The hot path: one statement, one record opened, nothing written.

use rusqlite::{Connection as Database, Rows, params};

use crate::model::{ConnectionId, ProviderId, Scopes, Status, TenantId, UserId};
use crate::secret::AccessToken;
use crate::vault::envelope::{Context, Kind};
use crate::vault::sqlite::SqliteVault;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::rows::{self, SealedToken, token_columns};
use crate::vault::{Found, StoredToken, TokenQuery, VaultError};

pub(super) const BY_OWNER: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM connections c LEFT JOIN secrets s ON s.slot = c.slot
      WHERE c.tenant = ?1 AND c.owner = ?2 AND c.provider = ?3 AND c.status <> 'revoked' AND c.is_keeper = 0
      ORDER BY c.is_default DESC LIMIT 2"
);
pub(super) const BY_LABEL: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM connections c LEFT JOIN secrets s ON s.slot = c.slot
      WHERE c.tenant = ?1 AND c.owner = ?2 AND c.provider = ?3 AND c.label = ?4 AND c.status <> 'revoked'"
);
pub(super) const BY_ID: &str = concat!(
    "SELECT ",
    token_columns!(),
    ", c.owner, c.provider FROM connections c LEFT JOIN secrets s ON s.slot = c.slot
      WHERE c.tenant = ?1 AND c.uuid = ?2 AND c.status <> 'revoked'"
);

/// What the statement found, before anything is opened.
#[allow(
    clippy::large_enum_variant,
    reason = "moved once: an allocation on the hot path is dearer"
)]
enum Sealed {
    Nothing,
    One(SealedToken, Option<Kept>),
    Several,
}

/// Whose seal is on a token that a connection shares.
struct Kept {
    keeper: ConnectionId,
    provider: ProviderId,
}

impl SqliteVault {
    /// A record that does not open is read once more: it may have been sealed anew, and its old key destroyed, since.
    pub(super) fn read_token(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        match self.read_token_once(query) {
            Err(VaultError::Tampered) => self.read_token_once(query),
            found => found,
        }
    }

    fn read_token_once(&self, query: &TokenQuery<'_>) -> Result<Found, VaultError> {
        let Some(tenant) = self.tenant(query.tenant)? else {
            return Ok(Found::Nothing);
        };
        let owner = query.user.map_or("", UserId::as_str);
        let provider = query.provider.as_str();
        let sealed = self.store.read(|db| {
            if let Some(label) = query.label {
                let mut statement = db.prepare_cached(BY_LABEL).map_err(failed)?;
                let rows = statement.query(params![tenant.row, owner, provider, label.as_str()]);
                choose(db, tenant.row, rows.map_err(failed)?, query.scopes)
            } else {
                let mut statement = db.prepare_cached(BY_OWNER).map_err(failed)?;
                let rows = statement.query(params![tenant.row, owner, provider]);
                choose(db, tenant.row, rows.map_err(failed)?, query.scopes)
            }
        })?;
        match sealed {
            Sealed::Nothing => Ok(Found::Nothing),
            Sealed::Several => Ok(Found::Several),
            Sealed::One(token, kept) => self
                .open_token(&tenant, query.tenant, query.user, query.provider, token, kept)
                .map(Found::One),
        }
    }

    /// As [`read_token`](Self::read_token), for a connection that is known.
    pub(super) fn read_token_of(
        &self,
        name: &TenantId,
        id: ConnectionId,
    ) -> Result<Option<StoredToken>, VaultError> {
        match self.read_token_of_once(name, id) {
            Err(VaultError::Tampered) => self.read_token_of_once(name, id),
            found => found,
        }
    }

    fn read_token_of_once(
        &self,
        name: &TenantId,
        id: ConnectionId,
    ) -> Result<Option<StoredToken>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let sealed = self.store.read(|db| {
            let mut statement = db.prepare_cached(BY_ID).map_err(failed)?;
            let mut rows = statement
                .query(params![tenant.row, id.as_bytes()])
                .map_err(failed)?;
            match rows.next().map_err(failed)? {
                Some(row) => {
                    let owner: String = rows::get(row, 18)?;
                    let provider: String = rows::get(row, 19)?;
                    let (token, kept) = with_kept(db, tenant.row, rows::sealed_token(row, None)?, None)?;
                    Ok(Some((token, kept, owner, provider)))
                }
                None => Ok(None),
            }
        })?;
        let Some((token, kept, owner, provider)) = sealed else {
            return Ok(None);
        };
        let owner = rows::owner(&owner)?;
        let provider = ProviderId::new(provider).map_err(|_| VaultError::Damaged)?;
        self.open_token(&tenant, name, owner.user(), &provider, token, kept)
            .map(Some)
    }

    /// Opens what a statement has read, after its connection was given back.
    fn open_token(
        &self,
        tenant: &Tenant,
        name: &TenantId,
        owner: Option<&UserId>,
        provider: &ProviderId,
        token: SealedToken,
        kept: Option<Kept>,
    ) -> Result<StoredToken, VaultError> {
        let access_token = match (token.status, token.access) {
            (Status::Active, Some(record)) => {
                let context = Context {
                    kind: Kind::AccessToken,
                    vault: self.keyring.vault,
                    tenant: name,
                    owner,
                    provider: kept.as_ref().map_or(provider, |kept| &kept.provider),
                    id: kept
                        .as_ref()
                        .map_or(&token.connection, |kept| &kept.keeper)
                        .as_bytes(),
                    generation: token.generation,
                };
                let fields = self.keyring.open(&self.store, tenant, &context, record)?;
                let mut text = fields.into_only_text()?;
                Some(AccessToken::new(std::mem::take(&mut *text)))
            }
            // An active connection has a token: somebody took it away.
            (Status::Active, None) => return Err(VaultError::Tampered),
            _ => None,
        };
        Ok(StoredToken {
            connection: token.connection,
            shares: token.shares,
            generation: token.generation,
            status: token.status,
            access_token,
            refreshed_at: token.refreshed_at,
            expires_at: token.expires_at,
            refreshable: token.refreshable,
            missing: token.missing,
            parameters: token.parameters,
            refresh: token.refresh,
        })
    }
}

/// The default comes first; one that is not the default counts only if it is alone.
fn choose(db: &Database, tenant: i64, mut rows: Rows<'_>, wanted: &Scopes) -> Result<Sealed, VaultError> {
    let Some(row) = rows.next().map_err(failed)? else {
        return Ok(Sealed::Nothing);
    };
    let is_default = rows::is_default(row)?;
    let first = rows::sealed_token(row, Some(wanted))?;
    // Before the next row: while this statement stands on one, what another reads is of the same moment.
    let (first, kept) = with_kept(db, tenant, first, Some(wanted))?;
    if !is_default && rows.next().map_err(failed)?.is_some() {
        return Ok(Sealed::Several);
    }
    Ok(Sealed::One(first, kept))
}

/// The token that a connection shares, where it does: it shows its keeper's state, and its own name and values.
fn with_kept(
    db: &Database,
    tenant: i64,
    member: SealedToken,
    wanted: Option<&Scopes>,
) -> Result<(SealedToken, Option<Kept>), VaultError> {
    let Some(keeper) = member.shares else {
        return Ok((member, None));
    };
    let mut statement = db.prepare_cached(BY_ID).map_err(failed)?;
    let mut rows = statement
        .query(params![tenant, keeper.as_bytes()])
        .map_err(failed)?;
    let row = rows.next().map_err(failed)?.ok_or(VaultError::Damaged)?;
    let provider = ProviderId::new(rows::get::<String>(row, 19)?).map_err(|_| VaultError::Damaged)?;
    let token = SealedToken {
        connection: member.connection,
        shares: member.shares,
        parameters: member.parameters,
        ..rows::sealed_token(row, wanted)?
    };
    Ok((token, Some(Kept { keeper, provider })))
}
