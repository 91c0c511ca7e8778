//! Revocation: locally first, then at the provider, reporting both outcomes.

use crate::engine::Context;
use crate::engine::consent::scopes;
use crate::engine::revoke::at_provider;
use crate::engine::revoke::report::{AtProvider, EndedTokens, RevocationReport};
use crate::error::{Error, Result};
use crate::model::{Actor, Connection, ConnectionId, EventKind, GrantId, Status, TenantId};
use crate::protocol::Revocable;
use crate::provider::{Revocation, ServerDescriptor};
use crate::vault::{EndedGrant, Erasure, Revoke, RevokeWhat, Revoked, Settlement};

/// The number of retries when a consent replaces the grant while it is being revoked.
const ATTEMPTS: usize = 3;

/// The tokens revoked so far, and whether upkeep has to retry any.
#[derive(Default)]
pub(super) struct Tally {
    ended: Vec<EndedTokens>,
    waits: bool,
}

/// A connection that is revoked locally, and whose tokens the provider has yet to revoke.
pub(super) struct Local {
    /// The connection as it was before.
    connection: Connection,
    /// `None` if it was already revoked and nothing is left to revoke at the provider.
    revoked: Option<Revoked>,
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

/// Revokes locally, then at the provider. Returns the connections that continue to use the grant.
fn revoke_once(
    cx: &Context,
    connection: &Connection,
    what: RevokeWhat,
    by: &Actor,
    tally: &mut Tally,
) -> Result<Vec<ConnectionId>> {
    let local = locally(cx, connection, what, by)?;
    end_tokens(cx, local, &|| true, tally)
}

/// Revokes locally. From then on, the connection does not resolve, whatever the network does.
pub(super) fn locally(cx: &Context, connection: &Connection, what: RevokeWhat, by: &Actor) -> Result<Local> {
    let now = cx.now();
    let server = cx
        .server(&connection.tenant, connection.issued_by.server.as_str())
        .ok()
        .flatten();
    let revoked = cx.vault.revoke(&Revoke {
        tenant: &connection.tenant,
        what,
        by: Some(by),
        now,
        // The tokens are kept encrypted for upkeep in the same transaction, so a crash before the
        // provider answers does not lose them.
        keep_until: server
            // The operator may register a server again that is missing now.
            .is_none_or(|server| ends_by_program(&server))
            .then(|| now + cx.settings.revocation_patience),
    })?;
    if connection.status != Status::Revoked {
        for ended in revoked.iter().flat_map(|revoked| &revoked.connections) {
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
    Ok(Local {
        connection: connection.clone(),
        revoked,
    })
}

/// Revokes the tokens of a connection at the provider, as long as there `is_time`. Upkeep revokes
/// the others. Returns the connections that continue to use the grant.
pub(super) fn end_tokens(
    cx: &Context,
    local: Local,
    is_time: &dyn Fn() -> bool,
    tally: &mut Tally,
) -> Result<Vec<ConnectionId>> {
    let Local { connection, revoked } = local;
    let Some(revoked) = revoked else {
        end_unsaved(cx, &connection.tenant, connection.grant, tally);
        return Ok(Vec::new());
    };
    if revoked.still_used_by.is_empty() {
        end_unsaved(cx, &connection.tenant, connection.grant, tally);
    }
    let Revoked {
        ended, still_used_by, ..
    } = revoked;
    for ended in ended {
        if ended.pending.is_some() && !is_time() {
            tally.leave(&ended);
            continue;
        }
        // Earlier grants must have had tokens. If none could be decrypted, they cannot be revoked.
        let unopened = ended.grant.id == connection.grant && connection.status == Status::Active;
        end(cx, &ended, unopened, tally)?;
    }
    Ok(still_used_by)
}

impl Tally {
    /// Leaves a set of tokens to upkeep.
    fn leave(&mut self, ended: &EndedGrant) {
        self.waits = true;
        self.push(ended, AtProvider::Unconfirmed { retry_after: None });
    }

    fn push(&mut self, ended: &EndedGrant, at_provider: AtProvider) {
        self.ended.push(EndedTokens {
            grant: ended.grant.id,
            generation: ended.grant.generation,
            former: ended.grant.former_of.is_some(),
            at_provider,
        });
    }
}

/// Sends one set of tokens to its provider, and settles its record for upkeep.
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
    tally.push(ended, at_provider);
    Ok(())
}

/// Revokes tokens of the grant that were fetched but could not be stored yet.
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

pub(super) fn report(
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

/// Revokes former grants at once, at servers where each consent creates a separate grant.
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
        // The consent is complete. Upkeep retries failed revocations, or they are retried when the
        // connection is revoked.
        let Ok(Some(revoked)) = cx.vault.revoke(&revoke) else {
            continue;
        };
        let mut tally = Tally::default();
        for ended in &revoked.ended {
            let _ = end(cx, ended, false, &mut tally);
        }
    }
}

/// Returns the other live connections that end with this one, because the provider revokes their
/// access together.
pub(crate) fn shares_fate_with(cx: &Context, connection: &Connection) -> Result<Vec<Connection>> {
    if scopes::family(cx, connection)?.len() > 1 {
        // The other connections keep the grant: nothing is sent.
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
