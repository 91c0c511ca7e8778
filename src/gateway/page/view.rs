//! The values that the templates render.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::text::Texts;
use super::words::{self, Words};
use crate::engine::consent::scopes::can_join;
use crate::error::Result;
use crate::gateway::{Caller, Inner, time};
use crate::model::{Connection, Owner, Scopes, Status, Timestamp, UserId};
use crate::provider::Provider;

/// The frame of every page.
pub(super) struct Shell {
    pub(super) t: &'static Texts,
    pub(super) base: String,
    pub(super) title: String,
    pub(super) who: Option<Who>,
    pub(super) csrf: String,
    pub(super) account_link: Option<(String, String)>,
    pub(super) version: &'static str,
}

/// The signed-in user.
pub(super) struct Who {
    pub(super) name: String,
    pub(super) operator: bool,
}

impl Shell {
    pub(super) fn new(gateway: &Inner, texts: &'static Texts, caller: Option<&Caller>, csrf: String) -> Self {
        Self {
            t: texts,
            base: gateway.mount.base_path().to_owned(),
            title: gateway.title.clone().unwrap_or_else(|| texts.connections.into()),
            who: caller.map(|caller| Who {
                name: caller.acting_user().user().to_string(),
                operator: caller.is_operator(),
            }),
            csrf,
            account_link: gateway.account_link.clone(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Shell {
    pub(super) fn is_operator(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.operator)
    }
}

/// A point in time: for machines, relative, and in full.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) ago: String,
    pub(super) full: String,
}

impl Moment {
    pub(super) fn new(texts: &Texts, at: Timestamp, now: Timestamp) -> Self {
        Self {
            iso: time::rfc3339(at),
            ago: time::ago(texts, at, now),
            full: time::full(texts, at),
        }
    }
}

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

/// A connection as a page shows it.
pub(super) struct ConnectionView {
    pub(super) id: String,
    pub(super) provider: String,
    pub(super) initial: String,
    pub(super) hue: u8,
    pub(super) account: String,
    /// The account's second name, if it has one.
    pub(super) account_more: Option<String>,
    pub(super) account_verified: bool,
    pub(super) owner: String,
    pub(super) shared: bool,
    pub(super) mine: bool,
    pub(super) managed: bool,
    pub(super) label: Option<String>,
    pub(super) is_default: bool,
    pub(super) active: bool,
    pub(super) revoked: bool,
    pub(super) health: Words,
    pub(super) granted: Vec<ScopeView>,
    pub(super) missing: Vec<ScopeView>,
    pub(super) created: Moment,
    pub(super) refreshed: Moment,
    pub(super) used: Option<Moment>,
}

impl ConnectionView {
    pub(super) fn new(
        gateway: &Inner,
        texts: &Texts,
        caller: &Caller,
        connection: &Connection,
        now: Timestamp,
    ) -> Self {
        let provider = gateway.provider_name(connection.provider.as_str());
        let (account, account_more) = account(texts, connection);
        let who = caller.acting_user().user();
        let descriptor = gateway.provider(connection.provider.as_str());
        Self {
            id: connection.id.to_string(),
            initial: initial(&provider),
            hue: hue(connection.provider.as_str()),
            account,
            account_more,
            account_verified: connection.is_account_verified(),
            owner: connection
                .owner
                .user()
                .map_or_else(|| texts.everyone.into(), UserId::to_string),
            shared: connection.owner == Owner::Workspace,
            mine: connection.owner.user() == Some(who),
            managed: connection.owner.is_managed_by(&caller.principal().actor()),
            label: connection.label.as_ref().map(ToString::to_string),
            is_default: connection.is_default,
            active: connection.status == Status::Active,
            revoked: connection.status == Status::Revoked,
            health: words::health(
                texts,
                &gateway.connections.health_of(connection).state,
                connection,
                &provider,
                now,
            ),
            granted: scopes(texts, descriptor, &connection.granted),
            missing: scopes(texts, descriptor, &connection.missing_scopes()),
            created: Moment::new(texts, connection.created_at, now),
            refreshed: Moment::new(texts, connection.refreshed_at, now),
            used: connection.used_at.map(|at| Moment::new(texts, at, now)),
            provider,
        }
    }

    /// Returns whether reconnecting solves the connection's problem.
    pub(super) fn wants_consent(&self) -> bool {
        !self.revoked && (self.health.tone == "bad" || !self.missing.is_empty())
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
    pub(super) initial: String,
    pub(super) hue: u8,
    pub(super) scopes: Vec<ScopeView>,
    /// The address of the service's own page, if there are parameters or other services to choose.
    pub(super) options: Option<String>,
    /// True if the checkbox is ticked.
    pub(super) ticked: bool,
}

impl Card {
    pub(super) fn new(texts: &Texts, provider: &Provider) -> Self {
        Self {
            id: provider.id().to_string(),
            name: provider.name().to_owned(),
            initial: initial(provider.name()),
            hue: hue(provider.id().as_str()),
            scopes: scopes(
                texts,
                Some(provider),
                &provider.default_scopes().union(provider.required_scopes()),
            ),
            options: None,
            ticked: false,
        }
    }
}

/// The order of the catalogue's groups. The host's own groups follow by name.
const ORDER: [&str; 4] = ["Google", "Microsoft", "Productivity", "Health & lifestyle"];

/// Returns the services by group, to be connected for `user`, or for the caller if `user` is empty.
pub(super) fn groups(gateway: &Inner, texts: &Texts, caller: &Caller, user: &str) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<&str, Vec<Card>> = BTreeMap::new();
    let offered = gateway.connections.providers_for(caller.acting_user().tenant())?;
    for &provider in &offered {
        let group = match provider.group() {
            "" => texts.other_group,
            group => group,
        };
        let mut card = Card::new(texts, provider);
        if offered.iter().any(|other| can_join(&provider.0, &other.0)) || gateway.takes_values(provider) {
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

fn initial(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "?".into(), |c| c.to_uppercase().to_string())
}

/// Returns one of eight colours, always the same for a service.
fn hue(id: &str) -> u8 {
    id.bytes()
        .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
        % 8
}
