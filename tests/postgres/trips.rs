//! The number of round trips of the operations that hosts repeat most often.

use std::sync::Arc;
use std::time::Duration;

use valetkey::internals::secret::RefreshToken;
use valetkey::internals::vault::postgres::take_trips;
use valetkey::internals::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, RefreshStore as _, Refreshed, Tokens,
};
use valetkey::model::Connection;
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, PostgresVault};
use valetkey::{AccessToken, Clock as _};

use crate::options;
use crate::support::postgres::Cluster;

fn claim(vault: &PostgresVault, host: &Host, connection: &Connection, generation: u64) -> Claim {
    let claimed = vault.claim_refresh(&ClaimRequest {
        tenant: &connection.tenant,
        grant: connection.grant,
        holder: vault.holder().unwrap(),
        generation,
        attempt: Attempt::Forced,
        now: host.clock.now(),
        lease: Duration::from_secs(30),
    });
    match claimed.unwrap() {
        ClaimOutcome::Granted(granted) => granted.claim,
        refused => panic!("{refused:?}"),
    }
}

fn commit(vault: &PostgresVault, host: &Host, connection: &Connection, claim: &Claim) {
    let committed = vault.commit_refresh(
        &connection.tenant,
        connection.grant,
        claim,
        &Refreshed {
            refresh_token_expires_at: None,
            tokens: &Tokens {
                access_token: AccessToken::new("a".to_owned()),
                refresh_token: Some(RefreshToken::new("r".to_owned())),
                id_token: None,
            },
            granted: None,
            expires_at: connection.expires_at,
            lifetime: None,
            at: host.clock.now(),
            by: None,
        },
    );
    assert_eq!(committed.unwrap(), CommitOutcome::Stored);
}

#[test]
fn a_refresh_takes_two_round_trips_to_claim_and_two_to_commit() {
    let Some(cluster) = Cluster::start() else { return };
    let key = MasterKey::generate().unwrap();
    let vault = Arc::new(options(&cluster).max_sessions(1).connect(key).unwrap());
    let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
    let connection = host.connect(&host.user("alice"), "notes");
    let mut trips = Vec::new();
    // The statements are prepared by the first of two equal operations.
    for generation in 1..=2 {
        let _ = take_trips(&vault);
        let claim = claim(&vault, &host, &connection, generation);
        trips.push(take_trips(&vault));
        commit(&vault, &host, &connection, &claim);
        trips.push(take_trips(&vault));
    }
    assert_eq!(trips, [2, 2, 2, 2]);
}
