//! A prepared consent: a one-time link on the host's origin, for a user who is not present.
//!
//! An operator, an agent or a chat passes the link on; only the user it was created for can open
//! it. The link contains no authorization URL: the flow begins when the user opens it.
//!
//! The user may open a link more than once: with a second click, a reload, a restored tab, or in
//! another browser. Each time it leads to the same authorization, with the same `state` and
//! binding, so it results in one consent. Once the consent has been answered, the link no longer
//! works.

use crate::engine::Context;
use crate::engine::consent::flow::FlowSecrets;
use crate::engine::consent::options::{Consent, ConsentOptions, open_until};
use crate::engine::consent::scopes;
use crate::engine::consent::start;
use crate::error::{ConsentError, Error, Result};
use crate::model::{ActingUser, ConsentId, Owner, ProviderId, Timestamp};
use crate::protocol::new_verifier;
use crate::random;
use crate::secret::{PkceVerifier, Ticket};
use crate::vault::{ConsentStatus, PendingConsent, StateHash, Taken};

/// A consent that waits for its user to open the link: see
/// [`ConnectionManager::prepare`](crate::ConnectionManager::prepare).
#[derive(Debug)]
pub struct PreparedConsent {
    pub(crate) id: ConsentId,
    pub(crate) provider: ProviderId,
    pub(crate) ticket: Ticket,
    pub(crate) expires_at: Timestamp,
}

impl PreparedConsent {
    /// Returns the last path segment of the link: 43 characters that need no URL encoding.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }
}

open_until!(PreparedConsent);

pub(crate) fn prepare(
    cx: &Context,
    acting_user: &ActingUser,
    owner: Owner,
    provider: &str,
    options: ConsentOptions,
) -> Result<PreparedConsent> {
    // Everything that `start` would refuse is refused here, where the caller can correct it.
    let tenant = acting_user.tenant();
    start::discover_again(cx, tenant, provider, &options)?;
    let service = &cx.service(tenant, provider)?;
    let (purpose, target) = start::purpose(cx, tenant, &owner, &service.provider.id, &options)?;
    let parameters = start::parameters(cx, service, options.parameters.clone(), target.as_ref())?;
    scopes::asked(cx, service, &options, target.as_ref(), &parameters)?;
    // No scopes stand for those that are the default when the link is opened.
    let also = options.also.iter().map(|also| {
        let scopes = options.also_scopes.get(also).cloned().unwrap_or_default();
        Ok((cx.service(tenant, also)?.provider.id.clone(), scopes))
    });
    let ticket = Ticket::new(random::token_256()?.as_str());
    let now = cx.now();
    let prepared = PreparedConsent {
        id: ConsentId::generate(now)?,
        provider: service.provider.id.clone(),
        ticket,
        expires_at: now + cx.settings.ticket_lifetime,
    };
    let hash = StateHash::of_ticket(&prepared.ticket);
    // No browser holds a binding to it, so it can be opened but never completed.
    let mut consent = PendingConsent {
        // Stored only if it differs from the registered one.
        redirect_uri: match options.loopback_port {
            Some(port) => start::redirect_uri(service, Some(port))?,
            None => String::new(),
        },
        services: also.collect::<Result<_>>()?,
        parameters,
        purpose,
        expires_at: prepared.expires_at,
        ..PendingConsent::new(
            prepared.id,
            hash,
            acting_user,
            owner,
            prepared.provider.clone(),
            service.server.id.clone(),
            now,
        )
    };
    options.keep_in(&mut consent);
    // The secrets of the flow that the ticket opens are derived from this seed.
    let seed = new_verifier()?;
    cx.vault.insert_consent(&consent, Some(&seed))?;
    Ok(prepared)
}

/// Opens a ticket. The first call begins a flow. Later calls continue it while it is pending, and
/// begin another one if it has expired unanswered. At any time, a ticket has one flow that can be
/// completed.
pub(crate) fn open_prepared(cx: &Context, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
    let tenant = acting_user.tenant();
    let hash = StateHash::of_ticket(ticket);
    let prepared = cx.vault.consent(tenant, &hash)?.ok_or(ConsentError::Unknown)?;
    if prepared.user != *acting_user.user() {
        return Err(ConsentError::WrongUser.into());
    }
    if prepared.status != ConsentStatus::Pending {
        return Err(ConsentError::Used(prepared.id).into());
    }
    if prepared.expires_at <= cx.now() {
        return Err(ConsentError::Expired.into());
    }
    // From here on, use only the opened record: it is authenticated as a whole.
    let Some((opened, seed)) = cx.vault.open_consent(tenant, &hash)? else {
        return Err(ConsentError::Used(prepared.id).into());
    };
    let Some(seed) = seed else {
        return open_once(cx, acting_user, opened);
    };
    match open_flow(cx, acting_user, &opened, &seed) {
        // Another call may have started the same flow at the same time.
        Err(Error::Vault(_)) => open_flow(cx, acting_user, &opened, &seed),
        opened => opened,
    }
}

fn open_flow(
    cx: &Context,
    acting_user: &ActingUser,
    prepared: &PendingConsent,
    seed: &PkceVerifier,
) -> Result<Consent> {
    let flows = cx.vault.consents(acting_user.tenant(), acting_user.user())?;
    let mut next = 0;
    for flow in flows {
        if flow.id != prepared.id || flow.is_prepared() {
            continue;
        }
        let number = number_of(seed, &flow).ok_or(ConsentError::Expired)?;
        if flow.status != ConsentStatus::Pending {
            return Err(ConsentError::Used(flow.id).into());
        }
        if flow.expires_at > cx.now() {
            return start::resume(cx, flow, FlowSecrets::of_ticket(seed, number));
        }
        next = next.max(number + 1);
    }
    let options = ConsentOptions::of(prepared);
    start::discover_again(cx, acting_user.tenant(), prepared.provider.as_str(), &options)?;
    start::start_as(
        cx,
        prepared.id,
        acting_user,
        prepared.owner.clone(),
        prepared.provider.as_str(),
        options,
        FlowSecrets::of_ticket(seed, next),
    )
}

/// Opens a ticket created by an older version without a seed. Its flow cannot be derived again.
fn open_once(cx: &Context, acting_user: &ActingUser, prepared: PendingConsent) -> Result<Consent> {
    let taken = cx
        .vault
        .take_consent(&prepared.tenant, &prepared.state, cx.now())?;
    let Taken::Consent(prepared, _) = taken else {
        return Err(ConsentError::Used(prepared.id).into());
    };
    start::start_as(
        cx,
        prepared.id,
        acting_user,
        prepared.owner.clone(),
        prepared.provider.as_str(),
        ConsentOptions::of(&prepared),
        FlowSecrets::random()?,
    )
}

/// Takes the ticket that opened a flow, if any, so that it cannot open another.
pub(crate) fn spend_ticket(cx: &Context, flow: &PendingConsent) -> Result<()> {
    for ticket in cx.vault.consents(&flow.tenant, &flow.user)? {
        if ticket.id == flow.id && ticket.is_prepared() && ticket.status == ConsentStatus::Pending {
            cx.vault.take_consent(&ticket.tenant, &ticket.state, cx.now())?;
        }
    }
    Ok(())
}

/// The maximum number of flows of one ticket. All but the last have expired.
const MAX_FLOWS: u32 = 1_024;

/// Returns the index of the ticket's flow that has this seed.
fn number_of(seed: &PkceVerifier, flow: &PendingConsent) -> Option<u32> {
    (0..MAX_FLOWS).find(|number| StateHash::of(&FlowSecrets::of_ticket(seed, *number).state) == flow.state)
}
