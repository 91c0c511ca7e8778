//! Sealing and opening tokens.

use crate::model::Grant;
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::vault::envelope::{Context, Fields, Kind};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::recent::SealedAccess;
use crate::vault::sealed::rows;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{Sealed, Tables};
use crate::vault::{Tokens, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The two sealed records of one set of tokens.
#[derive(Debug)]
pub(super) struct SealedTokens {
    pub(super) access: Vec<u8>,
    /// The sealed refresh and id tokens; empty if there is neither.
    pub(super) rest: Vec<u8>,
}

impl SealedTokens {
    pub(super) const fn seals(&self) -> u32 {
        if self.rest.is_empty() { 1 } else { 2 }
    }
}

/// The secrets that are sealed separately from the access token.
pub(super) struct Rest {
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) id_token: Option<IdToken>,
}

/// The tokens of a grant that could be opened.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) access_token: Option<AccessToken>,
    pub(super) refresh_token: Option<RefreshToken>,
}

/// Returns the context that the records of a grant's tokens are bound to.
pub(super) fn context<'a>(tenant: &'a Tenant, grant: &'a Grant, kind: Kind, route: &'a [u8]) -> Context<'a> {
    Context {
        kind,
        vault: tenant.vault,
        tenant: &tenant.name,
        owner: grant.owner.user(),
        provider: &grant.provider,
        id: grant.id.as_bytes(),
        generation: grant.generation,
        route,
    }
}

/// Seals tokens for a grant in the state in which it will be stored.
pub(super) fn seal(tenant: &Tenant, grant: &Grant, tokens: &Tokens) -> Result<SealedTokens> {
    let route = rows::route(grant);
    let context = context(tenant, grant, Kind::AccessToken, &route);
    let access = tokens.access_token.expose_secret().as_bytes();
    let access = tenant.key().seal(&context, &[access])?;
    let refresh_token = tokens.refresh_token.as_ref().map(|token| token.expose_secret());
    let id_token = tokens.id_token.as_ref().map(|token| token.expose_secret());
    let rest = match (refresh_token, id_token) {
        (None, None) => Vec::new(),
        (refresh_token, id_token) => {
            let context = Context {
                kind: Kind::Rest,
                ..context
            };
            let fields = [
                refresh_token.unwrap_or_default().as_bytes(),
                id_token.unwrap_or_default().as_bytes(),
            ];
            tenant.key().seal(&context, &fields)?
        }
    };
    Ok(SealedTokens { access, rest })
}

fn only_token(fields: Fields) -> Result<AccessToken> {
    let mut text = fields.into_only_text()?;
    Ok(AccessToken::new(std::mem::take(&mut *text)))
}

impl<T: Tables> Core<T> {
    /// Opens the access token of a grant.
    pub(super) fn open_access(
        &self,
        tenant: &Tenant,
        context: &Context<'_>,
        record: Vec<u8>,
    ) -> Result<AccessToken> {
        let fields = self.keyring.open(&self.tables, tenant, context, record)?;
        only_token(fields)
    }

    /// Opens a remembered access token.
    pub(super) fn open_known_access(&self, tenant: &Tenant, access: &SealedAccess) -> Result<AccessToken> {
        let record = access.record.to_vec();
        let fields = self
            .keyring
            .open_in(&self.tables, tenant, &access.binding, record)?;
        only_token(fields)
    }

    /// Opens the refresh token and the id token of a grant.
    pub(super) fn open_rest(&self, tenant: &Tenant, context: &Context<'_>, record: Vec<u8>) -> Result<Rest> {
        let mut fields = self.keyring.open(&self.tables, tenant, context, record)?;
        let refresh_token = fields.expose_next_text()?.map(RefreshToken::new);
        let id_token = fields.expose_next_text()?.map(IdToken::new);
        fields.finish()?;
        Ok(Rest {
            refresh_token,
            id_token,
        })
    }

    /// Opens the tokens of a grant that ends. Tokens that do not open cannot be revoked at the
    /// provider.
    pub(super) fn open_ended(&self, tenant: &Tenant, grant: &Grant, sealed: &Sealed) -> Opened {
        let route = rows::route(grant);
        let access = context(tenant, grant, Kind::AccessToken, &route);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        let access_token = sealed.access.clone();
        let refresh_token = sealed.rest.clone();
        Opened {
            access_token: access_token.and_then(|record| self.open_access(tenant, &access, record).ok()),
            refresh_token: refresh_token
                .and_then(|record| self.open_rest(tenant, &rest, record).ok())
                .and_then(|rest| rest.refresh_token),
        }
    }
}
