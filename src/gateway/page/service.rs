//! The page `GET /connect?provider=…`: one service, its parameters, and the services that can share
//! its consent.

use askama::Template;
use http::{Response, StatusCode};

use super::text::Texts;
use super::view::{Card, Shell};
use crate::engine::consent::scopes::can_join;
use crate::error::Error;
use crate::gateway::answer::Answer;
use crate::gateway::refusal::{Mistake, Refusal, Said};
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{Owner, UserId};
use crate::provider::{ParameterKind, ParameterRule, ParameterSource, Provider};

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    shell: Shell,
    named: Card,
    /// The services that can share the consent.
    others: Vec<Card>,
    fields: Vec<Field>,
    form: ForWhom,
    /// The hidden fields: the connection or consent that the form concerns.
    carried: Vec<(&'static str, String)>,
}

/// The owner and the name of a new connection.
#[derive(Default)]
pub(super) struct ForWhom {
    pub(super) user: String,
    pub(super) shared: bool,
    pub(super) label: String,
    pub(super) label_error: Option<String>,
}

impl ForWhom {
    pub(super) fn of_user(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            ..Self::default()
        }
    }
}

/// A parameter of the service.
struct Field {
    name: String,
    title: String,
    value: String,
    /// The value if none is entered.
    default: Option<String>,
    example: Option<String>,
    help: Option<String>,
    required: bool,
    pattern: Option<String>,
    choices: Vec<String>,
    error: Option<&'static str>,
}

impl Field {
    fn new(texts: &Texts, rule: &ParameterRule, value: &str) -> Self {
        let said = |text: &str| (texts.of_catalogue)(text).unwrap_or(text).to_owned();
        let title = rule.title.as_deref().map(said);
        let (default, choices) = (rule.default.clone().filter(|it| !it.is_empty()), rule.choices());
        Self {
            name: rule.name.clone(),
            title: title.unwrap_or_else(|| rule.name.replace('_', " ")),
            value: value.to_owned(),
            required: rule.default.is_none() && !rule.optional,
            default,
            example: rule.example.clone(),
            help: rule.help.as_deref().map(said),
            pattern: rule.html_pattern(),
            choices,
            error: None,
        }
    }
}

impl ParameterRule {
    /// Returns the values to choose from, if the rule lists them.
    fn choices(&self) -> Vec<String> {
        match &self.kind {
            ParameterKind::OneOf(values) => values.clone(),
            _ => Vec::new(),
        }
    }

    /// Returns the pattern for a browser to check. The rule itself judges surrounding white space,
    /// and values that it normalizes.
    fn html_pattern(&self) -> Option<String> {
        let plain = matches!(
            self.kind,
            ParameterKind::Word | ParameterKind::Segment | ParameterKind::Text
        );
        let bare = self.prefix.is_none() && self.suffix.is_none();
        self.pattern
            .as_ref()
            .map(|pattern| pattern.as_str().to_owned())
            .filter(|pattern| plain && bare && is_portable(pattern))
    }
}

/// Returns whether browsers read a pattern as this crate does. Browsers compile it with the flag
/// `v`, under which many characters in a set have to be escaped, and log an error for a pattern
/// that they cannot compile.
fn is_portable(pattern: &str) -> bool {
    if pattern.contains("(?") {
        return false;
    }
    let mut rest = pattern.chars().peekable();
    let (mut in_set, mut last) = (false, '[');
    while let Some(c) = rest.next() {
        let is_fine = match (in_set, c) {
            (_, '\\') => rest
                .next()
                .is_some_and(|escaped| "dDwWsS.*+?^$|()[]{}/\\".contains(escaped)),
            (false, '[') => {
                in_set = true;
                rest.next_if_eq(&'^');
                true
            }
            (false, _) => true,
            (true, ']') => {
                in_set = false;
                true
            }
            // Between two characters, a hyphen denotes a range.
            (true, '-') => last != '[' && rest.peek().is_some_and(char::is_ascii_alphanumeric),
            (true, _) => c.is_ascii_alphanumeric() || matches!(c, '_' | '.'),
        };
        if !is_fine {
            return false;
        }
        last = c;
    }
    !in_set
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

    /// Handles `GET /connect?provider=…`.
    pub(super) fn service_page(&self, caller: &Caller, incoming: &Incoming<'_>, named: &str) -> Answer {
        let provider = self.offered(caller, named)?;
        let user = incoming.query("user").filter(|_| caller.is_operator());
        let form = ForWhom::of_user(user.unwrap_or_default());
        self.render_service(caller, incoming, StatusCode::OK, provider, form, None)
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
        let texts = self.texts(&incoming.head.headers);
        let text = |name| incoming.field(name).unwrap_or_default().to_owned();
        let form = ForWhom {
            user: text("user"),
            shared: incoming.flag("shared"),
            label: text("label"),
            label_error: match mistake {
                Mistake::Label(error) => Some((texts.label_error)(&error.problem().to_string())),
                Mistake::Parameter(_) => None,
            },
        };
        self.render_service(
            caller,
            incoming,
            StatusCode::BAD_REQUEST,
            provider,
            form,
            Some(mistake),
        )
    }

    fn offered(&self, caller: &Caller, named: &str) -> Result<&Provider, Refusal> {
        let offered = self.connections.providers_for(caller.acting_user().tenant())?;
        offered
            .into_iter()
            .find(|provider| provider.id().as_str() == named)
            .ok_or_else(Refusal::not_found)
    }

    fn render_service(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        status: StatusCode,
        provider: &Provider,
        form: ForWhom,
        mistake: Option<&Mistake>,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        let texts = self.texts(&incoming.head.headers);
        let mut fields: Vec<Field> = self
            .entered(provider)
            .map(|rule| {
                let value = incoming.parameters().get(&rule.name);
                Field::new(texts, rule, value.map_or("", String::as_str))
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
            .filter_map(|name| Some((name, incoming.field(name)?.to_owned())))
            .collect();
        let is_new = carried.iter().all(|(name, _)| *name == "return_to");
        let others = if is_new {
            self.others(caller, incoming, provider, &form.user)?
        } else {
            Vec::new()
        };
        self.show(caller, incoming, status, |shell| ServicePage {
            shell,
            named: Card::new(texts, provider),
            others,
            fields,
            form,
            carried,
        })
    }

    /// Returns the services that can share the consent, with their checkboxes as they were sent.
    fn others(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        named: &Provider,
        user: &str,
    ) -> Result<Vec<Card>, Refusal> {
        let whose = match user {
            "" => caller.acting_user().user().clone(),
            user => UserId::new(user).map_err(Error::from)?,
        };
        let all = self.connections.providers_for(caller.acting_user().tenant())?;
        let others = all.into_iter().filter(|other| can_join(&named.0, &other.0));
        let texts = self.texts(&incoming.head.headers);
        let mut others = self.unconnected(texts, caller, &Owner::Personal(whose), others)?;
        for card in &mut others {
            card.ticked = incoming.list("also").any(|ticked| ticked == card.id);
        }
        Ok(others)
    }
}

impl ServicePage {
    /// Returns whether a new connection is made, whose owner and name can be chosen.
    fn is_new(&self) -> bool {
        self.carried.iter().all(|(name, _)| *name == "return_to")
    }
}

#[cfg(test)]
mod tests {
    use super::is_portable;
    use crate::gateway::page::text::Language;
    use crate::provider::{ParameterSource, catalog};

    #[test]
    fn every_parameter_of_the_catalogue_has_a_title_and_help_in_each_language() {
        let texts = Language::Russian.texts();
        for server in catalog::servers() {
            let entered = server.0.parameters.iter();
            for rule in entered.filter(|rule| rule.source == ParameterSource::Host) {
                assert!(rule.example.is_some(), "{}", rule.name);
                for text in [&rule.title, &rule.help] {
                    let text = text.as_deref().expect(&rule.name);
                    assert!((texts.of_catalogue)(text).is_some(), "{text}");
                }
            }
        }
    }

    #[test]
    fn patterns_that_browsers_read_otherwise_are_left_to_the_server() {
        for (pattern, fits) in [
            ("^https://[a-z]+\\.sites\\.test$", true),
            ("^[A-Za-z0-9_.]{3,20}$", true),
            ("^[^a-z]\\d+(eu|us)$", true),
            ("^[a-z0-9-]+$", false),
            ("^[-a-z]+$", false),
            ("^[a-z/]+$", false),
            ("^[a-z(]+$", false),
            ("^(?!x)[a-z]+$", false),
            ("^a\\-b$", false),
            ("^[a-z", false),
        ] {
            assert_eq!(is_portable(pattern), fits, "{pattern}");
        }
    }
}
