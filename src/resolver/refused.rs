//! Replaces a token that an API refused: with a newer stored one, or by refreshing it.
//!
//! A refused token leads to at most one refresh, however often it is presented. If the API refuses
//! the refreshed token as well, its response is returned, because neither another refresh nor a new
//! consent would help.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use crate::engine::lists;
use crate::engine::refresh::{self, Wanted};
use crate::error::{ConsentReason, Error, Result};
use crate::model::{Scopes, Status};
use crate::resolver::access::Access;
use crate::resolver::token::ResolvedToken;
use crate::vault::{Attempt, Claim, Found, Of, RefreshFailure, StoredToken, TokenQuery};

/// Returns another token for one that the API refused, for hosts that use their own HTTP client.
pub(super) fn refresh_refused(access: &Access<'_>, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
    let cx = access.cx();
    let connection = lists::visible(cx, access.acting_user, refused.connection)?;
    if connection.status == Status::Revoked {
        return Err(Error::NotFound);
    }
    let ends = Instant::now() + cx.settings.resolve_deadline;
    if access
        .common
        .memory
        .refreshed
        .contains(access.acting_user.tenant(), refused)
    {
        if let Some(newer) = newer(access, refused)? {
            return Ok(Some(newer));
        }
        note_refused(access, refused)?;
        return Ok(None);
    }
    another(access, refused, ends)
}

/// Returns another token after a response of the API with this status, if there is one.
pub(super) fn another_after(
    access: &Access<'_>,
    token: &ResolvedToken,
    status: StatusCode,
    ends: Instant,
) -> Result<Option<ResolvedToken>> {
    if token.provider.refuses_token(status.as_u16()) {
        another(access, token, ends)
    } else if status.is_client_error() {
        // Some servers invalidate the old token at a refresh and answer with a nonstandard status.
        // If a newer token is stored, one more request is worthwhile.
        newer(access, token)
    } else {
        Ok(None)
    }
}

/// Records that the API refused a newly refreshed token.
pub(super) fn note_refused(access: &Access<'_>, token: &ResolvedToken) -> Result<()> {
    let cx = access.cx();
    // No claim is held: only the generation counts.
    let claim = Claim {
        generation: token.generation,
        fence: 0,
    };
    let refusal = RefreshFailure::TokenRefused { at: cx.now() };
    let tenant = access.acting_user.tenant();
    cx.vault.fail_refresh(tenant, token.grant, &claim, &refusal)?;
    Ok(())
}

/// Returns a newer stored token, or refreshes the token now.
fn another(access: &Access<'_>, refused: &ResolvedToken, ends: Instant) -> Result<Option<ResolvedToken>> {
    let Some(stored) = stored(access, refused)? else {
        return Ok(None);
    };
    if is_newer(&stored, refused) {
        return Ok(refused.replaced_by(stored));
    }
    if stored.refresh.token_refused_at.is_some() || !stored.refreshable {
        return Ok(None);
    }
    let cx = access.cx();
    let refreshed = refresh::refresh(
        cx,
        Wanted {
            tenant: access.acting_user.tenant(),
            connection: refused.connection,
            provider: &refused.provider.id,
            grant: refused.grant,
            generation: refused.generation,
            attempt: Attempt::Forced,
            by: None,
            deadline: ends.min(Instant::now() + cx.settings.resolve_deadline),
        },
    );
    match refreshed {
        Ok(refreshed) => {
            let token = ResolvedToken {
                access_token: refreshed.access_token,
                generation: refreshed.generation,
                expires_at: refreshed.expires_at,
                provider: Arc::clone(&refused.provider),
                connection: refused.connection,
                grant: refused.grant,
                is_workspace: refused.is_workspace,
                parameters: refused.parameters.clone(),
            };
            access
                .common
                .memory
                .refreshed
                .add(access.acting_user.tenant(), &token);
            Ok(Some(token))
        }
        // There is no refresh token.
        Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::Expired => Ok(None),
        Err(Error::ConsentRequired(need)) => Err((*need).of(refused.is_workspace).into()),
        Err(error) => Err(error),
    }
}

/// Returns the stored token, if it is newer than the refused one.
fn newer(access: &Access<'_>, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
    let stored = stored(access, refused)?;
    Ok(stored
        .filter(|stored| is_newer(stored, refused))
        .and_then(|stored| refused.replaced_by(stored)))
}

fn stored(access: &Access<'_>, token: &ResolvedToken) -> Result<Option<StoredToken>> {
    let query = TokenQuery {
        tenant: access.acting_user.tenant(),
        of: Of::Id(token.connection),
        scopes: &Scopes::default(),
    };
    match access.cx().vault.find_token(&query)? {
        Found::One(stored) => Ok(Some(stored)),
        Found::Nothing | Found::Several => Ok(None),
    }
}

/// Returns whether the stored tokens differ from the refused one and are usable.
fn is_newer(stored: &StoredToken, refused: &ResolvedToken) -> bool {
    let moved = stored.grant != refused.grant || stored.generation > refused.generation;
    stored.status == Status::Active && moved
}

impl ResolvedToken {
    /// Returns the stored token of the same connection in place of this one.
    fn replaced_by(&self, stored: StoredToken) -> Option<Self> {
        Some(Self {
            access_token: stored.access_token?,
            provider: Arc::clone(&self.provider),
            connection: self.connection,
            grant: stored.grant,
            generation: stored.generation,
            expires_at: stored.expires_at,
            is_workspace: self.is_workspace,
            parameters: stored.parameters,
        })
    }
}
