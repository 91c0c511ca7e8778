//! Retries quarantined refresh tokens after the cause of the refusal has been fixed.
//!
//! Some servers answer `invalid_grant` to a wrong client secret. All connections are then refused
//! within minutes, although their grants are valid. Their refresh tokens wait in quarantine,
//! unavailable to `resolve`.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::engine::Context;
use crate::engine::refresh;
use crate::engine::refresh::Wanted;
use crate::error::{Error, Result};
use crate::model::{Connection, ConnectionId, NeedsConsent, Operator, Principal as _, ProviderId, Status};
use crate::vault::{Attempt, ConnectionQuery};

/// The number of connections read at a time.
const PAGE: usize = 200;

/// The result of a retry. Several connections that use one grant count as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// Grants that work again.
    pub restored: usize,
    /// Grants that were refused again. They stay in quarantine until it ends.
    pub refused: usize,
    /// Grants whose server did not answer, or that another caller is retrying.
    pub failed: usize,
    /// The last connection examined, if there were more than the limit allowed. Continue after it.
    pub next: Option<ConnectionId>,
}

pub(crate) fn retry_rejected(
    cx: &Context,
    operator: &Operator,
    provider: &str,
    after: Option<ConnectionId>,
    limit: usize,
) -> Result<Retried> {
    let tenant = operator.acting_user().tenant();
    let provider = cx.service(tenant, provider)?.provider.id.clone();
    let actor = operator.actor();
    let mut retried = Retried::default();
    let mut tried = BTreeSet::new();
    let mut after = after;
    loop {
        let page = rejected(cx, operator, &provider, after)?;
        let Some((last, connections)) = page else {
            return Ok(retried);
        };
        for connection in connections {
            if tried.contains(&connection.grant) {
                // Several connections that use one grant share one refused token.
                continue;
            }
            if retried.restored + retried.refused + retried.failed == limit {
                retried.next = after;
                return Ok(retried);
            }
            after = Some(connection.id);
            tried.insert(connection.grant);
            let refreshed = refresh::refresh(
                cx,
                Wanted {
                    tenant,
                    connection: connection.id,
                    provider: &provider,
                    grant: connection.grant,
                    generation: connection.generation,
                    attempt: Attempt::Quarantined,
                    by: Some(&actor),
                    deadline: Instant::now() + cx.settings.resolve_deadline,
                },
            );
            match refreshed {
                Ok(_) => retried.restored += 1,
                Err(Error::ConsentRequired(_)) => retried.refused += 1,
                // The misconfiguration affects all of them; stop instead of repeating the request.
                Err(error @ (Error::Vault(_) | Error::Misconfigured(_))) => return Err(error),
                Err(_) => retried.failed += 1,
            }
        }
        after = Some(last);
    }
}

/// Returns the quarantined connections of one page, with the id of the page's last connection.
/// `None` at the end.
fn rejected(
    cx: &Context,
    operator: &Operator,
    provider: &ProviderId,
    after: Option<ConnectionId>,
) -> Result<Option<(ConnectionId, Vec<Connection>)>> {
    let mut query = ConnectionQuery::of(operator.acting_user().tenant());
    query.provider = Some(provider);
    query.after = after;
    query.limit = PAGE;
    let mut page = cx.vault.connections(&query)?;
    let Some(last) = page.last() else { return Ok(None) };
    let last = last.id;
    let now = cx.now();
    page.retain(|connection| {
        let until = connection.refresh.quarantined_until;
        // The server has replaced the token of a refresh whose response was lost.
        let lost = connection.status == Status::NeedsConsent(NeedsConsent::LostInFlight);
        matches!(connection.status, Status::NeedsConsent(_))
            && !lost
            && until.is_some_and(|until| until > now)
    });
    Ok(Some((last, page)))
}
