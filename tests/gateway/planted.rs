//! Connections that are in a vault before the host has it.

use valetkey::model::{
    Connection, ConnectionId, ConsentId, IssuedBy, Owner, ProviderId, Scopes, ServerId, TenantId, Timestamp,
    UserId,
};
use valetkey::secret::{AccessToken, State};
use valetkey::vault::{ConsentStatus, Grant, PendingConsent, Purpose, StateHash, Tokens, Vault};

/// Puts a connection into a vault as if it had been granted.
pub fn plant(vault: &impl Vault, number: usize, change: impl FnOnce(&mut Connection)) -> ConnectionId {
    let tenant = TenantId::new("acme").unwrap();
    let now = Timestamp::from_unix_millis(1_700_000_000_000 + i64::try_from(number).unwrap());
    let id = ConnectionId::generate(now).unwrap();
    let issued_by = IssuedBy {
        server: ServerId::new("sandbox").unwrap(),
        token_endpoint: "https://sandbox.test/token".into(),
        client_id: "sandbox-client".into(),
    };
    let owner = Owner::Personal(UserId::new(format!("user-{number}")).unwrap());
    let provider = ProviderId::new("notes").unwrap();
    let mut connection = Connection::new(id, tenant.clone(), owner, provider, issued_by, now);
    change(&mut connection);
    let state = StateHash::of(&State::new(format!("state-{number}")));
    let consent = PendingConsent {
        id: ConsentId::generate(now).unwrap(),
        state,
        binding: state,
        tenant: tenant.clone(),
        user: UserId::new("somebody").unwrap(),
        owner: connection.owner.clone(),
        provider: connection.provider.clone(),
        server: ServerId::new("sandbox").unwrap(),
        issuer: None,
        token_endpoint: String::new(),
        client_id: String::new(),
        redirect_uri: String::new(),
        scopes: Scopes::default(),
        services: std::collections::BTreeMap::new(),
        parameters: Default::default(),
        label: None,
        purpose: Purpose::Connect,
        return_to: None,
        created_at: now,
        expires_at: Timestamp::from_unix_millis(i64::MAX / 2),
        status: ConsentStatus::Pending,
    };
    vault.insert_consent(&consent, None).unwrap();
    vault.take_consent(&tenant, &state, now).unwrap().unwrap();
    let tokens = Tokens {
        access_token: AccessToken::new(format!("planted-{number}")),
        refresh_token: None,
        id_token: None,
    };
    let grant = Grant {
        consent: &state,
        connection: &connection,
        tokens: &tokens,
        members: &[],
    };
    vault.store_grant(&grant).unwrap();
    id
}
