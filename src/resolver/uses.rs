//! Records token uses and their users.

use crate::engine::settings::UseAudit;
use crate::engine::usage::Handed;
use crate::engine::uses;
use crate::error::Result;
use crate::model::EventKind;
use crate::resolver::access::Access;
use crate::resolver::token::ResolvedToken;

/// Records a use by `resolve`: now or later, according to the host's settings.
pub(super) fn record(access: &Access<'_>, token: &ResolvedToken) -> Result<()> {
    let cx = access.cx();
    let handed = handed(access, token);
    if cx.settings.use_audit == UseAudit::Strict {
        uses::record(cx, &[handed.entry()])?;
    } else {
        uses::note_use(cx, handed);
    }
    report_fallback(access, token);
    Ok(())
}

/// Records a use by `peek` in memory. Returns `false` if there is no room.
pub(super) fn note_if_room(access: &Access<'_>, token: &ResolvedToken) -> bool {
    let noted = access.cx().usage.note_if_room(handed(access, token));
    if noted {
        report_fallback(access, token);
    }
    noted
}

fn handed<'a>(access: &Access<'a>, token: &'a ResolvedToken) -> Handed<'a> {
    Handed {
        to: access.acting_user,
        connection: token.connection,
        provider: &token.provider.id,
        shared: token.is_workspace,
        turn: access.ledger.turn.as_deref(),
        purpose: access.ledger.purpose.as_deref(),
        at: access.cx().now(),
    }
}

/// Reports to the host that a workspace connection was used.
fn report_fallback(access: &Access<'_>, token: &ResolvedToken) {
    if token.is_workspace {
        access.cx().emit(
            access.acting_user.tenant(),
            Some(access.acting_user.user()),
            &token.provider.id,
            Some(token.connection),
            EventKind::WorkspaceFallback,
        );
    }
}
