//! Revocation: here at once, then at the provider, with a report of what was done where.

use crate::engine::Context;
use crate::engine::consent::scopes;
use crate::engine::revoke::at_provider;
use crate::engine::revoke::report::{AtProvider, EndedTokens, RevocationReport};
use crate::error::{Error, Result};
use crate::model::{Actor, Connection, ConnectionId, EventKind, GrantId, Status, TenantId};
use crate::protocol::Revocable;
use crate::provider::{Revocation, ServerDescriptor};
use crate::vault::{EndedGrant, Erasure, Revoke, RevokeWhat, Revoked, Settlement};

/// How often a whole grant is revoked again because a consent replaced it at the same moment.
const ATTEMPTS: usize = 3;

/// What was ended so far, and whether any of it waits for upkeep.
#[derive(Default)]
struct Tally {
    ended: Vec<EndedTokens>,
    waits: bool,
}

pub(crate) fn revoke(cx: &Context, connection: &Connection, by: &Actor) -> Result<RevocationReport> {
    let what = RevokeWhat::Connection(connection.id);
    let mut tally = Tally::default();
    let still_used_by = revoke_once(cx, connection, what, by, &mut tally)?;
    report(cx, connection, tally, still_used_by)
}

/// Revokes the grant of a connection with all connections that use it.
pub(crate) fn revoke_whole(cx: &Context, connection: &Connection, by: &Actor) -> Result<RevocationReport> {
    if scopes::family(cx, connection)?.len() == 1 {
        return revoke(cx, connection, by);
    }
    let mut tally = Tally::default();
    let mut current = connection.clone();
    for _ in 0..ATTEMPTS {
        if current.status == Status::Revoked {
            break;
        }
        revoke_once(cx, &current, RevokeWhat::Grant(current.grant), by, &mut tally)?;
        current = read(cx, connection)?;
    }
    if current.status != Status::Revoked {
        revoke_once(cx, &current, RevokeWhat::Connection(current.id), by, &mut tally)?;
    }
    report(cx, connection, tally, Vec::new())
}

/// Revokes here, then at the provider. Returns the connections that go on using the grant.
fn revoke_once(
    cx: &Context,
    connection: &Connection,
    what: RevokeWhat,
    by: &Actor,
    tally: &mut Tally,
) -> Result<Vec<ConnectionId>> {
    let now = cx.now();
    let server = cx.registry.server(connection.issued_by.server.as_str());
    let revoked = cx.vault.revoke(&Revoke {
        tenant: &connection.tenant,
        what,
        by: Some(by),
        now,
        // Kept sealed for upkeep in the same transaction: a crash between here and the provider
        // loses nothing.
        keep_until: server
            // The operator may add a server again that is not in the registry now.
            .is_none_or(|server| ends_by_program(server))
            .then(|| now + cx.settings.revocation_patience),
    })?;
    // From here on nothing resolves it, whatever the network does.
    let Some(revoked) = revoked else {
        end_unsaved(cx, &connection.tenant, connection.grant, tally);
        return Ok(Vec::new());
    };
    if connection.status != Status::Revoked {
        for ended in &revoked.connections {
            let user = ended.owner.user();
            cx.emit(
                &ended.tenant,
                user,
                &ended.provider,
                Some(ended.id),
                EventKind::Revoked,
            );
        }
    }
    if revoked.still_used_by.is_empty() {
        end_unsaved(cx, &connection.tenant, connection.grant, tally);
    }
    let Revoked {
        ended, still_used_by, ..
    } = revoked;
    for ended in ended {
        // What was stored before must have had tokens. Where none could be opened, nobody can end
        // them.
        let unopened = ended.grant.id == connection.grant && connection.status == Status::Active;
        end(cx, &ended, unopened, tally)?;
    }
    Ok(still_used_by)
}

/// Presents one set of tokens to its provider, and settles what is kept of it for upkeep.
fn end(cx: &Context, ended: &EndedGrant, unopened: bool, tally: &mut Tally) -> Result<()> {
    let nothing = ended.access_token.is_none() && ended.refresh_token.is_none();
    let (at_provider, settlement) = if nothing && unopened {
        (AtProvider::Unconfirmed { retry_after: None }, Settlement::GivenUp)
    } else {
        let at_provider = at_provider::end_at_provider(
            cx,
            &ended.grant,
            Revocable {
                access_token: ended.access_token.as_ref(),
                refresh_token: ended.refresh_token.as_ref(),
            },
        );
        let settlement = at_provider::settlement(cx, &at_provider, ended.attempts.saturating_add(1));
        (at_provider, settlement)
    };
    if let Some(pending) = ended.pending {
        tally.waits |= matches!(settlement, Settlement::Again { .. });
        cx.vault
            .settle_revocation(&ended.grant.tenant, pending, settlement, cx.now())?;
    }
    tally.ended.push(EndedTokens {
        grant: ended.grant.id,
        generation: ended.grant.generation,
        former: ended.grant.former_of.is_some(),
        at_provider,
    });
    Ok(())
}

/// Ends tokens of the grant that were fetched and could not be stored yet.
fn end_unsaved(cx: &Context, tenant: &TenantId, grant: GrantId, tally: &mut Tally) {
    let Some(fetched) = cx.unsaved.take(tenant, grant) else {
        return;
    };
    let at_provider = at_provider::end_late_tokens(cx, &fetched);
    tally.waits |= at_provider.may_be_tried_again();
    tally.ended.push(EndedTokens {
        grant,
        generation: fetched.claim.generation.saturating_add(1),
        former: false,
        at_provider,
    });
}

fn report(
    cx: &Context,
    connection: &Connection,
    tally: Tally,
    still_used_by: Vec<ConnectionId>,
) -> Result<RevocationReport> {
    let cleared = cx.vault.clear_residue()?;
    let at_provider = if still_used_by.is_empty() {
        let outcomes = tally.ended.iter().map(|ended| ended.at_provider.clone());
        outcomes.fold(AtProvider::NothingLeft, AtProvider::worse)
    } else {
        AtProvider::StillUsedBy(still_used_by)
    };
    Ok(RevocationReport {
        connection: read(cx, connection)?,
        here: if tally.waits { Erasure::Pending } else { cleared },
        at_provider,
        ended: tally.ended,
    })
}

fn read(cx: &Context, connection: &Connection) -> Result<Connection> {
    cx.vault
        .connection(&connection.tenant, connection.id)?
        .ok_or(Error::NotFound)
}

/// Revokes former grants at once, at servers where each consent is a grant of its own.
pub(crate) fn end_former(cx: &Context, tenant: &TenantId, server: &ServerDescriptor, former: Vec<GrantId>) {
    if !server.separate_grants {
        return;
    }
    for id in former {
        let now = cx.now();
        let revoke = Revoke {
            tenant,
            what: RevokeWhat::Grant(id),
            by: None,
            now,
            keep_until: ends_by_program(server).then(|| now + cx.settings.revocation_patience),
        };
        // The consent is complete. What fails here is tried again by upkeep, or when the connection
        // is revoked.
        let Ok(Some(revoked)) = cx.vault.revoke(&revoke) else {
            continue;
        };
        let mut tally = Tally::default();
        for ended in &revoked.ended {
            let _ = end(cx, ended, false, &mut tally);
        }
    }
}

/// The other live connections that end with this one, because the provider revokes the access
/// behind them all.
pub(crate) fn shares_fate_with(cx: &Context, connection: &Connection) -> Result<Vec<Connection>> {
    if scopes::family(cx, connection)?.len() > 1 {
        // It leaves the grant to the others: nothing is sent.
        return Ok(Vec::new());
    }
    let account = connection.account.as_ref();
    let issued_by = &connection.issued_by;
    let mut others = at_provider::ends_with(cx, &connection.tenant, &connection.owner, issued_by, account)?;
    others.retain(|other| other.id != connection.id);
    Ok(others)
}

const fn ends_by_program(server: &ServerDescriptor) -> bool {
    matches!(
        server.revocation,
        Revocation::Endpoint { .. } | Revocation::DeleteWithBearer { .. }
    )
}
