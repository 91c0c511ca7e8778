//! Claims on a refresh, and how they end.

use rusqlite::{Row, params};

use crate::clock::{Clock as _, SystemClock};
use crate::model::{ConnectionId, NeedsConsent, TenantId};
use crate::secret::{IdToken, RefreshToken};
use crate::vault::envelope::Kind;
use crate::vault::lifecycle::{self, Keep, Lifecycle};
use crate::vault::sqlite::connections::{Stored, find, find_lifecycle};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::rows::{self, CONNECTION_COLUMNS, connection_columns};
use crate::vault::sqlite::slots;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit};
use crate::vault::{
    AuditEntry, AuditKind, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, RefreshFailure,
    Renewed, VaultError,
};

pub(super) const WITH_REST: &str = concat!(
    "SELECT ",
    connection_columns!(),
    ", s.rest FROM connections c LEFT JOIN secrets s ON s.slot = c.slot WHERE c.tenant = ?1 AND c.uuid = ?2"
);
pub(super) const RENEW: &str = "UPDATE connections SET refreshed_at = ?2, expires_at = ?3,
    granted = coalesce(?4, granted), key_version = ?5 WHERE id = ?1";

/// What is sealed beside the access token.
pub(super) struct Rest {
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) id_token: Option<IdToken>,
}

fn with_rest(row: &Row<'_>, name: &TenantId) -> Result<(Stored, Option<Vec<u8>>), VaultError> {
    let stored = Stored {
        row: rows::get(row, 0)?,
        slot: rows::get(row, rows::SLOT)?,
        connection: rows::connection(row, name)?,
        lifecycle: rows::lifecycle(row)?,
    };
    Ok((stored, slots::record(row, CONNECTION_COLUMNS)?))
}

impl SqliteVault {
    /// Opens the record with the refresh token, sealed for the generation that the connection shows.
    pub(super) fn open_rest(
        &self,
        tenant: &Tenant,
        connection: &crate::model::Connection,
        record: Vec<u8>,
    ) -> Result<Rest, VaultError> {
        let context = self.context(connection, Kind::Rest, connection.generation);
        let mut fields = self.keyring.open(&self.store, tenant, &context, record)?;
        let refresh_token = fields.expose_next_text()?.map(RefreshToken::new);
        let id_token = fields.expose_next_text()?.map(IdToken::new);
        fields.finish()?;
        Ok(Rest {
            refresh_token,
            id_token,
        })
    }

    /// Reads, decides and decrypts first; then decides again in the transaction. Who only waits for somebody
    /// else's claim never takes the write lock, and a claim that could not be used is never stored.
    pub(super) fn write_claim(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        match self.write_claim_once(request) {
            // Sealed anew since it was read, and the old key destroyed: or altered indeed.
            Err(VaultError::Tampered) => self.write_claim_once(request),
            claimed => claimed,
        }
    }

    fn write_claim_once(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome, VaultError> {
        let Some(tenant) = self.tenant(request.tenant)? else {
            return Ok(ClaimOutcome::Gone);
        };
        let read = self.store.read(|db| {
            let mut statement = db.prepare_cached(WITH_REST).map_err(failed)?;
            let mut found = statement
                .query(params![tenant.row, request.connection.as_bytes()])
                .map_err(failed)?;
            match found.next().map_err(failed)? {
                Some(row) => with_rest(row, request.tenant).map(Some),
                None => Ok(None),
            }
        })?;
        let Some((mut seen, rest)) = read else {
            return Ok(ClaimOutcome::Gone);
        };
        // Looked for before the transaction: whoever is dead by then stays dead.
        let dead = self.dead_holder(seen.lifecycle.held);
        if let Err(refused) = lifecycle::claim(&mut seen.lifecycle, request, dead).granted() {
            return Ok(refused);
        }
        let record = rest.ok_or(VaultError::Tampered)?;
        let rest = self.open_rest(&tenant, &seen.connection, record)?;
        let refresh_token = rest.refresh_token.ok_or(VaultError::Tampered)?;

        let decided = self.store.write(|db| {
            let Some(mut stored) = find(db, tenant.row, request.tenant, request.connection)? else {
                return Ok(Step::Abandon(Err(ClaimOutcome::Gone)));
            };
            let granted = match lifecycle::claim(&mut stored.lifecycle, request, dead).granted() {
                Ok(granted) => granted,
                Err(refused) => return Ok(Step::Abandon(Err(refused))),
            };
            rows::update_lifecycle(db, stored.row, &stored.lifecycle, stored.slot)?;
            Ok(Step::Commit(Ok((granted, stored))))
        })?;
        let ((claim, outcome_unknown), mut stored) = match decided {
            Ok(decided) => decided,
            Err(refused) => return Ok(refused),
        };
        stored.lifecycle.show_in(&mut stored.connection);
        Ok(ClaimOutcome::Granted(Box::new(Claimed {
            claim,
            connection: stored.connection,
            refresh_token,
            id_token: rest.id_token,
            outcome_unknown,
        })))
    }

    pub(super) fn write_renewed(
        &self,
        name: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        renewed: &Renewed<'_>,
    ) -> Result<CommitOutcome, VaultError> {
        // For what the seal is bound to and no refresh changes: the owner and the provider.
        let Some(connection) = self.read_connection(name, id)? else {
            return Ok(CommitOutcome::Gone);
        };
        let generation = claim.generation.saturating_add(1);
        let refreshable = renewed.tokens.refresh_token.is_some();
        let granted = renewed.granted.map(ToString::to_string);
        let entry = self
            .token_entry(
                AuditKind::Refreshed,
                renewed.at,
                &connection,
                generation,
                renewed.tokens,
            )?
            .by(renewed.by);
        self.write_sealed(
            name,
            |tenant| self.seal_tokens(tenant, &connection, generation, renewed.tokens),
            |db, tenant, sealed| {
                let Some(mut stored) = find_lifecycle(db, tenant.row, id)? else {
                    return Ok(Step::Abandon(Some(CommitOutcome::Gone)));
                };
                let outcome = lifecycle::commit(&mut stored.lifecycle, claim, refreshable);
                if outcome != CommitOutcome::Stored {
                    return Ok(Step::Abandon(Some(outcome)));
                }
                if !tenant.count_seals(db, &self.keyring, sealed.seals())? {
                    return Ok(Step::Abandon(None));
                }
                let slot = sealed.store(db, stored.slot)?;
                rows::update_lifecycle(db, stored.row, &stored.lifecycle, Some(slot))?;
                let expires_at = renewed.expires_at.map(|time| time.as_unix_millis());
                db.prepare_cached(RENEW)
                    .and_then(|mut statement| {
                        statement.execute(params![
                            stored.row,
                            renewed.at.as_unix_millis(),
                            expires_at,
                            granted,
                            tenant.key().version()
                        ])
                    })
                    .map_err(failed)?;
                if !audit::append(db, &self.keyring, tenant, &entry)? {
                    return Ok(Step::Abandon(None));
                }
                Ok(Step::Commit(Some(outcome)))
            },
        )
    }

    pub(super) fn write_failure(
        &self,
        name: &TenantId,
        id: ConnectionId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome, VaultError> {
        // What fails for now fails often, and changes nothing for good: the connection itself tells of it.
        let entry = match failure {
            RefreshFailure::Rejected { reason, at, .. } => {
                Some(AuditEntry::new(AuditKind::RefreshRejected, *at).detail(reason.as_str()))
            }
            RefreshFailure::Transient { .. } => None,
        };
        self.change(name, id, claim.generation, entry, |lifecycle| {
            lifecycle::fail(lifecycle, claim, failure)
        })
    }

    pub(super) fn write_need(
        &self,
        name: &TenantId,
        id: ConnectionId,
        generation: u64,
        reason: NeedsConsent,
    ) -> Result<CommitOutcome, VaultError> {
        let entry = AuditEntry::new(AuditKind::ConsentNeeded, SystemClock.now()).detail(reason.as_str());
        self.change(name, id, generation, Some(entry), |lifecycle| {
            let outcome = lifecycle::need_consent(lifecycle, generation, reason);
            (outcome, Keep::Nothing)
        })
    }

    /// Stores what `decide` makes of the lifecycle, erases what it does not keep, and tells the audit.
    fn change(
        &self,
        name: &TenantId,
        id: ConnectionId,
        generation: u64,
        entry: Option<AuditEntry>,
        decide: impl Fn(&mut Lifecycle) -> (CommitOutcome, Keep),
    ) -> Result<CommitOutcome, VaultError> {
        let Some(connection) = self.read_connection(name, id)? else {
            return Ok(CommitOutcome::Gone);
        };
        let entry = entry.map(|entry| {
            entry
                .user(connection.owner.user())
                .about(id, &connection.provider, generation)
        });
        self.write_audited(name, |db, tenant| {
            let Some(mut stored) = find_lifecycle(db, tenant.row, id)? else {
                return Ok(Step::Abandon(Some(CommitOutcome::Gone)));
            };
            if stored.shares {
                return Ok(Step::Abandon(Some(CommitOutcome::Superseded)));
            }
            let (outcome, keep) = decide(&mut stored.lifecycle);
            if outcome != CommitOutcome::Stored {
                return Ok(Step::Abandon(Some(outcome)));
            }
            let slot = slots::wipe(db, stored.slot, keep)?;
            rows::update_lifecycle(db, stored.row, &stored.lifecycle, slot)?;
            if let Some(entry) = &entry
                && !audit::append(db, &self.keyring, tenant, entry)?
            {
                return Ok(Step::Abandon(None));
            }
            Ok(Step::Commit(Some(outcome)))
        })
    }
}
