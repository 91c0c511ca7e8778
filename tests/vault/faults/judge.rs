//! Checks that the files of a run match its report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use valetkey::internals::vault::{
    AuditChain, AuditLog as _, ClaimOutcome, CommitOutcome, ConsentStore as _, EndedGrant, Housekeeping as _,
    RefreshStore as _, RevocationStore as _, RevokeWhat, Settlement, Taken, chain_of,
};
use valetkey::model::GrantId;
use valetkey::vault::{Erasure, SqliteVault};

use crate::faults::contents::{self, Allowed, Consent, Contents, Held, Use, token};
use crate::faults::disturb::{self, Fault, Run};
use crate::faults::files::{intact, no_plaintext, nothing_of};
use crate::faults::scenario::{Beginning, Name, Scenario};
use crate::faults::world::{
    Template, access, at, claim, grant_id, id, leave_a_dead_sign, name_of, open, refresh, refreshed, revoke,
    state, tenant, tenant_of, tokens,
};

pub(crate) fn judge(scenario: &Scenario, template: &Template, run: &Run) {
    let place = format!("{} with {:?}: {:?}", scenario.name, run.fault, run.report);
    failures_are_named(run, &place);
    no_plaintext(run.directory.path(), &place);
    let path = run.vault();
    if let Beginning::Older(_) = scenario.begins_with {
        crate::faults::older::judge(template, run, &place);
    } else {
        let allowed = Allowed::after(scenario, template, run);
        nothing_of(&allowed.cleared, template, &path, &place);
        backup(template, run, &allowed, &place);

        let vault = open(&path).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
        leave_a_dead_sign(&path);
        intact(&path, &place);
        audited(&vault, &place);
        let found = contents::read(&vault, template, &place);
        assert!(
            allowed.contents.contains(&found),
            "{place}: {found:#?} is not one of {:#?}",
            allowed.contents
        );
        assert_eq!(
            with_a_slot(run),
            found.grants.keys().copied().collect(),
            "{place}: tokens are kept elsewhere"
        );
        goes_on(&vault, found, &place);
        audited(&vault, &place);
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared, "{place}");
    }
    // By now no record of the template is in use, and none may come back.
    nothing_of(&template.names().collect(), template, &path, &place);
    intact(&path, &place);
    no_plaintext(run.directory.path(), &place);
}

/// Checks that every chain of the audit is intact and agrees with the connections.
pub(crate) fn audited(vault: &SqliteVault, place: &str) {
    let heads = vault.audit_heads(None).unwrap();
    assert!(
        heads.iter().any(|head| chain_of(head) == AuditChain::Vault),
        "{place}"
    );
    for head in heads {
        let report = vault.verify_chain(&chain_of(&head), &mut |_, _| {}).unwrap();
        assert!(report.is_intact(), "{place}: the audit is broken: {report:?}");
    }
}

/// Checks that there is no backup, or a complete one: it opens like any vault and has the contents
/// of the vault at that time.
fn backup(template: &Template, run: &Run, allowed: &Allowed, place: &str) {
    let file = run.directory.path().join("backup.db");
    if !file.exists() {
        let is_due = matches!(allowed.backup, Some((_, disturb::Taken::Yes)));
        assert!(!is_due, "{place}: there is no backup");
        return;
    }
    let place = format!("{place}, in the backup");
    let (expected, _) = allowed.backup.as_ref().expect("a backup was begun");
    let aside = tempfile::tempdir().unwrap();
    let copy = aside.path().join("vault.db");
    fs::copy(&file, &copy).unwrap();
    let vault = open(&copy).unwrap_or_else(|error| panic!("{place}: does not open: {error:?}"));
    intact(&copy, &place);
    audited(&vault, &place);
    assert_eq!(contents::read(&vault, template, &place), *expected, "{place}");
}

/// Checks the names of errors. A full disk must not be reported as a damaged file, because an
/// operator might delete the file.
fn failures_are_named(run: &Run, place: &str) {
    let mut failures = run.report.iter().filter(|line| line.starts_with("failed"));
    let allowed: &[&str] = match run.fault {
        None | Some(Fault::Kill(..)) => &[],
        Some(Fault::Eio(..)) => &["Storage", "CannotOpen"],
        Some(Fault::Enospc(..) | Fault::StaysFull(..)) => &["DiskFull", "Storage", "CannotOpen"],
    };
    let named = failures.all(|line| allowed.iter().any(|name| line.ends_with(name)));
    assert!(named, "{place}: a failure has another name");
    // A step that fails once succeeds when it is tried again.
    if !matches!(run.fault, Some(Fault::Kill(..) | Fault::StaysFull(..))) {
        let last = run.report.iter().rev().nth(1);
        assert!(
            last.is_some_and(|line| line.starts_with("done")),
            "{place}: it did not get through"
        );
    }
}

/// Checks that all records can be used and ended: grants are refreshed, the consent cannot be taken
/// twice, pending revocations are settled, and each connection is revoked.
fn goes_on(vault: &SqliteVault, mut contents: Contents, place: &str) {
    for (name, held) in &mut contents.grants {
        if held.former_of.is_none() {
            refresh_once(vault, *name, held, place);
        }
    }
    for (number, used) in &contents.connections {
        if let Use::Active(name) = used {
            let token = token(vault, &tenant_of(*number), *number);
            let is_new = token == Some(access(*name, contents.grants[name].generation));
            assert!(is_new, "{place}: {number} does not have the refreshed token");
        }
    }
    if contents.consent != Consent::Pending {
        let again = vault.take_consent(&tenant(), &state(), at(1)).unwrap();
        assert!(
            matches!(again, Taken::Nothing),
            "{place}: the consent can be taken again"
        );
    }
    for pending in vault
        .take_revocations(at(80_000), std::time::Duration::ZERO, 99)
        .unwrap()
    {
        let tenant = &pending.grant.tenant;
        vault
            .settle_revocation(tenant, pending.id, Settlement::Confirmed, at(80_001))
            .unwrap();
    }
    revoke_all(vault, contents, place);
}

/// Refreshes a grant. A claim that never ended does not make others wait, and is recorded.
fn refresh_once(vault: &SqliteVault, name: Name, held: &mut Held, place: &str) {
    let times: &[i64] = if held.claimed { &[20, 10_000] } else { &[10_000] };
    let mut last = None;
    for time in times {
        let outcome = claim(vault, name, held.generation, at(*time)).unwrap();
        let ClaimOutcome::Granted(claimed) = outcome else {
            panic!("{place}: {name:?} cannot be refreshed: {outcome:?}");
        };
        assert!(
            claimed.refresh_token.expose_secret() == refresh(name, held.generation),
            "{place}: {name:?} does not have its refresh token"
        );
        assert!(
            claimed.outcome_unknown || !held.claimed,
            "{place}: {name:?} forgets a claim"
        );
        last = Some(claimed.claim);
    }
    held.generation += 1;
    held.claimed = false;
    let outcome = vault.commit_refresh(
        &tenant_of(name.number),
        grant_id(name),
        &last.unwrap(),
        &refreshed(&tokens(name, held.generation), at(10_001)),
    );
    assert_eq!(outcome.unwrap(), CommitOutcome::Stored, "{place}: {name:?}");
}

/// Revokes each connection. The last one that uses a grant ends its tokens and those of its former
/// grants.
fn revoke_all(vault: &SqliteVault, mut contents: Contents, place: &str) {
    for number in contents.connections.clone().into_keys() {
        let Use::Active(name) = contents.connections[&number] else {
            let again = revoke(
                vault,
                &tenant_of(number),
                RevokeWhat::Connection(id(number)),
                None,
            );
            assert!(again.unwrap().is_none(), "{place}: {number} was revoked before");
            continue;
        };
        let expected = contents.revoke(number);
        let revoked = revoke(
            vault,
            &tenant_of(number),
            RevokeWhat::Connection(id(number)),
            None,
        );
        let revoked = revoked.unwrap().unwrap();
        let still: BTreeSet<u8> = revoked.still_used_by.iter().map(|id| id.as_bytes()[0]).collect();
        assert_eq!(still, contents.users(name), "{place}: {number}");
        let ended: BTreeMap<Name, u64> = revoked
            .ended
            .iter()
            .map(|ended| (name_of(ended.grant.id), own_generation(ended, place)))
            .collect();
        let expected: BTreeMap<Name, u64> = expected
            .into_iter()
            .map(|(name, held)| (name, held.generation))
            .collect();
        assert_eq!(ended, expected, "{place}: {number}");
        let outcome = claim(vault, name, 1, at(20_000)).unwrap();
        let is_refused = !matches!(outcome, ClaimOutcome::Granted(_) | ClaimOutcome::Held(_));
        assert!(is_refused, "{place}: {number} can be refreshed");
    }
    assert!(contents.grants.is_empty(), "{place}: {contents:?}");
}

/// Returns the generation of tokens that ended, and checks that they belong to the grant.
fn own_generation(ended: &EndedGrant, place: &str) -> u64 {
    let (name, generation) = (name_of(ended.grant.id), ended.grant.generation);
    let (access_token, refresh_token) = (ended.access_token.as_ref(), ended.refresh_token.as_ref());
    let own = access_token.is_some_and(|token| token.expose_secret() == access(name, generation))
        && refresh_token.is_some_and(|token| token.expose_secret() == refresh(name, generation));
    assert!(own, "{place}: {name:?} ended with tokens that are not its own");
    generation
}

/// Returns the grants that have a slot in the file. Those of a tenant without a name are being
/// erased.
fn with_a_slot(run: &Run) -> BTreeSet<Name> {
    let db = rusqlite::Connection::open(run.vault()).unwrap();
    let mut statement = db
        .prepare(
            "SELECT uuid FROM grants JOIN tenants ON tenants.id = grants.tenant
             WHERE slot IS NOT NULL AND name IS NOT NULL",
        )
        .unwrap();
    let names = statement
        .query_map([], |row| Ok(name_of(GrantId::from_bytes(row.get(0)?))))
        .unwrap();
    names.map(Result::unwrap).collect()
}
