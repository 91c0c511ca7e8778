//! The values that the templates render.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::actions::Actions;
use super::base::Page;
use super::icon::Icon;
use super::people::PersonView;
use super::shell::Moment;
use super::text::Texts;
use super::words::{self, Words};
use crate::engine::consent::scopes::can_join;
use crate::engine::health;
use crate::error::Result;
use crate::gateway::Inner;
use crate::model::{Connection, Owner, Scopes, Status};
use crate::provider::Provider;

/// A scope: in words if the descriptor has them, and as the provider spells it.
pub(super) struct ScopeView {
    pub(super) text: String,
    pub(super) full: String,
    /// True if the text is a sentence, not a shortened spelling.
    pub(super) named: bool,
    pub(super) writes: bool,
}

impl ScopeView {
    fn new(texts: &Texts, provider: Option<&Provider>, scope: &str) -> Self {
        let name = provider
            .into_iter()
            .flat_map(|provider| &provider.0.scope_names)
            .find(|name| name.scope == scope);
        let text = name.and_then(|name| name.text.get(texts.lang).or_else(|| name.text.get("en")));
        Self {
            text: text.map_or_else(|| words::scope(scope).to_owned(), Clone::clone),
            full: scope.to_owned(),
            named: text.is_some(),
            writes: name.is_some_and(|name| name.writes),
        }
    }
}

/// Returns the scopes as a page shows them, those that allow changes first.
pub(super) fn scopes(texts: &Texts, provider: Option<&Provider>, scopes: &Scopes) -> Vec<ScopeView> {
    let mut scopes: Vec<_> = scopes
        .iter()
        .map(|scope| ScopeView::new(texts, provider, scope.as_str()))
        .collect();
    scopes.sort_by_key(|scope| !scope.writes);
    scopes
}

/// The kind of access that scopes allow, as far as the descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The scopes have no sentences.
    Unknown,
    /// All scopes only read.
    Reads,
    /// Some scope allows changes.
    Writes,
}

impl Access {
    pub(super) fn reads(self) -> bool {
        self == Self::Reads
    }

    pub(super) fn writes(self) -> bool {
        self == Self::Writes
    }

    fn of(scopes: &[ScopeView]) -> Self {
        if scopes.iter().any(|scope| scope.writes) {
            Self::Writes
        } else if !scopes.is_empty() && scopes.iter().all(|scope| scope.named) {
            Self::Reads
        } else {
            Self::Unknown
        }
    }
}

/// A connection as a page shows it.
pub(super) struct ConnectionView {
    pub(super) id: String,
    pub(super) provider: String,
    pub(super) icon: Icon,
    pub(super) account: String,
    /// The account's second name, if it has one.
    pub(super) account_more: Option<String>,
    pub(super) account_verified: bool,
    /// The owner, unless it is the workspace.
    pub(super) owner: Option<PersonView>,
    /// The name of the owner, or the word for everyone.
    pub(super) owner_name: String,
    pub(super) shared: bool,
    pub(super) mine: bool,
    pub(super) managed: bool,
    pub(super) label: Option<String>,
    pub(super) is_default: bool,
    pub(super) active: bool,
    pub(super) revoked: bool,
    pub(super) health: Words,
    pub(super) actions: Actions,
    pub(super) access: Access,
    pub(super) granted: Vec<ScopeView>,
    pub(super) missing: Vec<ScopeView>,
    pub(super) created: Moment,
    pub(super) refreshed: Moment,
    pub(super) used: Option<Moment>,
}

impl ConnectionView {
    pub(super) fn new(page: &Page<'_>, connection: &Connection) -> Self {
        let texts = page.texts;
        let provider = page.provider_name(connection.provider.as_str());
        let (account, account_more) = account(texts, connection);
        let who = page.caller.acting_user().user();
        let descriptor = page.provider(connection.provider.as_str());
        let state = health::health(&page.services, connection).state;
        let owner = connection.owner.user();
        let granted = scopes(texts, descriptor, &connection.granted);
        let missing = scopes(texts, descriptor, &connection.missing_scopes());
        let mut health = words::health(texts, &state, connection, &provider, page.now);
        if health.tone == "good" && !missing.is_empty() {
            health = words::incomplete(texts);
        }
        Self {
            id: connection.id.to_string(),
            icon: page.icon(connection.provider.as_str()),
            account,
            account_more,
            account_verified: connection.is_account_verified(),
            owner_name: owner.map_or(texts.everyone, |user| page.name_of(user)).to_owned(),
            owner: owner.map(|user| page.person(user)),
            shared: connection.owner == Owner::Workspace,
            mine: owner == Some(who),
            managed: page.manages(connection),
            label: connection.label.as_ref().map(ToString::to_string),
            is_default: connection.is_default,
            active: connection.status == Status::Active,
            revoked: connection.status == Status::Revoked,
            health,
            actions: page.actions(connection, &state),
            access: Access::of(&granted),
            granted,
            missing,
            created: page.moment(connection.created_at),
            refreshed: page.moment(connection.refreshed_at),
            used: connection.used_at.map(|at| page.moment(at)),
            provider,
        }
    }

    /// Returns whether the connection needs a consent of the user, or the attention of an operator.
    pub(super) fn needs_attention(&self) -> bool {
        !self.revoked && self.managed && (self.health.tone == "bad" || self.actions.wants_consent())
    }
}

/// Returns the name by which users know the account, and a second name if there is one.
fn account(texts: &Texts, connection: &Connection) -> (String, Option<String>) {
    let Some(account) = &connection.account else {
        return (texts.account_not_verified.into(), None);
    };
    match (&account.email, &account.label) {
        (Some(email), Some(label)) if email != label => (email.clone(), Some(label.clone())),
        (Some(name), _) | (None, Some(name)) => (name.clone(), None),
        (None, None) => (account.id.clone(), None),
    }
}

/// The services of one group.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) cards: Vec<Card>,
}

/// A service that can be connected.
pub(super) struct Card {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) icon: Icon,
    pub(super) access: Access,
    pub(super) scopes: Vec<ScopeView>,
    /// The address of the service's own page, if there are parameters or other services to choose.
    pub(super) options: Option<String>,
    /// True if the checkbox is ticked.
    pub(super) ticked: bool,
}

impl Card {
    pub(super) fn new(page: &Page<'_>, provider: &Provider) -> Self {
        let scopes = scopes(
            page.texts,
            Some(provider),
            &provider.default_scopes().union(provider.required_scopes()),
        );
        Self {
            id: provider.id().to_string(),
            name: provider.name().to_owned(),
            icon: page.icon(provider.id().as_str()),
            access: Access::of(&scopes),
            scopes,
            options: None,
            ticked: false,
        }
    }
}

/// The order of the catalogue's groups. The host's own groups follow by name.
const ORDER: [&str; 4] = ["Google", "Microsoft", "Productivity", "Health & lifestyle"];

/// Returns the services by group, to be connected for `user`, or for the caller if `user` is empty.
pub(super) fn groups(page: &Page<'_>, user: &str) -> Result<Vec<Group>> {
    let (gateway, texts) = (page.gateway, page.texts);
    let mut groups: BTreeMap<&str, Vec<Card>> = BTreeMap::new();
    let tenant = page.caller.acting_user().tenant();
    let offered = gateway.connections.providers_for(tenant)?;
    for &provider in &offered {
        let group = match provider.group() {
            "" => texts.other_group,
            group => group,
        };
        let mut card = Card::new(page, provider);
        let has_choice = provider.read_only_scopes().is_some() || gateway.takes_values(provider);
        if has_choice || offered.iter().any(|other| can_join(&provider.0, &other.0)) {
            card.options = Some(gateway.service_path(&card.id, user));
        }
        groups.entry(group).or_default().push(card);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(name, _)| {
        ORDER
            .iter()
            .position(|known| known == name)
            .unwrap_or(ORDER.len())
    });
    let groups = groups
        .into_iter()
        .map(|(name, mut cards)| {
            cards.sort_by(|one, other| one.name.cmp(&other.name));
            Group {
                name: (texts.of_catalogue)(name).unwrap_or(name).to_owned(),
                cards,
            }
        })
        .collect();
    Ok(groups)
}

impl Inner {
    /// Returns the address of one service's page, to be connected for `user`, or for the caller if
    /// `user` is empty.
    pub(super) fn service_path(&self, provider: &str, user: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("provider", provider);
        if !user.is_empty() {
            query.append_pair("user", user);
        }
        self.path(&format!("/connect?{}", query.finish()))
    }
}
