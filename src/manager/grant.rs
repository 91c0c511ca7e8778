//! What a code was exchanged for, and the records that it becomes.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use crate::error::{ConsentError, Error, Result};
use crate::manager::Inner;
use crate::manager::connections::Service;
use crate::manager::refresh::POLL;
use crate::manager::services::{adds_to, union};
use crate::model::{
    Account, Connection, ConnectionId, IssuedBy, ProviderId, RefreshState, Scopes, Status, Timestamp,
};
use crate::protocol::{TokenResponse, granted_scopes};
use crate::provider::Endpoints;
use crate::vault::{
    Attempt, ClaimOutcome, ClaimRequest, ConnectionQuery, Grant, PendingConsent, Purpose, StoreOutcome,
    Tokens,
};

/// How often a grant is put together anew when another writer was faster.
const STORE_ATTEMPTS: usize = 4;

/// What a code was exchanged for.
pub(super) struct Issued {
    tokens: Tokens,
    /// Whose account it is, in the words of each service that says.
    accounts: BTreeMap<ProviderId, Account>,
    /// The scopes that the answer names.
    answered: Option<Scopes>,
    issued_by: IssuedBy,
    expires_at: Option<Timestamp>,
    at: Timestamp,
}

/// What is stored of a grant.
struct Records {
    /// The one with the tokens.
    holds: Connection,
    /// Those that share them.
    members: Vec<Connection>,
}

impl Issued {
    pub(super) fn new(
        consent: &PendingConsent,
        service: Service<'_>,
        endpoints: &Endpoints,
        answer: TokenResponse,
        accounts: BTreeMap<ProviderId, Account>,
        at: Timestamp,
    ) -> Self {
        let expires_in = answer.expires_in.or(service.server.default_expires_in);
        Self {
            tokens: Tokens {
                access_token: answer.access_token,
                refresh_token: answer.refresh_token,
                id_token: answer.id_token,
            },
            accounts,
            answered: answer.scopes,
            // Recorded is where the refresh token will be sent, which may differ from where the code went.
            issued_by: IssuedBy {
                server: service.server.id.clone(),
                token_endpoint: endpoints.refresh.to_string(),
                client_id: consent.client_id.clone(),
            },
            expires_at: expires_in.map(|lifetime| at + lifetime),
            at,
        }
    }

    /// A record that did not exist before: generation 0, until it is known what it is stored with.
    fn new_record(&self, consent: &PendingConsent, provider: &ProviderId) -> Result<Connection> {
        let mut new = Connection::new(
            ConnectionId::generate(self.at)?,
            consent.tenant.clone(),
            consent.owner.clone(),
            provider.clone(),
            self.issued_by.clone(),
            self.at,
        );
        new.generation = 0;
        Ok(new)
    }

    /// The record of a service that the consent is for, without its tokens.
    fn asked_for(
        &self,
        consent: &PendingConsent,
        mut connection: Connection,
        requested: Scopes,
    ) -> Connection {
        if let Some(account) = self.accounts.get(&connection.provider) {
            connection.account = Some(account.clone());
        }
        if consent.label.is_some() {
            connection.label.clone_from(&consent.label);
        }
        connection.requested = requested;
        connection.parameters = consent.parameters.clone();
        connection
    }

    /// The same record with these tokens, as the next generation after those it replaces.
    fn with_tokens(&self, mut holds: Connection, before: u64, granted: Scopes) -> Connection {
        holds.generation = before + 1;
        holds.status = Status::Active;
        holds.refresh = RefreshState::default();
        holds.consented_at = self.at;
        holds.refreshed_at = self.at;
        holds.issued_by = self.issued_by.clone();
        holds.granted = granted;
        holds.refreshable = self.tokens.refresh_token.is_some();
        holds.expires_at = self.expires_at;
        holds.shares = None;
        holds
    }
}

impl Inner {
    /// Stores the grant: as new connections, or as the next generation of those that it renews. Gives back those that the
    /// consent was for, the named one first.
    pub(super) fn store(
        &self,
        consent: &PendingConsent,
        service: Service<'_>,
        mut issued: Issued,
    ) -> Result<Vec<Connection>> {
        self.keep_refresh_token(consent, &mut issued)?;
        for _ in 0..STORE_ATTEMPTS {
            let Records { holds, members } = self.records(consent, service, &issued)?;
            let grant = Grant {
                consent: &consent.state,
                connection: &holds,
                tokens: &issued.tokens,
                members: &members,
            };
            match self.vault.store_grant(&grant)? {
                StoreOutcome::Stored if members.is_empty() => return Ok(vec![holds]),
                StoreOutcome::Stored => return Ok(members),
                // A refresh raised the generation, or a sibling consent connected the account, since it was read.
                StoreOutcome::Conflict => {}
            }
        }
        Err(ConsentError::Conflict.into())
    }

    /// Puts together what is to be stored, from what is stored now.
    fn records(&self, consent: &PendingConsent, service: Service<'_>, issued: &Issued) -> Result<Records> {
        let target = self.target(consent, issued)?;
        if consent.services.is_empty() {
            let before = match target {
                Some(target) => target,
                None => self.known_or_new(consent, &consent.provider, issued)?,
            };
            let granted = granted_scopes(service.server, &consent.scopes, issued.answered.as_ref());
            let generation = before.generation;
            let connection = issued.asked_for(consent, before, consent.scopes.clone());
            return Ok(Records {
                holds: issued.with_tokens(connection, generation, granted),
                members: Vec::new(),
            });
        }
        // The grant that goes on, and who lives by it. A consent that names another account ends that.
        let renewed = target
            .as_ref()
            .filter(|_| matches!(consent.purpose, Purpose::Reconnect(_) | Purpose::Extend(_)));
        let family = match renewed {
            Some(target) => self.family(target)?,
            None => target.iter().cloned().collect(),
        };
        let granted = self.granted(consent, service, issued, renewed, &family)?;
        let known = family.iter().map(|known| &known.requested);
        let requested = union(consent.services.values().chain(known));
        let keeper = match renewed {
            Some(target) if target.shares.is_some() => Some(self.whole_grant(target)?),
            _ => None,
        };

        let (mut members, rest) = self.joining(consent, issued, family)?;
        if keeper.is_none() {
            // What has had tokens of its own comes along: the new ones are for it as well.
            members.extend(rest);
        }
        let shown = members.iter().chain(&keeper).map(|known| known.generation);
        let before = shown.max().unwrap_or_default();
        let mut holds = match keeper {
            Some(keeper) => keeper,
            None if members.len() == 1 => {
                let alone = members.remove(0);
                return Ok(Records {
                    holds: issued.with_tokens(alone, before, granted),
                    members,
                });
            }
            None => issued.new_record(consent, &consent.provider)?,
        };
        holds.is_keeper = true;
        holds.requested = requested;
        holds.parameters = consent.parameters.clone();
        let holds = issued.with_tokens(holds, before, granted);
        for member in &mut members {
            member.shares = Some(holds.id);
            member.show_grant(&holds);
        }
        Ok(Records { holds, members })
    }

    /// The connections of the services that were asked for, the named one first, and who is left of the family.
    fn joining(
        &self,
        consent: &PendingConsent,
        issued: &Issued,
        mut family: Vec<Connection>,
    ) -> Result<(Vec<Connection>, Vec<Connection>)> {
        let mut joining = Vec::new();
        for (provider, requested) in &consent.services {
            let known = family.iter().position(|known| known.provider == *provider);
            let before = match known {
                Some(at) => family.swap_remove(at),
                None => self.known_or_new(consent, provider, issued)?,
            };
            joining.push(issued.asked_for(consent, before, requested.clone()));
        }
        joining.sort_by_key(|member| member.provider != consent.provider);
        Ok((joining, family))
    }

    /// What the grant is good for as a whole.
    fn granted(
        &self,
        consent: &PendingConsent,
        service: Service<'_>,
        issued: &Issued,
        renewed: Option<&Connection>,
        family: &[Connection],
    ) -> Result<Scopes> {
        let adds = renewed.filter(|target| {
            matches!(consent.purpose, Purpose::Extend(_)) && adds_to(service.server, target)
        });
        let asked = match adds {
            Some(target) => {
                let known = union(family.iter().map(|known| &known.requested));
                if issued.answered.is_none() {
                    return Ok(consent.scopes.union(&self.whole_grant(target)?.granted));
                }
                consent
                    .scopes
                    .union(&known)
                    .union(&union(consent.services.values()))
            }
            None => consent.scopes.clone(),
        };
        Ok(granted_scopes(service.server, &asked, issued.answered.as_ref()))
    }

    /// The connection that this consent names as the one to renew or to extend, if it names one.
    fn target(&self, consent: &PendingConsent, issued: &Issued) -> Result<Option<Connection>> {
        let read = |id| self.vault.connection(&consent.tenant, id)?.ok_or(Error::NotFound);
        match consent.purpose {
            Purpose::Connect => Ok(None),
            Purpose::SwitchAccount(id) => read(id).map(Some),
            Purpose::Reconnect(id) | Purpose::Extend(id) => {
                let target = read(id)?;
                match (&target.account, issued.accounts.get(&target.provider)) {
                    (Some(known), Some(chosen)) if known.id != chosen.id => {
                        Err(ConsentError::AccountMismatch.into())
                    }
                    (Some(_), None) => Err(ConsentError::AccountUnknown.into()),
                    // Revoked while the person was at the server: there is nothing left to extend.
                    _ if target.status == Status::Revoked
                        && matches!(consent.purpose, Purpose::Extend(_)) =>
                    {
                        Err(Error::NotFound)
                    }
                    _ => Ok(Some(target)),
                }
            }
        }
    }

    fn known_or_new(
        &self,
        consent: &PendingConsent,
        provider: &ProviderId,
        issued: &Issued,
    ) -> Result<Connection> {
        match self.same_account(consent, provider, issued.accounts.get(provider))? {
            Some(known) => Ok(known),
            None => issued.new_record(consent, provider),
        }
    }

    /// The owner's connection to the same account, a revoked one included: it comes back with its id and history.
    /// Where the provider names no account, the label takes its place.
    fn same_account(
        &self,
        consent: &PendingConsent,
        provider: &ProviderId,
        account: Option<&Account>,
    ) -> Result<Option<Connection>> {
        let mut query = ConnectionQuery::of(&consent.tenant);
        query.owner = Some(&consent.owner);
        query.provider = Some(provider);
        query.with_revoked = true;
        let known = self.vault.connections(&query)?;
        let mut same = known.into_iter().filter(|known| match (&known.account, account) {
            (Some(known), Some(chosen)) => known.id == chosen.id,
            (None, None) => known.label == consent.label,
            _ => false,
        });
        let mut best = same.next();
        for other in same {
            if best.as_ref().is_some_and(|best| best.status == Status::Revoked) {
                best = Some(other);
            }
        }
        Ok(best)
    }

    /// A server that adds to a grant may leave its refresh token in force and say nothing of it. It is claimed, so that
    /// nobody uses it up meanwhile, and stored with the new access token.
    fn keep_refresh_token(&self, consent: &PendingConsent, issued: &mut Issued) -> Result<()> {
        let (Purpose::Extend(_), None) = (consent.purpose, &issued.tokens.refresh_token) else {
            return Ok(());
        };
        let deadline = Instant::now() + self.settings.resolve_deadline;
        loop {
            // Read with all checks: the token of another account's grant is nothing to be kept.
            let Some(target) = self.target(consent, issued)? else {
                return Ok(());
            };
            let request = ClaimRequest {
                tenant: &consent.tenant,
                connection: target.keeper(),
                holder: self.holder,
                generation: target.generation,
                attempt: Attempt::Forced,
                now: self.now(),
                lease: self.settings.refresh_lease,
            };
            match self.vault.claim_refresh(&request)? {
                ClaimOutcome::Granted(claimed) => {
                    issued.tokens.refresh_token = Some(claimed.refresh_token);
                    return Ok(());
                }
                ClaimOutcome::Moved => {}
                ClaimOutcome::Held(_) if Instant::now() + POLL < deadline => thread::sleep(POLL),
                ClaimOutcome::Held(_) => return Err(ConsentError::Conflict.into()),
                _ => return Ok(()),
            }
        }
    }
}
