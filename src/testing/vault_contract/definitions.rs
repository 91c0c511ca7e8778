//! Definitions of tenants.

use super::forget::forget;
use super::{Check, Make, at, connect, connection, must, personal, provider, revoke, some, tenant};
use crate::vault::{
    AuditChain, AuditFilter, AuditKind, Definition, DefinitionContent, DefinitionKey, DefinitionKind,
    DefinitionRemoval, DefinitionWrite, Expected, FoundDefinition, NewDefinition, PutDefinitions,
    RemoveDefinitions, Rotation, Vault,
};

pub(super) const CHECKS: &[Check] = &[
    ("a stored definition is read back by its own tenant", read_back),
    ("definitions are stored all together or not at all", together),
    ("a caller learns whether a definition changed", changes),
    ("a definition in use is not removed", removed),
    ("each change of a definition has its entry", entries),
    ("a new data key has no effect on definitions", rotated),
    ("definitions end with their tenant", forgotten),
];

const SERVER: DefinitionKey<'static> = DefinitionKey {
    kind: DefinitionKind::Server,
    name: "notes-as",
};
const PROVIDER: DefinitionKey<'static> = DefinitionKey {
    kind: DefinitionKind::Provider,
    name: "notes",
};
const CLIENT: DefinitionKey<'static> = DefinitionKey {
    kind: DefinitionKind::Client,
    name: "notes-as",
};

fn content(document: &str, secrets: &[&str]) -> DefinitionContent {
    DefinitionContent {
        document: document.as_bytes().to_vec(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned().into()).collect(),
    }
}

fn put_if(
    vault: &dyn Vault,
    of: &str,
    all: &[(DefinitionKey<'_>, Expected, DefinitionContent)],
) -> DefinitionWrite {
    let definitions: Vec<_> = all
        .iter()
        .map(|(key, expected, content)| NewDefinition {
            key: *key,
            expected: *expected,
            content,
        })
        .collect();
    must(vault.put_definitions(&PutDefinitions {
        tenant: &tenant(of),
        definitions: &definitions,
        by: None,
        now: at(1),
    }))
}

fn put(vault: &dyn Vault, of: &str, key: DefinitionKey<'_>, content: DefinitionContent) {
    let written = put_if(vault, of, &[(key, Expected::Anything, content)]);
    assert_eq!(written, DefinitionWrite::Stored);
}

fn find(vault: &dyn Vault, of: &str, key: DefinitionKey<'_>) -> Option<Definition> {
    match must(vault.definition(&tenant(of), key, None)) {
        FoundDefinition::Changed(_, definition) => Some(*definition),
        FoundDefinition::Nothing(_) => None,
        FoundDefinition::Unchanged(_) => panic!("nothing was known"),
    }
}

fn document(vault: &dyn Vault, of: &str, key: DefinitionKey<'_>) -> Option<String> {
    let document = find(vault, of, key)?.content.document;
    Some(must(String::from_utf8(document)))
}

fn remove(
    vault: &dyn Vault,
    of: &str,
    keys: &[DefinitionKey<'_>],
    unless: Option<&str>,
) -> DefinitionRemoval {
    must(vault.remove_definitions(&RemoveDefinitions {
        tenant: &tenant(of),
        keys,
        expected: Expected::Anything,
        unless_connected: unless.map(provider).as_ref(),
        by: None,
        now: at(3),
    }))
}

fn intact(vault: &dyn Vault, of: &str) {
    let report = must(vault.verify_chain(&AuditChain::Tenant(tenant(of)), &mut |_, _| ()));
    assert!(report.is_intact(), "{report:?}");
}

fn read_back(make: Make<'_>) {
    let vault = make();
    assert!(find(&*vault, "acme", CLIENT).is_none(), "there is no such tenant");
    put(
        &*vault,
        "acme",
        CLIENT,
        content("{}", &["secret-1", "", "secret-3"]),
    );
    let stored = some(find(&*vault, "acme", CLIENT), "the client");
    assert_eq!((stored.kind, stored.name.as_str()), (CLIENT.kind, CLIENT.name));
    assert_eq!(stored.content.document, b"{}");
    let secrets: Vec<_> = stored.content.secrets.iter().map(|it| it.as_str()).collect();
    assert_eq!(secrets, ["secret-1", "", "secret-3"]);
    for nothing in [
        find(&*vault, "acme", SERVER),
        find(&*vault, "acme", PROVIDER),
        find(&*vault, "other", CLIENT),
    ] {
        assert!(nothing.is_none());
    }
    put(&*vault, "acme", SERVER, content("server", &[]));
    put(&*vault, "other", CLIENT, content("theirs", &[]));
    let list = |of: &str, kind| must(vault.definitions(&tenant(of), kind, None, 9)).len();
    assert_eq!(list("acme", DefinitionKind::Client), 1);
    assert_eq!(list("acme", DefinitionKind::Provider), 0);
    assert_eq!(list("nowhere", DefinitionKind::Client), 0);
    let names = |kind| must(vault.definition_names(kind, None, 9));
    assert_eq!(names(DefinitionKind::Client), ["notes-as"], "of both tenants");
    assert_eq!(document(&*vault, "other", CLIENT).as_deref(), Some("theirs"));
    intact(&*vault, "acme");
}

fn together(make: Make<'_>) {
    let vault = make();
    put(&*vault, "acme", CLIENT, content("first", &["one"]));
    let version = some(find(&*vault, "acme", CLIENT), "the client").version;
    let refused = put_if(
        &*vault,
        "acme",
        &[
            (SERVER, Expected::Anything, content("server", &[])),
            (CLIENT, Expected::Nothing, content("second", &["two"])),
        ],
    );
    assert_eq!(refused, DefinitionWrite::Unexpected);
    assert!(find(&*vault, "acme", SERVER).is_none());
    assert_eq!(document(&*vault, "acme", CLIENT).as_deref(), Some("first"));
    let stored = put_if(
        &*vault,
        "acme",
        &[
            (SERVER, Expected::Nothing, content("server", &[])),
            (CLIENT, Expected::Version(version), content("second", &["two"])),
        ],
    );
    assert_eq!(stored, DefinitionWrite::Stored);
    assert_eq!(document(&*vault, "acme", SERVER).as_deref(), Some("server"));
    assert_eq!(document(&*vault, "acme", CLIENT).as_deref(), Some("second"));
    let stale = put_if(
        &*vault,
        "acme",
        &[(CLIENT, Expected::Version(version), content("third", &[]))],
    );
    assert_eq!(stale, DefinitionWrite::Unexpected);
}

fn changes(make: Make<'_>) {
    let vault = make();
    let acme = tenant("acme");
    let ask = |known| must(vault.definition(&acme, PROVIDER, known));
    put(&*vault, "acme", SERVER, content("server", &[]));
    let FoundDefinition::Nothing(none) = ask(None) else {
        panic!("there is nothing");
    };
    assert!(matches!(ask(Some(&none)), FoundDefinition::Unchanged(_)));
    put(&*vault, "acme", PROVIDER, content("one", &[]));
    let FoundDefinition::Changed(one, _) = ask(Some(&none)) else {
        panic!("it was added");
    };
    assert!(matches!(ask(Some(&one)), FoundDefinition::Unchanged(_)));
    put(&*vault, "acme", SERVER, content("another", &[]));
    assert!(matches!(ask(Some(&one)), FoundDefinition::Unchanged(_)));
    put(&*vault, "acme", PROVIDER, content("one", &[]));
    assert!(
        matches!(ask(Some(&one)), FoundDefinition::Unchanged(_)),
        "the same content is not a change"
    );
    put(&*vault, "acme", PROVIDER, content("two", &[]));
    let FoundDefinition::Changed(two, found) = ask(Some(&one)) else {
        panic!("it was changed");
    };
    assert_eq!(found.content.document, b"two");
    assert_eq!(
        remove(&*vault, "acme", &[PROVIDER], None),
        DefinitionRemoval::Removed(1)
    );
    assert!(matches!(ask(Some(&two)), FoundDefinition::Nothing(_)));
    put(&*vault, "acme", PROVIDER, content("two", &[]));
    assert!(
        matches!(ask(Some(&two)), FoundDefinition::Changed(..)),
        "a version is never used again"
    );
}

fn removed(make: Make<'_>) {
    let vault = make();
    for key in [SERVER, PROVIDER, CLIENT] {
        put(&*vault, "acme", key, content("it", &["secret"]));
    }
    let mut used = connection("acme", 1, personal("alice"));
    used.provider = provider("notes");
    connect(&*vault, &used, "1");
    let all = [PROVIDER, SERVER, CLIENT];
    let unless = Some("notes");
    assert_eq!(remove(&*vault, "acme", &all, unless), DefinitionRemoval::InUse);
    assert!(find(&*vault, "acme", SERVER).is_some());
    assert!(revoke(&*vault, &used, 2).is_some());
    assert_eq!(
        remove(&*vault, "acme", &all, unless),
        DefinitionRemoval::Removed(3)
    );
    assert_eq!(
        remove(&*vault, "acme", &all, unless),
        DefinitionRemoval::Removed(0)
    );
    assert_eq!(
        remove(&*vault, "other", &all, unless),
        DefinitionRemoval::Removed(0)
    );
    for key in all {
        assert!(find(&*vault, "acme", key).is_none());
    }
    intact(&*vault, "acme");
}

fn entries(make: Make<'_>) {
    let vault = make();
    put(&*vault, "acme", CLIENT, content("one", &["secret"]));
    put(&*vault, "acme", CLIENT, content("one", &["secret"]));
    put(&*vault, "acme", CLIENT, content("one", &["another"]));
    remove(&*vault, "acme", &[CLIENT, SERVER], None);
    let told: Vec<_> = must(vault.audit(&AuditFilter::of(&tenant("acme"))))
        .into_iter()
        .map(|entry| (entry.kind, entry.detail, entry.provider))
        .collect();
    let about = |kind| (kind, Some("client".to_owned()), Some(provider("notes-as")));
    assert_eq!(
        told,
        [
            about(AuditKind::DefinitionAdded),
            about(AuditKind::DefinitionChanged),
            about(AuditKind::DefinitionRemoved)
        ]
    );
    intact(&*vault, "acme");
}

fn rotated(make: Make<'_>) {
    let vault = make();
    let acme = tenant("acme");
    for (key, document) in [(SERVER, "server"), (CLIENT, "client")] {
        put(&*vault, "acme", key, content(document, &["secret"]));
    }
    let version = some(find(&*vault, "acme", CLIENT), "the client").version;
    must(vault.rotate(Rotation::DataKey(&acme), at(2)));
    let rotated = must(vault.rotate(Rotation::Tokens { limit: 1 }, at(3)));
    assert_eq!((rotated.done, rotated.destroyed, rotated.remaining), (1, 0, 1));
    let rotated = must(vault.rotate(Rotation::Tokens { limit: 9 }, at(3)));
    assert_eq!((rotated.done, rotated.destroyed, rotated.remaining), (1, 1, 0));
    let stored = some(find(&*vault, "acme", CLIENT), "the client");
    assert_eq!(stored.content.document, b"client");
    assert_eq!(stored.content.secrets[0].as_str(), "secret");
    assert_eq!(stored.version, version);
    intact(&*vault, "acme");
}

fn forgotten(make: Make<'_>) {
    let vault = make();
    put(&*vault, "acme", CLIENT, content("client", &["secret"]));
    put(&*vault, "other", CLIENT, content("theirs", &[]));
    assert!(forget(&*vault, "acme", Some("alice"), 5).is_some());
    assert!(find(&*vault, "acme", CLIENT).is_some(), "it is nobody's own");
    assert!(forget(&*vault, "acme", None, 5).is_some());
    assert!(find(&*vault, "acme", CLIENT).is_none());
    assert!(find(&*vault, "other", CLIENT).is_some());
    put(&*vault, "acme", CLIENT, content("again", &[]));
    assert_eq!(document(&*vault, "acme", CLIENT).as_deref(), Some("again"));
    intact(&*vault, "acme");
}
