use std::sync::Arc;

use http::request::Parts;
use proptest::prelude::*;

use super::*;
use crate::connections::Connections;
use crate::gateway::page::sorted;
use crate::gateway::{Gateway, Lookup, Mount, Person, Refused};
use crate::http::{HttpError, HttpRequest};
use crate::model::{
    Account, ActingUser, ConsentId, Grant, GrantId, IssuedBy, Label, Operator, Owner, ServerId, TenantId,
    Timestamp,
};
use crate::secret::{AccessToken, State};
use crate::vault::{NewGrant, PendingConsent, SealedVault, StateHash, Tokens, Vault};

const SERVICES: [&str; 5] = [
    "gmail",
    "google-calendar",
    "outlook-mail",
    "slack",
    "removed-service",
];
const USERS: [&str; 6] = ["ada", "ada-2", "grace", "slack", "u-7", "u-77"];
const ROWS: u8 = 120;

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

/// Stores a connection whose fields repeat in different periods.
fn plant(vault: &impl Vault, number: u8) {
    let now = Timestamp::from_unix_millis(1_700_000_000_000);
    let at = usize::from(number);
    let owner = match at % 9 {
        6.. => Owner::Workspace,
        user => Owner::Personal(UserId::new(USERS[user]).unwrap()),
    };
    let provider = ProviderId::new(SERVICES[at / 3 % 5]).unwrap();
    let server = ServerId::new("google").unwrap();
    let issued_by = IssuedBy::new(server.clone(), "https://issuer.test/token", "client");
    let grant = GrantId::from_bytes([number; 16]);
    let mut grant = Grant::new(grant, tenant(), owner.clone(), provider.clone(), issued_by, now);
    grant.account = (at % 4 == 0).then(|| Account {
        id: format!("account-{at}"),
        email: Some(format!("{}@mail.test", USERS[at % 5])),
        label: None,
    });
    let mut connection = Connection::new(id(number), &grant);
    connection.label = Some(Label::new(format!("label-{at}")).unwrap());
    let state = StateHash::of(&State::new(format!("state-{number}")));
    let user = ActingUser::authenticated("acme", "ada").unwrap();
    let consent = ConsentId::from_bytes([number; 16]);
    let mut consent = PendingConsent::new(consent, state, &user, owner, provider, server, now);
    consent.expires_at = Timestamp::from_unix_millis(i64::MAX / 2);
    vault.insert_consent(&consent, None).unwrap();
    vault.take_consent(&tenant(), &state, now).unwrap();
    let tokens = Tokens {
        access_token: AccessToken::new("planted"),
        refresh_token: None,
        id_token: None,
    };
    let new = NewGrant {
        consent: &state,
        grant: &grant,
        tokens: &tokens,
        connections: &[connection],
        former_dead_at: None,
    };
    vault.store_grant(&new).unwrap();
}

/// Names two users by a display name that their ids do not contain.
fn directory(_: &TenantId, lookup: Lookup<'_>) -> Vec<Person> {
    let known = [
        ("u-7", "Lise Meitner"),
        ("grace", "Grace Hopper"),
        ("ada", "Ada Meitner"),
    ];
    let Lookup::Matching { text, .. } = lookup else {
        return Vec::new();
    };
    known
        .into_iter()
        .filter(|(_, name)| name.to_lowercase().contains(&text.to_lowercase()))
        .map(|(id, name)| Person::new(UserId::new(id).unwrap(), name))
        .collect()
}

fn gateway() -> Gateway {
    let vault = Arc::new(SealedVault::in_memory());
    for number in 1..=ROWS {
        plant(&vault, number);
    }
    let connections = Connections::builder(vault)
        .http_client(|_: HttpRequest| Err(HttpError::Connect))
        .build()
        .unwrap();
    let mount = Mount::new("https://app.test").unwrap();
    Gateway::new(connections, mount, |_: &Parts| {
        Err::<Caller, _>(Refused::Forbidden)
    })
    .directory(directory)
}

fn callers() -> [Caller; 2] {
    [
        Caller::operator(Operator::authenticated("acme", "olga").unwrap()),
        Caller::user(ActingUser::authenticated("acme", "grace").unwrap()),
    ]
}

/// Pages through a search to its end.
fn paged(gateway: &Inner, caller: &Caller, filter: &ConnectionFilter, text: &str, extent: Extent) -> Vec<u8> {
    let search = Search::new(gateway, caller, filter, text).unwrap();
    let mut all = Vec::new();
    let mut place = Place::Named(None);
    for _ in 0..2_000 {
        let found = search.page(gateway, caller, filter, place, extent).unwrap();
        assert!(found.connections.len() <= extent.found);
        assert!(!found.is_cut || found.next.is_some());
        let is_full = found.connections.len() == extent.found;
        all.extend(found.connections.iter().map(|it| it.id.as_bytes()[0]));
        match found.next {
            None => return all,
            Some(next) => {
                assert!(is_full || found.is_cut, "only a cut page may be short");
                assert_ne!(next, place, "a page that goes nowhere");
                place = next;
            }
        }
    }
    panic!("no end: {text:?} {filter:?} {extent:?}");
}

fn texts() -> impl Strategy<Value = String> {
    let whole = [
        "Meitner",
        "ada",
        "ADA",
        "slack",
        "mail",
        "Google",
        "gmail",
        "u-7",
        "a",
        "-",
        "mail.test",
        "nothing",
    ];
    let whole = proptest::sample::select(whole.to_vec()).prop_map(str::to_owned);
    let part = (0..ROWS).prop_map(|number| format!("-{number}"));
    let random = "[a-z0-9-]{1,3}";
    prop_oneof![3 => whole, 1 => part, 1 => random]
}

fn filters() -> impl Strategy<Value = ConnectionFilter> {
    let user = proptest::option::weighted(0.2, proptest::sample::select(USERS.as_slice()));
    let provider = proptest::option::weighted(0.2, proptest::sample::select(SERVICES.as_slice()));
    (user, provider, 0..5_u8).prop_map(|(user, provider, kind)| {
        let filter = ConnectionFilter {
            user: user.map(|user| UserId::new(user).unwrap()),
            provider: provider.map(str::to_owned),
            ..ConnectionFilter::default()
        };
        match kind {
            0 => filter.active(),
            1 | 2 => filter.personal(),
            3 => filter.workspace(),
            _ => filter,
        }
    })
}

/// Returns the texts of a connection that a search compares.
fn names(gateway: &Inner, it: &Connection) -> Vec<String> {
    let mut names = vec![it.provider.as_str().to_owned()];
    names.extend(
        gateway
            .provider(it.provider.as_str())
            .map(|it| it.name().to_owned()),
    );
    names.extend(it.owner.user().map(UserId::to_string));
    names.extend(it.label.as_ref().map(ToString::to_string));
    let account = it.account.as_ref();
    names.extend(account.map(|account| account.id.clone()));
    names.extend(account.and_then(|account| account.email.clone()));
    names
}

/// Compares the pages of a search with a filter over all connections.
fn check(gateway: &Inner, caller: &Caller, filter: &ConnectionFilter, text: &str, extent: Extent) {
    let mut shown = paged(gateway, caller, filter, text, extent);
    shown.sort_unstable();
    let known = match caller.is_operator() {
        true => gateway.find_people(&tenant(), text),
        false => Vec::new(),
    };
    let is_known = |it: &Connection| known.iter().any(|person| Some(person.id()) == it.owner.user());
    let contains = |name: &String| name.to_lowercase().contains(&text.to_lowercase());
    let all = gateway.connections.list(caller.principal(), filter).unwrap();
    let wanted: Vec<_> = all
        .iter()
        .filter(|it| is_known(it) || names(gateway, it).iter().any(contains))
        .map(|it| it.id.as_bytes()[0])
        .collect();
    assert_eq!(shown, wanted, "{text:?} {filter:?} {extent:?}");
}

#[test]
fn a_search_shows_each_connection_once_and_skips_none() {
    let gateway = gateway();
    let [operator, user] = callers();
    let strategy = (any::<bool>(), texts(), filters(), 1..40_usize, 1..200_usize);
    proptest!(|((as_operator, text, filter, found, read) in strategy)| {
        let caller = if as_operator { &operator } else { &user };
        check(&gateway.inner, caller, &filter, &text, Extent { found, read });
    });
}

/// Lists that leave out connections end at different places, each by its bound.
#[test]
fn lists_that_end_early_are_merged_without_gap_or_repetition() {
    let gateway = gateway();
    let [operator, _] = callers();
    let personal = ConnectionFilter::default().personal();
    for text in ["mail", "slack", "Meitner", "calendar"] {
        for found in [1, 2, 3, 5, 8] {
            for read in [1, 8, 20] {
                check(&gateway.inner, &operator, &personal, text, Extent { found, read });
            }
        }
    }
}

#[test]
fn named_owners_and_services_are_found_without_reading_the_others() {
    let gateway = gateway();
    let [operator, _] = callers();
    let filter = ConnectionFilter::default();
    let extent = Extent { found: 5, read: 30 };
    for (text, is_wanted) in [
        (
            "Lise Meitner",
            (|it| it.owner.user().is_some_and(|user| user.as_str() == "u-7")) as fn(&Connection) -> bool,
        ),
        ("u-77", |it| {
            it.owner.user().is_some_and(|user| user.as_str() == "u-77")
        }),
        ("Outlook Mail", |it| it.provider.as_str() == "outlook-mail"),
    ] {
        let search = Search::new(&gateway.inner, &operator, &filter, text).unwrap();
        let found = search
            .page(&gateway.inner, &operator, &filter, Place::Named(None), extent)
            .unwrap();
        assert_eq!(found.connections.len(), 5, "{text}");
        assert!(found.connections.iter().all(is_wanted), "{text}");
        assert!(
            !found.is_cut && matches!(found.next, Some(Place::Named(_))),
            "{text}"
        );
    }
}

#[test]
fn a_page_ends_when_it_has_read_enough() {
    let gateway = gateway();
    let [operator, _] = callers();
    let filter = ConnectionFilter::default();
    let search = Search::new(&gateway.inner, &operator, &filter, "label-120").unwrap();
    let extent = Extent { found: 50, read: 100 };
    let first = search
        .page(&gateway.inner, &operator, &filter, Place::Named(None), extent)
        .unwrap();
    assert!(first.is_cut && first.connections.is_empty());
    assert_eq!(first.next, Some(Place::Others(id(100))));
    let second = search
        .page(&gateway.inner, &operator, &filter, first.next.unwrap(), extent)
        .unwrap();
    assert!(!second.is_cut && second.next.is_none());
    assert_eq!(second.connections[0].id, id(120));
    // A list of which too many connections would be read is not sorted.
    let sorted = |most| sorted::all(&gateway.inner, &operator, &filter, Some(&search), most).unwrap();
    assert!(sorted(usize::from(ROWS) - 1).is_none());
    assert_eq!(sorted(usize::from(ROWS)).unwrap().len(), 1);
}
