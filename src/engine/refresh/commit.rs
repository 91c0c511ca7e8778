//! Stores refreshed tokens before any caller sees them.

use std::sync::Arc;

use crate::engine::Context;
use crate::engine::grant_users;
use crate::engine::persist::persist;
use crate::engine::refresh::outcome::{CurrentToken, NotRefreshed, RefreshedToken};
use crate::engine::refresh::unsaved::{Fetched, Saved};
use crate::engine::revoke::at_provider;
use crate::error::Result;
use crate::model::{EventKind, GrantId, TenantId};
use crate::vault::{CommitOutcome, VaultError};

/// Stores tokens that cannot be requested again. If the vault is unavailable for longer than the
/// retries last, they are kept in memory.
pub(crate) fn commit(cx: &Context, fetched: Fetched) -> Result<RefreshedToken, NotRefreshed> {
    match persist(cx, || store_fetched(cx, &fetched)) {
        Ok(outcome) => committed(cx, fetched, outcome),
        Err(error) => {
            cx.unsaved.keep(fetched, &error);
            Err(error.into())
        }
    }
}

pub(crate) fn store_fetched(cx: &Context, fetched: &Fetched) -> Result<CommitOutcome, VaultError> {
    let grant = &fetched.grant;
    cx.vault
        .commit_refresh(&grant.tenant, grant.id, &fetched.claim, &fetched.refreshed())
}

pub(crate) fn committed(
    cx: &Context,
    fetched: Fetched,
    outcome: CommitOutcome,
) -> Result<RefreshedToken, NotRefreshed> {
    let grant = &fetched.grant;
    match outcome {
        CommitOutcome::Stored => {
            let users = grant_users::emit_to_users(cx, &grant.tenant, grant.id, EventKind::Refreshed);
            Ok(RefreshedToken {
                users,
                token: CurrentToken {
                    generation: fetched.claim.generation.saturating_add(1),
                    expires_at: fetched.expires_at,
                    access_token: Arc::new(fetched.tokens.access_token),
                },
            })
        }
        CommitOutcome::Former | CommitOutcome::Superseded => {
            Err(NotRefreshed::Moved(fetched.claim.generation))
        }
        CommitOutcome::Gone => {
            // The user revoked the connection while the request was in progress, so the new tokens
            // must be revoked as well.
            at_provider::end_late_tokens(cx, &fetched);
            Err(NotRefreshed::Moved(fetched.claim.generation))
        }
    }
}

/// Stores the tokens kept in memory for a grant. Until they are stored, the old refresh token must
/// not be used: the server may have invalidated it.
pub(crate) fn save_unsaved(cx: &Context, tenant: &TenantId, grant: GrantId) -> Result<Saved, VaultError> {
    let Some(fetched) = cx.unsaved.take(tenant, grant) else {
        return Ok(Saved::Nothing);
    };
    match store_fetched(cx, &fetched) {
        Ok(outcome) => {
            // The caller reads the stored tokens.
            drop(committed(cx, fetched, outcome));
            Ok(Saved::Settled)
        }
        Err(error) => {
            cx.unsaved.keep(fetched, &error);
            Err(error)
        }
    }
}

/// Stores all tokens kept in memory.
pub(crate) fn save_all_unsaved(cx: &Context) -> Result<usize, VaultError> {
    let grants = cx.unsaved.grants();
    for (tenant, grant) in &grants {
        save_unsaved(cx, tenant, *grant)?;
    }
    Ok(grants.len())
}
