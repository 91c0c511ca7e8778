//! Connections that are in a vault before the host opens it.

use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::random::uuid_v7;
use valetkey::internals::secret::State;
use valetkey::internals::vault::{NewGrant, PendingConsent, StateHash, Taken, Tokens};
use valetkey::model::{
    Connection, ConnectionId, ConsentId, GrantId, Owner, ProviderId, ServerId, TenantId, Timestamp, UserId,
};
use valetkey::vault::Vault;
use valetkey::{AccessToken, ActingUser};

/// Puts a connection into a vault as if it had been granted.
pub(crate) fn plant(vault: &impl Vault, number: usize, change: impl FnOnce(&mut Connection)) -> ConnectionId {
    let tenant = TenantId::new("acme").unwrap();
    let now = Timestamp::from_unix_millis(1_700_000_000_000 + i64::try_from(number).unwrap());
    let id = ConnectionId::from_bytes(uuid_v7(now.as_unix_millis()).unwrap());
    let issued_by = IssuedBy::new(
        ServerId::new("sandbox").unwrap(),
        "https://sandbox.test/token",
        "sandbox-client",
    );
    let owner = Owner::Personal(UserId::new(format!("user-{number}")).unwrap());
    let provider = ProviderId::new("notes").unwrap();
    let grant = GrantId::from_bytes(uuid_v7(now.as_unix_millis()).unwrap());
    let mut grant = Grant::new(grant, tenant.clone(), owner, provider, issued_by, now);
    let mut connection = new_connection(id, &grant);
    change(&mut connection);
    grant.owner.clone_from(&connection.owner);
    grant.requested.clone_from(&connection.requested);
    grant.granted.clone_from(&connection.granted);
    grant.account.clone_from(&connection.account);
    let state = StateHash::of(&State::new(format!("state-{number}")));
    let mut consent = PendingConsent::new(
        ConsentId::from_bytes(uuid_v7(now.as_unix_millis()).unwrap()),
        state,
        &ActingUser::authenticated(tenant.clone(), format!("user-{number}")).unwrap(),
        connection.owner.clone(),
        connection.provider.clone(),
        ServerId::new("sandbox").unwrap(),
        now,
    );
    consent.expires_at = Timestamp::from_unix_millis(i64::MAX / 2);
    vault.insert_consent(&consent, None).unwrap();
    let taken = vault.take_consent(&tenant, &state, now).unwrap();
    assert!(matches!(taken, Taken::Consent(..)));
    let tokens = Tokens {
        access_token: AccessToken::new(format!("planted-{number}")),
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
    id
}
