//! An MCP server that refused a token may have another authorization server by now. The token of
//! the former one is then of no use, and is never sent to the new one.

use http::StatusCode;

use crate::engine::grant_users;
use crate::engine::mcp::renew;
use crate::error::{ConsentReason, ConsentRequired, NamedProvider, Result};
use crate::http::HttpResponse;
use crate::model::{EventKind, NeedsConsent};
use crate::resolver::access::Access;
use crate::resolver::token::ResolvedToken;
use crate::vault::{Claim, CommitOutcome, RefreshFailure};

/// Reads the metadata of an MCP server that refused the token. Returns an error that asks for a new
/// consent if they no longer name the authorization server that issued it.
pub(super) fn check_server(access: &Access<'_>, token: &ResolvedToken, answer: &HttpResponse) -> Result<()> {
    if answer.status != StatusCode::UNAUTHORIZED || !token.provider.is_discovered() {
        return Ok(());
    }
    let (cx, tenant) = (access.cx(), access.acting_user.tenant());
    if !renew::has_moved(cx, tenant, token.provider.id.as_str(), &answer.headers)? {
        return Ok(());
    }
    let reason = NeedsConsent::ClientChanged;
    // No claim is held: only the generation counts.
    let claim = Claim {
        generation: token.generation,
        fence: 0,
    };
    let failure = RefreshFailure::ConsentNeeded { reason, at: cx.now() };
    let outcome = cx.vault.fail_refresh(tenant, token.grant, &claim, &failure)?;
    if outcome == CommitOutcome::Stored {
        grant_users::emit_to_users(cx, tenant, token.grant, EventKind::ConsentNeeded(reason));
    }
    let provider = NamedProvider::of(&token.provider);
    Err(ConsentRequired::new(provider, ConsentReason::ClientChanged)
        .reconnecting(token.connection)
        .of(token.is_workspace)
        .into())
}
