//! Begins consents: from the page, or through a one-time link.

use http::{Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Answer};
use super::request::Incoming;
use super::{Caller, Inner, page, time};
use crate::engine::consent::link::PreparedConsent;
use crate::engine::consent::options::{Consent, ConsentOptions};
use crate::error::{ConsentError, Error};
use crate::model::{ActingUser, Connection, ConnectionId, Label, Owner, UserId};
use crate::provider::UnknownProvider;
use crate::secret::Ticket;

use super::page::for_whom::Named;
use super::refusal::{Refusal, Said};

/// The services to connect, and their owner.
struct Wanted {
    provider: String,
    owner: Owner,
    /// The user who is asked for the consent.
    person: ActingUser,
    options: ConsentOptions,
}

/// The service and the connection that a request concerns.
struct Aim<'r> {
    provider: String,
    owner: Owner,
    options: ConsentOptions,
    also: Vec<&'r str>,
}

/// A one-time link, to be sent to its user.
#[derive(Serialize)]
struct LinkJson<'a> {
    link: &'a str,
    provider: &'a str,
    user: Option<&'a str>,
    shared: bool,
    expires_at: String,
}

impl Inner {
    /// Handles `POST /connect`. Users who connect their own account continue to the provider.
    /// Programs, and operators who connect another user, receive a link. A mistake in a form is
    /// shown beside its field.
    pub(super) fn begin(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let mut service = None;
        self.begin_wanted(caller, incoming, &mut service)
            .or_else(|refusal| match (&refusal.mistake, service) {
                (Some(mistake), Some(service)) if !incoming.wants_json() => {
                    self.corrected_page(caller, incoming, &service, mistake)
                }
                _ => Err(refusal),
            })
    }

    fn begin_wanted(&self, caller: &Caller, incoming: &Incoming<'_>, service: &mut Option<String>) -> Answer {
        let wanted = self.wanted(caller, incoming, service)?;
        let own = wanted.person == *caller.acting_user();
        if own && !incoming.wants_json() {
            let consent =
                self.connections
                    .start_for(&wanted.person, wanted.owner, &wanted.provider, wanted.options)?;
            let name = self.provider_name(&wanted.provider);
            let page = self.departure_page(caller, incoming, &name, &consent)?;
            return Ok(self.with_binding(page, incoming, &consent));
        }
        let owner = wanted.owner.clone();
        let prepared =
            self.connections
                .prepare_for(&wanted.person, wanted.owner, &wanted.provider, wanted.options)?;
        let link = self.mount.connect_url(prepared.ticket());
        if incoming.wants_json() {
            return link_json(&link, &prepared, &owner);
        }
        self.link_page(caller, incoming, &link, &prepared, &wanted.person)
    }

    /// Handles `GET /connect/{ticket}`. While the consent is pending, every visit leads to the same
    /// authorization, in every browser in which the user is signed in. Afterwards, the link leads
    /// to the current state of the consent.
    pub(super) fn open_ticket(&self, caller: &Caller, incoming: &Incoming<'_>, ticket: &str) -> Answer {
        let ticket = Ticket::new(ticket);
        let who = caller.acting_user();
        // A user who is no longer an operator cannot make a workspace connection.
        let prepared = self.connections.consent_of_ticket(who, &ticket)?;
        if prepared.as_ref().is_some_and(|it| it.owner == Owner::Workspace) && !caller.is_operator() {
            return Err(page::link_refused());
        }
        match self.connections.open_link(who, &ticket) {
            Ok(consent) => {
                let response = answer::see_other(consent.authorization_url().as_str())?;
                Ok(self.with_binding(response, incoming, &consent))
            }
            Err(Error::Consent(ConsentError::Used(id))) => self.lead(caller, id, prepared.as_ref()),
            Err(Error::Consent(ConsentError::Expired)) => Err(page::link_expired()),
            Err(Error::Consent(_)) => Err(page::link_refused()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the request of a form or program. `service` is set as soon as it is known.
    fn wanted(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        service: &mut Option<String>,
    ) -> Result<Wanted, Refusal> {
        let Aim {
            provider,
            owner,
            mut options,
            also,
        } = self.aim(caller, incoming, service)?;
        *service = Some(provider.clone());
        if let Some(label) = incoming.field("label") {
            options = options.label(Label::new(label).map_err(Refusal::label)?);
        }
        if let Some(address) = incoming.field("return_to") {
            if !self.return_to.iter().any(|allowed| allowed == address) {
                return Err(Refusal::bad(Said::ReturnTo));
            }
            options = options.return_to(address);
        }
        for (name, value) in incoming.parameters() {
            options = options.parameter(name, value);
        }
        options = match incoming.field("access") {
            None => also.into_iter().fold(options, |options, name| options.also(name)),
            Some("full") => {
                let scopes = self.offered(caller, &provider)?.default_scopes().clone();
                also.into_iter()
                    .fold(options.scopes(scopes), |options, name| options.also(name))
            }
            Some("read_only") => self.read_only(caller, incoming, &provider, &also, options)?,
            Some(_) => return Err(Refusal::bad(Said::NoAccess)),
        };
        let person = match &owner {
            Owner::Personal(user) if user == caller.acting_user().user() => caller.acting_user().clone(),
            // The host has authenticated the operator, and the operator names a user of the same
            // tenant. Only that user, whom the host authenticates when they open it, can use the
            // resulting link.
            Owner::Personal(user) if caller.is_operator() => {
                ActingUser::of(caller.acting_user().tenant().clone(), user.clone())
            }
            Owner::Workspace if caller.is_operator() => caller.acting_user().clone(),
            _ => return Err(Refusal::forbidden()),
        };
        Ok(Wanted {
            provider,
            owner,
            person,
            options,
        })
    }

    /// Limits a consent to reading, for the named service and those that share the consent.
    fn read_only(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        named: &str,
        also: &[&str],
        mut options: ConsentOptions,
    ) -> Result<ConsentOptions, Refusal> {
        let reads = |name: &str| {
            let provider = self.offered(caller, name)?;
            // The registration of the client decides the scopes, whatever is asked for.
            let is_decided = provider.0.mode(incoming.parameters()).is_some();
            let scopes = provider.read_only_scopes().filter(|_| !is_decided);
            scopes.cloned().ok_or_else(Refusal::no_read_only)
        };
        options = options.scopes(reads(named)?);
        for name in also {
            options = options.also_with(name, reads(name)?);
        }
        Ok(options)
    }

    /// Returns the service and the connection that a request concerns: a new connection, an
    /// existing one, or those of a consent to be repeated.
    fn aim<'r>(
        &self,
        caller: &Caller,
        incoming: &'r Incoming<'_>,
        service: &mut Option<String>,
    ) -> Result<Aim<'r>, Refusal> {
        let mut also: Vec<&str> = incoming.list("also").collect();
        if !also.is_empty() {
            let offered = self.connections.providers_for(caller.acting_user().tenant())?;
            let is_offered = |name: &str| offered.iter().any(|provider| provider.id().as_str() == name);
            if let Some(name) = also.iter().find(|name| !is_offered(name)) {
                return Err(Error::from(UnknownProvider::new(name, std::iter::empty())).into());
            }
        }
        let named = incoming.field("provider");
        *service = named.map(str::to_owned);
        let options = ConsentOptions::default();
        let aims = ["again", "reconnect", "extends"].map(|name| incoming.field(name));
        let (provider, owner, options) = match aims {
            [Some(id), None, None] => {
                let id = id.parse().map_err(|_| Refusal::not_found())?;
                let stored = self.stored_consent(caller, id)?.ok_or_else(Refusal::not_found)?;
                let options = ConsentOptions::of(&stored);
                (stored.provider.to_string(), stored.owner, options)
            }
            [None, Some(id), None] => {
                let target = self.target(caller, id)?;
                let options = options.reconnect(target.id);
                (target.provider.to_string(), target.owner, options)
            }
            [None, None, Some(id)] => {
                let target = self.target(caller, id)?;
                let options = options.extending(target.id);
                // One of the ticked services has to be the named one. It does not matter which.
                let added = match named {
                    Some(named) => named,
                    None if also.is_empty() => return Err(Refusal::bad(Said::NoProvider)),
                    None => also.remove(0),
                };
                (added.to_owned(), target.owner, options)
            }
            [None, None, None] => {
                let named = named.ok_or_else(|| Refusal::bad(Said::NoProvider))?;
                (named.to_owned(), self.owner(caller, incoming)?, options)
            }
            _ => {
                return Err(Refusal::invalid("Send only one of reconnect, extends and again."));
            }
        };
        Ok(Aim {
            provider,
            owner,
            options,
            also,
        })
    }

    fn target(&self, caller: &Caller, id: &str) -> Result<Connection, Refusal> {
        let id: ConnectionId = id.parse().map_err(|_| Refusal::not_found())?;
        Ok(self.connections.get(caller.principal(), id)?)
    }

    /// Returns the owner of a new connection.
    fn owner(&self, caller: &Caller, incoming: &Incoming<'_>) -> Result<Owner, Refusal> {
        if incoming.flag("shared") {
            return Ok(Owner::Workspace);
        }
        let own = caller.acting_user().user();
        let Some(user) = incoming.field("user") else {
            return Ok(Owner::Personal(own.clone()));
        };
        let user = UserId::new(user).map_err(Error::from)?;
        if !caller.is_operator() {
            return Ok(Owner::Personal(user));
        }
        match self.named_user(caller, user) {
            Named::One(user) => Ok(Owner::Personal(user)),
            Named::Unknown => Err(Refusal::unknown_user()),
        }
    }

    /// Stores the binding of a consent in the browser.
    pub(super) fn with_binding(
        &self,
        response: Response<Vec<u8>>,
        incoming: &Incoming<'_>,
        consent: &Consent,
    ) -> Response<Vec<u8>> {
        let lifetime = consent.expires_at().saturating_since(self.now());
        let headers = &incoming.head.headers;
        let cookies = self
            .cookies()
            .keep_binding(headers, &consent.state, consent.binding(), lifetime);
        cookies.into_iter().fold(response, |response, cookie| {
            answer::with_cookie(response, Some(cookie))
        })
    }
}

fn link_json(link: &str, prepared: &PreparedConsent, owner: &Owner) -> Answer {
    let body = LinkJson {
        link,
        provider: prepared.provider().as_str(),
        user: owner.user().map(UserId::as_str),
        shared: *owner == Owner::Workspace,
        expires_at: time::rfc3339(prepared.expires_at()),
    };
    answer::json(StatusCode::CREATED, &body)
}
