//! A consent prepared for a person who is not here yet: a one-time link on the host's own origin.
//!
//! An operator, an agent or a chat hands the link on; only the person it was made for can open it. What it holds is no
//! authorization URL: `state` and binding are made when the person comes, in their browser.

use crate::error::{ConsentError, Result};
use crate::manager::consent::Reconnect;
use crate::manager::{Consent, ConsentOptions, Inner};
use crate::model::{ActingUser, ConsentId, Owner, ProviderId, Scopes, Timestamp};
use crate::random;
use crate::secret::Ticket;
use crate::vault::{ConsentStatus, PendingConsent, Purpose, StateHash, Taken};

/// A consent that waits for its person: see [`ConnectionManager::prepare`](crate::ConnectionManager::prepare).
#[derive(Debug)]
pub struct PreparedConsent {
    pub(crate) id: ConsentId,
    pub(crate) provider: ProviderId,
    pub(crate) ticket: Ticket,
    pub(crate) expires_at: Timestamp,
}

impl PreparedConsent {
    /// Names it to people and logs; it opens nothing.
    #[must_use]
    pub const fn id(&self) -> ConsentId {
        self.id
    }

    /// The service that is to be connected.
    #[must_use]
    pub const fn provider(&self) -> &ProviderId {
        &self.provider
    }

    /// The last part of the link: 43 characters that need no encoding in a URL.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// When it can be opened no more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl Inner {
    pub(crate) fn prepare(
        &self,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        // All that `start` would refuse is refused here, where the one who asks can mend it.
        let service = self.service(provider)?;
        let tenant = acting_user.tenant();
        let (purpose, target) = self.purpose(tenant, &owner, &service.provider.id, &options)?;
        let parameters = self.parameters(service, options.parameters.clone(), target.as_ref())?;
        self.asked(service, &options, target.as_ref(), &parameters)?;
        let also = options
            .also
            .iter()
            .map(|also| Ok((self.service(also)?.provider.id.clone(), Scopes::default())));
        let scopes = if options.added_scopes.is_empty() {
            options.scopes.unwrap_or_default()
        } else {
            // The defaults are named as well: they would be left out beside scopes that are named.
            let provider = &service.provider;
            provider
                .wanted_scopes(options.scopes, &Scopes::default(), &parameters)
                .union(&options.added_scopes)
        };
        let ticket = Ticket::new(random::token_256()?.as_str());
        let now = self.now();
        let prepared = PreparedConsent {
            id: ConsentId::generate(now)?,
            provider: service.provider.id.clone(),
            ticket,
            expires_at: now + self.settings.ticket_lifetime,
        };
        let hash = StateHash::of_ticket(&prepared.ticket);
        let consent = PendingConsent {
            id: prepared.id,
            state: hash,
            // No browser holds a binding to it: it can be opened, never completed.
            binding: hash,
            tenant: tenant.clone(),
            user: acting_user.user().clone(),
            owner,
            provider: prepared.provider.clone(),
            server: service.server.id.clone(),
            issuer: None,
            token_endpoint: String::new(),
            client_id: String::new(),
            redirect_uri: String::new(),
            scopes,
            services: also.collect::<Result<_>>()?,
            parameters,
            label: options.label,
            require_account: options.require_account,
            purpose,
            return_to: options.return_to,
            request: Default::default(),
            created_at: now,
            expires_at: prepared.expires_at,
            status: ConsentStatus::Pending,
        };
        self.vault.insert_consent(&consent, None)?;
        Ok(prepared)
    }

    pub(crate) fn open_prepared(&self, acting_user: &ActingUser, ticket: &Ticket) -> Result<Consent> {
        let tenant = acting_user.tenant();
        let hash = StateHash::of_ticket(ticket);
        let prepared = self.vault.consent(tenant, &hash)?.ok_or(ConsentError::Unknown)?;
        if prepared.user != *acting_user.user() {
            return Err(ConsentError::WrongUser.into());
        }
        if prepared.status != ConsentStatus::Pending {
            return Err(ConsentError::Used.into());
        }
        if prepared.expires_at <= self.now() {
            return Err(ConsentError::Expired.into());
        }
        // Only what was taken counts from here on: it is authenticated as a whole.
        let Taken::Consent(prepared, _) = self.vault.take_consent(tenant, &hash, self.now())? else {
            return Err(ConsentError::Used.into());
        };
        let provider = prepared.provider.clone();
        self.start_as(
            prepared.id,
            acting_user,
            prepared.owner.clone(),
            provider.as_str(),
            options(prepared),
        )
    }
}

/// What was asked for when the consent was prepared.
fn options(prepared: PendingConsent) -> ConsentOptions {
    let reconnect = match prepared.purpose {
        Purpose::Connect => None,
        Purpose::Reconnect(id) => Some(Reconnect::SameAccount(id)),
        Purpose::Extend(id) => Some(Reconnect::Extend(id)),
        Purpose::SwitchAccount(id) => Some(Reconnect::AnyAccount(id)),
    };
    ConsentOptions {
        scopes: (!prepared.scopes.is_empty()).then_some(prepared.scopes),
        also: prepared.services.keys().map(ToString::to_string).collect(),
        label: prepared.label,
        require_account: prepared.require_account,
        parameters: prepared.parameters,
        return_to: prepared.return_to,
        reconnect,
        ..ConsentOptions::default()
    }
}
