//! The hot path: one statement, one row authenticated, one record opened, nothing written.

use crate::model::{ProviderId, Scopes, Status, UserId};
use crate::vault::codec::Decoder;
use crate::vault::envelope::{Context, Kind};
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::keyring::Tenant;
use crate::vault::sealed::{rows, tokens};
use crate::vault::tables::{ConnectionRow, FoundRows, GrantRow, Tables, Wanted};
use crate::vault::{Found, Of, StoredToken, TokenQuery, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

impl<T: Tables> Core<T> {
    pub(super) fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found> {
        again_if_tampered(|| self.find_once(query))
    }

    fn find_once(&self, query: &TokenQuery<'_>) -> Result<Found> {
        let Some(tenant) = self.tenant(query.tenant)? else {
            return Ok(Found::Nothing);
        };
        let wanted = match query.of {
            Of::Id(id) => Wanted::Id(id),
            Of::Owner {
                user,
                provider,
                label,
            } => {
                let (owner, provider) = (user.map_or("", UserId::as_str), provider.as_str());
                match label {
                    Some(label) => Wanted::Label {
                        owner,
                        provider,
                        label: label.as_str(),
                    },
                    None => Wanted::Owner { owner, provider },
                }
            }
        };
        match self.tables.read(|rows| rows.token(tenant.row, wanted))? {
            FoundRows::Nothing => Ok(Found::Nothing),
            FoundRows::Several => Ok(Found::Several),
            FoundRows::Damaged => Err(VaultError::Damaged),
            FoundRows::One(found) => {
                let (connection, grant, access) = *found;
                self.open_found(&tenant, query, &connection, grant, access)
                    .map(Found::One)
            }
        }
    }

    fn open_found(
        &self,
        tenant: &Tenant,
        query: &TokenQuery<'_>,
        connection: &ConnectionRow,
        grant: GrantRow,
        access: Option<Vec<u8>>,
    ) -> Result<StoredToken> {
        rows::verify_connection(connection, tenant.row_key())?;
        let head = rows::route_head(&mut Decoder::new(&grant.route))?;
        rows::check_columns(&grant, &head)?;
        let lifecycle = rows::lifecycle(&grant)?;
        let access_token = match (lifecycle.status, access) {
            (Status::Active, Some(record)) => {
                let (known_user, known_provider) = names(&query.of);
                let owner = tokens::user_name(head.owner, known_user)?;
                let provider = tokens::provider_name(head.provider, known_provider)?;
                let context = Context {
                    kind: Kind::AccessToken,
                    vault: tenant.vault,
                    tenant: &tenant.name,
                    owner: owner.as_ref().map(tokens::Name::get),
                    provider: provider.get(),
                    id: grant.id.as_bytes(),
                    generation: grant.generation,
                    route: &grant.route,
                };
                Some(self.open_access(tenant, &context, record)?)
            }
            // An active grant has a token: somebody took it away.
            (Status::Active, None) => return Err(VaultError::Tampered),
            _ => None,
        };
        Ok(StoredToken {
            connection: connection.id,
            grant: grant.id,
            generation: grant.generation,
            status: lifecycle.status,
            access_token,
            refreshed_at: crate::model::Timestamp::from_unix_millis(grant.refreshed_at),
            expires_at: head.expires_at,
            refreshable: lifecycle.refreshable,
            missing: missing(query.scopes, head.granted),
            parameters: rows::connection_parameters(connection)?,
            refresh: lifecycle.refresh_state(),
        })
    }
}

const fn names<'a>(of: &Of<'a>) -> (Option<&'a UserId>, Option<&'a ProviderId>) {
    match of {
        Of::Owner { user, provider, .. } => (*user, Some(provider)),
        Of::Id(_) => (None, None),
    }
}

/// The scopes that are wanted and not in the stored list. Allocates only if there are any.
fn missing(wanted: &Scopes, granted: &str) -> Scopes {
    wanted
        .iter()
        .filter(|scope| !granted.split(' ').any(|granted| granted == scope.as_str()))
        .cloned()
        .collect()
}
