//! Definitions and their sealed content.

use super::checks;
use super::fixtures::{commit, definition, key, read, tenant};
use crate::vault::DefinitionVersion;
use crate::vault::tables::{DefinitionRow, Doomed, SealedDefinition, Tables, TenantRow};

checks![
    a_definition_is_read_back_with_its_content,
    a_definition_is_replaced_as_a_whole,
    definitions_are_listed_by_kind_in_the_order_of_their_names,
    names_are_listed_once_for_all_tenants,
    definitions_are_found_by_the_key_that_seals_them,
    a_deleted_definition_leaves_nothing,
    definitions_are_erased_with_their_tenant_only,
];

fn content(n: u8) -> Vec<u8> {
    vec![n; 50 + usize::from(n)]
}

fn put(tables: &impl Tables, tenant: TenantRow, row: &DefinitionRow, n: u8) {
    commit(tables, |rows| rows.put_definition(tenant, row, &content(n)));
}

fn names(found: &[SealedDefinition]) -> Vec<&str> {
    found.iter().map(|(row, _)| row.name.as_str()).collect()
}

fn a_definition_is_read_back_with_its_content<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    let row = definition("server", "notes", 1);
    put(&tables, acme, &row, 1);
    let stored = Some((row, Some(content(1))));
    assert_eq!(
        read(&tables, |rows| rows.definition(acme, "server", "notes")),
        stored
    );
    assert_eq!(
        read(&tables, |rows| rows.definition(acme, "client", "notes")),
        None
    );
    assert_eq!(
        read(&tables, |rows| rows.definition(acme, "server", "note")),
        None
    );
    assert_eq!(
        read(&tables, |rows| rows.definition(zeta, "server", "notes")),
        None
    );
    let (_, found) = tables
        .definition(acme, "server", "notes", &mut |_| false)
        .unwrap()
        .unwrap();
    assert_eq!(found, stored);
}

fn a_definition_is_replaced_as_a_whole<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    commit(&tables, |rows| rows.insert_key(acme, &key(2)));
    put(&tables, acme, &definition("server", "notes", 1), 1);
    let later = DefinitionRow {
        version: DefinitionVersion::from_bytes([9; 16]),
        key_version: 2,
        ..definition("server", "notes", 1)
    };
    put(&tables, acme, &later, 200);
    assert_eq!(
        read(&tables, |rows| rows.definition(acme, "server", "notes")),
        Some((later, Some(content(200))))
    );
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 1);
    assert!(!read(&tables, |rows| rows.names_key(acme, 1)));
    assert!(read(&tables, |rows| rows.names_key(acme, 2)));
}

fn definitions_are_listed_by_kind_in_the_order_of_their_names<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    // Names of different lengths, one of them too long to be part of a key as it is.
    let long = "b".repeat(300);
    for (n, name) in [(1, "c"), (2, "aa"), (3, long.as_str()), (4, "b")] {
        put(&tables, acme, &definition("provider", name, n), n);
    }
    put(&tables, acme, &definition("server", "a", 5), 5);
    put(&tables, zeta, &definition("provider", "a", 6), 6);
    let list = |after, limit| read(&tables, |rows| rows.definitions(acme, "provider", after, limit));
    assert_eq!(names(&list(None, 9)), ["aa", "b", &long, "c"]);
    assert_eq!(names(&list(None, 2)), ["aa", "b"]);
    assert_eq!(names(&list(Some("b"), 9)), [long.as_str(), "c"]);
    assert_eq!(names(&list(Some("c"), 9)), Vec::<&str>::new());
    assert_eq!(list(Some("b"), 1)[0].1, Some(content(3)));
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 5);
    assert_eq!(read(&tables, |rows| rows.count_definitions(zeta)), 1);
}

fn names_are_listed_once_for_all_tenants<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    for (of, kind, name) in [
        (acme, "server", "b"),
        (zeta, "server", "b"),
        (zeta, "server", "aa"),
        (acme, "server", "c"),
        (acme, "client", "a"),
    ] {
        put(&tables, of, &definition(kind, name, 1), 1);
    }
    let names = |after, limit| read(&tables, |rows| rows.definition_names("server", after, limit));
    assert_eq!(names(None, 9), ["aa", "b", "c"]);
    assert_eq!(names(None, 2), ["aa", "b"]);
    assert_eq!(names(Some("b"), 9), ["c"]);
}

fn definitions_are_found_by_the_key_that_seals_them<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    commit(&tables, |rows| rows.insert_key(acme, &key(2)));
    let sealed_by = |version, kind, name, n| DefinitionRow {
        key_version: version,
        ..definition(kind, name, n)
    };
    put(&tables, acme, &sealed_by(1, "server", "a", 1), 1);
    put(&tables, acme, &sealed_by(1, "client", "a", 2), 2);
    put(&tables, acme, &sealed_by(1, "client", "b", 3), 3);
    put(&tables, acme, &sealed_by(2, "client", "c", 4), 4);
    put(&tables, zeta, &sealed_by(1, "client", "d", 5), 5);
    let found = |version, after, limit| {
        let found = read(&tables, |rows| {
            rows.definitions_sealed_by(acme, version, after, limit)
        });
        let places = found.into_iter().map(|(row, _)| (row.kind, row.name));
        places
            .map(|(kind, name)| format!("{kind} {name}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(1, None, 9), ["client a", "client b", "server a"]);
    assert_eq!(found(1, None, 1), ["client a"]);
    assert_eq!(found(1, Some(("client", "a")), 9), ["client b", "server a"]);
    assert_eq!(found(1, Some(("server", "a")), 9), Vec::<String>::new());
    assert_eq!(found(2, None, 9), ["client c"]);
    assert!(read(&tables, |rows| rows.names_key(zeta, 1)));
    assert!(!read(&tables, |rows| rows.names_key(zeta, 2)));
}

fn a_deleted_definition_leaves_nothing<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let acme = tenant(&tables, "acme");
    put(&tables, acme, &definition("server", "a", 1), 1);
    put(&tables, acme, &definition("server", "b", 2), 2);
    commit(&tables, |rows| rows.delete_definition(acme, "server", "a"));
    // One that does not exist is deleted already.
    commit(&tables, |rows| rows.delete_definition(acme, "server", "a"));
    assert_eq!(read(&tables, |rows| rows.definition(acme, "server", "a")), None);
    assert_eq!(
        read(&tables, |rows| rows.definition_names("server", None, 9)),
        ["b"]
    );
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 1);
    commit(&tables, |rows| rows.delete_definition(acme, "server", "b"));
    assert!(!read(&tables, |rows| rows.names_key(acme, 1)));
}

fn definitions_are_erased_with_their_tenant_only<T: Tables>(make: &dyn Fn() -> T) {
    let tables = make();
    let (acme, zeta) = (tenant(&tables, "acme"), tenant(&tables, "zeta"));
    for (n, name) in [(1, "a"), (2, "b"), (3, "c")] {
        put(&tables, acme, &definition("provider", name, n), n);
    }
    put(&tables, zeta, &definition("provider", "a", 4), 4);
    assert!(commit(&tables, |rows| rows.erase(acme, Doomed::Owner("ada"), 9)));
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 3);
    assert!(!commit(&tables, |rows| rows.erase(acme, Doomed::Everything, 2)));
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 1);
    while !commit(&tables, |rows| rows.erase(acme, Doomed::Everything, 9)) {}
    assert_eq!(read(&tables, |rows| rows.count_definitions(acme)), 0);
    assert_eq!(read(&tables, |rows| rows.count_definitions(zeta)), 1);
}
