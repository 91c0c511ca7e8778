//! The kinds of rows, each of which is read, written and compared in pages.

use crate::model::{ConnectionId, GrantId, RevocationId, TenantId};
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, ConnectionRow, ConsentRow, Direction, GrantRow, Listing, RevocationRow,
    Rows, RowsMut, Sealed, SealedDefinition, Secrets, TenantRow, VAULT_CHAIN,
};
use crate::vault::transfer::side::Record;
use crate::vault::{DefinitionKind, StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The rows of a tenant, or those that belong to no tenant.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) tenant: TenantRow,
    pub(super) name: Option<TenantId>,
    pub(super) chain: Chain,
}

impl Place {
    pub(super) const fn tenant(tenant: TenantRow, name: TenantId) -> Self {
        Self {
            tenant,
            name: Some(name),
            chain: Chain::Of(tenant),
        }
    }

    /// The chains that belong to no tenant.
    pub(super) const CHAINS: [Self; 2] = [
        Self {
            tenant: VAULT_CHAIN,
            name: None,
            chain: Chain::Of(VAULT_CHAIN),
        },
        Self {
            tenant: VAULT_CHAIN,
            name: None,
            chain: Chain::Legacy,
        },
    ];
}

/// A kind of row.
pub(super) trait Kind {
    type Row: PartialEq;
    /// The place of a row in the order of its kind.
    type Key;
    /// The name of the kind, for errors.
    const NAME: &'static str;

    /// Returns rows after this one.
    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&Self::Key>,
        limit: usize,
    ) -> Result<Vec<Self::Row>>;
    fn key(row: &Self::Row) -> Self::Key;
    /// Inserts a page of rows.
    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[Self::Row]) -> Result<()>;
    /// Returns what is to be authenticated.
    fn record(row: &Self::Row) -> Option<Record<'_>>;
}

pub(super) struct Grants;

impl Kind for Grants {
    type Row = (GrantRow, Sealed);
    type Key = GrantId;
    const NAME: &'static str = "grant";

    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&GrantId>,
        limit: usize,
    ) -> Result<Vec<(GrantRow, Sealed)>> {
        rows.grants_after(place.tenant, after.copied(), limit)
    }

    fn key((row, _): &(GrantRow, Sealed)) -> GrantId {
        row.id
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[(GrantRow, Sealed)]) -> Result<()> {
        for (row, sealed) in page {
            let secrets = match (&sealed.access, &sealed.rest) {
                (None, None) => Secrets::Erase,
                (access, rest) => Secrets::Set {
                    access: access.as_deref().unwrap_or_default(),
                    rest: rest.as_deref().unwrap_or_default(),
                },
            };
            rows.put_grant(place.tenant, row, secrets)?;
        }
        Ok(())
    }

    fn record((row, sealed): &(GrantRow, Sealed)) -> Option<Record<'_>> {
        Some(Record::Grant(row, sealed))
    }
}

/// Connections, each with the time of its last use.
pub(super) struct Connections;

impl Kind for Connections {
    type Row = (ConnectionRow, Option<i64>);
    type Key = ConnectionId;
    const NAME: &'static str = "connection";

    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&ConnectionId>,
        limit: usize,
    ) -> Result<Vec<(ConnectionRow, Option<i64>)>> {
        let listing = Listing {
            owner: None,
            provider: None,
            grant: None,
            with_revoked: true,
            sought: None,
            after: after.copied(),
            limit,
        };
        let listed = rows.connections(place.tenant, &listing)?;
        Ok(listed
            .into_iter()
            .map(|row| (row.connection, row.used_at))
            .collect())
    }

    fn key((row, _): &(ConnectionRow, Option<i64>)) -> ConnectionId {
        row.id
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[(ConnectionRow, Option<i64>)]) -> Result<()> {
        for (row, _) in page {
            if !rows.put_connection(place.tenant, row)? {
                return Err(VaultError::Damaged);
            }
        }
        let uses: Vec<_> = page
            .iter()
            .filter_map(|(row, used_at)| Some((place.tenant, row.id, (*used_at)?)))
            .collect();
        if uses.is_empty() {
            return Ok(());
        }
        rows.record_uses(&uses)
    }

    fn record((row, _): &(ConnectionRow, Option<i64>)) -> Option<Record<'_>> {
        Some(Record::Connection(row))
    }
}

pub(super) struct Consents;

impl Kind for Consents {
    type Row = (ConsentRow, Option<Vec<u8>>);
    type Key = StateHash;
    const NAME: &'static str = "consent request";

    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<(ConsentRow, Option<Vec<u8>>)>> {
        rows.consents_after(place.tenant, after, limit)
    }

    fn key((row, _): &(ConsentRow, Option<Vec<u8>>)) -> StateHash {
        row.state
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[(ConsentRow, Option<Vec<u8>>)]) -> Result<()> {
        page.iter().try_for_each(|(row, sealed)| {
            rows.insert_consent(place.tenant, row, sealed.as_deref().unwrap_or_default())
        })
    }

    fn record((row, sealed): &(ConsentRow, Option<Vec<u8>>)) -> Option<Record<'_>> {
        Some(Record::Consent(row, sealed.as_ref()))
    }
}

pub(super) struct Definitions;

impl Kind for Definitions {
    type Row = SealedDefinition;
    type Key = (String, String);
    const NAME: &'static str = "definition";

    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> Result<Vec<SealedDefinition>> {
        let is_before = |kind: &DefinitionKind| after.is_some_and(|(of, _)| kind.as_str() != of);
        for kind in DefinitionKind::ALL.into_iter().skip_while(is_before) {
            let from = after.filter(|(of, _)| kind.as_str() == of);
            let from = from.map(|(_, name)| name.as_str());
            let page = rows.definitions(place.tenant, kind.as_str(), from, limit)?;
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Vec::new())
    }

    fn key((row, _): &SealedDefinition) -> (String, String) {
        (row.kind.clone(), row.name.clone())
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[SealedDefinition]) -> Result<()> {
        page.iter().try_for_each(|(row, sealed)| {
            rows.put_definition(place.tenant, row, sealed.as_deref().unwrap_or_default())
        })
    }

    fn record((row, sealed): &SealedDefinition) -> Option<Record<'_>> {
        Some(Record::Definition(row, sealed.as_ref()))
    }
}

pub(super) struct Revocations;

impl Kind for Revocations {
    type Row = (RevocationRow, Sealed);
    type Key = RevocationId;
    const NAME: &'static str = "pending revocation";

    fn page(
        rows: &dyn Rows,
        place: &Place,
        after: Option<&RevocationId>,
        limit: usize,
    ) -> Result<Vec<(RevocationRow, Sealed)>> {
        rows.revocations_after(place.tenant, after.copied(), limit)
    }

    fn key((row, _): &(RevocationRow, Sealed)) -> RevocationId {
        row.id
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[(RevocationRow, Sealed)]) -> Result<()> {
        page.iter()
            .try_for_each(|(row, sealed)| rows.insert_revocation(place.tenant, row, sealed))
    }

    fn record((row, sealed): &(RevocationRow, Sealed)) -> Option<Record<'_>> {
        Some(Record::Revocation(row, sealed))
    }
}

/// The entries of a chain. Their links are verified with the whole chain.
pub(super) struct Entries;

impl Kind for Entries {
    type Row = AuditRow;
    type Key = u64;
    const NAME: &'static str = "audit entry";

    fn page(rows: &dyn Rows, place: &Place, after: Option<&u64>, limit: usize) -> Result<Vec<AuditRow>> {
        let after = after.copied().unwrap_or(0);
        rows.entries(place.chain, None, after, Direction::Forward, limit)
    }

    fn key(row: &AuditRow) -> u64 {
        row.number
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[AuditRow]) -> Result<()> {
        rows.append_entries(place.chain, page)
    }

    fn record(row: &AuditRow) -> Option<Record<'_>> {
        Some(Record::Entry(row))
    }
}

pub(super) struct Checkpoints;

impl Kind for Checkpoints {
    type Row = CheckpointRow;
    type Key = u64;
    const NAME: &'static str = "audit checkpoint";

    fn page(rows: &dyn Rows, place: &Place, after: Option<&u64>, limit: usize) -> Result<Vec<CheckpointRow>> {
        rows.checkpoints_after(place.chain, after.copied().unwrap_or(0), limit)
    }

    fn key(row: &CheckpointRow) -> u64 {
        row.number
    }

    fn put(rows: &mut dyn RowsMut, place: &Place, page: &[CheckpointRow]) -> Result<()> {
        page.iter()
            .try_for_each(|row| rows.put_checkpoint(place.chain, row))
    }

    fn record(_: &CheckpointRow) -> Option<Record<'_>> {
        None
    }
}
