//! The encodings of connections and grants, compared with known answers, and the effect of altered
//! rows.

use serde::Deserialize;

use super::*;
use crate::model::Grant;
use crate::vault::envelope::vectors::{self, Hex, Number};
use crate::vault::envelope::{Context, Kind, VaultId};
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::tokens;

pub(in crate::vault::sealed) fn owner_of(user: Option<&String>) -> Owner {
    user.map_or(Owner::Workspace, |user| {
        Owner::Personal(UserId::new(user.as_str()).unwrap())
    })
}

fn scopes_of(names: &[String]) -> Scopes {
    Scopes::new(names.iter().cloned()).unwrap()
}

// --- connections
// ----------------------------------------------------------------------------------------------------

#[derive(Deserialize)]
struct ConnectionAnswer {
    name: String,
    data_key: Hex,
    id: Hex,
    owner: Option<String>,
    provider: String,
    label: Option<String>,
    is_default: bool,
    revoked: bool,
    grant: Hex,
    account: Option<AccountAnswer>,
    requested: Vec<String>,
    parameters: Parameters,
    created_at: i64,
    details: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct AccountAnswer {
    id: String,
    email: Option<String>,
    label: Option<String>,
}

impl AccountAnswer {
    fn account(&self) -> Account {
        Account {
            id: self.id.clone(),
            email: self.email.clone(),
            label: self.label.clone(),
        }
    }
}

impl ConnectionAnswer {
    fn connection(&self) -> StoredConnection {
        StoredConnection {
            id: ConnectionId::from_bytes(self.id.array()),
            owner: owner_of(self.owner.as_ref()),
            provider: ProviderId::new(self.provider.as_str()).unwrap(),
            label: self
                .label
                .as_ref()
                .map(|label| Label::new(label.as_str()).unwrap()),
            is_default: self.is_default,
            revoked: self.revoked,
            grant: GrantId::from_bytes(self.grant.array()),
            account: self.account.as_ref().map(AccountAnswer::account),
            requested: scopes_of(&self.requested),
            parameters: self.parameters.clone(),
            created_at: time(self.created_at),
        }
    }

    fn row_key(&self) -> RowKey {
        self.data_key.data_key(u32::MAX).row_key()
    }
}

fn connections() -> Vec<ConnectionAnswer> {
    let answers: Vec<ConnectionAnswer> = vectors::format_2("connections");
    assert_eq!(answers.len(), 3);
    answers
}

#[test]
fn connections_have_the_known_details_and_macs() {
    for answer in connections() {
        let (stored, key) = (answer.connection(), answer.row_key());
        let row = connection_row(&stored, &key);
        assert_eq!(row.details, answer.details.0, "{}", answer.name);
        assert_eq!(row.mac, answer.mac.array(), "{}", answer.name);
        assert_eq!(connection(&row, &key).unwrap(), stored, "{}", answer.name);
        assert_eq!(
            connection_parameters(&row).unwrap(),
            stored.parameters,
            "{}",
            answer.name
        );
    }
}

#[test]
fn promise_03_a_connection_with_any_altered_column_is_refused() {
    for answer in connections() {
        let key = answer.row_key();
        let row = connection_row(&answer.connection(), &key);
        let alterations: [fn(&mut ConnectionRow); 12] = [
            |row| row.id = ConnectionId::from_bytes([0; 16]),
            |row| row.owner.push('x'),
            |row| row.provider.push('x'),
            |row| row.label = Some(String::new()),
            |row| row.label = row.label.take().map_or(Some("x".into()), |_| None),
            |row| row.is_default = !row.is_default,
            |row| row.revoked = !row.revoked,
            |row| row.grant = GrantId::from_bytes([0; 16]),
            |row| row.account = Some("another".into()),
            |row| row.account = row.account.take().map_or(Some(String::new()), |_| None),
            |row| row.details[7] ^= 1,
            |row| row.mac[31] ^= 1,
        ];
        for (at, alter) in alterations.into_iter().enumerate() {
            let mut altered = row.clone();
            alter(&mut altered);
            let read = connection(&altered, &key);
            assert!(
                matches!(read, Err(VaultError::Tampered)),
                "{}: alteration {at}",
                answer.name
            );
        }
        let other = Hex(vec![3; 32]).data_key(u32::MAX).row_key();
        assert!(connection(&row, &other).is_err(), "{}", answer.name);
    }
}

// --- grants
// ---------------------------------------------------------------------------------------------------------

/// A grant of the known answers, with its sealed tokens.
#[derive(Deserialize)]
pub(in crate::vault::sealed) struct GrantAnswer {
    pub(in crate::vault::sealed) name: String,
    tenant: String,
    vault: Hex,
    data_key: Hex,
    version: u32,
    id: Hex,
    owner: Option<String>,
    provider: String,
    generation: Number,
    origin: String,
    server: String,
    token_endpoint: String,
    refresh_endpoint: String,
    revocation_endpoint: Option<String>,
    client_id: String,
    parameters: Parameters,
    requested: Vec<String>,
    granted: Vec<String>,
    account: Option<AccountAnswer>,
    consented_at: i64,
    expires_at: Option<i64>,
    lifetime: Option<u64>,
    pub(in crate::vault::sealed) access_token: String,
    pub(in crate::vault::sealed) refresh_token: String,
    id_token: Option<String>,
    route: Hex,
    access: Hex,
    rest: Hex,
}

impl GrantAnswer {
    pub(in crate::vault::sealed) fn tenant(&self) -> Tenant {
        Tenant::with_key(
            TenantId::new(self.tenant.as_str()).unwrap(),
            VaultId::from_bytes(self.vault.array()),
            self.data_key.data_key(self.version),
        )
    }

    pub(in crate::vault::sealed) fn grant(&self) -> Grant {
        let issued_by = IssuedBy {
            server: ServerId::new(self.server.as_str()).unwrap(),
            token_endpoint: self.token_endpoint.clone(),
            refresh_endpoint: self.refresh_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            client_id: self.client_id.clone(),
        };
        let mut grant = Grant::new(
            GrantId::from_bytes(self.id.array()),
            TenantId::new(self.tenant.as_str()).unwrap(),
            owner_of(self.owner.as_ref()),
            ProviderId::new(self.provider.as_str()).unwrap(),
            issued_by,
            time(self.consented_at),
        );
        grant.generation = self.generation.0;
        grant.origin = Origin::from_code(&self.origin).unwrap();
        grant.parameters = self.parameters.clone();
        grant.requested = scopes_of(&self.requested);
        grant.granted = scopes_of(&self.granted);
        grant.account = self.account.as_ref().map(AccountAnswer::account);
        grant.expires_at = self.expires_at.map(time);
        grant.lifetime = self.lifetime.map(Duration::from_millis);
        grant
    }

    fn row(&self) -> GrantRow {
        let lifecycle = Lifecycle::granted(self.generation.0, true, 0);
        grant_row(
            &StoredGrant::new(self.grant(), lifecycle),
            self.version,
            0,
            self.tenant().row_key(),
        )
    }
}

pub(in crate::vault::sealed) fn grants() -> Vec<GrantAnswer> {
    let answers: Vec<GrantAnswer> = vectors::format_2("grants");
    assert_eq!(answers.len(), 2);
    answers
}

#[test]
fn grants_have_the_known_routes() {
    for answer in grants() {
        let expected = answer.grant();
        assert_eq!(route(&expected), answer.route.0, "{}", answer.name);
        let mut read = grant_of_route(&expected.tenant, expected.id, &answer.route.0).unwrap();
        read.generation = expected.generation;
        read.refreshed_at = expected.refreshed_at;
        assert_eq!(read, expected, "{}", answer.name);
    }
}

#[test]
fn tokens_open_under_the_known_routes() {
    for answer in grants() {
        let (tenant, grant) = (answer.tenant(), answer.grant());
        let route = route(&grant);
        let access = tokens::context(&tenant, &grant, Kind::AccessToken, &route);
        let opened = tenant.key().open(&access, answer.access.0.clone()).unwrap();
        assert_eq!(*opened.into_only_text().unwrap(), answer.access_token);
        let rest = Context {
            kind: Kind::Rest,
            ..access
        };
        let mut opened = tenant.key().open(&rest, answer.rest.0.clone()).unwrap();
        assert_eq!(
            opened.expose_next_text().unwrap(),
            Some(answer.refresh_token.as_str())
        );
        assert_eq!(opened.expose_next_text().unwrap(), answer.id_token.as_deref());
        opened.finish().unwrap();
    }
}

#[test]
fn promise_04_tokens_open_under_no_other_route() {
    let answer = grants().remove(0);
    let tenant = answer.tenant();
    let alterations: [fn(&mut Grant); 15] = [
        |grant| grant.issued_by.server = ServerId::new("evil").unwrap(),
        |grant| grant.issued_by.token_endpoint.push('x'),
        |grant| grant.issued_by.refresh_endpoint.push('x'),
        |grant| grant.issued_by.revocation_endpoint = None,
        |grant| grant.issued_by.revocation_endpoint = Some("https://evil.test".into()),
        |grant| grant.issued_by.client_id.push('x'),
        |grant| drop(grant.parameters.insert("region".into(), "us".into())),
        |grant| drop(grant.parameters.remove("Zone")),
        |grant| grant.requested = Scopes::default(),
        |grant| grant.granted = grant.requested.clone(),
        |grant| grant.account = None,
        |grant| grant.consented_at = time(0),
        |grant| grant.expires_at = None,
        |grant| grant.lifetime = None,
        |grant| grant.generation -= 1,
    ];
    for (at, alter) in alterations.into_iter().enumerate() {
        let mut grant = answer.grant();
        alter(&mut grant);
        let route = route(&grant);
        let context = tokens::context(&tenant, &grant, Kind::AccessToken, &route);
        let opened = tenant.key().open(&context, answer.access.0.clone());
        assert!(matches!(opened, Err(VaultError::Tampered)), "alteration {at}");
    }
}

#[test]
fn every_field_of_the_row_of_a_grant_is_authenticated() {
    for answer in grants() {
        let tenant = answer.tenant();
        let row = answer.row();
        assert!(
            grant(&row, &tenant.name, tenant.row_key()).is_ok(),
            "{}",
            answer.name
        );
        let alterations: [fn(&mut GrantRow); 18] = [
            |row| row.id = GrantId::from_bytes([7; 16]),
            |row| row.former_of = Some(GrantId::from_bytes([7; 16])),
            |row| row.status = "revoked".into(),
            |row| row.generation += 1,
            |row| row.refreshable = !row.refreshable,
            |row| row.server.push('x'),
            |row| row.expires_at = Some(row.expires_at.map_or(0, |at| at + 1)),
            |row| row.expires_at = row.expires_at.map_or(Some(1), |_| None),
            |row| row.refreshed_at += 1,
            |row| row.not_before = Some(0),
            |row| row.held_until = Some(0),
            |row| row.quarantined_until = Some(0),
            |row| row.dead_at = Some(0),
            |row| row.route.push(0),
            |row| row.state.push(0),
            |row| row.key_version += 1,
            |row| row.revision += 1,
            |row| row.mac[31] ^= 1,
        ];
        for (at, alter) in alterations.into_iter().enumerate() {
            let mut altered = row.clone();
            alter(&mut altered);
            let read = grant(&altered, &tenant.name, tenant.row_key());
            assert!(
                matches!(read, Err(VaultError::Tampered)),
                "{}: alteration {at}",
                answer.name
            );
        }
    }
}

#[derive(Deserialize)]
struct StateAnswer {
    name: String,
    fence: Number,
    held: Option<HeldAnswer>,
    unknown_generation: Option<Number>,
    failures: u32,
    not_before: Option<i64>,
    last_failure: Option<String>,
    failed_at: Option<i64>,
    quarantined_until: Option<i64>,
    failed_setup: Option<u16>,
    token_refused_at: Option<i64>,
    refresh_token_expires_at: Option<i64>,
    state: Hex,
}

#[derive(Deserialize)]
struct HeldAnswer {
    holder: Hex,
    fence: Number,
    since: i64,
    until: i64,
}

impl StateAnswer {
    fn lifecycle(&self) -> Lifecycle {
        let mut lifecycle = Lifecycle::granted(1, true, 0);
        lifecycle.fence = self.fence.0;
        lifecycle.held = self.held.as_ref().map(|held| Held {
            holder: Holder::from_bytes(held.holder.array()),
            fence: held.fence.0,
            since: time(held.since),
            until: time(held.until),
        });
        lifecycle.unknown_generation = self.unknown_generation.map(|generation| generation.0);
        lifecycle.failures = self.failures;
        lifecycle.not_before = self.not_before.map(time);
        lifecycle.last_failure = self
            .last_failure
            .as_ref()
            .map(|code| FailureCode::from_code(code).unwrap());
        lifecycle.failed_at = self.failed_at.map(time);
        lifecycle.quarantined_until = self.quarantined_until.map(time);
        lifecycle.failed_setup = self.failed_setup;
        lifecycle.token_refused_at = self.token_refused_at.map(time);
        lifecycle.refresh_token_expires_at = self.refresh_token_expires_at.map(time);
        lifecycle
    }
}

#[test]
fn states_of_grants_have_the_known_bytes() {
    let answers: Vec<StateAnswer> = vectors::format_2("states");
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let expected = answer.lifecycle();
        assert_eq!(state(&expected), answer.state.0, "{}", answer.name);
        let mut row = grants()[0].row();
        row.generation = 1;
        row.state = answer.state.0;
        assert_eq!(lifecycle(&row).unwrap(), expected, "{}", answer.name);
    }
}
