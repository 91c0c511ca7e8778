//! Another token for one that an API refused: a newer one that is stored already, or one that is
//! refreshed.
//!
//! One refused token leads to one refresh at most, however often it is presented. An API that
//! refuses the refreshed token as well has answered; its answer is handed on, because refreshing
//! and asking the person change nothing.

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

/// Returns another token for one that the API refused, for a host that sends requests by a client
/// of its own.
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

/// Returns another token after an answer of the API with this status, if there is one.
pub(super) fn another_after(
    access: &Access<'_>,
    token: &ResolvedToken,
    status: StatusCode,
    ends: Instant,
) -> Result<Option<ResolvedToken>> {
    if token.provider.refuses_token(status.as_u16()) {
        another(access, token, ends)
    } else if status.is_client_error() {
        // Some servers end the old token at a refresh and answer with a status of their own. Where
        // a newer one is stored, that is worth one more request.
        newer(access, token)
    } else {
        Ok(None)
    }
}

/// Records that the API refuses a token that had just been refreshed.
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

/// Returns a newer token that is stored, or one that is refreshed now.
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
        // There is nothing to refresh it by.
        Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::Expired => Ok(None),
        Err(Error::ConsentRequired(need)) => Err((*need).of(refused.is_workspace).into()),
        Err(error) => Err(error),
    }
}

/// Returns the stored token, if it is newer than one that was refused.
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

/// Returns whether other tokens are stored than the refused one, and can be used.
fn is_newer(stored: &StoredToken, refused: &ResolvedToken) -> bool {
    let moved = stored.grant != refused.grant || stored.generation > refused.generation;
    stored.status == Status::Active && moved
}

impl ResolvedToken {
    /// Returns the stored token of the same connection in the place of this one.
    fn replaced_by(&self, stored: StoredToken) -> Option<Self> {
        Some(Self {
            access_token: Arc::new(stored.access_token?),
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
