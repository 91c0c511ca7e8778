//! Opens files that older versions of this crate wrote, and checks that all their records exist.
//!
//! `tests/vectors/schema-<n>.db` was written by the version whose newest schema was `n`, and is
//! never written again.

#![cfg(feature = "sqlite")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::internals::model::{issued_by, refresh_state};
use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::{
    Attempt, AuditChain, AuditFilter, ClaimOutcome, ConsentStatus, DefinitionContent, DefinitionKey,
    DefinitionKind, DefinitionWrite, Expected, Found, FoundDefinition, NewDefinition, Of, PutDefinitions,
    RefreshFailure, Revoke, RevokeWhat, Settlement, Taken, TokenQuery, TokenUse, UseRecord,
};
use valetkey::model::{Account, Connection, GrantId, NeedsConsent, Owner, Status, TenantId, UserId};
use valetkey::vault::{AuditHead, AuditKind, Erasure, SqliteVault};

use crate::support::vault::*;

const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";

fn other_tenant() -> TenantId {
    TenantId::new("globex").unwrap()
}

/// Returns the workspace connection.
fn of_all(number: u8) -> Connection {
    let mut of_all = connection(number);
    of_all.owner = Owner::Workspace;
    of_all
}

fn of_bob(number: u8) -> Connection {
    let mut of_bob = connection(number);
    of_bob.tenant = other_tenant();
    of_bob.owner = Owner::Personal(UserId::new("bob").unwrap());
    of_bob
}

fn version(db: &Database) -> u32 {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// Creates the history of a vault of some age. The files of schemas 1 and 2 contain the same,
/// except the last part.
fn live(vault: &SqliteVault) {
    grant(vault, &connection(1), &tokens("access-1", "refresh-1"));
    refresh(vault, 1, &tokens("access-1-2", "refresh-1-2"));
    grant(vault, &of_all(2), &tokens("access-2", "refresh-2"));
    grant(vault, &connection(3), &tokens("access-3", "refresh-3"));
    grant(vault, &connection(4), &tokens(&"long".repeat(2_000), "refresh-4"));
    grant(vault, &of_bob(5), &tokens("access-5", "refresh-5"));
    revoke_and_keep(vault, 3);
    let claimed = claimed(vault, 4);
    let refusal = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(21),
        quarantined_until: Some(at(9_000)),
    };
    vault
        .fail_refresh(&tenant(), claimed.grant.id, &claimed.claim, &refusal)
        .unwrap();
    assert!(vault.set_default(&tenant(), id(1), None, at(21)).unwrap());
    let token_use = TokenUse {
        tenant: tenant(),
        connection: id(2),
        provider: connection(2).provider,
        at: at(22),
        user: user(),
        shared: true,
        purpose: Some("read the calendar".into()),
        turn: Some("turn-1".into()),
    };
    vault.record_uses(&[token_use], UseRecord::Entries).unwrap();
    // Two keys at once: records sealed with the older one still exist.
    rotate_data_key(vault);
    vault
        .insert_consent(&consent("pending"), Some(&PkceVerifier::new(VERIFIER)))
        .unwrap();
    live_with_grants(vault);
    live_with_definitions(vault);
}

/// Creates the records that schema 4 introduced: a provider, its server and the tenant's client
/// there.
fn live_with_definitions(vault: &SqliteVault) {
    let contents = DEFINITIONS.map(|(_, _, text)| definition(text));
    let definitions: Vec<_> = DEFINITIONS
        .iter()
        .zip(&contents)
        .map(|((kind, name, _), content)| NewDefinition {
            key: DefinitionKey { kind: *kind, name },
            expected: Expected::Nothing,
            content,
        })
        .collect();
    let written = vault.put_definitions(&PutDefinitions {
        tenant: &tenant(),
        definitions: &definitions,
        by: None,
        now: at(24),
    });
    assert_eq!(written.unwrap(), DefinitionWrite::Stored);
}

const DEFINITIONS: [(DefinitionKind, &str, &str); 3] = [
    (DefinitionKind::Server, "https://as.example", "a server"),
    (DefinitionKind::Provider, "https://mcp.example/mcp", "a provider"),
    (DefinitionKind::Client, "https://as.example", "a client"),
];

fn definition(text: &str) -> DefinitionContent {
    DefinitionContent {
        document: text.as_bytes().to_vec(),
        secrets: vec!["registered secret".to_owned().into(), String::new().into()],
    }
}

fn definitions_are_there(vault: &SqliteVault) {
    for (kind, name, text) in DEFINITIONS {
        let key = DefinitionKey { kind, name };
        let FoundDefinition::Changed(_, found) = vault.definition(&tenant(), key, None).unwrap() else {
            panic!("{key:?} is missing");
        };
        assert_eq!(found.content.document, text.as_bytes());
        assert_eq!(found.content.secrets, definition(text).secrets);
    }
}

/// Creates the records that schema 3 introduced: several connections that use one grant, and a
/// former grant.
fn live_with_grants(vault: &SqliteVault) {
    grant(vault, &connection(6), &tokens("access-6", "refresh-6"));
    let mut other = connection(7);
    other.account = Some(Account {
        id: "account-7".into(),
        email: Some("alice@example.test".into()),
        label: None,
    });
    let both = tokens("access-6-2", "refresh-6-2");
    assert_eq!(grant_all(vault, &[connection(6), other], &both).len(), 1);
}

/// A new schema needs a file: `VALETKEY_WRITE_VECTORS=1 cargo test --test vault older_files` writes
/// the one that is missing, and never one that exists.
#[test]
fn the_newest_schema_has_its_file() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    live(&vault);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    let heads = vault.audit_heads(None).unwrap();
    drop(vault);
    let newest = version(&Database::open(&path).unwrap());
    assert_eq!(newest, NEWEST);
    let kept = vector(newest);
    if !kept.exists() && std::env::var_os("VALETKEY_WRITE_VECTORS").is_some() {
        fs::copy(&path, &kept).unwrap();
        let exported: String = heads.iter().map(|head| format!("{head}\n")).collect();
        fs::write(kept.with_extension("head"), exported).unwrap();
    }
    assert!(kept.exists(), "no file of schema {newest} is kept");
    everything_is_there(&open(&path).unwrap(), newest, &heads);
}

/// Returns every kept file, with its version and the heads that were exported from it.
fn kept() -> Vec<(PathBuf, u32, Vec<AuditHead>)> {
    let mut kept: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let version = name.strip_prefix("schema-").unwrap().parse().unwrap();
            let heads = fs::read_to_string(path.with_extension("head")).unwrap();
            let heads = heads.lines().map(|head| head.parse().unwrap()).collect();
            (path, version, heads)
        })
        .collect();
    kept.sort_by_key(|(_, version, _)| *version);
    let versions: Vec<_> = kept.iter().map(|(_, version, _)| *version).collect();
    assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
    kept
}

/// Returns a copy that tests may open, with the rights of a copied file.
fn copy(of: &Path) -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = place();
    fs::write(&path, fs::read(of).unwrap()).unwrap();
    (directory, path)
}

/// Checks that all records that `live` created exist.
fn everything_is_there(vault: &SqliteVault, version: u32, heads: &[AuditHead]) {
    tokens_are_there(vault);
    if version >= 3 {
        grants_are_there(vault);
    }
    if version >= 4 {
        definitions_are_there(vault);
    }
    let (tenant, user) = (tenant(), user());
    let provider = stored(vault, 1).provider;
    for owner in [Some(&user), None] {
        let found = vault.find_token(&TokenQuery {
            tenant: &tenant,
            of: Of::Owner {
                user: owner,
                provider: &provider,
                label: None,
            },
            scopes: &valetkey::model::Scopes::default(),
        });
        assert!(matches!(found, Ok(Found::One(_))), "{owner:?}: {found:?}");
    }
    let mut pending = vault
        .take_revocations(at(100), Duration::from_secs(5), 9)
        .unwrap();
    assert_eq!(pending.len(), 1);
    let pending = pending.pop().unwrap();
    assert_eq!(pending.connection, id(3));
    assert_eq!(pending.access_token.unwrap().expose_secret(), "access-3");
    assert_eq!(pending.refresh_token.unwrap().expose_secret(), "refresh-3");
    assert_eq!(pending.grant.issued_by, *issued_by(&connection(3)));
    assert_eq!(
        (pending.attempts, pending.give_up_at, pending.grant.generation),
        (1, at(9_000), 1)
    );
    let waiting = vault.consent(&tenant, &state("pending")).unwrap().unwrap();
    assert_eq!(waiting, consent("pending"));
    let Taken::Consent(taken, Some(verifier)) = take(vault, "pending", 30) else {
        panic!("it cannot be taken");
    };
    assert_eq!(taken.status, ConsentStatus::Taken);
    assert_eq!(verifier.expose_secret(), VERIFIER);
    entries_are_there(vault, version);
    for head in heads {
        assert!(vault.proves(head).unwrap(), "{head}");
    }
    assert_intact(vault);
    vault.integrity_check().unwrap();
}

fn tokens_are_there(vault: &SqliteVault) {
    assert_eq!(access(vault, &tenant(), 1).as_deref(), Some("access-1-2"));
    assert_eq!(access(vault, &tenant(), 2).as_deref(), Some("access-2"));
    assert_eq!(access(vault, &other_tenant(), 5).as_deref(), Some("access-5"));
    for gone in [3, 4] {
        assert_eq!(access(vault, &tenant(), gone), None);
    }
    let stored = |number| stored(vault, number);
    assert!(stored(1).is_default && stored(1).generation == 2 && stored(1).status == Status::Active);
    assert_eq!(stored(1).label, connection(1).label);
    assert_eq!(issued_by(&stored(1)), issued_by(&connection(1)));
    assert_eq!(stored(1).refreshed_at, at(2));
    assert_eq!(stored(2).owner, Owner::Workspace);
    assert_eq!(stored(2).used_at, Some(at(22)));
    assert_eq!(stored(3).status, Status::Revoked);
    assert_eq!(stored(4).status, Status::NeedsConsent(NeedsConsent::Rejected));
    assert_eq!(refresh_state(&stored(4)).quarantined_until, Some(at(9_000)));
}

fn grants_are_there(vault: &SqliteVault) {
    for number in [6, 7] {
        assert_eq!(access(vault, &tenant(), number).as_deref(), Some("access-6-2"));
        assert_eq!(stored(vault, number).generation, 2);
        assert_eq!(stored(vault, number).grant, stored(vault, 6).grant);
    }
    assert_eq!(stored(vault, 7).account.unwrap().id, "account-7");
    let former: Vec<GrantId> = [1, 2]
        .map(|generation| grant_for(&connection(6), generation).id)
        .into_iter()
        .filter(|grant| {
            let grant = vault.grant(&tenant(), *grant).unwrap().unwrap();
            grant.former_of == Some(stored(vault, 6).grant)
        })
        .collect();
    assert_eq!(former, [grant_for(&connection(6), 1).id]);
}

fn entries_are_there(vault: &SqliteVault, version: u32) {
    let kinds: Vec<_> = vault
        .audit(&AuditFilter::of(&tenant()))
        .unwrap()
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    let mut told = vec![
        AuditKind::ConsentCompleted,
        AuditKind::Refreshed,
        AuditKind::ConsentCompleted,
        AuditKind::ConsentCompleted,
        AuditKind::ConsentCompleted,
        AuditKind::Revoked,
        AuditKind::RefreshRejected,
        AuditKind::DefaultSet,
        AuditKind::TokenUsed,
        AuditKind::DataKeyRotated,
        AuditKind::ConsentStarted,
    ];
    if version >= 3 {
        told.extend([AuditKind::ConsentCompleted; 3]);
    }
    if version >= 4 {
        told.extend([AuditKind::DefinitionAdded; 3]);
    }
    assert_eq!(kinds, told);
    assert_eq!(vault.audit(&AuditFilter::of(&other_tenant())).unwrap().len(), 1);
    let mut expected = vec![
        AuditChain::Vault,
        AuditChain::Tenant(tenant()),
        AuditChain::Tenant(other_tenant()),
    ];
    if version < 3 {
        expected.insert(1, AuditChain::Legacy);
    }
    assert_eq!(chains(vault), expected);
}

/// Checks that the vault continues to work: its records are refreshed, refused, sealed again and
/// erased.
fn it_goes_on(vault: &SqliteVault, version: u32, heads: &[AuditHead]) {
    refresh(vault, 1, &tokens("access-1-3", "refresh-1-3"));
    let former = grant(vault, &connection(1), &tokens("access-1-4", "refresh-1-4"));
    assert_eq!(former.len(), 1);
    let ClaimOutcome::Granted(claimed) = claim(vault, 4, Attempt::Quarantined, 40) else {
        panic!("it is not in quarantine");
    };
    assert_eq!(claimed.refresh_token.expose_secret(), "refresh-4");
    // A pending revocation keeps the older data key until it ends, unless a migration has sealed it
    // again.
    let remaining = usize::from(version >= 3);
    assert_eq!(reseal(vault, 100).remaining, remaining);
    for pending in vault
        .take_revocations(at(200), Duration::from_secs(5), 9)
        .unwrap()
    {
        vault
            .settle_revocation(&tenant(), pending.id, Settlement::Confirmed, at(200))
            .unwrap();
    }
    let resealed = reseal(vault, 100);
    assert_eq!((resealed.remaining, resealed.destroyed), (0, remaining));
    let ended = revoke(vault, 2).unwrap().ended;
    assert_eq!(
        ended[0].refresh_token.as_ref().unwrap().expose_secret(),
        "refresh-2"
    );
    let ended = vault.revoke(&Revoke {
        tenant: &tenant(),
        what: RevokeWhat::Grant(former[0]),
        by: None,
        now: at(41),
        keep_until: None,
    });
    let ended = ended.unwrap().unwrap().ended;
    assert_eq!(
        ended[0].refresh_token.as_ref().unwrap().expose_secret(),
        "refresh-1-3"
    );
    let forgotten = forget_tenant(vault, &other_tenant()).unwrap().unwrap();
    assert_eq!(forgotten.connections, 1);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    heads_are_proved(vault, heads);
    assert_intact(vault);
    vault.integrity_check().unwrap();
}

/// Checks that the exported heads are still recognised, except that of the erased tenant.
fn heads_are_proved(vault: &SqliteVault, heads: &[AuditHead]) {
    for head in heads {
        let is_forgotten = head.tenant() == Some(&other_tenant());
        assert_eq!(vault.proves(head).unwrap(), !is_forgotten, "{head}");
    }
}

#[test]
fn each_older_file_opens_with_all_that_was_in_it() {
    for (file, version, heads) in kept() {
        let (_directory, path) = copy(&file);
        let vault = open(&path).unwrap();
        everything_is_there(&vault, version, &heads);
        it_goes_on(&vault, version, &heads);
        drop(vault);
        let vault = open(&path).unwrap();
        heads_are_proved(&vault, &heads);
        assert_intact(&vault);
    }
}

/// Returns the columns of every table and the indexes, in an order that does not depend on their
/// history.
fn shape(db: &Database) -> Vec<String> {
    let mut statement = db
        .prepare(
            "SELECT t.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk
                FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'
             UNION ALL SELECT i.sql FROM sqlite_schema i WHERE i.type = 'index' AND i.sql IS NOT NULL
             ORDER BY 1",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    // A migration renames the table of the audit; its index keeps the old name.
    rows.map(|row| {
        row.unwrap().replace(
            "audit_by_tenant ON \"audit_legacy\"",
            "audit_legacy_by_tenant ON audit_legacy",
        )
    })
    .collect()
}

#[test]
fn an_older_file_gets_the_tables_of_a_new_one() {
    let (_directory, new) = place();
    drop(open(&new).unwrap());
    let new = Database::open(&new).unwrap();
    for (file, then, _) in kept() {
        let (_directory, path) = copy(&file);
        assert_eq!(version(&Database::open(&path).unwrap()), then);
        drop(open(&path).unwrap());
        let migrated = Database::open(&path).unwrap();
        assert_eq!(version(&migrated), version(&new), "{file:?}");
        assert_eq!(shape(&migrated), shape(&new), "{file:?}");
    }
}
