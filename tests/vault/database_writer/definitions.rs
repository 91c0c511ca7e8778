//! Definitions of both tenants, and how they are read after an edit.

use valetkey::internals::vault::{
    DefinitionContent, DefinitionKey, DefinitionKind, DefinitionStore as _, Expected, FoundDefinition,
    NewDefinition, PutDefinitions,
};
use valetkey::vault::SqliteVault;
use valetkey::{TenantId, Timestamp};

use crate::database_writer::world::{ACME, ELSEWHERE, tenant};

/// The places of all definitions.
pub(crate) const KEYS: [DefinitionKey<'static>; 3] = [
    key(DefinitionKind::Server, "board-as"),
    key(DefinitionKind::Provider, "board"),
    key(DefinitionKind::Client, "board-as"),
];

const fn key(kind: DefinitionKind, name: &'static str) -> DefinitionKey<'static> {
    DefinitionKey { kind, name }
}

/// Returns the content of a definition in one of its versions.
pub(crate) fn content(of: &str, key: DefinitionKey<'_>, version: u32) -> DefinitionContent {
    let kind = key.kind.as_str();
    DefinitionContent {
        document: format!("{kind} of {of}: https://honest.test/{version}").into_bytes(),
        secrets: vec![format!("secret-honest-{of}-{kind}-{version}").into()],
    }
}

/// Stores one version of all definitions.
pub(crate) fn define(vault: &SqliteVault, version: u32, now: Timestamp) {
    for of in [ACME, ELSEWHERE] {
        let contents = KEYS.map(|key| content(of, key, version));
        let definitions: Vec<_> = KEYS
            .iter()
            .zip(&contents)
            .map(|(key, content)| NewDefinition {
                key: *key,
                expected: Expected::Anything,
                content,
            })
            .collect();
        let put = PutDefinitions {
            tenant: &tenant(of),
            definitions: &definitions,
            by: None,
            now,
        };
        vault.put_definitions(&put).unwrap();
    }
}

/// Returns a definition as text, with its secrets.
pub(crate) fn read(
    vault: &SqliteVault,
    of: &TenantId,
    key: DefinitionKey<'_>,
) -> Result<Option<String>, valetkey::vault::VaultError> {
    Ok(match vault.definition(of, key, None)? {
        FoundDefinition::Changed(_, found) => Some(text(&found.content)),
        FoundDefinition::Nothing(_) | FoundDefinition::Unchanged(_) => None,
    })
}

pub(crate) fn text(content: &DefinitionContent) -> String {
    let document = String::from_utf8_lossy(&content.document);
    let secrets: Vec<_> = content.secrets.iter().map(|secret| secret.as_str()).collect();
    format!("{document} {}", secrets.join(" "))
}
