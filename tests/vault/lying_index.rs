//! An index of a store is not authenticated: an entry can be changed to lead to another user's
//! connection, whose row is intact. The token of that user is not handed out.

use std::sync::Arc;

use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::secret::*;
use valetkey::internals::vault::*;
use valetkey::model::*;
use valetkey::vault::MasterKey;

#[test]
fn an_index_that_leads_to_another_person_gives_no_token() {
    let store = Arc::new(MemoryStore::new());
    let vault = SealedVault::open(Arc::clone(&store), MasterKey::generate().unwrap()).unwrap();
    let tenant = TenantId::new("acme").unwrap();
    let gmail = ProviderId::new("gmail").unwrap();
    let grant = Grant::new(
        GrantId::from_bytes([1; 16]),
        tenant.clone(),
        Owner::Personal(UserId::new("bob").unwrap()),
        gmail.clone(),
        IssuedBy::new(
            ServerId::new("google").unwrap(),
            "https://issuer.test/token",
            "client",
        ),
        Timestamp::from_unix_millis(1),
    );
    let mut connection = new_connection(ConnectionId::from_bytes([1; 16]), &grant);
    connection.is_default = true;
    let tokens = Tokens {
        access_token: AccessToken::new("token of bob"),
        refresh_token: None,
        id_token: None,
    };
    vault
        .store_grant(&NewGrant {
            consent: &StateHash::from_bytes([1; 32]),
            grant: &grant,
            tokens: &tokens,
            connections: &[connection],
            former_dead_at: None,
        })
        .unwrap();
    store
        .write(&mut |tx| {
            for (key, value) in tx.scan(&[1], &[255; 40], 1000)? {
                if let Some(at) = key.windows(3).position(|three| three == b"bob") {
                    let mut other = key.clone();
                    other[at..at + 3].copy_from_slice(b"eve");
                    tx.put(&other, &value)?;
                }
            }
            Ok(())
        })
        .unwrap();
    let (eve, scopes) = (UserId::new("eve").unwrap(), Scopes::default());
    let found = vault.find_token(&TokenQuery {
        tenant: &tenant,
        of: Of::Owner {
            user: Some(&eve),
            provider: &gmail,
            label: None,
        },
        scopes: &scopes,
    });
    assert!(matches!(found, Err(VaultError::Tampered)), "an altered index");
}
