//! The beginning of a consent: from the page, or through a one-time link.

use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::answer::{self, Answer};
use super::request::Incoming;
use super::{Caller, Inner, page, time};
use crate::error::Error;
use crate::manager::{ConnectionManager as _, Consent, ConsentOptions, PreparedConsent};
use crate::model::{ActingUser, Connection, ConnectionId, Label, Owner, UserId};
use crate::provider::UnknownProvider;
use crate::secret::{State, Ticket};
use crate::vault::StateHash;

use super::refusal::Refusal;

/// What is to be connected, and for whom.
struct Wanted {
    provider: String,
    owner: Owner,
    /// Who is to give the consent.
    person: ActingUser,
    options: ConsentOptions,
}

/// A one-time link, to be handed on.
#[derive(Serialize)]
struct LinkJson<'a> {
    link: &'a str,
    provider: &'a str,
    user: Option<&'a str>,
    shared: bool,
    expires_at: String,
}

impl Inner {
    /// `POST /connect`. A person who connects something of their own goes on to the provider; a program, and an
    /// operator who asks for somebody else, get a link.
    pub(super) fn begin(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let wanted = self.wanted(caller, incoming)?;
        let manager = self.connections.inner();
        let own = wanted.person == *caller.acting_user();
        if own && !incoming.wants_json() {
            let consent = manager.start(&wanted.person, wanted.owner, &wanted.provider, wanted.options)?;
            let name = self.provider_name(&wanted.provider);
            let page = self.departure_page(caller, incoming, &name, &consent)?;
            return Ok(answer::with_cookie(page, self.binding_cookie(&consent)));
        }
        let owner = wanted.owner.clone();
        let prepared = manager.prepare(&wanted.person, wanted.owner, &wanted.provider, wanted.options)?;
        let link = self.mount.connect_url(prepared.ticket());
        if incoming.wants_json() {
            return link_json(&link, &prepared, &owner);
        }
        self.link_page(caller, incoming, &link, &prepared, &wanted.person)
    }

    /// `GET /connect/{ticket}`.
    pub(super) fn open_ticket(&self, caller: &Caller, ticket: &str) -> Answer {
        let ticket = Ticket::new(ticket);
        let who = caller.acting_user();
        // Whoever has stopped being an operator since makes no shared connection any more.
        let prepared = self
            .connections
            .inner()
            .vault
            .consent(who.tenant(), &StateHash::of_ticket(&ticket))?;
        if prepared.is_some_and(|it| it.owner == Owner::Shared) && !caller.is_operator() {
            return Err(page::link_refused());
        }
        match self.connections.open(who, &ticket) {
            Ok(consent) => {
                let response = answer::see_other(consent.authorization_url().as_str())?;
                Ok(answer::with_cookie(response, self.binding_cookie(&consent)))
            }
            Err(Error::Consent(_)) => Err(page::link_refused()),
            Err(error) => Err(error.into()),
        }
    }
    fn wanted(&self, caller: &Caller, incoming: &Incoming<'_>) -> Result<Wanted, Refusal> {
        let mut options = ConsentOptions::default();
        if let Some(label) = incoming.field("label") {
            options = options.label(Label::new(label).map_err(Error::from)?);
        }
        if let Some(address) = incoming.field("return_to") {
            if !self.return_to.iter().any(|allowed| allowed == address) {
                return Err(Refusal::invalid("This address to return to is not allowed."));
            }
            options = options.return_to(address);
        }
        let mut also: Vec<&str> = incoming.list("also").collect();
        if let Some(name) = also.iter().find(|name| !self.is_offered(name)) {
            return Err(Error::from(UnknownProvider::new(name, std::iter::empty())).into());
        }
        let named = incoming.field("provider");
        let (provider, owner) = match (incoming.field("reconnect"), incoming.field("extends")) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid(
                    "A connection is renewed, or services are added to it.",
                ));
            }
            (Some(id), None) => {
                let target = self.target(caller, id)?;
                options = options.reconnect(target.id);
                (target.provider.to_string(), target.owner)
            }
            (None, Some(id)) => {
                let target = self.target(caller, id)?;
                options = options.extending(target.id);
                // One of those that are ticked has to be the named one. It is no other than the rest.
                let added = match named {
                    Some(named) => named,
                    None if also.is_empty() => return Err(Refusal::invalid("No service is named.")),
                    None => also.remove(0),
                };
                (added.to_owned(), target.owner)
            }
            (None, None) => {
                let named = named.ok_or_else(|| Refusal::invalid("No service is named."))?;
                (named.to_owned(), owner(caller, incoming)?)
            }
        };
        for name in also {
            options = options.also(name);
        }
        let person = match &owner {
            Owner::Personal(user) if user == caller.acting_user().user() => caller.acting_user().clone(),
            // The host has vouched for the operator, and the operator names a person of the same tenant. The link that
            // comes of it is good for that person alone, whom the host authenticates when they open it.
            Owner::Personal(user) if caller.is_operator() => {
                ActingUser::authenticated(caller.acting_user().tenant().clone(), user.clone())
            }
            Owner::Shared if caller.is_operator() => caller.acting_user().clone(),
            _ => return Err(Refusal::forbidden()),
        };
        Ok(Wanted {
            provider,
            owner,
            person,
            options,
        })
    }

    fn target(&self, caller: &Caller, id: &str) -> Result<Connection, Refusal> {
        let id: ConnectionId = id.parse().map_err(|_| Refusal::not_found())?;
        Ok(self.connections.get(caller.principal(), id)?)
    }

    fn is_offered(&self, provider: &str) -> bool {
        self.connections.providers().any(|it| it.id.as_str() == provider)
    }

    fn binding_cookie(&self, consent: &Consent) -> Option<HeaderValue> {
        let url = consent.authorization_url();
        let (_, state) = url.query_pairs().find(|(name, _)| name == "state")?;
        let lifetime = consent.expires_at().saturating_since(self.now());
        self.cookies()
            .keep_binding(&State::new(state), consent.binding(), lifetime)
    }
}

fn owner(caller: &Caller, incoming: &Incoming<'_>) -> Result<Owner, Refusal> {
    if incoming.flag("shared") {
        return Ok(Owner::Shared);
    }
    match incoming.field("user") {
        Some(user) => Ok(Owner::Personal(UserId::new(user).map_err(Error::from)?)),
        None => Ok(Owner::Personal(caller.acting_user().user().clone())),
    }
}

fn link_json(link: &str, prepared: &PreparedConsent, owner: &Owner) -> Answer {
    let body = LinkJson {
        link,
        provider: prepared.provider().as_str(),
        user: owner.user().map(UserId::as_str),
        shared: *owner == Owner::Shared,
        expires_at: time::rfc3339(prepared.expires_at()),
    };
    answer::json(StatusCode::CREATED, &body)
}
