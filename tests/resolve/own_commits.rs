//! A handle that remembers rows across its own commits gives the same answers as one that reads
//! them each time, after every operation of a host, in any order, beside another handle.

use std::sync::Arc;

use proptest::prelude::*;
use valetkey::connections::{Budget, ConnectionFilter};
use valetkey::internals::vault::{
    ConnectionQuery, Found, GrantStore as _, Of, TokenQuery, remembering_nothing,
};
use valetkey::model::{Connection, ConnectionId, ProviderId, Scopes};
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, SqliteOptions, SqliteVault};
use valetkey::{ActingUser, Clock as _, ConsentOptions};

use crate::support::world::{World, operator, person, tenant};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const SERVICES: [&str; 2] = ["notes", "mail"];
const ACCOUNTS: [&str; 2] = ["ada", "grace"];

/// An operation of a host. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Operation {
    Connect(usize, usize, usize),
    ConnectWorkspace(usize),
    Refresh(usize),
    Expire,
    Use(usize),
    SetDefault(usize),
    Revoke(usize),
    RevokeGrant(usize),
    ForgetUser(usize),
    ForgetTenant,
    RotateDataKey,
    Reseal,
    Maintain,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let number = 0..12_usize;
    prop_oneof![
        6 => (number.clone(), number.clone(), number.clone()).prop_map(|(a, b, c)| Connect(a, b, c)),
        1 => number.clone().prop_map(ConnectWorkspace),
        6 => number.clone().prop_map(Refresh),
        1 => Just(Expire),
        3 => number.clone().prop_map(Use),
        2 => number.clone().prop_map(SetDefault),
        3 => number.clone().prop_map(Revoke),
        1 => number.clone().prop_map(RevokeGrant),
        1 => number.prop_map(ForgetUser),
        1 => Just(ForgetTenant),
        1 => Just(RotateDataKey),
        1 => Just(Reseal),
        2 => Just(Maintain),
    ]
}

/// Runs an operation. That it is refused is an outcome like any other.
fn run(operation: &Operation, host: &Host, vault: &SqliteVault) {
    let connections = &host.connections;
    let filter = ConnectionFilter::default().include_revoked();
    let all = connections.list(&operator(), &filter).unwrap();
    let chosen = |number: usize| (!all.is_empty()).then(|| all[number % all.len()].id);
    let user = |number: usize| person(USERS[number % USERS.len()]);
    let now = host.clock.now();
    match *operation {
        Operation::Connect(a, b, c) => {
            let (service, account) = (SERVICES[b % SERVICES.len()], ACCOUNTS[c % ACCOUNTS.len()]);
            let _ = host.connect_with(&user(a), service, account, ConsentOptions::default());
        }
        Operation::ConnectWorkspace(a) => {
            let account = ACCOUNTS[a % ACCOUNTS.len()];
            let _ = host.connect_workspace_with(&operator(), "notes", account, ConsentOptions::default());
        }
        Operation::Refresh(a) => _ = chosen(a).map(|id| connections.refresh(&operator(), id)),
        Operation::Expire => host.expire(),
        Operation::Use(a) => _ = host.resolver.resolve(&user(a), SERVICES[a % SERVICES.len()]),
        Operation::SetDefault(a) => _ = chosen(a).map(|id| connections.set_default(&operator(), id)),
        Operation::Revoke(a) => _ = chosen(a).map(|id| connections.revoke(&operator(), id)),
        Operation::RevokeGrant(a) => _ = chosen(a).map(|id| connections.revoke_grant(&operator(), id)),
        Operation::ForgetUser(a) => {
            let _ = connections.forget_user(&operator(), user(a).user()).unwrap();
        }
        Operation::ForgetTenant => _ = connections.forget_tenant(&operator()).unwrap(),
        Operation::RotateDataKey => _ = vault.rotate_data_key(&tenant(), now).unwrap(),
        Operation::Reseal => _ = vault.reseal_tokens(100, now).unwrap(),
        Operation::Maintain => _ = connections.maintain(Budget::default()).unwrap(),
    }
}

/// Everything that a vault answers about tokens and connections.
#[derive(Debug, PartialEq)]
struct Seen {
    tokens: Vec<String>,
    lists: Vec<Vec<Connection>>,
}

fn token(vault: &SqliteVault, of: Of<'_>) -> String {
    let (tenant, scopes) = (tenant(), Scopes::default());
    let query = TokenQuery {
        tenant: &tenant,
        of,
        scopes: &scopes,
    };
    match vault.find_token(&query) {
        Ok(Found::One(found)) => {
            let token = found.access_token.as_ref().map(|token| token.expose_secret());
            format!(
                "{} {:?} {:?} {:?} {token:?}",
                found.generation, found.connection, found.status, found.refresh
            )
        }
        Ok(Found::Nothing) => "nothing".to_owned(),
        Ok(Found::Several) => "several".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn seen(vault: &SqliteVault, known: &[ConnectionId]) -> Seen {
    let users: Vec<ActingUser> = USERS.map(person).into();
    let mut tokens = Vec::new();
    for service in SERVICES {
        let provider = ProviderId::new(service).unwrap();
        for user in users.iter().map(Some).chain([None]) {
            tokens.push(token(
                vault,
                Of::Owner {
                    user: user.map(ActingUser::user),
                    provider: &provider,
                    label: None,
                },
            ));
        }
    }
    tokens.extend(known.iter().map(|id| token(vault, Of::Id(*id))));
    let tenant = tenant();
    let list = |with_revoked| {
        let mut query = ConnectionQuery::of(&tenant);
        query.with_revoked = with_revoked;
        vault.connections(&query).unwrap()
    };
    Seen {
        tokens,
        lists: vec![list(false), list(true)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("VALETKEY_FULL").is_some() { 2_000 } else { 24 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn answers_are_those_of_a_vault_that_remembers_nothing(
        operations in proptest::collection::vec((operation(), proptest::bool::weighted(0.2)), 1..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let open = |options: &SqliteOptions| {
            let key = MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
            Arc::new(options.open(directory.path().join("vault.db"), key).unwrap())
        };
        let (vault, foreign) = (open(&SqliteVault::options()), open(&SqliteVault::options()));
        let reading = open(&remembering_nothing(SqliteVault::options()));
        let world = World::over(Arc::clone(&vault));
        let other = world.another().vault(Arc::clone(&foreign)).build().unwrap();
        let mut known: Vec<ConnectionId> = Vec::new();
        for (operation, is_foreign) in &operations {
            if *is_foreign {
                run(operation, &other, &foreign);
            } else {
                run(operation, &world, &vault);
            }
            let expected = seen(&reading, &known);
            for handle in [&vault, &foreign] {
                // The first answers are read or remembered, the second ones remembered.
                for _ in 0..2 {
                    prop_assert_eq!(&seen(handle, &known), &expected, "{:?}", operation);
                }
            }
            for connection in expected.lists.iter().flatten() {
                if !known.contains(&connection.id) {
                    known.push(connection.id);
                }
            }
        }
    }
}
