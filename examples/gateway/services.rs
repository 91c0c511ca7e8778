//! The nineteen services of the catalogue, granted by the sandbox in place of their providers.

use serde_json::{Value, json};
use valetkey::provider::{AuthorizationServer, Provider, catalog};
use valetkey::testing::Sandbox;

/// The services with an older variant in the catalogue, which the demonstration leaves out.
const VARIANT: &str = "-legacy";

/// The descriptors of the demonstration.
pub struct Descriptors {
    pub servers: Vec<AuthorizationServer>,
    pub providers: Vec<Provider>,
}

/// Returns the catalogue with the addresses of the sandbox. Names, groups, scopes and their words
/// are those of the catalogue.
pub fn descriptors(sandbox: &Sandbox) -> Result<Descriptors, serde_json::Error> {
    let mut servers = Vec::new();
    for server in catalog::servers() {
        let real = serde_json::to_value(&server)?;
        if id(&real).ends_with(VARIANT) {
            continue;
        }
        let mut played = serde_json::to_value(sandbox.server())?;
        played["id"] = real["id"].clone();
        played["replaces_builtin"] = true.into();
        played["parameters"] = entered(&real);
        if id(&real) == "google" {
            // All connections of an account end together.
            played["revocation"]["endpoint"]["grant_wide"] = true.into();
        }
        if real["revocation"].get("by_user").is_some() {
            played["revocation"] = real["revocation"].clone();
        }
        servers.push(serde_json::from_value(played)?);
    }
    let mut providers = Vec::new();
    for provider in catalog::providers() {
        let real = serde_json::to_value(&provider)?;
        if id(&real).ends_with(VARIANT) {
            continue;
        }
        let mut played = serde_json::to_value(sandbox.provider(provider.id().as_str()))?;
        played["replaces_builtin"] = true.into();
        for member in [
            "server",
            "name",
            "group",
            "default_scopes",
            "required_scopes",
            "tiers",
            "scope_names",
        ] {
            if let Some(value) = real.get(member) {
                played[member] = value.clone();
            }
        }
        if provider.id().as_str() == catalog::GOOGLE_TASKS {
            // The sandbox has an API for notes, which the agent of the demonstration reads.
            append(&mut played["required_scopes"], json!("notes.read"));
            let text = json!({"en": "Read the notes of the sandbox", "ru": "Читать заметки песочницы"});
            append(
                &mut played["scope_names"],
                json!({"scope": "notes.read", "text": text}),
            );
        }
        providers.push(serde_json::from_value(played)?);
    }
    Ok(Descriptors { servers, providers })
}

fn append(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn id(descriptor: &Value) -> &str {
    descriptor["id"].as_str().unwrap_or_default()
}

/// Returns the parameters that a user enters, all of them optional: the sandbox has one site.
fn entered(server: &Value) -> Value {
    let all = server["parameters"].as_array().cloned().unwrap_or_default();
    let by_host = all
        .into_iter()
        .filter(|rule| rule.get("source").is_none_or(|source| source == "host"));
    by_host.collect()
}
