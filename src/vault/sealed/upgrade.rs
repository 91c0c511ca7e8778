//! Seals the records of schemas 1 and 2 again, by the rules of this version.

use crate::model::{Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp};
use crate::secret::{AccessToken, PkceVerifier, RefreshToken};
use crate::vault::PendingConsent;
use crate::vault::VaultError;
use crate::vault::change::{StoredConnection, StoredGrant};
use crate::vault::envelope::{Context, Kind};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::{consents, revocations, rows, tokens};
use crate::vault::tables::{
    ConnectionRow, ConsentRow, GrantRow, RevocationRow, RowsMut, Sealed, Secrets, Tables, TenantRow, Write,
};

type Result<T> = std::result::Result<T, VaultError>;

/// A grant of schema 1 or 2, sealed again.
pub(in crate::vault) struct UpgradedGrant {
    row: GrantRow,
    /// The sealed tokens; `None` if there are none.
    secrets: Option<(Vec<u8>, Vec<u8>)>,
}

/// A consent request of schema 1 or 2, sealed again.
pub(in crate::vault) struct UpgradedConsent {
    row: ConsentRow,
    sealed: Vec<u8>,
}

/// A pending revocation of schema 1 or 2, sealed again.
pub(in crate::vault) struct UpgradedRevocation {
    row: RevocationRow,
    secrets: Sealed,
}

/// One record of a chunk, ready to be stored.
pub(in crate::vault) enum Upgraded {
    Grant(UpgradedGrant),
    Connection(ConnectionRow, Option<Timestamp>),
    Consent(UpgradedConsent),
    Revocation(UpgradedRevocation),
}

impl Upgraded {
    /// Returns the number of seals that it took.
    pub(in crate::vault) fn seals(&self) -> u32 {
        match self {
            Self::Grant(grant) => grant.secrets.as_ref().map_or(0, |_| 2),
            Self::Connection(..) => 0,
            Self::Consent(_) => 1,
            Self::Revocation(_) => 2,
        }
    }

    /// Stores the record.
    pub(in crate::vault) fn store(&self, rows: &mut dyn RowsMut, tenant: TenantRow) -> Result<()> {
        match self {
            Self::Grant(grant) => {
                let secrets = match &grant.secrets {
                    Some((access, rest)) => Secrets::Set { access, rest },
                    None => Secrets::Erase,
                };
                rows.put_grant(tenant, &grant.row, secrets)
            }
            Self::Connection(row, used_at) => {
                // The unique indexes of the old file apply to the new one as well.
                if !rows.put_connection(tenant, row)? {
                    return Err(VaultError::Damaged);
                }
                if let Some(used_at) = used_at {
                    rows.record_uses(&[(tenant, row.id, used_at.as_unix_millis())])?;
                }
                Ok(())
            }
            Self::Consent(consent) => {
                rows.insert_consent(tenant, &consent.row, &consent.sealed)?;
                if consent.row.status != "pending" {
                    let (state, status) = (&consent.row.state, consent.row.status.as_str());
                    rows.end_consent(tenant, state, status, consent.row.completed)?;
                }
                Ok(())
            }
            Self::Revocation(revocation) => {
                rows.insert_revocation(tenant, &revocation.row, &revocation.secrets)
            }
        }
    }
}

impl<T: Tables> Core<T> {
    /// Gives a tenant the key that authenticates its rows, and a chain that continues the common
    /// one of all tenants.
    pub(in crate::vault) fn upgrade_tenant(&self, row: TenantRow, name: &TenantId) -> Result<()> {
        self.keyring.upgrade_tenant(&self.tables, row, name)
    }

    /// Continues the vault's own chain after the common one of all tenants.
    pub(in crate::vault) fn upgrade_vault(&self) -> Result<()> {
        self.keyring.upgrade_vault(&self.tables)
    }

    /// Repeats a chunk of a migration with the tenant's newest key.
    pub(in crate::vault) fn upgrade_chunk<O>(
        &self,
        name: &TenantId,
        now: Timestamp,
        chunk: impl Fn(&Upgrader<'_, T>) -> Result<Write<O>>,
    ) -> Result<O> {
        self.repeat(name, now, |tenant| chunk(&Upgrader { core: self, tenant }))
    }
}

/// Seals the records of one tenant again.
pub(in crate::vault) struct Upgrader<'a, T> {
    core: &'a Core<T>,
    tenant: &'a Tenant,
}

impl<T: Tables> Upgrader<'_, T> {
    pub(in crate::vault) const fn tenant(&self) -> TenantRow {
        self.tenant.row
    }

    /// Counts the seals of a chunk, in the transaction that stores it.
    pub(in crate::vault) fn count(&self, rows: &mut dyn RowsMut, seals: u32) -> Result<bool> {
        Ok(seals == 0 || self.core.keyring.count_exactly(rows, self.tenant, seals)?)
    }

    fn open(&self, context: &Context<'_>, record: Vec<u8>) -> Result<crate::vault::envelope::Fields> {
        self.core
            .keyring
            .open_format_1(&self.core.tables, self.tenant, context, record)
    }

    /// Seals the tokens of a grant again. Tokens that do not open are left behind. The grant is
    /// then like one whose tokens were removed, which is an error to its readers.
    pub(in crate::vault) fn grant(&self, stored: &StoredGrant, sealed: Sealed) -> Result<Upgraded> {
        let route = rows::route(&stored.grant);
        let access = tokens::context(self.tenant, &stored.grant, Kind::AccessToken, &route);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        let secrets = match (self.again(&access, sealed.access), self.again(&rest, sealed.rest)) {
            (Ok(access), Ok(rest)) => {
                Some((access, rest)).filter(|(access, rest)| !access.is_empty() || !rest.is_empty())
            }
            (Err(VaultError::Tampered), _) | (_, Err(VaultError::Tampered)) => None,
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let key_version = secrets.as_ref().map_or(0, |_| self.tenant.key().version());
        Ok(Upgraded::Grant(UpgradedGrant {
            row: rows::grant_row(stored, key_version, 0, self.tenant.row_key()),
            secrets,
        }))
    }

    fn again(&self, context: &Context<'_>, record: Option<Vec<u8>>) -> Result<Vec<u8>> {
        let Some(record) = record else {
            return Ok(Vec::new());
        };
        let fields = self.open(context, record)?;
        self.tenant.key().seal(context, &fields.expose_all()?)
    }

    /// Authenticates the row of a connection.
    pub(in crate::vault) fn connection(&self, connection: &Connection, grant: GrantId) -> Upgraded {
        let mut stored = StoredConnection::of(connection);
        stored.grant = grant;
        let row = rows::connection_row(&stored, self.tenant.row_key());
        Upgraded::Connection(row, connection.used_at)
    }

    /// Seals a consent request again. A request whose verifier does not open cannot be completed.
    pub(in crate::vault) fn consent(
        &self,
        consent: &PendingConsent,
        sealed: Option<Vec<u8>>,
    ) -> Result<Option<Upgraded>> {
        let verifier = match sealed {
            Some(record) => {
                let context = Context {
                    kind: Kind::Consent,
                    vault: self.tenant.vault,
                    tenant: &self.tenant.name,
                    owner: consent.owner.user(),
                    provider: &consent.provider,
                    id: consent.id.as_bytes(),
                    generation: 0,
                    route: &[],
                };
                match self
                    .open(&context, record)
                    .and_then(crate::vault::envelope::Fields::into_only_text)
                {
                    Ok(mut text) => Some(PkceVerifier::new(std::mem::take(&mut *text))),
                    Err(VaultError::Tampered) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            None => None,
        };
        let row = consents::consent_row(consent, self.tenant.key().version(), self.tenant.row_key());
        let sealed = consents::seal_verifier(self.tenant, consent, &row, verifier.as_ref())?;
        Ok(Some(Upgraded::Consent(UpgradedConsent { row, sealed })))
    }

    /// Seals a pending revocation again. A revocation that does not open cannot be carried out.
    pub(in crate::vault) fn revocation(
        &self,
        grant: &Grant,
        connection: ConnectionId,
        sealed: Sealed,
        (attempts, not_before, give_up_at): (u32, Timestamp, Timestamp),
    ) -> Result<Option<Upgraded>> {
        let access = tokens::context(self.tenant, grant, Kind::AccessToken, &[]);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        let access_token = match sealed.access.map(|record| self.open(&access, record)).transpose() {
            Ok(fields) => fields.and_then(|fields| fields.into_only_text().ok()),
            Err(VaultError::Tampered) => None,
            Err(error) => return Err(error),
        };
        let refresh_token = match sealed.rest.map(|record| self.open(&rest, record)).transpose() {
            Ok(Some(mut fields)) => fields.expose_next_text()?.map(RefreshToken::new),
            Ok(None) | Err(VaultError::Tampered) => None,
            Err(error) => return Err(error),
        };
        let access_token = access_token.map(|mut text| AccessToken::new(std::mem::take(&mut *text)));
        let id = RevocationId::generate(not_before)?;
        let mut row = revocations::row(self.tenant, grant, id, connection, not_before, give_up_at);
        row.attempts = attempts;
        let secrets = revocations::seal(
            self.tenant,
            grant,
            &row,
            access_token.as_ref(),
            refresh_token.as_ref(),
        )?;
        Ok(secrets.map(|secrets| Upgraded::Revocation(UpgradedRevocation { row, secrets })))
    }
}
