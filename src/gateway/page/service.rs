//! The page `GET /connect?provider=…`: one service, its access and parameters, and the services
//! that can share its consent. With `reconnect=…`, the same for an existing connection.

use askama::Template;
use http::{Response, StatusCode};

use super::base::Page;
use super::field::Field;
use super::for_whom::ForWhom;
use super::shell::Shell;
use super::text::Texts;
use super::view::{Card, ScopeView, scopes};
use crate::engine::consent::scopes::can_join;
use crate::gateway::answer::Answer;
use crate::gateway::api::connection_id;
use crate::gateway::look::Frame;
use crate::gateway::refusal::{Mistake, Refusal, Said};
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, Owner, UserId};
use crate::provider::{ParameterRule, ParameterSource, Provider};

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    shell: Shell,
    named: Card,
    /// The choice of the access, if the service has one.
    access: Option<AccessChoice>,
    /// The services that can share the consent.
    others: Vec<Card>,
    fields: Vec<Field>,
    form: ForWhom,
    /// The hidden fields: the connection or consent that the form concerns.
    carried: Vec<(&'static str, String)>,
}

/// The choice between reading only and the usual access.
struct AccessChoice {
    reads: Vec<ScopeView>,
    full: Vec<ScopeView>,
    /// True if reading only is selected.
    reads_only: bool,
    error: Option<&'static str>,
}

impl AccessChoice {
    /// Returns the choice, if reading only differs from the usual access.
    fn of(texts: &Texts, provider: &Provider) -> Option<Self> {
        let required = provider.required_scopes();
        let reads = provider.read_only_scopes()?.union(required);
        let full = provider.default_scopes().union(required);
        (reads != full).then(|| Self {
            reads: scopes(texts, Some(provider), &reads),
            full: scopes(texts, Some(provider), &full),
            reads_only: false,
            error: None,
        })
    }
}

/// The input of a form so far, and its mistake.
struct Draft<'m> {
    form: ForWhom,
    /// The connection whose access is chosen again.
    target: Option<Connection>,
    mistake: Option<&'m Mistake>,
}

impl Inner {
    /// Returns the rules of the parameters that a user can enter for a service.
    pub(in crate::gateway) fn entered(&self, provider: &Provider) -> impl Iterator<Item = &ParameterRule> {
        let service = self.connections.registry().provider(provider.id().as_str());
        service
            .into_iter()
            .flat_map(|service| &service.server.parameters)
            .filter(|rule| rule.source == ParameterSource::Host)
    }

    /// Returns whether a user can enter parameters for a service.
    pub(super) fn takes_values(&self, provider: &Provider) -> bool {
        self.entered(provider).next().is_some()
    }

    /// Handles `GET /connect?provider=…` and `GET /connect?reconnect=…`.
    pub(super) fn service_page(&self, caller: &Caller, incoming: &Incoming<'_>, frame: Frame) -> Answer {
        let target = match incoming.query("reconnect") {
            Some(id) => {
                let target = self.connections.get(caller.principal(), connection_id(id)?)?;
                if !target.owner.is_managed_by(&caller.principal().actor()) {
                    return Err(Refusal::forbidden());
                }
                Some(target)
            }
            None => None,
        };
        let named = match &target {
            Some(target) => target.provider.as_str(),
            None => incoming.query("provider").unwrap_or_default(),
        };
        let provider = self.offered(caller, named)?;
        let draft = Draft {
            form: ForWhom::asked(self, caller, incoming),
            target,
            mistake: None,
        };
        let page = self.page(caller, incoming, []).within(frame);
        self.render_service(&page, StatusCode::OK, provider, draft)
    }

    /// Renders the page for a form that has a mistake, with the error beside its field and the
    /// input preserved.
    pub(in crate::gateway) fn corrected_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        named: &str,
        mistake: &Mistake,
    ) -> Answer {
        let provider = self.offered(caller, named)?;
        let page = self.page(caller, incoming, []);
        let mut form = ForWhom::sent(self, incoming);
        match mistake {
            Mistake::Label(error) => {
                form.label_error = Some((page.texts.label_error)(&error.problem().to_string()));
            }
            Mistake::User => {
                form.propose(self, caller);
                form.user_error = Some(if form.candidates.is_empty() {
                    page.texts.user_unknown
                } else {
                    page.texts.user_ambiguous
                });
            }
            Mistake::Parameter(_) | Mistake::Access => {}
        }
        let draft = Draft {
            form,
            target: None,
            mistake: Some(mistake),
        };
        self.render_service(&page, StatusCode::BAD_REQUEST, provider, draft)
    }

    pub(in crate::gateway) fn offered(&self, caller: &Caller, named: &str) -> Result<&Provider, Refusal> {
        let offered = self.connections.providers_for(caller.acting_user().tenant())?;
        offered
            .into_iter()
            .find(|provider| provider.id().as_str() == named)
            .ok_or_else(Refusal::not_found)
    }

    fn render_service(
        &self,
        page: &Page<'_>,
        status: StatusCode,
        provider: &Provider,
        draft: Draft<'_>,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        let (incoming, texts) = (page.incoming, page.texts);
        let Draft {
            form,
            target,
            mistake,
        } = draft;
        let mut fields: Vec<Field> = self
            .entered(provider)
            .map(|rule| {
                let sent = incoming.parameters().get(&rule.name);
                let held = target.as_ref().and_then(|it| it.parameters.get(&rule.name));
                Field::new(texts, rule, sent.or(held).map_or("", String::as_str))
            })
            .collect();
        if let Some(Mistake::Parameter(error)) = mistake {
            let Some(field) = fields.iter_mut().find(|field| field.name == error.name) else {
                // This field does not exist on the page.
                return Err(Refusal::bad(Said::NoParameter));
            };
            field.error = Some((texts.parameter_problem)(error.problem));
        }
        let carried: Vec<_> = ["reconnect", "extends", "again", "return_to"]
            .into_iter()
            .filter_map(|name| {
                let value = incoming.field(name).or_else(|| incoming.query(name))?;
                Some((name, value.to_owned()))
            })
            .collect();
        let is_new = carried.iter().all(|(name, _)| *name == "return_to");
        let others = if is_new {
            self.others(page, provider, &form.user)?
        } else {
            Vec::new()
        };
        let mut access = AccessChoice::of(texts, provider);
        if let Some(target) = &target {
            // A server takes nothing back from a connection that may change things.
            access = access.filter(|_| provider.0.reads_only(&target.requested));
        }
        if let Some(access) = &mut access {
            access.reads_only = match incoming.field("access") {
                Some(word) => word == "read_only",
                None => target.is_some(),
            };
            access.error = matches!(mistake, Some(Mistake::Access)).then_some(texts.access_error);
        }
        page.show(status, |shell| ServicePage {
            shell,
            named: Card::new(page, provider),
            access,
            others,
            fields,
            form,
            carried,
        })
    }

    /// Returns the services that can share the consent, with their checkboxes as they were sent.
    fn others(&self, page: &Page<'_>, named: &Provider, user: &str) -> Result<Vec<Card>, Refusal> {
        let caller = page.caller;
        // A name that was not found yet has connected nothing.
        let whose = UserId::new(user).unwrap_or_else(|_| caller.acting_user().user().clone());
        let all = self.connections.providers_for(caller.acting_user().tenant())?;
        let others = all.into_iter().filter(|other| can_join(&named.0, &other.0));
        let mut others = self.unconnected(page, &Owner::Personal(whose), others)?;
        for card in &mut others {
            card.ticked = page.incoming.list("also").any(|ticked| ticked == card.id);
        }
        Ok(others)
    }
}

impl ServicePage {
    /// Returns whether other services were chosen.
    fn is_shared(&self) -> bool {
        self.others.iter().any(|card| card.ticked)
    }

    /// Returns whether a new connection is made, whose owner and name can be chosen.
    fn is_new(&self) -> bool {
        self.carried.iter().all(|(name, _)| *name == "return_to")
    }
}
