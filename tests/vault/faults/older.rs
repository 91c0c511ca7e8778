//! Checks that all records of a file of an older schema exist, however far its migration
//! progressed.

use std::time::Duration;

use valetkey::internals::secret::State;
use valetkey::internals::vault::{
    ConsentStore as _, GrantStore as _, Housekeeping as _, RevocationStore as _, RevokeWhat, Settlement,
    StateHash, Taken,
};
use valetkey::model::{NeedsConsent, Status, TenantId};
use valetkey::vault::{Erasure, SqliteVault};

use crate::faults::contents::token;
use crate::faults::disturb::Run;
use crate::faults::files::intact;
use crate::faults::judge::audited;
use crate::faults::world::{Template, at, id, neighbour, open, revoke, tenant};

pub(crate) fn judge(template: &Template, run: &Run, place: &str) {
    let path = run.vault();
    let vault = open(&path).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
    intact(&path, place);
    audited(&vault, place);
    for head in &template.heads {
        assert!(vault.proves(head).unwrap(), "{place}: {head} is lost");
    }
    let active = [
        (tenant(), 1, "access-1-2"),
        (tenant(), 2, "access-2"),
        (neighbour(), 5, "access-5"),
    ];
    for (tenant, number, access) in &active {
        let found = token(&vault, tenant, *number);
        assert_eq!(found.as_deref(), Some(*access), "{place}: {number}");
    }
    let status = |number| {
        let found = vault.connection(&tenant(), id(number)).unwrap();
        found.map(|connection| connection.status)
    };
    assert_eq!(status(3), Some(Status::Revoked), "{place}");
    let rejected = Status::NeedsConsent(NeedsConsent::Rejected);
    assert_eq!(status(4), Some(rejected), "{place}");
    consent_is_there(&vault, place);
    revocation_is_there(&vault, place);

    for (tenant, number, _) in active {
        end(&vault, &tenant, number, place);
    }
    // Its refused refresh token is in quarantine.
    end(&vault, &tenant(), 4, place);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared, "{place}");
}

fn consent_is_there(vault: &SqliteVault, place: &str) {
    let state = StateHash::of(&State::new("pending"));
    let taken = vault.take_consent(&tenant(), &state, at(30)).unwrap();
    let Taken::Consent(_, Some(verifier)) = taken else {
        panic!("{place}: the consent is lost");
    };
    assert!(verifier.expose_secret().starts_with("verifier-"), "{place}");
}

fn revocation_is_there(vault: &SqliteVault, place: &str) {
    let mut pending = vault.take_revocations(at(100), Duration::ZERO, 9).unwrap();
    assert_eq!(pending.len(), 1, "{place}");
    let pending = pending.remove(0);
    let refresh_token = pending.refresh_token.expect("a refresh token");
    assert_eq!(refresh_token.expose_secret(), "refresh-3", "{place}");
    vault
        .settle_revocation(&tenant(), pending.id, Settlement::Confirmed, at(100))
        .unwrap();
}

fn end(vault: &SqliteVault, tenant: &TenantId, number: u8, place: &str) {
    let revoked = revoke(vault, tenant, RevokeWhat::Connection(id(number)), None).unwrap();
    let ended = revoked.expect("it was not revoked before").ended;
    assert_eq!(ended.len(), 1, "{place}: {number}");
    assert!(ended[0].refresh_token.is_some(), "{place}: {number}");
}
