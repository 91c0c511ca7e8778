//! The hot path: one statement, one row authenticated, one record opened, nothing written.

use crate::model::{ProviderId, Scopes, Status, Timestamp, UserId};
use crate::vault::codec::Decoder;
use crate::vault::envelope::{Context, Kind};
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::keyring::Tenant;
use crate::vault::sealed::{rows, tokens};
use crate::vault::tables::{FoundRows, Tables, TokenRow, Wanted};
use crate::vault::{Found, Of, StoredToken, TokenQuery, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

impl<T: Tables> Core<T> {
    pub(super) fn find_token(&self, query: &TokenQuery<'_>) -> Result<Found> {
        again_if_tampered(|| {
            let Some(tenant) = self.remembered_tenant(query.tenant)? else {
                return Ok(Found::Nothing);
            };
            let found = self.find_once(&tenant, query)?;
            if !matches!(found, Found::Nothing) {
                return Ok(found);
            }
            // Nothing is left of a workspace that was forgotten. Its name may belong to a new one.
            match self.tenant(query.tenant)? {
                Some(current) if current.row != tenant.row => self.find_once(&current, query),
                _ => Ok(found),
            }
        })
    }

    fn find_once(&self, tenant: &Tenant, query: &TokenQuery<'_>) -> Result<Found> {
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
        match self.tables.token(tenant.row, wanted)? {
            FoundRows::Nothing => Ok(Found::Nothing),
            FoundRows::Several => Ok(Found::Several),
            FoundRows::Damaged => Err(VaultError::Damaged),
            FoundRows::One(found) => self.open_found(tenant, query, *found).map(Found::One),
        }
    }

    fn open_found(&self, tenant: &Tenant, query: &TokenQuery<'_>, found: TokenRow) -> Result<StoredToken> {
        let connection = &found.connection;
        rows::verify_connection(connection, tenant.row_key())?;
        let head = rows::route_head(&mut Decoder::new(&found.route))?;
        rows::check_columns(&found.server, found.expires_at, &head)?;
        let lifecycle = rows::lifecycle_of(&found.status, found.generation, found.refreshable, &found.state)?;
        let access_token = match (lifecycle.status, found.access) {
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
                    id: connection.grant.as_bytes(),
                    generation: found.generation,
                    route: &found.route,
                };
                Some(self.open_access(tenant, &context, record)?)
            }
            // An active grant has a token: somebody took it away.
            (Status::Active, None) => return Err(VaultError::Tampered),
            _ => None,
        };
        Ok(StoredToken {
            connection: connection.id,
            grant: connection.grant,
            generation: found.generation,
            status: lifecycle.status,
            access_token,
            refreshed_at: Timestamp::from_unix_millis(found.refreshed_at),
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
