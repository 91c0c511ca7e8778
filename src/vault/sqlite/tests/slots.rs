//! Sealed records in their slots.

use super::*;
use crate::vault::tables::Sealed;

const BUSY_SLOTS: &str = "SELECT count(*) FROM secrets WHERE slot NOT IN (SELECT slot FROM free_slots)";

fn set(tables: &SqliteTables, tenant: TenantRow, number: u8, access: &[u8], rest: &[u8]) {
    write(tables, |rows| {
        rows.put_grant(tenant, &grant(number), Secrets::Set { access, rest })
    })
    .unwrap();
}

fn secrets(tables: &SqliteTables, tenant: TenantRow, number: u8) -> Sealed {
    tables
        .read(|rows| rows.grant_secrets(tenant, grant(number).id))
        .unwrap()
}

#[test]
fn slots_are_used_again_and_never_lost() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[]);
    for number in 1..=20 {
        set(
            &tables,
            tenant,
            number,
            &vec![7; usize::from(number) * 50],
            &[7; 9],
        );
    }
    for number in 1..=20 {
        write(&tables, |rows| {
            rows.put_grant(tenant, &grant(number), Secrets::Erase)
        })
        .unwrap();
    }
    assert_eq!(count(&tables, "SELECT count(*) FROM free_slots"), 20);
    let nonzero = "SELECT count(*) FROM secrets JOIN free_slots USING (slot)
        WHERE hex(secrets.access) || hex(secrets.rest) GLOB '*[1-9A-F]*'";
    assert_eq!(count(&tables, nonzero), 0, "what is free is zeros");
    for number in 1..=20 {
        // A token of another size moves to another slot; one of a similar size stays.
        for extra in [0, 1] {
            let access = vec![8; usize::from(number) * 50 + extra];
            set(&tables, tenant, number, &access, &[8; 9]);
            assert_eq!(secrets(&tables, tenant, number).access, Some(access));
        }
    }
    assert_eq!(count(&tables, BUSY_SLOTS), 20);
    let slots = count(&tables, "SELECT count(*) FROM secrets");
    assert!(slots <= 24, "{slots} slots for 20 grants");
    let shared = "SELECT count(*) FROM grants JOIN free_slots USING (slot)";
    assert_eq!(count(&tables, shared), 0);
}

#[test]
fn each_change_of_the_secrets_does_what_it_says() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1]);
    let change = |secrets: Secrets<'_>| {
        write(&tables, |rows| rows.put_grant(tenant, &grant(1), secrets)).unwrap();
    };
    let (access, rest) = (Some(vec![1; 100]), Some(vec![1; 50]));
    change(Secrets::Keep);
    assert_eq!(secrets(&tables, tenant, 1).access, access);
    change(Secrets::EraseAccess);
    assert_eq!(secrets(&tables, tenant, 1), Sealed { access: None, rest });
    change(Secrets::Erase);
    assert_eq!(secrets(&tables, tenant, 1), Sealed::default());
    assert_eq!(count(&tables, BUSY_SLOTS), 0);
    set(&tables, tenant, 1, &[3; 10], &[]);
    let access = Some(vec![3; 10]);
    assert_eq!(secrets(&tables, tenant, 1), Sealed { access, rest: None });
    write(&tables, |rows| rows.delete_grant(tenant, grant(1).id)).unwrap();
    assert_eq!(count(&tables, BUSY_SLOTS), 0);
}

/// A record may be reported as erased only if it was overwritten.
#[test]
fn a_slot_that_is_gone_is_noticed_by_everything_that_uses_it() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1]);
    tables
        .store
        .writer()
        .execute("UPDATE grants SET slot = 999", [])
        .unwrap();
    let tampered = |result: Result<(), VaultError>| {
        assert!(matches!(result, Err(VaultError::Tampered)), "{result:?}");
    };
    tampered(access(&tables, tenant, 1).map(drop));
    for secrets in [
        Secrets::Erase,
        Secrets::EraseAccess,
        Secrets::Set {
            access: &[1],
            rest: &[],
        },
    ] {
        tampered(write(&tables, |rows| rows.put_grant(tenant, &grant(1), secrets)));
    }
    tampered(write(&tables, |rows| rows.delete_grant(tenant, grant(1).id)));
}

/// A record that cannot be read from its slot does not open, but it can be erased.
#[test]
fn a_broken_record_is_handed_up_and_can_be_erased() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1]);
    for broken in ["x'ffffffff00'", "x'0102'"] {
        let change = format!("UPDATE secrets SET access = {broken}");
        tables.store.writer().execute(&change, []).unwrap();
        assert!(access(&tables, tenant, 1).unwrap().is_some());
    }
    write(&tables, |rows| rows.put_grant(tenant, &grant(1), Secrets::Erase)).unwrap();
    assert_eq!(secrets(&tables, tenant, 1), Sealed::default());
}

/// After many changes of tokens, the file contains no dead ciphertext.
#[test]
fn erased_tokens_are_nowhere_in_the_file() {
    let (_directory, path) = file();
    let (tables, _) = SqliteTables::open(&path).unwrap();
    let tenant = filled(&tables, &[]);
    let token = |number: u32| format!("sealed-token-{number:04}-{}", "x".repeat(150)).into_bytes();
    for number in 0..400_u32 {
        let mut row = grant(1);
        row.id = GrantId::from_bytes(u128::from(number).to_be_bytes());
        write(&tables, |rows| {
            let secrets = Secrets::Set {
                access: &token(number),
                rest: &token(number),
            };
            rows.put_grant(tenant, &row, secrets)
        })
        .unwrap();
    }
    for number in 0..400_u32 {
        let id = GrantId::from_bytes(u128::from(number).to_be_bytes());
        write(&tables, |rows| rows.delete_grant(tenant, id)).unwrap();
    }
    assert!(tables.clear_residue().unwrap());
    for file in [path.clone(), path.with_file_name("vault.db-wal")] {
        let content = std::fs::read(file).unwrap();
        assert!(!content.windows(13).any(|window| window == b"sealed-token-"));
    }
}
